//! Verifies service account tokens.

use std::sync::Arc;

use keyward::identity::clock::{Clock, SystemClock};

use super::claims::{self, Expected, ServiceAccount};
use super::config::{InvalidIssuer, IssuerConfig};
use super::error::TokenError;
use super::jws::Jws;
use super::key_cache::{KeyCache, Keys};
use super::verified::{TokenDigest, Verified};

/// The longest token, in bytes. Those of Kubernetes have 1 to 2 KiB.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// Verifies the tokens of one issuer. All listeners share one.
pub(crate) struct Verifier {
    issuer: String,
    audience: String,
    clock: Arc<dyn Clock>,
    keys: KeyCache,
    verified: Verified,
}

impl Verifier {
    /// A verifier. It reads no file and sends no request before the first token, or
    /// [`load_keys`](Self::load_keys).
    ///
    /// # Errors
    ///
    /// [`InvalidIssuer`] if a value is invalid.
    pub(crate) fn new(config: IssuerConfig) -> Result<Self, InvalidIssuer> {
        Self::with_clock(config, Arc::new(SystemClock::default()))
    }

    pub(super) fn with_clock(
        config: IssuerConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidIssuer> {
        config.check()?;
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            clock: Arc::clone(&clock),
            keys: KeyCache::new(config, clock),
            verified: Verified::new(),
        })
    }

    /// Fetches the issuer's keys, so that the first call does not wait for them. Returns how many
    /// can be used.
    ///
    /// # Errors
    ///
    /// [`TokenError::KeysUnavailable`]. Calls will try again.
    pub(crate) async fn load_keys(&self) -> Result<usize, TokenError> {
        Ok(self.current_keys().await?.set.len())
    }

    /// The service account that a token proves.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if the token is invalid, or the issuer's keys are not known.
    pub(crate) async fn verify(&self, token: &str) -> Result<Arc<ServiceAccount>, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong { limit: MAX_TOKEN });
        }
        let digest = TokenDigest::of(token);
        let keys = self.current_keys().await?;
        let now = self.clock.recently();
        if let Some(known) = self.verified.get(&digest, keys.generation, now) {
            return Ok(known);
        }
        let jws = Jws::parse(token)?;
        let keys = self.keys_with(&jws.kid, keys).await?;
        let key = keys.set.get(&jws.kid).ok_or(TokenError::UnknownKey)?;
        key.verify(jws.algorithm, jws.message.as_bytes(), &jws.signature)?;
        // Fetching keys may have taken some time.
        let now = self.clock.recently();
        let (issuer, audience) = (&self.issuer, &self.audience);
        let proved = claims::check(&jws.payload, Expected { issuer, audience, now: now.wall })?;
        Ok(self.verified.insert(digest, keys.generation, proved, now))
    }

    async fn current_keys(&self) -> Result<Arc<Keys>, TokenError> {
        let keys = self.keys.current(self.clock.recently()).await;
        keys.map_err(TokenError::KeysUnavailable)
    }

    /// The keys after a refresh, if this `kid` is not among them. If the refresh fails, the token
    /// may be from another cluster or not: the keys that are known decide.
    async fn keys_with(&self, kid: &str, keys: Arc<Keys>) -> Result<Arc<Keys>, TokenError> {
        if keys.set.get(kid).is_some() {
            return Ok(keys);
        }
        match self.keys.refresh().await {
            Ok(()) => self.current_keys().await,
            Err(_) => Ok(keys),
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}
