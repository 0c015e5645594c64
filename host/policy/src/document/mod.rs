//! Reads a TOML text section by section, and knows where everything stands.
//!
//! Each part of Keyward takes the sections that are its own; what nobody took is a mistake. So no key is ever ignored.

mod lists;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{ConfigError, Diagnostic, Diagnostics, Located, Place};
use crate::secret_keys::{names_secret, shown};
use crate::text::{bare, human_size, nearest, one_of, parse_size};

/// A parsed text.
pub struct Document<'t> {
    root: Spanned<DeTable<'t>>,
    origin: Origin<'t>,
    diagnostics: RefCell<Diagnostics>,
}

#[derive(Clone)]
struct Origin<'t> {
    file: Arc<str>,
    text: &'t str,
}

impl Origin<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: number(line), column: number(column) }
    }
}

/// Why a text cannot be used, where there is more to say than what was expected.
#[derive(Clone, Debug, Default)]
pub struct Unfit(Option<String>);

impl Unfit {
    /// There is a reason.
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self(Some(why.into()))
    }
}

/// A table of a document, being read. Every key that is asked for counts as known.
pub struct Section<'d> {
    /// As it would be written: `[mount.vault]`, or empty for the top.
    header: String,
    table: Option<&'d DeTable<'d>>,
    place: Option<Place>,
    origin: &'d Origin<'d>,
    diagnostics: &'d RefCell<Diagnostics>,
    known: RefCell<BTreeSet<String>>,
}

impl<'t> Document<'t> {
    /// Parses a text; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// The text is no TOML.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, ConfigError> {
        let origin = Origin { file: file.into(), text };
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { root, origin, diagnostics: RefCell::default() }),
            Err(error) => {
                let place = error.span().map(|span| origin.place(span.start));
                let message = format!("not TOML: {}", error.message().replace('\n', ", "));
                Err(Diagnostic::new(place, message).into())
            }
        }
    }

    /// The top of the document.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section {
            header: String::new(),
            table: Some(self.root.get_ref()),
            place: None,
            origin: &self.origin,
            diagnostics: &self.diagnostics,
            known: RefCell::default(),
        }
    }

    /// Notes a mistake.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// The value that was read, where no mistake was found on the way.
    ///
    /// # Errors
    ///
    /// All mistakes.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        self.diagnostics.into_inner().into_result(value)
    }
}

