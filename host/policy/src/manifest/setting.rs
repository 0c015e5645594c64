//! Settings that a plugin declares: `[setting.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conditions::{CONDITIONS, read_conditions};
use crate::diagnostic::Diagnostic;
use crate::document::{DefaultValue, Key, Section, SectionKeys, human_duration};
use crate::pattern::Pattern;
use crate::text::{human_size, nearest, one_of, parse_size};

/// A setting that a plugin reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// A summary, in one line.
    pub summary: Option<String>,
    /// The type and the bounds of its value.
    pub kind: SettingKind,
    /// The values that it may have; empty for any.
    pub values: Vec<String>,
    /// Forms, one of which the value must have; empty for any. `*` is a name without slashes and
    /// spaces.
    pub forms: Vec<String>,
    /// The value if the configuration has none.
    pub default: Option<String>,
    /// Whether it is a table of strings, in a section of its own, and not one value.
    pub table: bool,
    /// Whether the configuration must have it.
    pub required: bool,
    /// Values of other settings with which it is required; empty for none.
    pub required_if: BTreeMap<String, String>,
    /// The request that the plugin sends, with the value in place of `*`.
    pub sends: Option<Pattern>,
}

/// The type of a setting. A plugin gets every value as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SettingKind {
    /// Any string.
    #[default]
    String,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer(Bounds<u64>),
    /// A size in bytes, with a unit or without: `64MiB`.
    Size(Bounds<u64>),
    /// A duration with its unit: `30s`.
    Duration(Bounds<Duration>),
}

/// The bounds of valid values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<T> {
    /// The minimum.
    pub least: T,
    /// The maximum; `None` if there is none.
    pub most: Option<T>,
}

impl<T: PartialOrd> Bounds<T> {
    fn contain(&self, value: &T) -> bool {
        *value >= self.least && self.most.as_ref().is_none_or(|most| value <= most)
    }
}

/// An invalid value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSetting {
    /// What was expected.
    pub(crate) expected: String,
    /// A valid value, as TOML.
    pub(crate) example: String,
}

impl Setting {
    /// Checks a value.
    pub(crate) fn check(&self, text: &str) -> Result<(), InvalidSetting> {
        if !self.values.is_empty() {
            let values = || self.values.iter().map(String::as_str);
            if values().any(|value| value == text) {
                return Ok(());
            }
            let example = nearest(text, values()).or_else(|| values().next()).unwrap_or_default();
            let example = format!("{example:?}");
            return Err(InvalidSetting { expected: one_of(values()), example });
        }
        let is_form = self.forms.is_empty() || self.forms.iter().any(|form| has_form(text, form));
        if is_form && self.kind.accepts(text) {
            return Ok(());
        }
        Err(InvalidSetting { expected: self.expected(), example: self.example() })
    }

    /// A description of valid values; empty if any string is valid.
    #[must_use]
    pub fn expected(&self) -> String {
        if !self.values.is_empty() {
            return one_of(self.values.iter().map(String::as_str));
        }
        if !self.forms.is_empty() {
            let forms = one_of(self.forms.iter().map(String::as_str));
            return format!("a value of the form {forms}");
        }
        match self.kind {
            SettingKind::String => String::new(),
            SettingKind::Boolean => "true or false".to_owned(),
            SettingKind::Integer(bounds) => {
                format!("a whole number {}", within(&bounds, ToString::to_string))
            }
            SettingKind::Size(bounds) => format!("a size {}", within(&bounds, |b| human_size(*b))),
            SettingKind::Duration(bounds) => {
                format!("a duration {}", within(&bounds, |time| human_duration(*time)))
            }
        }
    }

    fn example(&self) -> String {
        let quoted = |text: &str| format!("{text:?}");
        match (&self.default, self.forms.first(), self.kind) {
            (Some(default), _, SettingKind::Integer(_) | SettingKind::Boolean) => default.clone(),
            (Some(default), ..) => quoted(default),
            (None, Some(form), _) => quoted(&form.replace('*', "NAME")),
            (None, None, SettingKind::String) => quoted("..."),
            (None, None, SettingKind::Boolean) => "true".to_owned(),
            (None, None, SettingKind::Integer(bounds)) => bounds.least.to_string(),
            (None, None, SettingKind::Size(bounds)) => quoted(&human_size(bounds.least)),
            (None, None, SettingKind::Duration(bounds)) => quoted(&human_duration(bounds.least)),
        }
    }
}

fn within<T>(bounds: &Bounds<T>, human: impl Fn(&T) -> String) -> String {
    let most = bounds.most.as_ref().map(|most| format!(" to {}", human(most)));
    format!("from {}{}", human(&bounds.least), most.unwrap_or_default())
}

