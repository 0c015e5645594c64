//! Declarations of configuration keys.
//!
//! A [`Section`](super::Section) reads a key only by its declaration, and the reference and the
//! JSON Schema ([`crate::reference`]) are written from the same declarations.

use std::ops::Deref;
use std::time::Duration;

/// A key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The type and the bounds of its value.
    pub kind: Kind,
    /// The value that applies if the key is absent.
    pub default: DefaultValue,
    /// Whether it is required in its section.
    pub required: bool,
    /// An example value: a string without quotes, one element of a list, or TOML for other types.
    pub example: &'static str,
    /// What it is for, in one line of Markdown.
    pub doc: &'static str,
    /// Set if the key still works, but will be removed.
    pub deprecated: Option<Deprecated>,
}

/// What a key or a section that will be removed is replaced with.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// What to write instead.
    pub instead: &'static str,
    /// The version that no longer has it.
    pub removed_in: &'static str,
}

/// The type of a key's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any string.
    String,
    /// A path, relative to the directory of the configuration.
    Path,
    /// A string that is parsed.
    Form {
        /// A description of valid strings, for messages.
        expected: &'static str,
        /// A regular expression that every valid string matches; `None` if there is no simple one.
        pattern: Option<&'static str>,
    },
    /// One of these strings.
    OneOf(fn() -> Vec<&'static str>),
    /// A list of strings.
    Strings,
    /// A string, or a list of strings.
    StringOrStrings,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// The least valid value.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A list of this many whole numbers.
    Integers {
        /// How many.
        count: usize,
        /// The least valid value.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A size in bytes, with a unit.
    Size {
        /// The least valid value.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A duration, with units.
    Duration {
        /// The shortest valid duration.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// A string, a number, `true` or `false`.
    Scalar,
    /// A string, a number, `true` or `false`, or a table of them.
    ScalarOrTable,
    /// A table of strings, numbers and truth values.
    Table,
    /// A list of tables with these keys.
    Tables(&'static SectionKeys),
}

/// The value that applies if a key is absent.
#[derive(Clone, Copy, Debug)]
pub enum DefaultValue {
    /// There is no default.
    None,
    /// This string.
    String(&'static str),
    /// This truth value.
    Boolean(bool),
    /// This number.
    Integer(u32),
    /// This many bytes.
    Size(u64),
    /// This duration.
    Duration(Duration),
    /// Depends on other keys or on the machine, as this Markdown describes.
    Described(&'static str),
}

/// A key with a default value of this type.
#[derive(Clone, Copy, Debug)]
pub struct WithDefault<T: 'static> {
    /// The key.
    pub key: Key,
    /// The value if it is absent.
    pub default: T,
}

impl<T> Deref for WithDefault<T> {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

/// The keys of a section.
#[derive(Clone, Copy, Debug)]
pub struct SectionKeys {
    /// The components of its header. One in capitals is a placeholder: `["mount", "NAME"]`.
    pub path: &'static [&'static str],
    /// What it is for, in Markdown.
    pub doc: &'static str,
    /// A regular expression for the names that replace the placeholder at the end of the path.
    pub names: Option<&'static str>,
    /// Its keys, in the order of the reference.
    pub keys: &'static [&'static Key],
    /// If the section has keys of any name: the declaration of each of them.
    pub entries: Option<&'static Key>,
    /// Set if the section still works, but will be removed.
    pub deprecated: Option<Deprecated>,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        let (default, required, deprecated) = (DefaultValue::None, false, None);
        Self { name, kind, default, required, example, doc, deprecated }
    }

    /// A key for a string.
    #[must_use]
    pub const fn string(name: &'static str, example: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::String, example, doc)
    }

    /// A key for a path.
    #[must_use]
    pub const fn path(name: &'static str, example: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Path, example, doc)
    }

    /// A key for a string that is parsed.
    #[must_use]
    pub const fn form(
        name: &'static str,
        expected: &'static str,
        pattern: Option<&'static str>,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::Form { expected, pattern }, example, doc)
    }

    /// A key for one of a few strings.
    #[must_use]
    pub const fn one_of(
        name: &'static str,
        strings: fn() -> Vec<&'static str>,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::OneOf(strings), example, doc)
    }

    /// A key for a list of strings.
    #[must_use]
    pub const fn strings(name: &'static str, example: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Strings, example, doc)
    }

    /// A key for a string or a list of strings.
    #[must_use]
    pub const fn string_or_strings(
        name: &'static str,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::StringOrStrings, example, doc)
    }

    /// A key for `true` or `false`.
    #[must_use]
    pub const fn boolean(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Boolean, "true", doc)
    }

    /// A key for a list of this many whole numbers.
    #[must_use]
    pub const fn integers(
        name: &'static str,
        (count, least, most): (usize, u64, u64),
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::Integers { count, least, most }, example, doc)
    }

    /// A key for a whole number without a default.
    #[must_use]
    pub const fn integer(
        name: &'static str,
        (least, most): (u64, u64),
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::Integer { least, most }, example, doc)
    }

    /// A key for a duration.
    #[must_use]
    pub const fn duration(
        name: &'static str,
        (least, most): (Duration, Duration),
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::Duration { least, most }, example, doc)
    }

    /// A key for a string, a number or a truth value.
    #[must_use]
    pub const fn scalar(name: &'static str, example: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Scalar, example, doc)
    }

    /// A key for a string, a number or a truth value, or a table of them.
    #[must_use]
    pub const fn scalar_or_table(
        name: &'static str,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::ScalarOrTable, example, doc)
    }

    /// A key for a table of strings, numbers and truth values.
    #[must_use]
    pub const fn table(name: &'static str, example: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Table, example, doc)
    }

    /// A key for a list of tables. The example has the keys of one of them.
    #[must_use]
    pub const fn tables(
        name: &'static str,
        keys: &'static SectionKeys,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self::new(name, Kind::Tables(keys), example, doc)
    }

    /// The same, required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same, with a default.
    #[must_use]
    pub const fn default(mut self, default: DefaultValue) -> Self {
        self.default = default;
        self
    }

    /// The same, with a default that depends on something else.
    #[must_use]
    pub const fn default_is(self, description: &'static str) -> Self {
        self.default(DefaultValue::Described(description))
    }

    /// The same, to be removed in a version.
    #[must_use]
    pub const fn deprecated(mut self, instead: &'static str, removed_in: &'static str) -> Self {
        self.deprecated = Some(Deprecated { instead, removed_in });
        self
    }

    /// A value of this key as TOML.
    #[must_use]
    pub fn example_toml(&self) -> String {
        let example = self.example;
        match self.kind {
            Kind::String
            | Kind::Path
            | Kind::Form { .. }
            | Kind::OneOf(_)
            | Kind::StringOrStrings
            | Kind::Duration { .. }
            | Kind::Size { .. } => format!("{:?}", self.example_text()),
            Kind::Strings => format!("[{example:?}]"),
            Kind::Tables(_) => format!("[{{ {example} }}]"),
            Kind::Integer { .. } => self.example_text(),
            Kind::Boolean
            | Kind::Integers { .. }
            | Kind::Scalar
            | Kind::ScalarOrTable
            | Kind::Table => example.to_owned(),
        }
    }

    /// The example, or else the default, without quotes.
    pub(super) fn example_text(&self) -> String {
        match self.default {
            _ if !self.example.is_empty() => self.example.to_owned(),
            DefaultValue::String(text) => text.to_owned(),
            DefaultValue::Boolean(value) => value.to_string(),
            DefaultValue::Integer(number) => number.to_string(),
            DefaultValue::Size(bytes) => crate::text::human_size(bytes),
            DefaultValue::Duration(duration) => human_duration(duration),
            DefaultValue::None | DefaultValue::Described(_) => String::new(),
        }
    }
}

