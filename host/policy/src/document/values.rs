//! Values of a section's keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::{Key, Kind, Section, WithDefault, human_duration};
use crate::diagnostic::{Diagnostic, Location, Spanned};
use crate::secret_keys::{names_secret, shown};
use crate::text::{SizeError, human_size, nearest, one_of, toml_key};

/// An invalid string, with a reason if the description of valid strings does not tell it.
#[derive(Clone, Debug, Default)]
pub struct InvalidValue(Option<String>);

impl InvalidValue {
    /// An invalid string, with the reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self(Some(reason.into()))
    }
}

/// The value of a key, to be read as a string.
struct RawValue<'s> {
    name: &'s str,
    value: &'s DeValue<'s>,
    location: Location,
    /// The value that a diagnostic suggests to write.
    example: String,
}

impl Section<'_> {
    pub(super) fn wrong_type(
        &self,
        name: &str,
        value: &DeValue<'_>,
        location: Location,
        expected: &str,
        example: &str,
    ) {
        let message = format!("`{name}`{} is of type {}", self.within(), value.type_str());
        let write = format!("{} = {example}", toml_key(name));
        self.push(Diagnostic::new(Some(location), message).expected(expected).write(write));
    }

    /// Reads a string.
    pub fn string(&self, key: &Key) -> Option<Spanned<String>> {
        self.string_of(&self.raw_value(key)?, "a quoted string")
    }

    /// Reads a path, relative to the directory of the configuration.
    pub fn path(&self, key: &Key, base: &Path) -> Option<Spanned<PathBuf>> {
        let path = self.string(key)?;
        if let Err(reason) = check_unexpanded(&path.value) {
            self.unexpanded_path(key, &path, reason);
            return None;
        }
        Some(Spanned { value: base.join(path.value), location: path.location })
    }

    /// Reports a path that a shell would expand.
    pub(crate) fn unexpanded_path(&self, key: &Key, path: &Spanned<String>, reason: &str) {
        let shown = shown(key.name, format_args!("{:?}", path.value));
        let message = format!("`{shown}`{} cannot be used: {reason}", self.within());
        let expected = "an absolute path, or one relative to the configuration's directory";
        self.push(Diagnostic::new(path.location.clone(), message).expected(expected));
    }

    fn raw_value<'s>(&'s self, key: &'s Key) -> Option<RawValue<'s>> {
        let (value, location) = self.value(key)?;
        Some(RawValue {
            name: key.name,
            value: value.get_ref(),
            location,
            example: key.example_text(),
        })
    }

    fn string_of(&self, raw: &RawValue<'_>, expected: &str) -> Option<Spanned<String>> {
        let location = raw.location.clone();
        match raw.value {
            DeValue::String(text) => {
                Some(Spanned { value: text.clone().into_owned(), location: Some(location) })
            }
            other => {
                let example = format!("{:?}", raw.example);
                self.wrong_type(raw.name, other, location, expected, &example);
                None
            }
        }
    }

    /// Reads a string and parses it. `parse` returns the value, or why the string is invalid.
    pub fn parsed<T>(
        &self,
        key: &Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Spanned<T>> {
        self.parsed_of(&self.raw_value(key)?, expected(key), parse)
    }

    /// The same for a key of any name, in a section that has such keys.
    pub fn parsed_entry<T>(
        &self,
        name: &str,
        each: &Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Spanned<T>> {
        let (value, location) = self.entry(name)?;
        let raw = RawValue { name, value: value.get_ref(), location, example: each.example_text() };
        self.parsed_of(&raw, expected(each), parse)
    }

    fn parsed_of<T>(
        &self,
        raw: &RawValue<'_>,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Spanned<T>> {
        let text = self.string_of(raw, expected)?;
        match parse(&text.value) {
            Ok(value) => Some(Spanned { value, location: text.location }),
            Err(InvalidValue(reason)) => {
                let name = raw.name;
                // The reason may quote the value.
                let reason = reason.filter(|_| !names_secret(name));
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let shown = shown(name, format_args!("{:?}", text.value));
                let message = format!("`{shown}`{} cannot be used{reason}", self.within());
                let write = format!("{} = {:?}", toml_key(name), raw.example);
                self.push(Diagnostic::new(text.location, message).expected(expected).write(write));
                None
            }
        }
    }

    /// Reads one of a few strings, which are those of the declaration, each with its value.
    pub fn one_of<T: Copy>(&self, key: &Key, strings: &[(&str, T)]) -> Option<Spanned<T>> {
        let text = self.string(key)?;
        if let Some((_, value)) = strings.iter().find(|(string, _)| *string == text.value) {
            return Some(Spanned { value: *value, location: text.location });
        }
        let names = || strings.iter().map(|(string, _)| *string);
        let suggestion = nearest(&text.value, names()).map(str::to_owned);
        let suggestion = suggestion.unwrap_or_else(|| key.example_text());
        let shown = shown(key.name, format_args!("{:?}", text.value));
        let message = format!("`{shown}`{} is not known", self.within());
        let write = format!("{} = {suggestion:?}", key.name);
        self.push(Diagnostic::new(text.location, message).expected(one_of(names())).write(write));
        None
    }

    /// Reads `true` or `false`.
    pub fn boolean(&self, key: &Key) -> Option<Spanned<bool>> {
        let (value, location) = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(Spanned { value: *value, location: Some(location) }),
            other => {
                self.wrong_type(key.name, other, location, "true or false", "true");
                None
            }
        }
    }

    /// Reads `true` or `false`; returns the default if the key is absent.
    pub fn boolean_or_default(&self, key: &WithDefault<bool>) -> bool {
        self.boolean(key).map_or(key.default, |value| value.value)
    }

    /// Reads a whole number within the bounds of the declaration; returns the default if the key is
    /// absent.
    pub fn integer(&self, key: &WithDefault<u32>) -> u32 {
        self.optional_integer(key).unwrap_or(key.default)
    }

    /// Reads a whole number within the bounds of the declaration.
    pub fn optional_integer(&self, key: &Key) -> Option<u32> {
        let (value, location) = self.value(key)?;
        let Kind::Integer { least, most } = key.kind else { return None };
        let DeValue::Integer(integer) = value.get_ref() else {
            let example = key.example_text();
            self.wrong_type(key.name, value.get_ref(), location, "a whole number", &example);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            let shown = shown(key.name, integer.as_str());
            let message = format!("`{shown}`{} is out of bounds", self.within());
            let expected = format!("a whole number from {least} to {most}");
            let write = format!("{} = {}", key.name, key.example_text());
            self.push(Diagnostic::new(Some(location), message).expected(expected).write(write));
        }
        number
    }

    /// Reads a duration with its unit: `500ms`, `30s`, `5m`, `1h`.
    pub fn duration(&self, key: &Key) -> Option<Spanned<Duration>> {
        let Kind::Duration { least, most } = key.kind else { return None };
        let mut raw = self.raw_value(key)?;
        let parse = |text: &str| within(parse_duration(text)?, least, most);
        let (from, to) = (human_duration(least), human_duration(most));
        let expected = format!("a duration from {from} to {to}, such as {:?}", raw.example);
        // A number without a unit: probably seconds.
        let seconds = integer(raw.value).map(|seconds| format!("{seconds}s"));
        if let Some(seconds) = seconds.filter(|seconds| parse(seconds).is_ok()) {
            raw.example = seconds;
        }
        self.parsed_of(&raw, &expected, parse)
    }

    /// Reads a duration; returns the default if the key is absent.
    pub fn duration_or_default(&self, key: &WithDefault<Duration>) -> Duration {
        self.duration(key).map_or(key.default, |duration| duration.value)
    }

    /// Reads a size in bytes with its unit, `64KiB` or `128MiB`; returns the default if the key is
    /// absent. Units are powers of 1024.
    pub fn size(&self, key: &WithDefault<u64>) -> u64 {
        self.size_within(key).map_or(key.default, |size| size.value)
    }

    fn size_within(&self, key: &Key) -> Option<Spanned<u64>> {
        let Kind::Size { least, most } = key.kind else { return None };
        let mut raw = self.raw_value(key)?;
        let parse = |text: &str| within(parse_size(text)?, least, most);
        let (from, to) = (human_size(least), human_size(most));
        let expected = format!("a size from {from} to {to}, such as {:?}", raw.example);
        let bytes = integer(raw.value).map(human_size);
        if let Some(bytes) = bytes.filter(|bytes| parse(bytes).is_ok()) {
            raw.example = bytes;
        }
        self.parsed_of(&raw, &expected, parse)
    }

    /// Reads a string, a number or a truth value of a key of any name, as a string.
    pub fn scalar_entry(&self, name: &str) -> Option<Spanned<String>> {
        let (value, location) = self.entry(name)?;
        self.scalar_of(name, value.get_ref(), location)
    }

    /// Reads a string, a number or a truth value, as a string.
    pub fn scalar(&self, key: &Key) -> Option<Spanned<String>> {
        let (value, location) = self.value(key)?;
        self.scalar_of(key.name, value.get_ref(), location)
    }

    fn scalar_of(
        &self,
        name: &str,
        value: &DeValue<'_>,
        location: Location,
    ) -> Option<Spanned<String>> {
        let text = match value {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            DeValue::Float(float) => float.as_str().to_owned(),
            other => {
                let expected = "a string, a number, true or false";
                self.wrong_type(name, other, location, expected, "\"...\"");
                return None;
            }
        };
        Some(Spanned { value: text, location: Some(location) })
    }
}

