//! Reads a TOML file section by section, and records the line and column of every value.
//!
//! Each part of Keyward reads its own sections, key by key, by the [declarations](Key) of the keys.
//! A key that no part has read is an error, so that no key is ever ignored silently.

mod key;
mod lists;
mod values;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{ConfigError, Diagnostic, Diagnostics, Location, Spanned};
use crate::secret_keys::names_secret;
use crate::text::{nearest, one_of, toml_key};

pub use key::{DefaultValue, Deprecated, Key, Kind, SectionKeys, WithDefault};
pub(crate) use key::{human_duration, is_placeholder};
pub use values::InvalidValue;
pub(crate) use values::check_unexpanded;

/// A parsed TOML document.
pub struct Document<'t> {
    root: TomlSpanned<DeTable<'t>>,
    origin: Origin<'t>,
    diagnostics: RefCell<Diagnostics>,
    warnings: RefCell<Vec<Diagnostic>>,
}

#[derive(Clone)]
struct Origin<'t> {
    file: Arc<str>,
    text: &'t str,
}

impl Origin<'_> {
    fn location(&self, offset: usize) -> Location {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Location { file: Arc::clone(&self.file), line: count(line), column: count(column) }
    }
}

/// A table of a document. Reading a key makes it known; [`Section::finish`] reports all others.
pub struct Section<'d> {
    /// The header as TOML: `[mount.vault]`, or empty for the top.
    header: String,
    table: Option<&'d DeTable<'d>>,
    location: Option<Location>,
    origin: &'d Origin<'d>,
    diagnostics: &'d RefCell<Diagnostics>,
    warnings: &'d RefCell<Vec<Diagnostic>>,
    known: RefCell<BTreeSet<String>>,
}

impl<'t> Document<'t> {
    /// Parses TOML; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// The text is not TOML.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, ConfigError> {
        let origin = Origin { file: file.into(), text };
        match DeTable::parse(text) {
            Ok(root) => {
                let (diagnostics, warnings) = (RefCell::default(), RefCell::default());
                Ok(Self { root, origin, diagnostics, warnings })
            }
            Err(error) => {
                let location = error.span().map(|span| origin.location(span.start));
                let message = format!("not TOML: {}", error.message().replace('\n', ", "));
                Err(Diagnostic::new(location, message).into())
            }
        }
    }

    /// The top of the document.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section {
            header: String::new(),
            table: Some(self.root.get_ref()),
            location: None,
            origin: &self.origin,
            diagnostics: &self.diagnostics,
            warnings: &self.warnings,
            known: RefCell::default(),
        }
    }

    /// Reports a mistake.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// Returns `value`, which was read from the document, if no mistake was reported.
    ///
    /// # Errors
    ///
    /// All mistakes.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        self.diagnostics.into_inner().into_result(value)
    }
}

