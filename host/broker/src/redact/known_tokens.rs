//! The tokens that a mount's responses are searched for.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use keyward_identity::AccessToken;

use super::secret_index::SecretIndex;

/// How many tokens of an audience are searched for: the current one and those before it. A service
/// can only have received more if tokens are renewed faster than it responds.
const TOKENS_PER_AUDIENCE: usize = 3;

/// The tokens of a mount: the current ones of all its grants, and some that they replaced.
#[derive(Default)]
pub(crate) struct KnownTokens(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// The latest last.
    tokens: Vec<(Arc<str>, Bytes)>,
    index: Arc<SecretIndex>,
}

impl KnownTokens {
    /// Adds the token of an audience, by the audience's name.
    pub(crate) fn add(&self, audience: &Arc<str>, token: &AccessToken) {
        let token = token.expose_secret();
        // Clones of a token share its memory, and nobody gives it to another one meanwhile.
        let is_known = |known: &Known| {
            known.tokens.iter().any(|(name, other)| {
                name == audience && other.as_ptr() == token.as_ptr() && other.len() == token.len()
            })
        };
        if is_known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if is_known(&known) {
            return;
        }
        let of_audience = known.tokens.iter().filter(|(name, _)| name == audience).count();
        if of_audience >= TOKENS_PER_AUDIENCE
            && let Some(oldest) = known.tokens.iter().position(|(name, _)| name == audience)
        {
            known.tokens.remove(oldest);
        }
        known.tokens.push((Arc::clone(audience), token));
        let tokens = known.tokens.iter().map(|(_, token)| token.clone());
        known.index = Arc::new(SecretIndex::of_tokens(tokens));
    }

    /// Drops all tokens.
    pub(crate) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    /// The index of all tokens that are known now.
    pub(crate) fn index(&self) -> Arc<SecretIndex> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scanner;
    use super::*;

    #[test]
    fn the_last_tokens_of_each_audience_are_searched_for() {
        let known = KnownTokens::default();
        assert!(Scanner::new([known.index()]).is_empty());
        let (vault, blob) = (Arc::<str>::from("vault"), Arc::<str>::from("blob"));
        let token =
            |text: &str| AccessToken::new(format!("{text}-token-of-some-length"), 1).unwrap();
        for index in 0..5 {
            known.add(&vault, &token(&format!("vault-{index}")));
        }
        let last = token("blob");
        known.add(&blob, &last);
        let index = known.index();
        known.add(&blob, &last);
        assert!(Arc::ptr_eq(&index, &known.index()), "it is not built again");
        let scanner = Scanner::new([index]);
        let has = |text: &str| {
            scanner.inspect(format!("{text}-token-of-some-length").as_bytes()).redacted.is_some()
        };
        assert_eq!(
            ["vault-0", "vault-1", "vault-2", "vault-3", "vault-4", "blob"].map(has),
            [false, false, true, true, true, true]
        );
    }
}
