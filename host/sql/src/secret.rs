//! The type that holds the secret of a login.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

/// A token or a password.
///
/// It cannot be printed or serialized. Clones share the bytes. Comparison is not constant-time:
/// both sides are logins of the pool's owner.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Bytes);

impl Secret {
    /// Copies a secret into memory that is zeroed when the last clone is dropped.
    #[must_use]
    pub fn copied(secret: &[u8]) -> Self {
        Self(Bytes::from_owner(Zeroizing::new(secret.to_vec())))
    }

    /// Shares a secret that is in memory already. The owner of that memory is responsible for
    /// zeroing it.
    #[must_use]
    pub fn shared(secret: Bytes) -> Self {
        Self(secret)
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::copied(b"correct-horse")), "Secret(..)");
    }
}
