//! Mistakes in a configuration or a manifest: their positions, what was expected, and the line to
//! write instead.

use std::fmt;
use std::sync::Arc;

/// A position in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name, as it was given.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value with its position in a file. A value that was made in code has none.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its position.
    pub location: Option<Location>,
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self { value, location: None }
    }
}

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its position; `None` for a value that was made in code, or that is missing altogether.
    pub location: Option<Location>,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub expected: Option<String>,
    /// What to do, if it is not a line to write.
    pub help: Option<String>,
    /// The line or lines to write instead.
    pub write: Option<String>,
}

impl Diagnostic {
    /// A mistake at a position.
    #[must_use]
    pub fn new(location: Option<Location>, message: impl Into<String>) -> Self {
        Self { location, message: message.into(), expected: None, help: None, write: None }
    }

    /// The same, with what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The same, with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with the line or lines to write instead.
    #[must_use]
    pub fn write(mut self, write: impl Into<String>) -> Self {
        self.write = Some(write.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n    expected: {expected}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n    help:     {help}")?;
        }
        if let Some(write) = &self.write {
            let mut lines = write.lines();
            write!(f, "\n    write:    {}", lines.next().unwrap_or_default())?;
            for line in lines {
                write!(f, "\n              {line}")?;
            }
        }
        Ok(())
    }
}

/// All mistakes that were found, in the order of their positions. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    diagnostics: Vec<Diagnostic>,
}

impl ConfigError {
    /// The mistakes.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl From<Diagnostic> for ConfigError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        Ok(())
    }
}

/// Collects mistakes, so that all of them are reported at once.
#[derive(Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// An empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a mistake.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether there are no mistakes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value if there are no mistakes.
    ///
    /// # Errors
    ///
    /// All mistakes.
    pub fn into_result<T>(mut self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|diagnostic| {
            diagnostic.location.as_ref().map(|location| (location.line, location.column))
        });
        Err(ConfigError { diagnostics: self.0 })
    }
}