impl WithDefault<u32> {
    /// A key for a whole number.
    #[must_use]
    pub const fn integer(
        name: &'static str,
        (least, most): (u64, u64),
        default: u32,
        doc: &'static str,
    ) -> Self {
        let key = Key::new(name, Kind::Integer { least, most }, "", doc);
        Self { key: key.default(DefaultValue::Integer(default)), default }
    }
}

impl WithDefault<u64> {
    /// A key for a size in bytes.
    #[must_use]
    pub const fn size(
        name: &'static str,
        (least, most): (u64, u64),
        default: u64,
        doc: &'static str,
    ) -> Self {
        let key = Key::new(name, Kind::Size { least, most }, "", doc);
        Self { key: key.default(DefaultValue::Size(default)), default }
    }
}

impl WithDefault<Duration> {
    /// A key for a duration.
    #[must_use]
    pub const fn duration(
        name: &'static str,
        (least, most): (Duration, Duration),
        default: Duration,
        doc: &'static str,
    ) -> Self {
        let key = Key::new(name, Kind::Duration { least, most }, "", doc);
        Self { key: key.default(DefaultValue::Duration(default)), default }
    }
}

impl WithDefault<bool> {
    /// A key for `true` or `false`.
    #[must_use]
    pub const fn boolean(name: &'static str, default: bool, doc: &'static str) -> Self {
        Self { key: Key::boolean(name, doc).default(DefaultValue::Boolean(default)), default }
    }
}

impl SectionKeys {
    /// A section of these keys.
    #[must_use]
    pub const fn new(
        path: &'static [&'static str],
        doc: &'static str,
        keys: &'static [&'static Key],
    ) -> Self {
        Self { path, doc, names: None, keys, entries: None, deprecated: None }
    }

    /// The same, with sections of any name that this regular expression matches.
    #[must_use]
    pub const fn names(mut self, pattern: &'static str) -> Self {
        self.names = Some(pattern);
        self
    }

    /// The same, with keys of any name.
    #[must_use]
    pub const fn entries(mut self, each: &'static Key) -> Self {
        self.entries = Some(each);
        self
    }

    /// The same, to be removed in a version.
    #[must_use]
    pub const fn deprecated(mut self, instead: &'static str, removed_in: &'static str) -> Self {
        self.deprecated = Some(Deprecated { instead, removed_in });
        self
    }

    /// The key of its table in the section around it: `limits` of `[mount.NAME.limits]`, and
    /// `mount` of `[mount.NAME]`.
    pub(super) fn name(&self) -> &'static str {
        let mut named = self.path.iter().rev().filter(|component| !is_placeholder(component));
        named.next().copied().unwrap_or_default()
    }

    /// Its header as TOML: `[mount.NAME.limits]`; empty for the top of the file.
    #[must_use]
    pub fn header(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!("[{}]", self.path.join(".")) }
    }
}

/// Whether a component of a path is a placeholder for a name.
pub(crate) fn is_placeholder(component: &str) -> bool {
    component.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Formats a duration as a configuration writes it: `1h 30m`.
pub(crate) fn human_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