impl<'d> Section<'d> {
    /// Where the section begins; `None` if the document does not have it.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        self.location.clone()
    }

    /// The section's header as TOML: `[mount.vault]`.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Whether the document has this section.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// Reports a mistake.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    fn value(&self, key: &Key) -> Option<(&'d TomlSpanned<DeValue<'d>>, Location)> {
        let found = self.entry(key.name);
        if let (Some(deprecated), Some(_)) = (&key.deprecated, &found) {
            let shown = format!("`{}`{}", key.name, self.within());
            self.warn_deprecated(&shown, self.location_of(key), deprecated);
        }
        found
    }

    /// Looks up the value of a key, and makes the key known.
    fn entry(&self, name: &str) -> Option<(&'d TomlSpanned<DeValue<'d>>, Location)> {
        self.known.borrow_mut().insert(name.to_owned());
        let (_, value) = self.table?.get_key_value(name)?;
        Some((value, self.origin.location(value.span().start)))
    }

    /// ` in [mount.vault]`, or nothing at the top.
    fn within(&self) -> String {
        if self.header.is_empty() { String::new() } else { format!(" in {}", self.header) }
    }

    /// A section within this one, empty if the document does not have it.
    #[must_use]
    pub fn section(&self, keys: &SectionKeys) -> Section<'d> {
        let section = self.inner(keys.name());
        if let (Some(deprecated), true) = (&keys.deprecated, section.exists()) {
            self.warn_deprecated(&section.header, section.location(), deprecated);
        }
        section
    }

    /// The name under which a renamed key is read: `old` if only that one is present, or else
    /// `new`. Both at once is a mistake.
    pub fn renamed<'k>(&self, new: &'k Key, old: &'k Key) -> &'k Key {
        for key in [new, old] {
            self.known.borrow_mut().insert(key.name.to_owned());
        }
        let is_old = self.check_renamed(new.name, old.name);
        if is_old { old } else { new }
    }

    /// The same for a section within this one.
    #[must_use]
    pub fn renamed_section(&self, new: &SectionKeys, old: &SectionKeys) -> Section<'d> {
        let (section, old_section) = (self.section(new), self.section(old));
        let is_old = self.check_renamed(new.name(), old.name());
        if is_old { old_section } else { section }
    }

    /// Whether only the old name is present.
    fn check_renamed(&self, new: &str, old: &str) -> bool {
        let (is_new, old_location) =
            (self.location_of_name(new).is_some(), self.location_of_name(old));
        if is_new && old_location.is_some() {
            let message = format!(
                "`{old}`{} is the old name of `{new}`, which is present too",
                self.within()
            );
            let help = format!("move its value into `{new}`, and remove `{old}`");
            self.push(Diagnostic::new(old_location, message).help(help));
            return false;
        }
        old_location.is_some()
    }

    fn warn_deprecated(&self, shown: &str, location: Option<Location>, deprecated: &Deprecated) {
        let message = format!(
            "{shown} is deprecated, and will be removed in version {}",
            deprecated.removed_in
        );
        let warning = Diagnostic::new(location, message).write(deprecated.instead);
        self.warnings.borrow_mut().push(warning);
    }

    /// The sections of any name within this one: `[mount.NAME]` returns each mount with its name.
    #[must_use]
    pub fn sections(&self, keys: &SectionKeys) -> Vec<(Spanned<String>, Section<'d>)> {
        let outer = self.inner(keys.name());
        let names = outer.names().into_iter();
        names.map(|name| (name.clone(), outer.inner(&name.value))).collect()
    }

    /// Returns the table of a key of any name, in a section that has such keys.
    #[must_use]
    pub fn inner(&self, name: &str) -> Section<'d> {
        let header = self.header_of(name);
        let found = self.entry(name);
        let location = self.location_of_name(name);
        let table = match found.as_ref().map(|(value, _)| value.get_ref()) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => {
                let message = format!("`{name}`{} is of type {}", self.within(), other.type_str());
                let diagnostic = Diagnostic::new(location.clone(), message).expected("a section");
                self.push(diagnostic.write(header.clone()));
                None
            }
            None => None,
        };
        self.with(header, table, location)
    }

    fn with(
        &self,
        header: String,
        table: Option<&'d DeTable<'d>>,
        location: Option<Location>,
    ) -> Section<'d> {
        let (origin, diagnostics, warnings) = (self.origin, self.diagnostics, self.warnings);
        Section {
            header,
            table,
            location,
            origin,
            diagnostics,
            warnings,
            known: RefCell::default(),
        }
    }

    /// The header of a section within this one.
    fn header_of(&self, name: &str) -> String {
        let outer = self.header.trim_start_matches('[').trim_end_matches(']');
        let name = toml_key(name);
        if outer.is_empty() { format!("[{name}]") } else { format!("[{outer}.{name}]") }
    }

    /// The names of the keys that the document has in this section. They do not become known.
    #[must_use]
    pub fn names(&self) -> Vec<Spanned<String>> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let mut names: Vec<(usize, Spanned<String>)> = entries
            .map(|(key, _)| {
                let offset = key.span().start;
                let location = Some(self.origin.location(offset));
                (offset, Spanned { value: key.get_ref().clone().into_owned(), location })
            })
            .collect();
        names.sort_by_key(|(offset, _)| *offset);
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// Warnings about deprecated keys and sections that were read so far.
    #[must_use]
    pub fn warnings(&self) -> Vec<Diagnostic> {
        self.warnings.borrow().clone()
    }

    /// Whether the value of a key of this name is a table.
    #[must_use]
    pub fn has_table(&self, name: &str) -> bool {
        let value = self.table.and_then(|table| table.get(name));
        value.is_some_and(|value| value.get_ref().is_table())
    }

    /// Where a key is; `None` if it is absent.
    #[must_use]
    pub fn location_of(&self, key: &Key) -> Option<Location> {
        self.location_of_name(key.name)
    }

    fn location_of_name(&self, name: &str) -> Option<Location> {
        let (name, _) = self.table?.get_key_value(name)?;
        Some(self.origin.location(name.span().start))
    }

    /// Reports every key that nothing has read.
    pub fn finish(self) {
        let known = self.known.borrow();
        for name in self.names() {
            if known.contains(&name.value) {
                continue;
            }
            let names = || known.iter().map(String::as_str);
            let is_section = self.has_table(&name.value);
            let kind = if is_section { "section" } else { "key" };
            let message = format!("unknown {kind} `{}`{}", name.value, self.within());
            let mut diagnostic = Diagnostic::new(name.location, message);
            if !is_section && names_secret(&name.value) {
                let similar = nearest(&name.value, names()).filter(|similar| names_secret(similar));
                self.push(match similar {
                    Some(similar) => {
                        diagnostic.expected(one_of(names())).write(format!("{similar} = ..."))
                    }
                    None => {
                        diagnostic.help("remove this line: Keyward's configuration has no secrets")
                    }
                });
                continue;
            }
            diagnostic = diagnostic.expected(one_of(names()));
            if let Some(suggestion) = nearest(&name.value, names()) {
                let rest = self.rest_of_line(&name.value);
                diagnostic = match (is_section, rest) {
                    (false, Some(rest)) => diagnostic.write(format!("{suggestion} {rest}")),
                    _ => diagnostic.write(self.header_of(suggestion)),
                };
            }
            self.push(diagnostic);
        }
    }

    /// `= value` as the document has it after a key; `None` if the value spans lines or has keys of
    /// its own.
    fn rest_of_line(&self, key: &str) -> Option<String> {
        let (_, value) = self.table?.get_key_value(key)?;
        if has_keys(value.get_ref()) {
            return None;
        }
        let text = self.origin.text.get(value.span())?;
        (!text.contains('\n') && text.len() <= 200).then(|| format!("= {text}"))
    }
}

