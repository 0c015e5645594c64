//! What a token is for.

use std::fmt;
use std::sync::Arc;

/// The resource that a token is for, as an exact string: `https://management.azure.com/` and
/// `https://management.azure.com` are two audiences, and a service takes tokens for one of them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audience(Arc<str>);

/// A string that is no audience: it is empty, longer than 2048 bytes, or has a blank or a control character in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no audience: expected a resource as the service names it, such as \"https://vault.azure.net\"")]
pub struct InvalidAudience {
    text: String,
}

impl Audience {
    /// Takes the string as it is: no slash is added or taken off.
    ///
    /// # Errors
    ///
    /// [`InvalidAudience`] for what no token endpoint would take.
    pub fn new(text: &str) -> Result<Self, InvalidAudience> {
        let fits = (1..=2048).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.into()))
        } else {
            let text = text.chars().take(100).collect();
            Err(InvalidAudience { text })
        }
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trailing_slash_counts() {
        let with = Audience::new("https://management.azure.com/").unwrap();
        let without = Audience::new("https://management.azure.com").unwrap();
        assert_ne!(with, without);
    }

    #[test]
    fn what_could_break_out_of_a_query_or_a_header_is_no_audience() {
        for text in ["", "a b", "a\r\nb", "ä", &"x".repeat(2049)] {
            assert!(Audience::new(text).is_err(), "{text:?}");
        }
    }
}
