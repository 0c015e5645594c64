//! The identities of a configuration, each with its cache of tokens.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use keyward_identity::cache::{InvalidKey, PersistKey, Persistence, Policy};
use keyward_identity::clock::Clock;
use keyward_identity::source::{self, Imds, InvalidSource, RateLimit, Retry, Settings, Tls};
use keyward_identity::{TokenCache, TokenSource};

use crate::reloaded::Changes;
use crate::start_error::StartError;
use crate::upstream::Trust;
use keyward_policy::config::{
    Config, IdentityConfig, IdentitySource, ImdsConfig, PersistConfig, PersistKeyConfig,
    SourceConfig,
};
use keyward_policy::diagnostic::{ConfigError, Diagnostic};
use keyward_policy::text::toml_key;

/// The identities at work. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Identities {
    by_name: BTreeMap<String, Identity>,
    /// Where tokens survive a restart.
    files: HashMap<PathBuf, Persistence>,
    /// By the endpoint of IMDS; `None` is the default one.
    rate_limits: HashMap<Option<String>, RateLimit>,
}

/// An identity with its cache, and what it was made from.
#[derive(Clone)]
struct Identity {
    cache: TokenCache,
    made_from: IdentityInputs,
}

/// What an identity is made from, beside the key of its file and the trust anchors.
#[derive(Clone, PartialEq, Eq)]
struct IdentityInputs {
    source: IdentitySource,
    persist: Option<PersistConfig>,
    /// The authority that issues tokens, if the source has to know it.
    authority: Option<String>,
    /// The addresses that it connects to in place of DNS.
    addresses: BTreeMap<(String, u16), SocketAddr>,
}

impl IdentityInputs {
    fn of(identity: &IdentityConfig, config: &Config) -> Self {
        let addresses = config.egress.resolve.iter();
        let addresses = addresses.filter(|((host, _), _)| match &identity.source {
            IdentitySource::Imds(ImdsConfig { endpoint: Some(endpoint), .. }) => {
                endpoint.contains(host)
            }
            IdentitySource::Imds(_) | IdentitySource::Supplied => false,
            // Their endpoints come from the environment.
            IdentitySource::Platform(..) | IdentitySource::Auto(_) => true,
        });
        let addresses = addresses.map(|(name, address)| (name.clone(), *address)).collect();
        let authority = uses_tls(&identity.source).then(|| config.cloud.authority.clone());
        let (source, persist) = (identity.source.clone(), identity.persist.clone());
        Self { source, persist, authority, addresses }
    }
}

/// Whether a source may connect with TLS, and ask the cloud's authority for tokens.
fn uses_tls(source: &IdentitySource) -> bool {
    match source {
        IdentitySource::Imds(_) | IdentitySource::Supplied => false,
        IdentitySource::Platform(..) | IdentitySource::Auto(_) => true,
    }
}

impl Identities {
    /// A cache for each identity. Those of one endpoint share its rate limit, and those of one file
    /// share the file. Identities of `previous` that did not change are reused;
    /// `trust_anchors_changed` is whether the trust anchors are others than theirs.
    pub(crate) fn new(
        config: &Config,
        trust: &Trust,
        trust_anchors_changed: bool,
        previous: Option<&Self>,
        (clock, supplied): (&Arc<dyn Clock>, &Sources),
    ) -> Result<(Self, Changes), StartError> {
        let tls = trust.client().map_err(|error| StartError::Tls(error.to_string()))?;
        let mut factory = SourceFactory::new(config, tls.into(), clock, supplied);
        if let Some(previous) = previous {
            factory.rate_limits.clone_from(&previous.rate_limits);
            factory.previous_files.clone_from(&previous.files);
        }
        let (mut by_name, mut changes) = (BTreeMap::new(), Changes::default());
        for (name, identity) in &config.identities {
            let made_from = IdentityInputs::of(identity, config);
            let file = match &identity.persist {
                None => None,
                Some(persist) => Some(factory.file(name, persist, identity)?),
            };
            let before = previous.and_then(|previous| previous.by_name.get(name));
            if let Some(before) = before
                && before.made_from == made_from
                && !(trust_anchors_changed && uses_tls(&identity.source))
                && file.as_ref().is_none_or(|file| factory.is_reused(file))
            {
                changes.unchanged.push(name.clone());
                by_name.insert(name.clone(), before.clone());
                continue;
            }
            let source = factory
                .create(name, identity)
                .map_err(|error| no_source(name, identity, &error))?;
            tracing::debug!(identity = name, source = source.describe(), "identity");
            let (clock, policy) = (Arc::clone(clock), Policy::default());
            let cache = match file {
                None => TokenCache::with(source, clock, policy),
                Some(file) => TokenCache::persisted(source, clock, policy, file),
            };
            let is_new = before.is_none();
            if is_new { &mut changes.added } else { &mut changes.changed }.push(name.clone());
            by_name.insert(name.clone(), Identity { cache, made_from });
        }
        if let Some(previous) = previous {
            let removed = previous.by_name.keys().filter(|name| !by_name.contains_key(*name));
            changes.removed.extend(removed.cloned());
        }
        let SourceFactory { files, rate_limits, .. } = factory;
        Ok((Self { by_name, files, rate_limits }, changes))
    }