/// Whether there is a table in a value, which may have keys that name secrets.
fn has_keys(value: &DeValue<'_>) -> bool {
    value
        .as_array()
        .map_or_else(|| value.is_table(), |array| array.iter().any(|item| has_keys(item.get_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUD: Key = Key::one_of("cloud", || vec!["public", "china"], "", "");

    fn mistakes(text: &str, read: impl FnOnce(&Section<'_>)) -> String {
        let document = Document::parse("k.toml", text).unwrap();
        let root = document.root();
        read(&root);
        root.finish();
        document.finish(()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_unknown_key_is_reported_with_its_location_and_the_nearest_known_one() {
        let message = mistakes("\n  clod = \"china\"\n", |root| {
            root.one_of(&CLOUD, &[("public", 1), ("china", 2)]);
        });
        assert_eq!(
            message,
            "k.toml:2:3: unknown key `clod`\n    expected: cloud\n    write:    cloud = \"china\""
        );
    }

    #[test]
    fn all_mistakes_are_reported_in_the_order_of_the_file() {
        let message = mistakes("b = 1\na = 2\n", |root| {
            root.string(&Key::string("a", "x", ""));
            root.string(&Key::string("b", "y", ""));
        });
        let lines: Vec<&str> = message.lines().filter(|line| line.starts_with('k')).collect();
        assert_eq!(lines.len(), 2, "{message}");
        assert!(lines[0].starts_with("k.toml:1:5: `b` is of type integer"), "{message}");
        assert!(lines[1].starts_with("k.toml:2:5: `a` is of type integer"), "{message}");
    }

    #[test]
    fn a_syntax_error_has_its_line_and_column() {
        let error = Document::parse("k.toml", "a = \n").err().unwrap().to_string();
        assert!(error.starts_with("k.toml:1:5: not TOML: "), "{error}");
    }
}
