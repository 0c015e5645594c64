//! Whether identities answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::cache::InvalidKey;
use keyward_identity::clock::{Clock, SystemClock};
use keyward_identity::source::{SourceKind, Tls};
use keyward_identity::{Audience, TokenError, TokenSource};

use crate::identities::{NoSource, SourceFactory, Sources, key};
use crate::upstream::Trust;
use keyward_policy::config::{IdentityConfig, IdentitySource, SourceConfig};
use keyward_policy::plan::Plan;

/// The identities of a plan. Clones are the same ones.
#[derive(Clone)]
pub struct Identities {
    sources: BTreeMap<String, Result<Arc<dyn TokenSource>, NoSource>>,
    keys: BTreeMap<String, Result<(), InvalidKey>>,
    clock: Arc<dyn Clock>,
}

/// What an identity answered. The token is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answered {
    /// For how long the token is valid.
    pub valid_for: Duration,
    /// The client id of the identity that it is for, where the endpoint says so beside the token.
    pub client_id: Option<String>,
    /// What the endpoint's clock said, since 1970-01-01T00:00:00Z, where it has one.
    pub endpoint_clock: Option<Duration>,
}

/// Why an identity gave no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoToken {
    /// There is no identity of this name.
    #[error("there is no such identity")]
    Unknown,
    /// It has no source on this machine.
    #[error(transparent)]
    NoSource(#[from] NoSource),
    /// Its source failed.
    #[error(transparent)]
    Failed(#[from] TokenError),
    /// There was no response in time.
    #[error("no response within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

impl NoToken {
    /// What to do about the error.
    #[must_use]
    pub fn help(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoSource(error) => error.help().map(Cow::Borrowed),
            Self::Failed(error) => error.help(),
            Self::Unknown | Self::TimedOut(_) => None,
        }
    }
}

impl Identities {
    /// Those of a plan, each of which is asked for no longer than this.
    #[must_use]
    pub fn of(plan: &Plan, within: Duration) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        // Certificates that cannot be read are an error of `Endpoints::of`. Until they can be, none
        // is trusted.
        let trust = Trust::load(&plan.config.tls).ok().and_then(|trust| trust.client().ok());
        let none = Sources::new();
        let tls = trust.map_or_else(Tls::no_roots, Tls::from);
        let mut factory = SourceFactory::new(&plan.config, tls, &clock, &none);
        let identities = || plan.config.identities.iter();
        let sources = identities()
            .map(|(name, identity)| (name.clone(), factory.create(name, &hasty(identity, within))));
        let sources = sources.collect();
        let keys = identities().filter_map(|(name, identity)| {
            let key = key(identity.persist.as_ref()?);
            Some((name.clone(), key.map(drop)))
        });
        let keys = keys.collect();
        Self { sources, keys, clock }
    }

    /// What an identity is, in a few words: `IMDS, system-assigned`. `None` where it has no source.
    #[must_use]
    pub fn describe(&self, name: &str) -> Option<String> {
        self.sources.get(name)?.as_ref().ok().map(|source| source.describe())
    }

    /// Whether the key of an identity's tokens on disk can be used, or why not; `None` where it
    /// keeps none.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&Result<(), InvalidKey>> {
        self.keys.get(name)
    }

    /// Asks an identity for a token, waits no longer than this, and throws the token away.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn ask(
        &self,
        name: &str,
        audience: &Audience,
        within: Duration,
    ) -> Result<Answered, NoToken> {
        let source = self.sources.get(name).ok_or(NoToken::Unknown)?;
        let source = source.as_ref().map_err(NoSource::clone)?;
        let issued = tokio::time::timeout(within, source.fetch(audience)).await;
        let issued = issued.map_err(|_| NoToken::TimedOut(within))??;
        let now = self.clock.wall();
        let left = Duration::from_secs(issued.token.expires_on()).saturating_sub(now);
        let valid_for = issued.expires_in.unwrap_or(left);
        if valid_for.is_zero() {
            let seconds_ago = now.as_secs().saturating_sub(issued.token.expires_on());
            return Err(TokenError::Expired { seconds_ago }.into());
        }
        Ok(Answered {
            valid_for,
            client_id: issued.client_id,
            endpoint_clock: issued.endpoint_clock,
        })
    }
}

/// The same identity, whose source gives up soon. The Azure CLI, which is no endpoint, takes its
/// time.
fn hasty(identity: &IdentityConfig, within: Duration) -> IdentityConfig {
    let mut identity = identity.clone();
    let sooner = |time: Option<Duration>| Some(time.map_or(within, |time| time.min(within)));
    match &mut identity.source {
        IdentitySource::Imds(imds) => {
            (imds.timeout, imds.deadline) = (sooner(imds.timeout), sooner(imds.deadline));
        }
        IdentitySource::Platform(kind, _) if *kind == SourceKind::AzureCli => {}
        IdentitySource::Platform(_, SourceConfig { timeout, deadline, .. })
        | IdentitySource::Auto(SourceConfig { timeout, deadline, .. }) => {
            (*timeout, *deadline) = (sooner(*timeout), sooner(*deadline));
        }
        IdentitySource::Supplied => {}
    }
    identity
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("names", &self.sources.keys()).finish_non_exhaustive()
    }
}
