//! Errors of reading bodies.

use std::fmt;

/// A body was aborted, or is longer than the plugin's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The peer's stream ended with an error.
    Broken(String),
    /// The body is longer than this limit, in bytes.
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