/// Checks that a path is not one that a shell would expand. The error is the reason.
pub(crate) fn check_unexpanded(path: &str) -> Result<(), &'static str> {
    match path {
        "~" => Err("`~` is not expanded"),
        path if path.starts_with("~/") => Err("`~` is not expanded"),
        path if path.starts_with('$') => Err("variables are not expanded"),
        _ => Ok(()),
    }
}

/// The description of valid strings of a key that is parsed.
fn expected(key: &Key) -> &'static str {
    match key.kind {
        Kind::Form { expected, .. } => expected,
        _ => "a quoted string",
    }
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let DeValue::Integer(integer) = value else { return None };
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

const OUT_OF_BOUNDS: &str = "it is out of bounds";

fn within<T: PartialOrd>(value: T, least: T, most: T) -> Result<T, InvalidValue> {
    let is_within = (least..=most).contains(&value);
    is_within.then_some(value).ok_or_else(|| InvalidValue::because(OUT_OF_BOUNDS))
}

fn parse_duration(text: &str) -> Result<Duration, InvalidValue> {
    use humantime::DurationError;

    humantime::parse_duration(text).map_err(|error| {
        InvalidValue::because(match error {
            _ if text.starts_with('-') => OUT_OF_BOUNDS,
            DurationError::NumberOverflow => OUT_OF_BOUNDS,
            DurationError::UnknownUnit { .. } => "unknown unit",
            DurationError::Empty
            | DurationError::InvalidCharacter(_)
            | DurationError::NumberExpected(_) => "it is not a number with a unit",
        })
    })
}

