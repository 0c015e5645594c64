//! One token as it is kept on disk.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::{AccessToken, Audience};

/// A token, and between which readings of the wall clock it is good.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) token: AccessToken,
    /// When it was got, in seconds. Before that, the clock was set back since, and nothing can be said.
    pub(super) from: u64,
    /// When it ends by this machine's clock, in seconds, which need not be what the token says.
    pub(super) until: u64,
}

impl Entry {
    pub(super) fn is_good(&self, wall: Duration) -> bool {
        (self.from..self.until).contains(&wall.as_secs())
    }
}

/// Each entry is three texts with their lengths (identity, audience, token), and three numbers.
pub(super) fn encode<'a>(entries: impl Iterator<Item = (&'a str, &'a Audience, &'a Entry)>) -> Zeroizing<Vec<u8>> {
    // Enough that nothing is moved, which would leave tokens behind in memory that is not zeroed.
    let entries: Vec<_> = entries.collect();
    let size = |(identity, audience, entry): &(&str, &Audience, &Entry)| {
        identity.len() + audience.as_str().len() + entry.token.expose_secret().len() + 3 * 4 + 3 * 8
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(entries.iter().map(size).sum()));
    for (identity, audience, entry) in entries {
        let token = entry.token.expose_secret();
        for text in [identity.as_bytes(), audience.as_str().as_bytes(), &token] {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(text);
        }
        for number in [entry.token.expires_on(), entry.from, entry.until] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes
}

/// `None` for what [`encode`] did not write.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<(String, Audience, Entry)>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let identity = text(&mut bytes)?.to_owned();
        let audience = Audience::new(text(&mut bytes)?).ok()?;
        let secret = text(&mut bytes)?.to_owned();
        let [expires_on, from, until] = [number(&mut bytes)?, number(&mut bytes)?, number(&mut bytes)?];
        let token = AccessToken::new(secret, expires_on).ok()?;
        entries.push((identity, audience, Entry { token, from, until }));
    }
    Some(entries)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
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

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(
            texts in proptest::collection::vec(("\\PC{0,30}", "[!-~]{1,60}", "[!-~]{1,200}", any::<[u64; 3]>()), 0..5)
        ) {
            let entries: Vec<_> = texts.into_iter().map(|(identity, audience, secret, [on, from, until])| {
                let token = AccessToken::new(secret, on).unwrap();
                (identity, Audience::new(&audience).unwrap(), Entry { token, from, until })
            }).collect();
            let bytes = encode(entries.iter().map(|(identity, audience, entry)| (identity.as_str(), audience, entry)));
            let back = decode(&bytes).unwrap();
            prop_assert_eq!(back.len(), entries.len());
            for (a, b) in entries.iter().zip(&back) {
                prop_assert_eq!((&a.0, &a.1, a.2.from, a.2.until), (&b.0, &b.1, b.2.from, b.2.until));
                prop_assert_eq!(a.2.token.expires_on(), b.2.token.expires_on());
                prop_assert_eq!(a.2.token.expose_secret(), b.2.token.expose_secret());
            }
            for cut in 1..bytes.len() {
                if let Some(fewer) = decode(&bytes[..cut]) {
                    prop_assert!(fewer.len() < entries.len());
                }
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
