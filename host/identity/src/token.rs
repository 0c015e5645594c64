//! The type that holds a token. Nothing else does.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::{Zeroize, Zeroizing};

/// The scheme in front of the token, in the one form in which it is kept: ready to be sent.
const SCHEME: &str = "Bearer ";

/// The longest token that is taken, in bytes. Entra's are 1 to 4 KiB, more with many groups; a header of more than 16 KiB
/// is refused by the services.
const LONGEST: usize = 16 * 1024;

/// An access token, and when it ends.
///
/// It cannot be printed, serialised or compared, and its memory is zeroed when the last clone is dropped. A clone shares
/// the bytes. The token is opaque: it is never looked into.
#[derive(Clone)]
pub struct AccessToken {
    held: Arc<Held>,
}

/// It keeps a pair of lines of a processor's cache to itself, the unit in which they are fetched.
#[repr(align(128))]
struct Held {
    /// `Bearer <token>`, in memory that zeroes itself.
    header: Bytes,
    expires_on: u64,
}

/// An answer that has no usable token in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// There are no characters.
    #[error("the token is empty")]
    Empty,
    /// There are more than 16 KiB.
    #[error("the token is longer than {LONGEST} bytes")]
    TooLong,
    /// There is a character that no header may carry.
    #[error("the token has a character that a header field cannot contain")]
    Malformed,
}

impl AccessToken {
    /// Takes a token and its end, in seconds since 1970-01-01T00:00:00Z. The text that is handed in is zeroed.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] for what cannot be sent in a header.
    pub fn new(mut secret: String, expires_on: u64) -> Result<Self, InvalidToken> {
        let checked = Self::check(&secret);
        let header = checked.map(|()| {
            let mut header = Zeroizing::new(Vec::with_capacity(SCHEME.len() + secret.len()));
            header.extend_from_slice(SCHEME.as_bytes());
            header.extend_from_slice(secret.as_bytes());
            Bytes::from_owner(header)
        });
        secret.zeroize();
        Ok(Self { held: Arc::new(Held { header: header?, expires_on }) })
    }

    /// The same token in the same memory, whose clones are counted at a place of their own. Where many threads clone one
    /// token, the count of its clones is what they wait for.
    pub(crate) fn counted_apart(&self) -> Self {
        let header = Bytes::from_owner(Apart(self.held.header.clone()));
        Self { held: Arc::new(Held { header, expires_on: self.held.expires_on }) }
    }

    /// Whether two are the same token. Neither is a stranger's guess, so that it may take any time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.held.header == other.held.header
    }

    fn check(secret: &str) -> Result<(), InvalidToken> {
        match secret.len() {
            0 => Err(InvalidToken::Empty),
            length if length > LONGEST => Err(InvalidToken::TooLong),
            _ if secret.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
            _ => Err(InvalidToken::Malformed),
        }
    }

    /// When it ends, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn expires_on(&self) -> u64 {
        self.held.expires_on
    }

    /// The value of an `authorization` header, marked sensitive. No byte is copied.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        // Every token was checked to be visible ASCII, so the empty value is never made.
        let value = HeaderValue::from_maybe_shared(self.held.header.clone());
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// The token itself, for the few places that must have it: the login of a protocol without headers, and the search
    /// for a token that a service sends back.
    #[must_use]
    pub fn expose_secret(&self) -> Bytes {
        self.held.header.slice(SCHEME.len()..)
    }
}

/// An owner of its own for memory that others own too. It is alone in its lines, with the count of its clones before it.
#[repr(align(128))]
struct Apart(Bytes);

impl AsRef<[u8]> for Apart {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_the_header_say_nothing() {
        let token = AccessToken::new("eyJ0.secret".to_owned(), 1).unwrap();
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
        assert_eq!(format!("{:?}", token.authorization()), "Sensitive");
        assert_eq!(token.authorization().as_bytes(), b"Bearer eyJ0.secret");
        assert_eq!(&token.expose_secret()[..], b"eyJ0.secret");
    }

    #[test]
    fn a_clone_and_a_header_share_the_memory_that_zeroes_itself() {
        let token = AccessToken::new("eyJ0.secret".to_owned(), 1).unwrap();
        let address = token.held.header.as_ptr();
        let clone = token.clone();
        assert_eq!((clone.held.header.as_ptr(), token.held.header.as_ptr()), (address, address));
        assert_eq!(token.counted_apart().held.header.as_ptr(), address);
        assert_eq!(token.authorization().as_bytes().as_ptr(), address);
    }

    #[test]
    fn what_cannot_be_sent_is_no_token() {
        let error = |secret: &str| AccessToken::new(secret.to_owned(), 1).err();
        assert_eq!(error(""), Some(InvalidToken::Empty));
        assert_eq!(error("a b"), Some(InvalidToken::Malformed));
        assert_eq!(error("a\r\nx: y"), Some(InvalidToken::Malformed));
        assert_eq!(error(&"x".repeat(LONGEST + 1)), Some(InvalidToken::TooLong));
    }
}
