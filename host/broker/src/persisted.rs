//! Tokens on disk, without a broker at work.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyward_identity::Audience;
use keyward_identity::cache::{InvalidKey, Persistence};
use keyward_identity::clock::{Clock, SystemClock};
use keyward_identity::source::Tls;

use crate::identities::{NoSource, SourceFactory, Sources, key};
use keyward_policy::plan::Plan;

/// Why persisted tokens could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The configuration has no such identity.
    #[error("there is no identity `{name}`; the configuration has {}", known.join(", "))]
    UnknownIdentity {
        /// The requested identity.
        name: String,
        /// The identities of the configuration.
        known: Vec<String>,
    },
    /// The identity has no source, whose description is the key of its tokens in the file.
    #[error("the tokens of `{name}` on disk cannot be read: {source}")]
    NoSource {
        /// The identity.
        name: String,
        /// Why not.
        source: NoSource,
    },
    /// The identity's key cannot be used.
    #[error("the tokens of `{name}` on disk cannot be read: {source}")]
    NoKey {
        /// The identity.
        name: String,
        /// Why not.
        source: InvalidKey,
    },
    /// The file cannot be written.
    #[error("the tokens on disk cannot be written: {0}")]
    Disk(#[from] std::io::Error),
}

impl ForgetError {
    /// What to do about the error.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::NoSource { source, .. } => source.help(),
            Self::NoKey { source, .. } => source.help(),
            Self::UnknownIdentity { .. } | Self::Disk(_) => None,
        }
    }
}

/// Removes an identity's tokens from its file, or the one for an audience, and returns the
/// audiences that there were tokens for; `None` where the identity has no file.
///
/// A broker that runs with the same file does not notice, and writes its tokens again: use
/// [`Broker::forget_tokens`](crate::Broker::forget_tokens) there.
///
/// # Errors
///
/// See [`ForgetError`].
pub fn forget_persisted_tokens(
    plan: &Plan,
    identity: &str,
    audience: Option<&Audience>,
) -> Result<Option<BTreeSet<Audience>>, ForgetError> {
    let name = || identity.to_owned();
    let Some(config) = plan.config.identities.get(identity) else {
        let known = plan.config.identities.keys().cloned().collect();
        return Err(ForgetError::UnknownIdentity { name: name(), known });
    };
    let Some(persist) = &config.persist else { return Ok(None) };
    let key = key(persist).map_err(|source| ForgetError::NoKey { name: name(), source })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let none = Sources::new();
    let mut factory = SourceFactory::new(&plan.config, Tls::no_roots(), &clock, &none);
    let source = factory.create(identity, config);
    let source = source.map_err(|source| ForgetError::NoSource { name: name(), source })?;
    let file = Persistence::open(&persist.path, key);
    let forgotten = file.forget(&source.describe(), audience);
    file.flush()?;
    Ok(Some(forgotten.into_iter().collect()))
}
