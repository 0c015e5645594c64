//! JSON Web Key Sets.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::KeysError;
use super::public_key::{Jwk, PublicKey};

/// The usable keys of an issuer, by `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeySet(BTreeMap<String, PublicKey>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

impl KeySet {
    /// Reads a key set. Keys that cannot be used, such as those for encryption, are left out.
    pub(super) fn parse(json: &[u8]) -> Result<Self, KeysError> {
        let document: Document = serde_json::from_slice(json).map_err(|error| {
            // The error's own message may quote the text, which may be of another file.
            KeysError::NotKeySet { line: error.line(), column: error.column() }
        })?;
        let (mut keys, mut first_reason) = (BTreeMap::new(), None);
        for jwk in &document.keys {
            let kid = jwk.kid.as_deref().filter(|kid| !kid.is_empty());
            let key = kid.ok_or("it has no `kid`").and_then(|kid| {
                let key = PublicKey::from_jwk(jwk)?;
                Ok((kid.to_owned(), key))
            });
            match key {
                Ok((kid, key)) => {
                    if keys.insert(kid, key.clone()).is_some_and(|other| other != key) {
                        return Err(KeysError::AmbiguousKeys);
                    }
                }
                Err(reason) => {
                    tracing::debug!(reason, "left out a key of the issuer of service accounts");
                    first_reason = first_reason.or(Some(reason));
                }
            }
        }
        if keys.is_empty() {
            let keys = document.keys.len();
            return Err(KeysError::NoUsableKey { keys, reason: first_reason });
        }
        Ok(Self(keys))
    }

    pub(super) fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
