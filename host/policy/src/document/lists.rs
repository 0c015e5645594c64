//! Lists in a section.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::{Key, Kind, Section, check_unexpanded};
use crate::diagnostic::{Diagnostic, Spanned};

impl<'d> Section<'d> {
    /// Reads a list of strings.
    pub fn strings(&self, key: &Key) -> Option<Spanned<Vec<Spanned<String>>>> {
        let (value, location) = self.value(key)?;
        let wrong_type = |value: &DeValue<'_>, location| {
            let example = format!("[{:?}]", key.example_text());
            self.wrong_type(key.name, value, location, "a list of strings", &example);
        };
        let DeValue::Array(array) = value.get_ref() else {
            wrong_type(value.get_ref(), location);
            return None;
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            let item_location = self.origin.location(item.span().start);
            match item.get_ref() {
                DeValue::String(text) => {
                    let value = text.clone().into_owned();
                    strings.push(Spanned { value, location: Some(item_location) });
                }
                other => {
                    wrong_type(other, item_location);
                    return None;
                }
            }
        }
        Some(Spanned { value: strings, location: Some(location) })
    }

    /// Reads a list of paths, each of which is relative to `base`.
    pub fn paths(&self, key: &Key, base: &Path) -> Vec<Spanned<PathBuf>> {
        let paths = self.strings(key).map(|paths| paths.value).unwrap_or_default();
        let paths = paths.into_iter().filter_map(|path| match check_unexpanded(&path.value) {
            Ok(()) => Some(Spanned { value: base.join(path.value), location: path.location }),
            Err(reason) => {
                self.unexpanded_path(key, &path, reason);
                None
            }
        });
        paths.collect()
    }

    /// Reads a string, or a list of strings.
    pub fn string_or_strings(&self, key: &Key) -> Option<Spanned<Vec<String>>> {
        let (value, _) = self.entry(key.name)?;
        if let DeValue::Array(_) = value.get_ref() {
            let strings = self.strings(key)?;
            let value = strings.value.into_iter().map(|string| string.value).collect();
            return Some(Spanned { value, location: strings.location });
        }
        self.string(key)
            .map(|string| Spanned { value: vec![string.value], location: string.location })
    }

    /// Returns a table whose keys have any names, as a section.
    #[must_use]
    pub fn table(&self, key: &Key) -> Section<'d> {
        self.inner(key.name)
    }

    /// Reads a list of tables. Returns each as a section.
    #[must_use]
    pub fn tables(&self, key: &Key) -> Vec<Section<'d>> {
        let Some((value, location)) = self.value(key) else { return Vec::new() };
        let wrong_type = |value: &DeValue<'_>, location| {
            let example = format!("[{{ {} }}]", key.example);
            self.wrong_type(key.name, value, location, "a list of tables", &example);
        };
        let DeValue::Array(array) = value.get_ref() else {
            wrong_type(value.get_ref(), location);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            let location = self.origin.location(item.span().start);
            let DeValue::Table(table) = item.get_ref() else {
                wrong_type(item.get_ref(), location);
                continue;
            };
            let header = format!("`{}`{}", key.name, self.within());
            sections.push(self.with(header, Some(table), Some(location)));
        }
        sections
    }

    /// Reads a list of whole numbers, whose count and bounds are those of the declaration.
    pub fn integers<const N: usize>(&self, key: &Key) -> Option<[u64; N]> {
        let (value, location) = self.value(key)?;
        let Kind::Integers { least, most, .. } = key.kind else { return None };
        let expected = format!("{N} whole numbers from {least} to {most}");
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key.name, value.get_ref(), location, &expected, key.example);
            return None;
        };
        let integer = |item: &DeValue<'_>| match item {
            DeValue::Integer(integer) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        let integers = array
            .iter()
            .map(|item| integer(item.get_ref()).filter(|value| (least..=most).contains(value)));
        let integers: Option<Vec<u64>> = integers.collect();
        let integers = integers.and_then(|integers| <[u64; N]>::try_from(integers).ok());
        if integers.is_none() {
            let message = format!("`{}`{} cannot be used", key.name, self.within());
            let write = format!("{} = {}", key.name, key.example);
            self.push(Diagnostic::new(Some(location), message).expected(expected).write(write));
        }
        integers
    }
}
