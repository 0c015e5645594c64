//! The header fields of a request or a response.

use std::fmt;

use crate::host::Fields;

/// Header fields: names without case, values of bytes, several values under one name allowed.
///
/// What comes from outside is not copied into the sandbox: it stays with the host until it is asked
/// for, and passing all fields on costs one call, however many they are.
#[derive(Debug, Default)]
pub struct Headers {
    pub(crate) fields: Fields,
}

/// A header field was refused: no valid name or value, or a field that belongs to the connection
/// (`host`, `transfer-encoding`, ...), which only the host may set.
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
    /// No fields at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of a field, where it is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.get_all(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }

    /// All values of a field, in their order.
    #[must_use]
    pub fn get_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.fields.get(name)
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        !self.get_all(name).is_empty()
    }

    /// Gives a field one value, in place of any that it had.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] where the host refuses the name or the value.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.fields.set(name, value.as_ref()).map_err(|()| HeaderError { name: name.to_owned() })
    }

    /// Adds a value to a field.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] where the host refuses the name or the value.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.fields.append(name, value.as_ref()).map_err(|()| HeaderError { name: name.to_owned() })
    }

    /// Takes a field out, with all its values.
    pub fn remove(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// All fields, names in lower case.
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
    /// Fields that the host refuses are left out.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            drop(headers.append(name.as_ref(), value));
        }
        headers
    }
}
