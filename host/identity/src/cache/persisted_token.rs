//! A token in its persisted form.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::{AccessToken, Audience};

/// A token, and the wall-clock times between which it is valid.
#[derive(Clone, Debug)]
pub(super) struct PersistedToken {
    pub(super) token: AccessToken,
    /// When it was issued, in seconds. If the wall clock is before that, it was set back, and the
    /// token's remaining life is unknown.
    pub(super) from: u64,
    /// When it expires by this machine's clock, in seconds. The token's own `expires_on` may
    /// differ.
    pub(super) until: u64,
}

impl PersistedToken {
    pub(super) fn is_valid(&self, wall: Duration) -> bool {
        (self.from..self.until).contains(&wall.as_secs())
    }
}

/// Encodes tokens as three strings with their lengths (identity, audience, token) and three
/// numbers each.
pub(super) fn encode<'a>(
    tokens: impl Iterator<Item = (&'a str, &'a Audience, &'a PersistedToken)>,
) -> Zeroizing<Vec<u8>> {
    // The capacity suffices, so the buffer is never moved: that would leave tokens behind in memory
    // that is not zeroed.
    let tokens: Vec<_> = tokens.collect();
    let size = |(identity, audience, persisted): &(&str, &Audience, &PersistedToken)| {
        let secret = persisted.token.expose_secret();
        identity.len() + audience.as_str().len() + secret.len() + 3 * 4 + 3 * 8
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(tokens.iter().map(size).sum()));
    for (identity, audience, persisted) in tokens {
        let secret = persisted.token.expose_secret();
        for string in [identity.as_bytes(), audience.as_str().as_bytes(), &secret] {
            bytes.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(string);
        }
        for number in [persisted.token.expires_on(), persisted.from, persisted.until] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes
}

/// Decodes the output of [`encode`]; `None` for any other bytes.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<(String, Audience, PersistedToken)>> {
    let mut tokens = Vec::new();
    while !bytes.is_empty() {
        let identity = string(&mut bytes)?.to_owned();
        let audience = Audience::new(string(&mut bytes)?).ok()?;
        let secret = string(&mut bytes)?.to_owned();
        let [expires_on, from, until] =
            [number(&mut bytes)?, number(&mut bytes)?, number(&mut bytes)?];
        let token = AccessToken::new(secret, expires_on).ok()?;
        tokens.push((identity, audience, PersistedToken { token, from, until }));
    }
    Some(tokens)
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (string, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(string).ok()
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> impl Strategy<Value = (String, Audience, PersistedToken)> {
        let strings = ("\\PC{0,30}", "[!-~]{1,60}", "[!-~]{1,200}");
        (strings, any::<[u64; 3]>()).prop_map(
            |((identity, audience, secret), [expires_on, from, until])| {
                let token = AccessToken::new(secret, expires_on).unwrap();
                let audience = Audience::new(&audience).unwrap();
                (identity, audience, PersistedToken { token, from, until })
            },
        )
    }

    proptest! {
        #[test]
        fn decoding_returns_the_tokens_that_were_encoded(
            tokens in proptest::collection::vec(token(), 0..5)
        ) {
            let bytes = encode(tokens.iter().map(|(identity, audience, persisted)| {
                (identity.as_str(), audience, persisted)
            }));
            let decoded = decode(&bytes).unwrap();
            prop_assert_eq!(decoded.len(), tokens.len());
            for ((identity, audience, a), (identity_again, audience_again, b)) in
                tokens.iter().zip(&decoded)
            {
                prop_assert_eq!((identity, audience), (identity_again, audience_again));
                prop_assert_eq!((a.from, a.until), (b.from, b.until));
                prop_assert_eq!(a.token.expires_on(), b.token.expires_on());
                prop_assert_eq!(a.token.expose_secret(), b.token.expose_secret());
            }
            for length in 1..bytes.len() {
                if let Some(fewer) = decode(&bytes[..length]) {
                    prop_assert!(fewer.len() < tokens.len());
                }
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
