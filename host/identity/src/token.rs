//! The type that holds an access token. No other type does.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_utils::CachePadded;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::locked_memory;

/// The scheme before the token. Tokens are stored with it, ready to be sent.
const SCHEME: &str = "Bearer ";

/// The longest valid token, in bytes. Entra's tokens have 1 to 4 KiB, more with many groups;
/// services reject header fields over 16 KiB.
const MAX_LENGTH: usize = 16 * 1024;

/// An access token and its expiry.
///
/// It cannot be printed, serialized or compared. Its memory is [locked](crate::locked_memory), and
/// zeroed when the last clone is dropped. Clones share that memory. The token is opaque: its
/// contents are never parsed.
#[derive(Clone)]
pub struct AccessToken {
    inner: Arc<CachePadded<Inner>>,
}

struct Inner {
    /// `Bearer <token>`, in locked memory that is zeroed on drop.
    bytes: Bytes,
    /// The same bytes, marked sensitive.
    header: HeaderValue,
    expires_on: u64,
}

/// A string that is not usable as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is empty.
    #[error("the token is empty")]
    Empty,
    /// It is longer than 16 KiB.
    #[error("the token is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// It contains a character that is not visible ASCII.
    #[error("the token has a character that a header field cannot contain")]
    Malformed,
}

impl AccessToken {
    /// Takes a token and its expiry, in seconds since 1970-01-01T00:00:00Z. The memory of `secret`
    /// is zeroed.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if it cannot be sent in a header field.
    pub fn new(secret: String, expires_on: u64) -> Result<Self, InvalidToken> {
        let secret = Zeroizing::new(secret);
        check(&secret)?;
        let bytes = locked_memory::concat(&[SCHEME.as_bytes(), secret.as_bytes()]);
        Self::from_bytes(bytes, expires_on)
    }

    fn from_bytes(bytes: Bytes, expires_on: u64) -> Result<Self, InvalidToken> {
        let header = HeaderValue::from_maybe_shared(bytes.clone());
        let mut header = header.map_err(|_| InvalidToken::Malformed)?;
        header.set_sensitive(true);
        Ok(Self { inner: Arc::new(CachePadded::new(Inner { bytes, header, expires_on })) })
    }

    /// A clone with reference counts of its own, over the same memory. Threads that clone one token
    /// all the time contend for its counts.
    pub(crate) fn clone_unshared(&self) -> Self {
        let owner = PaddedOwner(CachePadded::new(self.inner.bytes.clone()));
        let unshared = Self::from_bytes(Bytes::from_owner(owner), self.expires_on());
        // These bytes were valid before, and a clone that shares its counts is correct, if slower.
        unshared.unwrap_or_else(|_| self.clone())
    }

    /// Whether both are the same token. Not in constant time: both come from an identity endpoint,
    /// neither from somebody who guesses.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.inner.bytes == other.inner.bytes
    }

    /// When it expires, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn expires_on(&self) -> u64 {
        self.inner.expires_on
    }

    /// The value of an `authorization` header field, marked sensitive. Shares the token's memory.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.inner.header.clone()
    }

    /// The token itself, for the few callers that need it: logins of protocols without header
    /// fields, and the search for tokens that a service echoes.
    #[must_use]
    pub fn expose_secret(&self) -> Bytes {
        self.inner.bytes.slice(SCHEME.len()..)
    }
}

fn check(secret: &str) -> Result<(), InvalidToken> {
    match secret.len() {
        0 => Err(InvalidToken::Empty),
        length if length > MAX_LENGTH => Err(InvalidToken::TooLong),
        _ if secret.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        _ => Err(InvalidToken::Malformed),
    }
}

/// Another owner of a token's memory. `Bytes` stores its count of clones next to the owner, so both
/// are padded.
struct PaddedOwner(CachePadded<Bytes>);

impl AsRef<[u8]> for PaddedOwner {
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
    fn debug_output_does_not_contain_the_token() {
        let token = AccessToken::new("eyJ0.secret".to_owned(), 1).unwrap();
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
        assert_eq!(format!("{:?}", token.authorization()), "Sensitive");
        assert_eq!(token.authorization().as_bytes(), b"Bearer eyJ0.secret");
        assert_eq!(&token.expose_secret()[..], b"eyJ0.secret");
    }

    #[test]
    fn clones_and_header_values_share_the_memory_that_is_zeroed() {
        let token = AccessToken::new("eyJ0.secret".to_owned(), 1).unwrap();
        let address = token.inner.bytes.as_ptr();
        let clone = token.clone();
        assert_eq!((clone.inner.bytes.as_ptr(), token.inner.bytes.as_ptr()), (address, address));
        assert_eq!(token.clone_unshared().inner.bytes.as_ptr(), address);
        assert_eq!(token.authorization().as_bytes().as_ptr(), address);
    }

    #[test]
    fn a_string_that_no_header_field_can_contain_is_not_a_token() {
        let error = |secret: &str| AccessToken::new(secret.to_owned(), 1).err();
        assert_eq!(error(""), Some(InvalidToken::Empty));
        assert_eq!(error("a b"), Some(InvalidToken::Malformed));
        assert_eq!(error("a\r\nx: y"), Some(InvalidToken::Malformed));
        assert_eq!(error(&"x".repeat(MAX_LENGTH + 1)), Some(InvalidToken::TooLong));
    }
}
