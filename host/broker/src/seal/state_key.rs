//! State of a plugin's, sealed for its caller: see `caller-state` in the contract.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// The longest state, in bytes. A redirect's target has some hundred.
const LONGEST: usize = 16 << 10;

/// How long a state can be opened. A caller follows a redirect at once.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// A mount's key for states. It lives as long as the mount, or until [`renew`](Self::renew).
pub(crate) struct StateKey(RwLock<Option<LessSafeKey>>);

/// Why a state is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    TooLong,
    Unavailable,
}

impl Default for StateKey {
    /// A new key.
    fn default() -> Self {
        Self(RwLock::new(new_key()))
    }
}

fn new_key() -> Option<LessSafeKey> {
    let mut key = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut key[..]);
    UnboundKey::new(&AES_256_GCM, &key[..]).ok().map(LessSafeKey::new)
}

impl StateKey {
    /// Replaces the key, so that no state that was sealed before can be opened.
    pub(crate) fn renew(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new_key();
    }

    /// Seals a state for a caller, with a line of the host's own. Nonces are random: one key would
    /// have to seal four thousand million states before two of them are likely to meet.
    pub(crate) fn seal(
        &self,
        own: &str,
        state: &str,
        caller: &str,
        now: SystemTime,
    ) -> Result<String, SealError> {
        if state.len() > LONGEST {
            return Err(SealError::TooLong);
        }
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = key.as_ref().ok_or(SealError::Unavailable)?;
        let mut nonce = [0; NONCE_LEN];
        rand::rng().fill_bytes(&mut nonce);
        let mut text =
            [&seconds(now + LIFETIME).to_be_bytes(), own.as_bytes(), b"\n", state.as_bytes()]
                .concat();
        let sealed = key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(caller.as_bytes()),
            &mut text,
        );
        sealed.map_err(|_| SealError::Unavailable)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
    }

    /// Opens a state that was sealed for this caller. Returns the host's own line, and the state.
    pub(crate) fn open(
        &self,
        sealed: &str,
        caller: &str,
        now: SystemTime,
    ) -> Option<(String, String)> {
        if sealed.len() > 2 * LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let text =
            key.as_ref()?.open_in_place(nonce, Aad::from(caller.as_bytes()), &mut text).ok()?;
        let (until, state) = text.split_first_chunk::<8>()?;
        if seconds(now) >= u64::from_be_bytes(*until) {
            return None;
        }
        let (own, state) = std::str::from_utf8(state).ok()?.split_once('\n')?;
        Some((own.to_owned(), state.to_owned()))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "https://node.example/webhdfs/v1/a?token=secret";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_state_is_opened_for_its_caller_for_ten_minutes() {
        let key = StateKey::default();
        let sealed = key.seal("own", STATE, "uid=1", at(0)).unwrap();
        assert_eq!(key.open(&sealed, "uid=1", at(599)), Some(("own".to_owned(), STATE.to_owned())));
        assert_eq!(key.open(&sealed, "uid=1", at(600)), None);
        assert_eq!(key.open(&sealed, "uid=2", at(0)), None);
        assert_eq!(StateKey::default().open(&sealed, "uid=1", at(0)), None, "another mount's key");
        key.renew();
        assert_eq!(key.open(&sealed, "uid=1", at(0)), None, "renewed");
    }

    #[test]
    fn a_state_can_be_neither_read_nor_changed() {
        let key = StateKey::default();
        let sealed = key.seal("", STATE, "uid=1", at(0)).unwrap();
        let decoded = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        assert!(!String::from_utf8_lossy(&decoded).contains("node"));
        assert_ne!(sealed, key.seal("", STATE, "uid=1", at(0)).unwrap());
        for position in 0..decoded.len() {
            let mut changed = decoded.clone();
            changed[position] ^= 1;
            assert_eq!(
                key.open(&URL_SAFE_NO_PAD.encode(changed), "uid=1", at(0)),
                None,
                "{position}"
            );
        }
        for other in ["", "x", "!", STATE, &sealed[1..]] {
            assert_eq!(key.open(other, "uid=1", at(0)), None, "{other}");
        }
    }

    #[test]
    fn a_long_state_is_refused() {
        let key = StateKey::default();
        let sealed = key.seal(&"own ".repeat(300), &"\n".repeat(LONGEST), "", at(0)).unwrap();
        assert_eq!(key.open(&sealed, "", at(0)).unwrap().1.len(), LONGEST);
        assert_eq!(key.seal("", &"x".repeat(LONGEST + 1), "", at(0)), Err(SealError::TooLong));
    }
}