fn parse_size(text: &str) -> Result<u64, InvalidValue> {
    crate::text::parse_size(text).map_err(|error| {
        InvalidValue::because(match error {
            SizeError::Unit => "unknown unit",
            SizeError::Number => "it is not a number with a unit",
            SizeError::Overflow => OUT_OF_BOUNDS,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::document::Document;

    const WALL_TIME: WithDefault<Duration> = WithDefault::<Duration>::duration(
        "wall_time",
        (Duration::from_millis(10), Duration::from_secs(7200)),
        Duration::from_secs(3600),
        "",
    );
    const MEMORY: WithDefault<u64> =
        WithDefault::<u64>::size("memory", (1 << 10, 1 << 30), 64 << 20, "");

    fn mistake(text: &str) -> String {
        let document = Document::parse("k.toml", text).unwrap();
        let root = document.root();
        root.duration_or_default(&WALL_TIME);
        root.size(&MEMORY);
        root.finish();
        document.finish(()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_number_without_a_unit_is_suggested_with_one() {
        assert!(mistake("wall_time = 30").ends_with("write:    wall_time = \"30s\""));
        assert!(mistake("wall_time = 99999").ends_with("write:    wall_time = \"1h\""));
        assert!(mistake("memory = 2097152").ends_with("write:    memory = \"2MiB\""));
    }

    #[test]
    fn an_error_says_whether_the_unit_or_the_bounds_are_wrong() {
        for (line, reason) in [
            ("memory = \"99999999999GiB\"", OUT_OF_BOUNDS),
            ("memory = \"-5KiB\"", OUT_OF_BOUNDS),
            ("memory = \"64\"", "unknown unit"),
            ("memory = \"64MB\"", "unknown unit"),
            ("memory = \"xKiB\"", "it is not a number with a unit"),
            ("wall_time = \"-5s\"", OUT_OF_BOUNDS),
            ("wall_time = \"99999999999999999999s\"", OUT_OF_BOUNDS),
            ("wall_time = \"5 parsecs\"", "unknown unit"),
            ("wall_time = \"soon\"", "it is not a number with a unit"),
        ] {
            let message = mistake(line);
            assert!(message.contains(&format!("cannot be used: {reason}\n")), "{line}: {message}");
        }
        assert_eq!(mistake("memory = \"64 KiB\"\nwall_time = \"1h 30m\""), "");
    }
}