impl SettingKind {
    fn accepts(&self, text: &str) -> bool {
        match self {
            Self::String => true,
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Integer(bounds) => integer(text).is_some_and(|value| bounds.contain(&value)),
            Self::Size(bounds) => size(text).is_some_and(|value| bounds.contain(&value)),
            Self::Duration(bounds) => duration(text).is_some_and(|value| bounds.contain(&value)),
        }
    }
}

fn integer(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Parses a size. Plugins accept no spaces in it.
fn size(text: &str) -> Option<u64> {
    integer(text).or_else(|| parse_size(text).ok().filter(|_| !text.contains(' ')))
}

fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Whether a value has a form, regardless of case.
fn has_form(text: &str, form: &str) -> bool {
    let mut segments = text.split('/');
    let has_segments = form.split('/').all(|expected| match segments.next() {
        Some(segment) if expected == "*" => {
            !segment.is_empty() && !segment.contains(|c: char| c.is_whitespace() || c.is_control())
        }
        Some(segment) => segment.eq_ignore_ascii_case(expected),
        None => false,
    });
    has_segments && segments.next().is_none()
}

const SUMMARY: Key =
    Key::string("summary", "what it is for", "what the setting is for, in one line");
const TYPES: [&str; 5] = ["string", "boolean", "integer", "size", "duration"];
const TYPE: Key = Key::one_of(
    "type",
    || TYPES.to_vec(),
    "integer",
    "the type of its value; the plugin gets a string of it",
)
.default(DefaultValue::String("string"));
const MIN: Key = Key::scalar(
    "min",
    "1",
    "the least valid value of an integer, a size or a duration, written as such a value",
);
const MAX: Key = Key::scalar("max", "1000", "the most");
const VALUES: Key =
    Key::strings("values", "entra", "the values that it may have").default_is("any");
const FORMS: Key = Key::strings(
    "forms",
    "*/*",
    "forms of which the value must have one; `*` is a name without slashes and spaces, and case is \
     ignored",
)
.default_is("any");
const DEFAULT: Key = Key::scalar("default", "\"...\"", "its value if the mount has none");
const TABLE: Key = Key::boolean("table", "whether it is a table of strings, and not one value")
    .default(DefaultValue::Boolean(false));
const REQUIRED: Key = Key::boolean("required", "whether the mount must have it")
    .default(DefaultValue::Boolean(false));
const SENDS: Key = Key::form(
    "sends",
    "a method and a path with one *",
    None,
    "CONNECT /*",
    "the request that the plugin sends to its first audience, with the value in place of `*`; \
     the mount's `allow` must permit it",
);

/// `[setting.NAME]`.
pub(super) const SETTING: SectionKeys = SectionKeys::new(
    &["setting", "NAME"],
    "A setting that the plugin reads. A mount whose value is not of this type or outside of these \
     bounds is refused before any call.",
    &[
        &SUMMARY,
        &TYPE,
        &MIN,
        &MAX,
        &VALUES,
        &FORMS,
        &DEFAULT,
        &TABLE,
        &REQUIRED,
        &CONDITIONS,
        &SENDS,
    ],
);

pub(super) fn read(section: Section<'_>) -> Setting {
    let strings = |key: &Key| -> Vec<String> {
        let strings = section.strings(key).map(|strings| strings.value).unwrap_or_default();
        strings.into_iter().map(|string| string.value).collect()
    };
    let boolean = |key: &Key| section.boolean(key).is_some_and(|value| value.value);
    let sends = section.parsed(&SENDS, |text| {
        let invalid = crate::document::InvalidValue::default();
        let pattern = Pattern::parse(text).ok();
        pattern.filter(|_| text.matches('*').count() == 1).ok_or(invalid)
    });
    let setting = Setting {
        summary: section.string(&SUMMARY).map(|text| text.value),
        kind: kind(&section),
        values: strings(&VALUES),
        forms: strings(&FORMS),
        default: section.scalar(&DEFAULT).map(|text| text.value),
        table: boolean(&TABLE),
        required: boolean(&REQUIRED),
        required_if: read_conditions(&section),
        sends: sends.map(|sends| sends.value),
    };
    let invalid = setting.default.as_ref().filter(|_| !setting.table);
    if let Some((default, Err(invalid))) = invalid.map(|default| (default, setting.check(default)))
    {
        let header = section.header();
        let message = format!("the default {default:?} in {header} is not one of its values");
        let diagnostic = Diagnostic::new(section.location_of(&DEFAULT), message);
        section.push(diagnostic.expected(invalid.expected));
    }
    section.finish();
    setting
}

fn kind(section: &Section<'_>) -> SettingKind {
    let types = TYPES.map(|name| (name, name));
    let name = section.one_of(&TYPE, &types).map_or("string", |name| name.value);
    let (min, max) = (section.scalar(&MIN), section.scalar(&MAX));
    let bound = |key: &Key, text: Option<String>, is_valid: &dyn Fn(&str) -> bool| {
        let invalid = text.filter(|text| !is_valid(text));
        if let Some(text) = invalid {
            let message = format!(
                "`{} = {text:?}` in {} is not a bound of the type",
                key.name,
                section.header()
            );
            let diagnostic = Diagnostic::new(section.location_of(key), message);
            section.push(diagnostic.expected(format!("a value of the type {name}")));
        }
    };
    let limits = [(&MIN, min.map(|min| min.value)), (&MAX, max.map(|max| max.value))];
    let is_valid: &dyn Fn(&str) -> bool = match name {
        "integer" => &|text| integer(text).is_some(),
        "size" => &|text| size(text).is_some(),
        "duration" => &|text| duration(text).is_some(),
        _ => &|_| false,
    };
    for (key, text) in limits.clone() {
        bound(key, text, is_valid);
    }
    let [min, max] = limits.map(|(_, text)| text.unwrap_or_default());
    match name {
        "boolean" => SettingKind::Boolean,
        "integer" => SettingKind::Integer(bounds(integer(&min), integer(&max))),
        "size" => SettingKind::Size(bounds(size(&min), size(&max))),
        "duration" => SettingKind::Duration(bounds(duration(&min), duration(&max))),
        _ => SettingKind::String,
    }
}

fn bounds<T: Default>(least: Option<T>, most: Option<T>) -> Bounds<T> {
    Bounds { least: least.unwrap_or_default(), most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    fn declared(lines: &str) -> Result<Setting, String> {
        let text = format!("name = \"p\"\n[setting.s]\n{lines}\n");
        let manifest = Manifest::parse("m.toml", &text).map_err(|error| error.to_string())?;
        Ok(manifest.settings["s"].clone())
    }

    #[test]
    fn a_value_has_the_declared_type_and_bounds() {
        let cases = [
            ("type = \"boolean\"", &["true", "false"][..], &["yes", "", "1"][..]),
            (
                "type = \"integer\"\nmin = 1\nmax = 9",
                &["1", "9"],
                &["0", "10", "-1", "x y", "+1", ""],
            ),
            ("type = \"size\"\nmin = 1", &["7", "1KiB", "256MiB"], &["0", "1 KiB", "1MB", "-1B"]),
            (
                "type = \"duration\"\nmin = \"1ms\"\nmax = \"30days\"",
                &["30s", "1h 30m"],
                &["-1", "30", "0s", "31days", ""],
            ),
            ("forms = [\"*\", \"*/*\"]", &["a", "a/b"], &["", "a/", "a/b/c", "a b"]),
            (
                "forms = [\"/Accounts/*\"]",
                &["/accounts/a"],
                &["contoso", "/accounts/", "accounts/a"],
            ),
            ("values = [\"a\", \"b\"]", &["a"], &["A", ""]),
            ("", &["", "anything at all"], &[]),
        ];
        for (lines, valid, invalid) in cases {
            let setting = declared(lines).unwrap();
            for text in valid {
                assert_eq!(setting.check(text), Ok(()), "{lines}: {text}");
            }
            for text in invalid {
                assert!(setting.check(text).is_err(), "{lines}: {text}");
            }
        }
    }

    #[test]
    fn an_error_has_an_example_that_is_valid() {
        for lines in [
            "type = \"boolean\"",
            "type = \"integer\"\nmin = 3",
            "type = \"size\"\nmin = \"1KiB\"",
            "type = \"duration\"\nmin = \"1s\"",
            "type = \"duration\"\nmin = \"1s\"\ndefault = \"30s\"",
            "forms = [\"/accounts/*\"]",
            "values = [\"a\"]",
        ] {
            let setting = declared(lines).unwrap();
            let invalid = setting.check("").unwrap_err();
            let example = invalid.example.trim_matches('"');
            assert_eq!(setting.check(example), Ok(()), "{lines}: {example}");
        }
    }

    #[test]
    fn a_manifest_with_a_bound_or_a_default_of_another_type_is_invalid() {
        for (lines, part) in [
            ("type = \"integer\"\nmin = \"1KiB\"", "`min = \"1KiB\"` in [setting.s]"),
            ("min = 1", "`min = \"1\"` in [setting.s]"),
            ("type = \"integer\"\nmin = 2\ndefault = 1", "the default \"1\" in [setting.s]"),
            ("type = \"text\"", "`type = \"text\"` in [setting.s]"),
            ("sends = \"CONNECT /\"", "`sends = \"CONNECT /\"` in [setting.s]"),
        ] {
            let error = declared(lines).unwrap_err();
            assert!(error.contains(part), "{lines}: {error}");
        }
    }
}
