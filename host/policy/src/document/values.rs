//! Values of a section's keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::{Key, Kind, Section, WithDefault, human_duration};
use crate::diagnostic::{Diagnostic, Located, Place};
use crate::secret_keys::{names_secret, shown};
use crate::text::{SizeError, bare, human_size, nearest, one_of};

/// A string that cannot be used, with the reason if there is more to say than what was expected.
#[derive(Clone, Debug, Default)]
pub struct InvalidValue(Option<String>);

impl InvalidValue {
    /// A string that cannot be used for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self(Some(reason.into()))
    }
}

/// What a section has under a name, to be read as a string.
struct Written<'s> {
    name: &'s str,
    value: &'s DeValue<'s>,
    place: Place,
    /// What an error suggests to write.
    example: String,
}

impl Section<'_> {
    pub(super) fn wrong_type(
        &self,
        name: &str,
        value: &DeValue<'_>,
        place: Place,
        expected: &str,
        example: &str,
    ) {
        let message = format!("`{name}`{} is of type {}", self.within(), value.type_str());
        let write = format!("{} = {example}", bare(name));
        self.push(Diagnostic::new(Some(place), message).expected(expected).write(write));
    }

    /// A string.
    pub fn string(&self, key: &Key) -> Option<Located<String>> {
        self.string_of(&self.written(key)?, "a quoted string")
    }

    /// A path, relative to the directory of the configuration.
    pub fn path(&self, key: &Key, base: &Path) -> Option<Located<PathBuf>> {
        let path = self.string(key)?;
        if let Err(reason) = path_as_it_is(&path.value) {
            self.unexpanded_path(key, &path, reason);
            return None;
        }
        Some(Located { value: base.join(path.value), place: path.place })
    }

    /// Reports a path that would be expanded by a shell.
    pub(crate) fn unexpanded_path(&self, key: &Key, path: &Located<String>, reason: &str) {
        let shown = shown(key.name, format_args!("{:?}", path.value));
        let message = format!("`{shown}`{} cannot be used: {reason}", self.within());
        let expected = "an absolute path, or one relative to the configuration's directory";
        self.push(Diagnostic::new(path.place.clone(), message).expected(expected));
    }

    fn written<'s>(&'s self, key: &'s Key) -> Option<Written<'s>> {
        let (value, place) = self.value(key)?;
        Some(Written { name: key.name, value: value.get_ref(), place, example: key.example_text() })
    }

    fn string_of(&self, written: &Written<'_>, expected: &str) -> Option<Located<String>> {
        let place = written.place.clone();
        match written.value {
            DeValue::String(text) => {
                Some(Located { value: text.clone().into_owned(), place: Some(place) })
            }
            other => {
                let example = format!("{:?}", written.example);
                self.wrong_type(written.name, other, place, expected, &example);
                None
            }
        }
    }

    /// A string that is parsed. `parse` returns the value, or why the string cannot be used.
    pub fn parsed<T>(
        &self,
        key: &Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Located<T>> {
        self.parsed_of(&self.written(key)?, expected(key), parse)
    }

    /// The same of a key of any name, in a section that has such keys.
    pub fn parsed_entry<T>(
        &self,
        name: &str,
        each: &Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Located<T>> {
        let (value, place) = self.entry(name)?;
        let written = Written { name, value: value.get_ref(), place, example: each.example_text() };
        self.parsed_of(&written, expected(each), parse)
    }

    fn parsed_of<T>(
        &self,
        written: &Written<'_>,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Option<Located<T>> {
        let text = self.string_of(written, expected)?;
        match parse(&text.value) {
            Ok(value) => Some(Located { value, place: text.place }),
            Err(InvalidValue(reason)) => {
                let name = written.name;
                // The reason may quote the value.
                let reason = reason.filter(|_| !names_secret(name));
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let shown = shown(name, format_args!("{:?}", text.value));
                let message = format!("`{shown}`{} cannot be used{reason}", self.within());
                let write = format!("{} = {:?}", bare(name), written.example);
                self.push(Diagnostic::new(text.place, message).expected(expected).write(write));
                None
            }
        }
    }

    /// One of a few strings, which are those of the declaration.
    pub fn one_of<T: Copy>(&self, key: &Key, words: &[(&str, T)]) -> Option<Located<T>> {
        let text = self.string(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(Located { value: *value, place: text.place });
        }
        let names = || words.iter().map(|(word, _)| *word);
        let suggestion = nearest(&text.value, names()).map(str::to_owned);
        let suggestion = suggestion.unwrap_or_else(|| key.example_text());
        let shown = shown(key.name, format_args!("{:?}", text.value));
        let message = format!("`{shown}`{} is not known", self.within());
        let write = format!("{} = {suggestion:?}", key.name);
        self.push(Diagnostic::new(text.place, message).expected(one_of(names())).write(write));
        None
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &Key) -> Option<Located<bool>> {
        let (value, place) = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(Located { value: *value, place: Some(place) }),
            other => {
                self.wrong_type(key.name, other, place, "true or false", "true");
                None
            }
        }
    }

    /// `true` or `false`, or the default.
    pub fn boolean_or_default(&self, key: &WithDefault<bool>) -> bool {
        self.boolean(key).map_or(key.default, |value| value.value)
    }

    /// A whole number within the bounds of the declaration, or the default.
    pub fn integer(&self, key: &WithDefault<u32>) -> u32 {
        self.integer_within(key).unwrap_or(key.default)
    }

    fn integer_within(&self, key: &Key) -> Option<u32> {
        let (value, place) = self.value(key)?;
        let Kind::Integer { least, most } = key.kind else { return None };
        let DeValue::Integer(integer) = value.get_ref() else {
            let example = key.example_text();
            self.wrong_type(key.name, value.get_ref(), place, "a whole number", &example);
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
            self.push(Diagnostic::new(Some(place), message).expected(expected).write(write));
        }
        number
    }

    /// A duration with its unit: `500ms`, `30s`, `5m`, `1h`.
    pub fn duration(&self, key: &Key) -> Option<Located<Duration>> {
        let Kind::Duration { least, most } = key.kind else { return None };
        let mut written = self.written(key)?;
        let parse = |text: &str| within(parse_duration(text)?, least, most);
        let (from, to) = (human_duration(least), human_duration(most));
        let expected = format!("a duration from {from} to {to}, such as {:?}", written.example);
        // A number without a unit: probably seconds.
        let seconds = integer(written.value).map(|seconds| format!("{seconds}s"));
        if let Some(seconds) = seconds.filter(|seconds| parse(seconds).is_ok()) {
            written.example = seconds;
        }
        self.parsed_of(&written, &expected, parse)
    }

    /// A duration, or the default.
    pub fn duration_or_default(&self, key: &WithDefault<Duration>) -> Duration {
        self.duration(key).map_or(key.default, |duration| duration.value)
    }

    /// A size in bytes with its unit, `64KiB` or `128MiB`, or the default. Units are powers of
    /// 1024.
    pub fn size(&self, key: &WithDefault<u64>) -> u64 {
        self.size_within(key).map_or(key.default, |size| size.value)
    }

    fn size_within(&self, key: &Key) -> Option<Located<u64>> {
        let Kind::Size { least, most } = key.kind else { return None };
        let mut written = self.written(key)?;
        let parse = |text: &str| within(parse_size(text)?, least, most);
        let (from, to) = (human_size(least), human_size(most));
        let expected = format!("a size from {from} to {to}, such as {:?}", written.example);
        let bytes = integer(written.value).map(human_size);
        if let Some(bytes) = bytes.filter(|bytes| parse(bytes).is_ok()) {
            written.example = bytes;
        }
        self.parsed_of(&written, &expected, parse)
    }

    /// A string, number or truth value of a key of any name, as a string.
    pub fn scalar_entry(&self, name: &str) -> Option<Located<String>> {
        let (value, place) = self.entry(name)?;
        self.scalar_of(name, value.get_ref(), place)
    }

    /// A string, number or truth value, as a string.
    pub fn scalar(&self, key: &Key) -> Option<Located<String>> {
        let (value, place) = self.value(key)?;
        self.scalar_of(key.name, value.get_ref(), place)
    }

    fn scalar_of(&self, name: &str, value: &DeValue<'_>, place: Place) -> Option<Located<String>> {
        let text = match value {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            DeValue::Float(float) => float.as_str().to_owned(),
            other => {
                let expected = "a text, a number, true or false";
                self.wrong_type(name, other, place, expected, "\"...\"");
                return None;
            }
        };
        Some(Located { value: text, place: Some(place) })
    }
}

/// Why a path does not name what it seems to name.
pub(crate) fn path_as_it_is(path: &str) -> Result<(), &'static str> {
    match path {
        "~" => Err("`~` is not expanded"),
        path if path.starts_with("~/") => Err("`~` is not expanded"),
        path if path.starts_with('$') => Err("variables are not expanded"),
        _ => Ok(()),
    }
}

/// What is expected of a string that is parsed.
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
    fn a_number_without_a_unit_is_answered_with_one() {
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
