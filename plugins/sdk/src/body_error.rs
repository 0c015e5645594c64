//! Errors of bodies.

use std::fmt;

/// A body broke off, or was longer than the plugin is ready to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The peer's stream ended in an error.
    Broken(String),
    /// There is more than so many bytes.
    TooLong(usize),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "the body broke off: {why}"),
            Self::TooLong(limit) => write!(f, "the body is longer than {limit} bytes"),
        }
    }
}

impl std::error::Error for BodyError {}
