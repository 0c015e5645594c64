//! Lists in a section.

use std::cell::RefCell;

use toml::de::DeValue;

use super::Section;
use crate::diagnostic::{Diagnostic, Located};

impl<'d> Section<'d> {
    /// A list of texts.
    pub fn texts(&self, key: &str, example: &str) -> Option<Located<Vec<Located<String>>>> {
        let (value, place) = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key, value.get_ref(), place, "a list of strings", &format!("[{example:?}]"));
            return None;
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            let item_place = self.origin.place(item.span().start);
            match item.get_ref() {
                DeValue::String(text) => {
                    texts.push(Located { value: text.clone().into_owned(), place: Some(item_place) });
                }
                other => {
                    let example = format!("[{example:?}]");
                    self.wrong_type(key, other, item_place, "a list of strings", &example);
                    return None;
                }
            }
        }
        Some(Located { value: texts, place: Some(place) })
    }

    /// A text, or a list of strings.
    pub fn text_or_texts(&self, key: &str, example: &str) -> Option<Located<Vec<String>>> {
        let (value, _) = self.value(key)?;
        if let DeValue::Array(_) = value.get_ref() {
            let texts = self.texts(key, example)?;
            return Some(Located {
                value: texts.value.into_iter().map(|text| text.value).collect(),
                place: texts.place,
            });
        }
        self.text(key, example).map(|text| Located { value: vec![text.value], place: text.place })
    }

    /// A list of tables, each as a section. `example` is one of them, as it would be written.
    #[must_use]
    pub fn tables(&self, key: &str, example: &str) -> Vec<Section<'d>> {
        let Some((value, place)) = self.value(key) else { return Vec::new() };
        let example = format!("[{{ {example} }}]");
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key, value.get_ref(), place, "a list of tables", &example);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            let place = Some(self.origin.place(item.span().start));
            let DeValue::Table(table) = item.get_ref() else {
                self.wrong_type(
                    key,
                    item.get_ref(),
                    self.origin.place(item.span().start),
                    "a list of tables",
                    &example,
                );
                continue;
            };
            let (header, origin, diagnostics) = (format!("`{key}`{}", self.within()), self.origin, self.diagnostics);
            sections.push(Section {
                header,
                table: Some(table),
                place,
                origin,
                diagnostics,
                known: RefCell::default(),
            });
        }
        sections
    }

    /// A list of whole numbers within bounds, as many as the example has.
    pub fn numbers<const N: usize>(&self, key: &str, least: u64, most: u64, example: [u64; N]) -> Option<[u64; N]> {
        let (value, place) = self.value(key)?;
        let expected = format!("{N} whole numbers from {least} to {most}");
        let write = format!("{key} = {example:?}");
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key, value.get_ref(), place, &expected, &format!("{example:?}"));
            return None;
        };
        let number = |item: &DeValue<'_>| match item {
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let numbers = array.iter().map(|item| number(item.get_ref()).filter(|number| (least..=most).contains(number)));
        let numbers: Option<Vec<u64>> = numbers.collect();
        let numbers = numbers.and_then(|numbers| <[u64; N]>::try_from(numbers).ok());
        if numbers.is_none() {
            let message = format!("`{key}`{} cannot be used", self.within());
            self.push(Diagnostic::new(Some(place), message).expected(expected).write(write));
        }
        numbers
    }
}
