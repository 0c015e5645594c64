//! What a mount may do: what its plugin declares and its configuration grants, both.

mod minting;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use keyward_types::Audience;

pub use minting::Minting;

use crate::cloud::{Routes, SecondPath};
use crate::endpoint::Endpoint;
use crate::manifest::SpendPlace;
use crate::path::{NormalPath, PathError, PathReading, Purpose};
use crate::pattern::Pattern;

/// One audience of one mount.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The audience's name in the manifest. No other grant of the mount has it.
    pub name: Arc<str>,
    /// Whether it is the manifest's first audience, which is configured in `[mount.NAME]` itself.
    pub is_first: bool,
    /// What its tokens are for.
    pub audience: Audience,
    /// Whether the audience and its hosts are the manifest's own, and the configuration restates
    /// them.
    pub restated: bool,
    /// Where they may be sent.
    pub endpoint: Endpoint,
    /// Other origins where requests may be sent, since the service redirects there. Paths are those
    /// behind the endpoint.
    pub redirects: Vec<Redirect>,
    /// Where the service's gateways send clients on to.
    pub routes: Option<Routes>,
    /// What of the answers is sealed.
    pub seals: Vec<Seal>,
    /// Whether the configuration shows the plugin secrets that the host would seal (`unseal`).
    pub unsealed: bool,
    /// What the plugin declares; `None` where its manifest does not narrow it.
    pub declared: Option<Vec<Pattern>>,
    /// What the configuration allows; `None` where it does not narrow it.
    pub allowed: Option<Vec<Pattern>>,
    /// How the service reads paths.
    pub paths: PathReading,
    /// Where requests name paths beside their own, which must be covered too.
    pub second_paths: Vec<SecondPath>,
    /// Whether the service reads paths without regard to case.
    pub paths_ignore_case: bool,
    /// Whether the service's partial responses are parts of what a client stored.
    pub returns_stored_content: bool,
    /// The operations there that mint credentials, and those that may be handed out.
    pub minting: Minting,
}

/// An origin that a service may redirect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The origin.
    pub endpoint: Endpoint,
    /// Whether it is a host for the grant's tokens. Requests to other hosts carry no credentials.
    pub takes_token: bool,
}

/// A field of an answer that is sealed, and where its value may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Where it stands in the answer, as a JSON pointer (RFC 6901).
    pub field: String,
    /// The audience at whose endpoint it may be spent, by its name; `None` where the mount has no
    /// grant for it, so that it can be spent nowhere.
    pub spend: Option<Arc<str>>,
    /// In which place of a request.
    pub place: SpendPlace,
    /// How long an answer may be used again.
    pub keep: Option<Duration>,
    /// The calls whose answers may hold the value itself.
    pub export: Option<Pattern>,
    /// Whether it is sealed whatever the manifest says.
    pub imposed: bool,
}

/// Why a grant does not cover a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCovered {
    /// The plugin's manifest does not declare it: no configuration can allow it.
    NotDeclared,
    /// The configuration does not allow it.
    NotAllowed,
}

impl Grant {
    /// Reads the path of a request as the service does. Returns what is behind the endpoint's
    /// prefix; `None` where it is not below that.
    ///
    /// # Errors
    ///
    /// The path cannot be read in one way.
    pub fn read(&self, path: &str) -> Result<Option<NormalPath>, PathError> {
        let purpose = if self.is_narrowed() { Purpose::Compare } else { Purpose::Forward };
        self.paths.read(path, &self.endpoint.prefix, purpose)
    }

    /// The same of a path that stands elsewhere in a request, where it is left as it is.
    pub(crate) fn read_unchanged(&self, path: &str) -> Result<Option<NormalPath>, PathError> {
        self.paths.read(path, &self.endpoint.prefix, Purpose::CompareUnchanged)
    }

    /// Whether a request to this path behind the endpoint's prefix is covered, in all ways in which
    /// it may be read.
    ///
    /// # Errors
    ///
    /// Says which half is missing.
    pub fn covers(&self, method: &Method, path: &NormalPath) -> Result<(), NotCovered> {
        let matches = |patterns: &Option<Vec<Pattern>>| {
            patterns.as_ref().is_none_or(|patterns| {
                let covers = |reading: &str| {
                    patterns.iter().any(|pattern| {
                        pattern.matches_reading(method, reading, self.paths_ignore_case)
                    })
                };
                path.readings().all(covers)
            })
        };
        if !matches(&self.declared) {
            Err(NotCovered::NotDeclared)
        } else if !matches(&self.allowed) {
            Err(NotCovered::NotAllowed)
        } else {
            Ok(())
        }
    }

    /// Whether it lets out less than everything.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.declared.is_some() || self.allowed.is_some()
    }

    /// Whether a pattern of the configuration covers a request in one of its path's readings, and
    /// has this segment of it written out.
    pub(crate) fn allows_literally(&self, method: &Method, reading: &str, segment: usize) -> bool {
        let names = |pattern: &Pattern| {
            pattern.has_literal(segment)
                && pattern.matches_reading(method, reading, self.paths_ignore_case)
        };
        self.allowed.as_ref().is_some_and(|patterns| patterns.iter().any(names))
    }
}

impl AsRef<Grant> for Grant {
    fn as_ref(&self) -> &Grant {
        self
    }
}

#[cfg(test)]
impl Grant {
    /// A grant for a test, that lets out everything. What is requested there has no second path,
    /// and mints nothing.
    pub(crate) fn example(endpoint: &str) -> Self {
        Self {
            name: "it".into(),
            is_first: true,
            audience: Audience::new("https://own.example").unwrap(),
            restated: false,
            endpoint: Endpoint::parse(endpoint).unwrap(),
            redirects: Vec::new(),
            routes: None,
            seals: Vec::new(),
            unsealed: false,
            declared: None,
            allowed: None,
            paths: PathReading::Segments,
            second_paths: Vec::new(),
            paths_ignore_case: false,
            returns_stored_content: false,
            minting: Minting::default(),
        }
    }

    /// The same, narrowed by `allow`.
    pub(crate) fn allowing(self, patterns: &[&str]) -> Self {
        let allowed = patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect();
        Self { allowed: Some(allowed), ..self }
    }
}