    /// The cache of an identity.
    pub(crate) fn cache(&self, name: &str) -> Option<&TokenCache> {
        self.by_name.get(name).map(|identity| &identity.cache)
    }

    /// The names and caches of all identities.
    pub(crate) fn caches(&self) -> impl Iterator<Item = (&String, &TokenCache)> {
        self.by_name.iter().map(|(name, identity)| (name, &identity.cache))
    }

    /// The names of all identities.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.by_name.keys()
    }

    /// Where tokens survive a restart.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Persistence> {
        self.files.values()
    }
}

/// Why an identity has no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// It is supplied by the service that embeds the broker, and there is none.
    #[error("the service that embeds the broker does not supply it")]
    NotSupplied,
    /// It cannot be created.
    #[error(transparent)]
    Invalid(#[from] InvalidSource),
}

impl NoSource {
    /// What to do about the error.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotSupplied => Some("Add it to `Options::sources`"),
            Self::Invalid(error) => error.help(),
        }
    }
}

/// Creates the sources of identities.
pub(crate) struct SourceFactory<'c> {
    /// By the endpoint of IMDS; `None` is the default one.
    rate_limits: HashMap<Option<String>, RateLimit>,
    files: HashMap<PathBuf, Persistence>,
    /// Those of the identities that are replaced. One is used again if its key is the same.
    previous_files: HashMap<PathBuf, Persistence>,
    clock: &'c Arc<dyn Clock>,
    authority: &'c str,
    /// The trust anchors that requests to services use too.
    tls: Tls,
    /// `[egress.resolve]`.
    addresses: &'c BTreeMap<(String, u16), SocketAddr>,
    /// Sources that the embedding service supplies, by their identities' names.
    supplied: &'c Sources,
}

/// Token sources by the names of their identities.
pub(crate) type Sources = BTreeMap<String, Arc<dyn TokenSource>>;

impl<'c> SourceFactory<'c> {
    pub(crate) fn new(
        config: &'c Config,
        tls: Tls,
        clock: &'c Arc<dyn Clock>,
        supplied: &'c Sources,
    ) -> Self {
        let (authority, addresses) = (config.cloud.authority.as_str(), &config.egress.resolve);
        Self {
            rate_limits: HashMap::new(),
            files: HashMap::new(),
            previous_files: HashMap::new(),
            clock,
            authority,
            tls,
            addresses,
            supplied,
        }
    }

    pub(crate) fn create(
        &mut self,
        name: &str,
        identity: &IdentityConfig,
    ) -> Result<Arc<dyn TokenSource>, NoSource> {
        Ok(match &identity.source {
            IdentitySource::Supplied => {
                self.supplied.get(name).map(Arc::clone).ok_or(NoSource::NotSupplied)?
            }
            IdentitySource::Imds(imds) => Arc::new(self.imds(imds)?),
            IdentitySource::Platform(kind, config) => {
                let (identity, settings) = (config.user_assigned.clone(), self.settings(config));
                source::create(*kind, &variable, identity, Some(self.authority), settings)?
            }
            IdentitySource::Auto(config) => {
                let (identity, settings) = (config.user_assigned.clone(), self.settings(config));
                source::auto(&variable, identity, Some(self.authority), settings)?
            }
        })
    }

