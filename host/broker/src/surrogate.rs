//! Surrogates: what stands for a credential inside a sandbox.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;
use rand::Rng;

use crate::seal::SealedValue;

/// What every surrogate begins with, so that one that turns up in a log is known for what it is.
pub const PREFIX: &str = "keyward-surrogate-";

/// 256 random bits, in base64url.
const RANDOM_CHARACTERS: usize = 43;

/// The stand-in for a credential: a random string that only the call in which it was made can spend.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Surrogate(String);

impl Surrogate {
    /// A new one, from a generator that is fit for secrets and seeded by the system.
    fn random() -> Self {
        let mut bits = [0_u8; 32];
        rand::rng().fill_bytes(&mut bits);
        let mut text = String::with_capacity(PREFIX.len() + RANDOM_CHARACTERS);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bits, &mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surrogate(..)")
    }
}

/// What a surrogate stands for.
#[derive(Clone, Debug)]
pub(crate) enum StandsFor {
    /// The token of one of the mount's grants, by its number.
    Token(usize),
    /// A sealed value, which may be spent at the endpoint of this grant.
    Sealed(usize, Arc<SealedValue>),
}

/// The surrogates of one call.
#[derive(Debug, Default)]
pub(crate) struct Surrogates(Mutex<Vec<(StandsFor, Surrogate)>>);

impl Surrogates {
    /// The surrogate for a grant: the same each time it is asked for.
    pub(crate) fn of_grant(&self, grant: usize) -> Surrogate {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |stands: &StandsFor| matches!(stands, StandsFor::Token(number) if *number == grant);
        if let Some((_, surrogate)) = live.iter().find(|(stands, _)| is_it(stands)) {
            return surrogate.clone();
        }
        let surrogate = Surrogate::random();
        live.push((StandsFor::Token(grant), surrogate.clone()));
        surrogate
    }

    /// The surrogate for a sealed value: the same each time it is asked for.
    pub(crate) fn of_sealed(&self, grant: usize, value: &Arc<SealedValue>) -> Surrogate {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |stands: &StandsFor| matches!(stands, StandsFor::Sealed(_, own) if Arc::ptr_eq(own, value));
        if let Some((_, surrogate)) = live.iter().find(|(stands, _)| is_it(stands)) {
            return surrogate.clone();
        }
        let surrogate = Surrogate::random();
        live.push((StandsFor::Sealed(grant, Arc::clone(value)), surrogate.clone()));
        surrogate
    }

    /// What a surrogate stands for, in this call.
    pub(crate) fn stands_for(&self, text: &[u8]) -> Option<StandsFor> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.iter().find(|(_, surrogate)| surrogate.0.as_bytes() == text).map(|(stands, _)| stands.clone())
    }

    /// The sealed values, with their surrogates.
    pub(crate) fn sealed(&self) -> Vec<(Surrogate, Arc<SealedValue>)> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = live.iter().filter_map(|(stands, surrogate)| match stands {
            StandsFor::Sealed(_, value) => Some((surrogate.clone(), Arc::clone(value))),
            StandsFor::Token(_) => None,
        });
        sealed.collect()
    }

    /// All that were handed out so far.
    pub(crate) fn all(&self) -> Vec<Surrogate> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.iter().map(|(_, surrogate)| surrogate.clone()).collect()
    }
}

/// Whether there is a surrogate in a text, of whatever call.
pub(crate) fn is_in(text: &[u8]) -> bool {
    static FINDER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(PREFIX));
    if text.len() < PREFIX.len() + RANDOM_CHARACTERS {
        return false;
    }
    FINDER.find_iter(text).any(|start| {
        let random = text.get(start + PREFIX.len()..).unwrap_or_default();
        let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        random.iter().take_while(|byte| is_base64url(byte)).count() >= RANDOM_CHARACTERS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surrogate_is_256_random_bits_behind_the_prefix_and_its_calls_own() {
        let (one, other) = (Surrogates::default(), Surrogates::default());
        let surrogate = one.of_grant(1);
        assert_eq!(surrogate.as_str().len(), PREFIX.len() + RANDOM_CHARACTERS);
        assert_eq!(one.of_grant(1), surrogate);
        assert_ne!(one.of_grant(0), surrogate);
        assert_ne!(other.of_grant(1), surrogate);
        assert!(matches!(one.stands_for(surrogate.as_str().as_bytes()), Some(StandsFor::Token(1))));
        assert!(other.stands_for(surrogate.as_str().as_bytes()).is_none());
        assert_eq!(one.all().len(), 2);
        assert!(!format!("{one:?}").contains(PREFIX));
    }

    #[test]
    fn a_surrogate_is_found_wherever_it_stands() {
        let surrogate = Surrogates::default().of_grant(0);
        assert!(is_in(format!("x={}&y", surrogate.as_str()).as_bytes()));
        assert!(is_in(format!("{PREFIX}{}", surrogate.as_str()).as_bytes()));
        assert!(!is_in(surrogate.as_str().split_at(60).0.as_bytes()));
        assert!(!is_in(b"keyward-surrogate-"));
        assert!(!is_in(b""));
    }
}
