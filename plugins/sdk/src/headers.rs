//! The header fields of a request or a response.

use std::fmt;

use crate::host::Fields;

/// Header fields: case-insensitive names, each with one or more values of bytes.
///
/// Incoming fields stay with the host until they are read, and forwarding all of them takes a
/// single call to the host.
#[derive(Debug, Default)]
pub struct Headers {
    pub(crate) fields: Fields,
}

/// The host rejected a header field: its name or value is invalid, or it belongs to the connection
/// (`host`, `transfer-encoding`, ...) and only the host may set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderError {
    pub(crate) name: String,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the header field {:?} has a name or a value that a plugin may not send",
            self.name
        )
    }
}

impl std::error::Error for HeaderError {}

impl Headers {
    /// Creates an empty set of fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of a field, if it is UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.get_all(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }

    /// All values of a field, in order.
    #[must_use]
    pub fn get_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.fields.get(name)
    }

    /// Whether the field is present.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        !self.get_all(name).is_empty()
    }

    /// Sets a field, replacing all its values.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if the host rejects the name or the value.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.fields.set(name, value.as_ref()).map_err(|()| HeaderError { name: name.to_owned() })
    }

    /// Adds a value to a field.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if the host rejects the name or the value.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.fields.append(name, value.as_ref()).map_err(|()| HeaderError { name: name.to_owned() })
    }

    /// Removes a field with all its values.
    pub fn remove(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// All fields, with names in lower case.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.fields.entries()
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self { fields: self.fields.copy() }
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    /// Fields that the host rejects are omitted.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            drop(headers.append(name.as_ref(), value));
        }
        headers
    }
}