    fn imds(&mut self, config: &ImdsConfig) -> Result<Imds, InvalidSource> {
        let rate_limit = self.rate_limits.entry(config.endpoint.clone()).or_default().clone();
        let settings = Settings::default().rate_limit(rate_limit).clock(Arc::clone(self.clock));
        let mut imds = Imds::new().settings(settings.addresses(self.addresses.clone()));
        if let Some(user_assigned) = &config.user_assigned {
            imds = imds.user_assigned(user_assigned.clone());
        }
        if let Some(endpoint) = &config.endpoint {
            imds = imds.endpoint(endpoint)?;
        }
        if let Some(timeout) = config.timeout {
            imds = imds.timeout(timeout);
        }
        if let Some(deadline) = config.deadline {
            imds = imds.retry(Retry::within(deadline));
        }
        Ok(imds)
    }

    /// Sources without an endpoint in the configuration share the rate limit of the default one.
    fn settings(&mut self, config: &SourceConfig) -> Settings {
        let rate_limit = self.rate_limits.entry(None).or_default().clone();
        let mut settings = Settings::default().rate_limit(rate_limit).clock(Arc::clone(self.clock));
        settings = settings.tls(self.tls.clone()).addresses(self.addresses.clone());
        if let Some(timeout) = config.timeout {
            settings = settings.timeout(timeout);
        }
        if let Some(deadline) = config.deadline {
            settings = settings.retry(Retry::within(deadline));
        }
        settings
    }

    fn file(
        &mut self,
        name: &str,
        config: &PersistConfig,
        identity: &IdentityConfig,
    ) -> Result<Persistence, ConfigError> {
        if let Some(file) = self.files.get(&config.path) {
            return Ok(file.clone());
        }
        let key = key(config).map_err(|error| unusable_key(name, config, identity, &error))?;
        let previous = self.previous_files.get(&config.path).filter(|file| file.has_key(&key));
        let file = match previous {
            Some(file) => file.clone(),
            None => Persistence::open(&config.path, key),
        };
        self.files.insert(config.path.clone(), file.clone());
        Ok(file)
    }

    /// Whether a file is one of the identities that are replaced.
    fn is_reused(&self, file: &Persistence) -> bool {
        self.previous_files.values().any(|previous| previous.is_same(file))
    }
}

fn with_help(diagnostic: Diagnostic, help: Option<&str>) -> Diagnostic {
    help.into_iter().fold(diagnostic, Diagnostic::help)
}

/// The source of an identity cannot be created on this machine.
pub(crate) fn no_source(name: &str, identity: &IdentityConfig, error: &NoSource) -> ConfigError {
    let message = format!("the identity `{name}` has no source: {error}");
    with_help(Diagnostic::new(identity.location.clone(), message), error.help()).into()
}

/// The key of tokens on disk cannot be used.
pub(crate) fn unusable_key(
    name: &str,
    config: &PersistConfig,
    identity: &IdentityConfig,
    error: &InvalidKey,
) -> ConfigError {
    let line = match &config.key {
        PersistKeyConfig::File(_) => "persist_key",
        PersistKeyConfig::Credential(_) => "persist_credential",
    };
    let message = format!("`{line}` in [identity.{}]: {error}", toml_key(name));
    with_help(Diagnostic::new(identity.location.clone(), message), error.help()).into()
}

/// The key that encrypts the tokens on disk.
pub(crate) fn key(config: &PersistConfig) -> Result<PersistKey, InvalidKey> {
    match &config.key {
        PersistKeyConfig::File(path) => PersistKey::from_file(path),
        PersistKeyConfig::Credential(name) => PersistKey::from_credential(name, &variable),
    }
}

#[allow(clippy::disallowed_methods, reason = "the only function that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
