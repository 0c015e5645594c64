//! Lists in a section.

use toml::de::DeValue;

use super::{Key, Kind, Section};
use crate::diagnostic::{Diagnostic, Located};

impl<'d> Section<'d> {
    /// A list of strings.
    pub fn strings(&self, key: &Key) -> Option<Located<Vec<Located<String>>>> {
        let (value, place) = self.value(key)?;
        let wrong_type = |value: &DeValue<'_>, place| {
            let example = format!("[{:?}]", key.example_text());
            self.wrong_type(key.name, value, place, "a list of strings", &example);
        };
        let DeValue::Array(array) = value.get_ref() else {
            wrong_type(value.get_ref(), place);
            return None;
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            let item_place = self.origin.place(item.span().start);
            match item.get_ref() {
                DeValue::String(text) => {
                    let value = text.clone().into_owned();
                    strings.push(Located { value, place: Some(item_place) });
                }
                other => {
                    wrong_type(other, item_place);
                    return None;
                }
            }
        }
        Some(Located { value: strings, place: Some(place) })
    }

    /// A string, or a list of strings.
    pub fn string_or_strings(&self, key: &Key) -> Option<Located<Vec<String>>> {
        let (value, _) = self.entry(key.name)?;
        if let DeValue::Array(_) = value.get_ref() {
            let strings = self.strings(key)?;
            let value = strings.value.into_iter().map(|text| text.value).collect();
            return Some(Located { value, place: strings.place });
        }
        self.string(key).map(|text| Located { value: vec![text.value], place: text.place })
    }

    /// A table of values under names of any kind, as a section.
    #[must_use]
    pub fn table(&self, key: &Key) -> Section<'d> {
        self.inner(key.name)
    }

    /// A list of tables, each as a section.
    #[must_use]
    pub fn tables(&self, key: &Key) -> Vec<Section<'d>> {
        let Some((value, place)) = self.value(key) else { return Vec::new() };
        let wrong_type = |value: &DeValue<'_>, place| {
            let example = format!("[{{ {} }}]", key.example);
            self.wrong_type(key.name, value, place, "a list of tables", &example);
        };
        let DeValue::Array(array) = value.get_ref() else {
            wrong_type(value.get_ref(), place);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            let place = self.origin.place(item.span().start);
            let DeValue::Table(table) = item.get_ref() else {
                wrong_type(item.get_ref(), place);
                continue;
            };
            let header = format!("`{}`{}", key.name, self.within());
            sections.push(self.with(header, Some(table), Some(place)));
        }
        sections
    }

    /// A list of as many whole numbers within bounds as the declaration says.
    pub fn integers<const N: usize>(&self, key: &Key) -> Option<[u64; N]> {
        let (value, place) = self.value(key)?;
        let Kind::Integers { least, most, .. } = key.kind else { return None };
        let expected = format!("{N} whole numbers from {least} to {most}");
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key.name, value.get_ref(), place, &expected, key.example);
            return None;
        };
        let number = |item: &DeValue<'_>| match item {
            DeValue::Integer(integer) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        let numbers = array
            .iter()
            .map(|item| number(item.get_ref()).filter(|number| (least..=most).contains(number)));
        let numbers: Option<Vec<u64>> = numbers.collect();
        let numbers = numbers.and_then(|numbers| <[u64; N]>::try_from(numbers).ok());
        if numbers.is_none() {
            let message = format!("`{}`{} cannot be used", key.name, self.within());
            let write = format!("{} = {}", key.name, key.example);
            self.push(Diagnostic::new(Some(place), message).expected(expected).write(write));
        }
        numbers
    }
}
