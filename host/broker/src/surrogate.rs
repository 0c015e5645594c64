//! Surrogates: placeholders for credentials inside a sandbox.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_policy::authorize::{self, Credential};
#[cfg(test)]
use keyward_policy::surrogate::is_in;
use keyward_policy::surrogate::{PREFIX, RANDOM_CHARACTERS};
use rand::Rng;

use crate::sealed_value::SealedValue;

/// The stand-in for a credential: a random string that only the call in which it was made can
/// spend.
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

/// The surrogates of one call.
#[derive(Debug, Default)]
pub(crate) struct Surrogates(Mutex<Vec<(Credential<Arc<SealedValue>>, Surrogate)>>);

impl Surrogates {
    /// The surrogate for the token of an audience: the same each time it is requested.
    pub(crate) fn for_token(&self, audience: &Arc<str>) -> Surrogate {
        self.find_or_create(
            |known| matches!(known, Credential::Token(name) if name == audience),
            || Credential::Token(Arc::clone(audience)),
        )
    }

    /// The surrogate for a sealed value: the same each time it is requested. `audience` is the one
    /// at whose endpoint it may be spent; `None` for nowhere.
    pub(crate) fn for_sealed(
        &self,
        audience: Option<&Arc<str>>,
        value: &Arc<SealedValue>,
    ) -> Surrogate {
        self.find_or_create(
            |known| matches!(known, Credential::Sealed(_, own) if Arc::ptr_eq(own, value)),
            || Credential::Sealed(audience.cloned(), Arc::clone(value)),
        )
    }

    fn find_or_create(
        &self,
        is_it: impl Fn(&Credential<Arc<SealedValue>>) -> bool,
        credential: impl FnOnce() -> Credential<Arc<SealedValue>>,
    ) -> Surrogate {
        let mut live = self.lock();
        if let Some((_, surrogate)) = live.iter().find(|(known, _)| is_it(known)) {
            return surrogate.clone();
        }
        let surrogate = Surrogate::random();
        live.push((credential(), surrogate.clone()));
        surrogate
    }

    /// The sealed values, with their surrogates.
    pub(crate) fn sealed(&self) -> Vec<(Surrogate, Arc<SealedValue>)> {
        let live = self.lock();
        let sealed = live.iter().filter_map(|(credential, surrogate)| match credential {
            Credential::Sealed(_, value) => Some((surrogate.clone(), Arc::clone(value))),
            Credential::Token(_) => None,
        });
        sealed.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Credential<Arc<SealedValue>>, Surrogate)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl authorize::Surrogates for Surrogates {
    type Sealed = Arc<SealedValue>;

    fn resolve(&self, text: &[u8]) -> Option<Credential<Arc<SealedValue>>> {
        let live = self.lock();
        let found = live.iter().find(|(_, surrogate)| surrogate.0.as_bytes() == text);
        found.map(|(credential, _)| credential.clone())
    }
}

#[cfg(test)]
mod tests {
    use keyward_policy::authorize::Surrogates as _;

    use super::*;

    #[test]
    fn a_surrogate_is_256_random_bits_behind_the_prefix_and_valid_in_one_call() {
        let (one, other) = (Surrogates::default(), Surrogates::default());
        let (vault, arm) = ("vault".into(), "arm".into());
        let surrogate = one.for_token(&vault);
        assert_eq!(surrogate.as_str().len(), PREFIX.len() + RANDOM_CHARACTERS);
        assert!(is_in(surrogate.as_str().as_bytes()));
        assert_eq!(one.for_token(&vault), surrogate);
        assert_ne!(one.for_token(&arm), surrogate);
        assert_ne!(other.for_token(&vault), surrogate);
        let resolved = one.resolve(surrogate.as_str().as_bytes());
        assert!(matches!(resolved, Some(Credential::Token(name)) if name == vault));
        assert!(other.resolve(surrogate.as_str().as_bytes()).is_none());
        assert!(!format!("{one:?}").contains(PREFIX));
    }

    #[test]
    fn the_sealed_values_of_a_call_are_listed_with_their_surrogates() {
        let surrogates = Surrogates::default();
        let value = Arc::new(SealedValue::query("sv=1&sig=x").unwrap());
        let blob = "blob".into();
        surrogates.for_token(&blob);
        let surrogate = surrogates.for_sealed(Some(&blob), &value);
        assert_eq!(surrogates.for_sealed(None, &value), surrogate, "it has one already");
        let sealed = surrogates.sealed();
        assert_eq!(sealed.len(), 1);
        assert!(sealed[0].0 == surrogate && Arc::ptr_eq(&sealed[0].1, &value));
        assert_eq!(format!("{surrogate:?}"), "Surrogate(..)");
    }
}