impl<'d> Section<'d> {
    /// Where the section begins; `None` where there is none.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.place.clone()
    }

    /// The section as it would be written: `[mount.vault]`.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Whether the document has it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Notes a mistake.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    fn value(&self, key: &str) -> Option<(&'d Spanned<DeValue<'d>>, Place)> {
        self.known.borrow_mut().insert(key.to_owned());
        let (_, value) = self.table?.get_key_value(key)?;
        Some((value, self.origin.place(value.span().start)))
    }

    fn wrong_type(&self, key: &str, value: &DeValue<'_>, place: Place, expected: &str, example: &str) {
        let found = value.type_str();
        let message = format!("`{key}`{} is of type {found}", self.within());
        let write = format!("{} = {example}", bare(key));
        self.push(Diagnostic::new(Some(place), message).expected(expected).write(write));
    }

    /// ` in [mount.vault]`, or nothing at the top.
    fn within(&self) -> String {
        if self.header.is_empty() { String::new() } else { format!(" in {}", self.header) }
    }

    /// A text.
    pub fn text(&self, key: &str, example: &str) -> Option<Located<String>> {
        self.text_expecting(key, "a quoted string", example)
    }

    fn text_expecting(&self, key: &str, expected: &str, example: &str) -> Option<Located<String>> {
        let (value, place) = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Located { value: text.clone().into_owned(), place: Some(place) }),
            other => {
                self.wrong_type(key, other, place, expected, &format!("{example:?}"));
                None
            }
        }
    }

    /// A text that is parsed further. `parse` gives the value, or why it is none.
    pub fn parsed<T>(
        &self,
        key: &str,
        expected: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, Unfit>,
    ) -> Option<Located<T>> {
        let text = self.text_expecting(key, expected, example)?;
        match parse(&text.value) {
            Ok(value) => Some(Located { value, place: text.place }),
            Err(Unfit(why)) => {
                // The reason may quote the value.
                let why = why.filter(|_| !names_secret(key)).map(|why| format!(": {why}")).unwrap_or_default();
                let shown = shown(key, format_args!("{:?}", text.value));
                let message = format!("`{shown}`{} cannot be used{why}", self.within());
                let write = format!("{} = {example:?}", bare(key));
                self.push(Diagnostic::new(text.place, message).expected(expected).write(write));
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<Located<T>> {
        let example = words.first().map_or("", |(word, _)| word);
        let text = self.text(key, example)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(Located { value: *value, place: text.place });
        }
        let names = || words.iter().map(|(word, _)| *word);
        let suggestion = nearest(&text.value, names()).unwrap_or(example);
        let message = format!("`{}`{} is not known", shown(key, format_args!("{:?}", text.value)), self.within());
        let write = format!("{key} = {suggestion:?}");
        self.push(Diagnostic::new(text.place, message).expected(one_of(names())).write(write));
        None
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str) -> Option<Located<bool>> {
        let (value, place) = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(Located { value: *value, place: Some(place) }),
            other => {
                self.wrong_type(key, other, place, "true or false", "true");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn number(&self, key: &str, least: u64, most: u64, example: u64) -> Option<Located<u64>> {
        let (value, place) = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(key, value.get_ref(), place, "a whole number", &example.to_string());
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|number| (least..=most).contains(number)) {
            Some(value) => Some(Located { value, place: Some(place) }),
            None => {
                let message = format!("`{}`{} is out of bounds", shown(key, integer.as_str()), self.within());
                let expected = format!("a whole number from {least} to {most}");
                self.push(Diagnostic::new(Some(place), message).expected(expected).write(format!("{key} = {example}")));
                None
            }
        }
    }

    /// A duration with its unit: `500ms`, `30s`, `5m`, `1h`.
    pub fn duration(&self, key: &str, least: Duration, most: Duration, example: &str) -> Option<Located<Duration>> {
        let human = |duration: Duration| humantime::format_duration(duration).to_string();
        let expected = format!("a duration from {} to {}, such as {example:?}", human(least), human(most));
        self.parsed(key, &expected, example, |text| {
            let duration = humantime::parse_duration(text).map_err(|_| Unfit::because("unknown unit"))?;
            if (least..=most).contains(&duration) { Ok(duration) } else { Err(Unfit::because("it is out of bounds")) }
        })
    }

    /// A size in bytes with its unit: `64KiB`, `128MiB`. Units are powers of 1024.
    pub fn size(&self, key: &str, least: u64, most: u64, example: &str) -> Option<Located<u64>> {
        let expected = format!("a size from {} to {}, such as {example:?}", human_size(least), human_size(most));
        self.parsed(key, &expected, example, |text| {
            let size = parse_size(text).ok_or_else(|| Unfit::because("unknown unit"))?;
            if (least..=most).contains(&size) { Ok(size) } else { Err(Unfit::because("it is out of bounds")) }
        })
    }

    /// A section within this one. Where the document has none, it is empty.
    #[must_use]
    pub fn section(&self, key: &str) -> Section<'d> {
        let inner = self.header.trim_start_matches('[').trim_end_matches(']');
        let header = if inner.is_empty() { format!("[{}]", bare(key)) } else { format!("[{inner}.{}]", bare(key)) };
        let found = self.value(key);
        let place = self.key_place(key);
        let table = match found.as_ref().map(|(value, _)| value.get_ref()) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => {
                let message = format!("`{key}`{} is of type {}", self.within(), other.type_str());
                self.push(Diagnostic::new(place.clone(), message).expected("a section").write(header.clone()));
                None
            }
            None => None,
        };
        let (origin, diagnostics) = (self.origin, self.diagnostics);
        Section { header, table, place, origin, diagnostics, known: RefCell::default() }
    }

    /// The sections within the section `key`, with their names: `mount` gives each `[mount.NAME]`.
    #[must_use]
    pub fn sections(&self, key: &str) -> Vec<(Located<String>, Section<'d>)> {
        let outer = self.section(key);
        outer.names().into_iter().map(|name| (name.clone(), outer.section(&name.value))).collect()
    }

    /// The keys of this section, whatever their values are. They do not count as known by this.
    #[must_use]
    pub fn names(&self) -> Vec<Located<String>> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let mut names: Vec<(usize, Located<String>)> = entries
            .map(|(key, _)| {
                let offset = key.span().start;
                let place = Some(self.origin.place(offset));
                (offset, Located { value: key.get_ref().clone().into_owned(), place })
            })
            .collect();
        names.sort_by_key(|(offset, _)| *offset);
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// A scalar of any type, as text.
    pub fn scalar(&self, key: &str) -> Option<Located<String>> {
        let (value, place) = self.value(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            DeValue::Float(float) => float.as_str().to_owned(),
            other => {
                self.wrong_type(key, other, place, "a text, a number, true or false", "\"...\"");
                return None;
            }
        };
        Some(Located { value: text, place: Some(place) })
    }

    /// Whether the value of a key is a table.
    #[must_use]
    pub fn has_table(&self, key: &str) -> bool {
        self.table.and_then(|table| table.get(key)).is_some_and(|value| value.get_ref().is_table())
    }

    /// Where a key stands.
    #[must_use]
    pub fn key_place(&self, key: &str) -> Option<Place> {
        let (key, _) = self.table?.get_key_value(key)?;
        Some(self.origin.place(key.span().start))
    }

    /// Every key that nobody asked for is a mistake.
    pub fn finish(self) {
        // As it is now: the suggestions below look at further keys.
        let known = self.known.borrow().clone();
        for name in self.names() {
            if known.contains(&name.value) {
                continue;
            }
            let names = || known.iter().map(String::as_str);
            let is_section = self.has_table(&name.value);
            let kind = if is_section { "section" } else { "key" };
            let message = format!("unknown {kind} `{}`{}", name.value, self.within());
            let mut diagnostic = Diagnostic::new(name.place, message);
            if !is_section && names_secret(&name.value) {
                let similar = nearest(&name.value, names()).filter(|similar| names_secret(similar));
                self.push(match similar {
                    Some(similar) => diagnostic.expected(one_of(names())).write(format!("{similar} = ...")),
                    None => diagnostic.expected("no secrets: Keyward takes none. Delete this line"),
                });
                continue;
            }
            diagnostic = diagnostic.expected(one_of(names()));
            if let Some(suggestion) = nearest(&name.value, names()) {
                let rest = self.rest_of_line(&name.value);
                diagnostic = match (is_section, rest) {
                    (false, Some(rest)) => diagnostic.write(format!("{suggestion} {rest}")),
                    _ => diagnostic.write(self.section(suggestion).header),
                };
            }
            self.push(diagnostic);
        }
    }

    /// `= value`, as it is written after a key, where it ends on the same line and has no keys of its own.
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
    value.as_array().map_or_else(|| value.is_table(), |array| array.iter().any(|item| has_keys(item.get_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str, read: impl FnOnce(&Section<'_>)) -> String {
        let document = Document::parse("k.toml", text).unwrap();
        let root = document.root();
        read(&root);
        root.finish();
        document.finish(()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_key_that_nobody_asked_for_is_named_with_its_place_and_a_better_one() {
        let message = mistakes("\n  clod = \"china\"\n", |root| {
            root.word("cloud", &[("public", 1), ("china", 2)]);
        });
        assert_eq!(message, "k.toml:2:3: unknown key `clod`\n    expected: cloud\n    write:    cloud = \"china\"");
    }

    #[test]
    fn all_mistakes_are_told_in_the_order_of_the_file() {
        let message = mistakes("b = 1\na = 2\n", |root| {
            root.text("a", "x");
            root.text("b", "y");
        });
        let places: Vec<&str> = message.lines().filter(|line| line.starts_with('k')).collect();
        assert_eq!(places.len(), 2, "{message}");
        assert!(places[0].starts_with("k.toml:1:5: `b` is of type integer"), "{message}");
        assert!(places[1].starts_with("k.toml:2:5: `a` is of type integer"), "{message}");
    }

    #[test]
    fn a_text_that_is_no_toml_says_where() {
        let error = Document::parse("k.toml", "a = \n").err().unwrap().to_string();
        assert!(error.starts_with("k.toml:1:5: not TOML: "), "{error}");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1 KiB"), Some(1024));
        assert_eq!(parse_size("64"), None);
        assert_eq!(parse_size("64MB"), None);
        assert_eq!(parse_size("99999999999GiB"), None);
        assert_eq!(human_size(64 << 20), "64MiB");
        assert_eq!(human_size(1500), "1500B");
    }
}
