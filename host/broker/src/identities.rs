//! The identities of a configuration, each with its cache of tokens.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use keyward_identity::cache::{InvalidKey, PersistKey, Persistence, Policy};
use keyward_identity::clock::Clock;
use keyward_identity::source::{self, Imds, InvalidSource, Pace, Retry, Settings, Tls};
use keyward_identity::{TokenCache, TokenSource};

use crate::start_error::StartError;
use crate::upstream::Trust;
use keyward_policy::config::{
    Config, IdentityConfig, IdentitySource, ImdsConfig, PersistConfig, PersistKeyConfig,
    SourceConfig,
};
use keyward_policy::diagnostic::{ConfigError, Diagnostic};
use keyward_policy::text::bare;

/// The identities at work.
pub(crate) struct Identities {
    pub(crate) caches: BTreeMap<String, TokenCache>,
    /// Where tokens survive a restart.
    pub(crate) files: Vec<Persistence>,
}

/// A cache for each identity. Those of one endpoint share its pace, and those of one file the file.
pub(crate) fn caches(
    config: &Config,
    trust: &Trust,
    clock: &Arc<dyn Clock>,
    supplied: &Sources,
) -> Result<Identities, StartError> {
    let tls = trust.client().map_err(|error| StartError::Tls(error.to_string()))?;
    let mut factory = SourceFactory::new(config, tls.into(), clock, supplied);
    let mut caches = BTreeMap::new();
    for (name, identity) in &config.identities {
        let source = factory.source(name, identity).map_err(|why| {
            let message = format!("the identity `{name}` has no source: {why}");
            ConfigError::from(Diagnostic::new(identity.place.clone(), message))
        })?;
        tracing::debug!(identity = name, source = source.describe(), "identity");
        let (clock, policy) = (Arc::clone(clock), Policy::default());
        let cache = match &identity.persist {
            None => TokenCache::with(source, clock, policy),
            Some(persist) => {
                TokenCache::persisted(source, clock, policy, factory.file(name, persist, identity)?)
            }
        };
        caches.insert(name.clone(), cache);
    }
    Ok(Identities { caches, files: factory.files.into_values().collect() })
}

/// Makes the sources of identities.
pub(crate) struct SourceFactory<'c> {
    paces: HashMap<Option<String>, Pace>,
    files: HashMap<PathBuf, Persistence>,
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
            paces: HashMap::new(),
            files: HashMap::new(),
            clock,
            authority,
            tls,
            addresses,
            supplied,
        }
    }

    pub(crate) fn source(
        &mut self,
        name: &str,
        identity: &IdentityConfig,
    ) -> Result<Arc<dyn TokenSource>, String> {
        let words = |error: InvalidSource| error.to_string();
        match &identity.source {
            IdentitySource::Supplied => match self.supplied.get(name) {
                Some(source) => Ok(Arc::clone(source)),
                None => {
                    Err("the service that embeds the broker supplies none (`Options::sources`)"
                        .to_owned())
                }
            },
            IdentitySource::Imds(imds) => self.imds(imds).map(|imds| Arc::new(imds) as _),
            IdentitySource::Platform(kind, config) => {
                let (identity, settings) = (config.user_assigned.clone(), self.settings(config));
                source::source(*kind, &variable, identity, Some(self.authority), settings)
                    .map_err(words)
            }
            IdentitySource::Auto(config) => {
                let (identity, settings) = (config.user_assigned.clone(), self.settings(config));
                source::auto(&variable, identity, Some(self.authority), settings).map_err(words)
            }
        }
    }

    fn imds(&mut self, config: &ImdsConfig) -> Result<Imds, String> {
        let pace = self.paces.entry(config.endpoint.clone()).or_default().clone();
        let settings = Settings::default().pace(pace).clock(Arc::clone(self.clock));
        let mut imds = Imds::new().settings(settings.addresses(self.addresses.clone()));
        if let Some(user_assigned) = &config.user_assigned {
            imds = imds.user_assigned(user_assigned.clone());
        }
        if let Some(endpoint) = &config.endpoint {
            imds = imds.endpoint(endpoint).map_err(|error| error.to_string())?;
        }
        if let Some(timeout) = config.timeout {
            imds = imds.timeout(timeout);
        }
        if let Some(deadline) = config.deadline {
            imds = imds.retry(Retry::within(deadline));
        }
        Ok(imds)
    }

    /// Sources that name no endpoint share the pace of the machine's own.
    fn settings(&mut self, config: &SourceConfig) -> Settings {
        let pace = self.paces.entry(None).or_default().clone();
        let mut settings = Settings::default().pace(pace).clock(Arc::clone(self.clock));
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
        let key = key(config).map_err(|error| {
            let line = match &config.key {
                PersistKeyConfig::File(_) => "persist_key",
                PersistKeyConfig::Credential(_) => "persist_credential",
            };
            let message = format!("`{line}` in [identity.{}]: {error}", bare(name));
            Diagnostic::new(identity.place.clone(), message)
        })?;
        let file = Persistence::open(&config.path, key);
        self.files.insert(config.path.clone(), file.clone());
        Ok(file)
    }
}

/// The key that tokens on disk are encrypted with.
pub(crate) fn key(config: &PersistConfig) -> Result<PersistKey, InvalidKey> {
    match &config.key {
        PersistKeyConfig::File(path) => PersistKey::from_file(path),
        PersistKeyConfig::Credential(name) => PersistKey::from_credential(name, &variable),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
