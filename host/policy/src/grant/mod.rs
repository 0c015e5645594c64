//! Grants: what a mount may do, which is what its plugin declares ∩ its configuration allows.

#[cfg(test)]
mod grant_tests;
mod minting_operations;

use std::sync::Arc;
use std::time::Duration;

use keyward_types::Audience;

pub use minting_operations::Minting;

use crate::cloud::{NamedOperation, NamedOperations, RedirectNodes, ReferencedPath};
use crate::endpoint::Endpoint;
use crate::manifest::SpendPlace;
use crate::path::{NormalPath, PathError, PathReading, Purpose};
use crate::pattern::Pattern;
use crate::request_head::{AmbiguousParameter, RequestHead};

/// What a mount may do with the tokens of one audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The audience's name in the manifest. No other grant of the mount has it.
    pub name: Arc<str>,
    /// Whether it is the manifest's first audience, which is configured in `[mount.NAME]` itself.
    pub is_first: bool,
    /// The audience of its tokens.
    pub audience: Audience,
    /// Whether the manifest describes the audience itself, and the configuration restates it.
    pub restated: bool,
    /// The endpoint that the tokens are sent to.
    pub endpoint: Endpoint,
    /// Further origins that the service redirects to. Their paths have the endpoint's prefix too.
    pub redirects: Vec<Redirect>,
    /// The nodes that the service's gateways redirect clients to.
    pub redirect_nodes: Option<RedirectNodes>,
    /// The fields of responses that are sealed.
    pub seals: Vec<Seal>,
    /// Whether the plugin sees secrets that the host would seal otherwise (`unseal`).
    pub unsealed: bool,
    /// The patterns that the manifest declares; `None` for any request.
    pub declared: Option<Vec<Pattern>>,
    /// The patterns that the configuration allows; `None` for any request.
    pub allowed: Option<Vec<Pattern>>,
    /// The patterns that the caller's section adds; `None` for a caller that is not narrowed.
    pub for_caller: Option<CallerAllow>,
    /// The operations that patterns can name.
    pub operations: Vec<&'static NamedOperations>,
    /// How the service reads paths.
    pub paths: PathReading,
    /// The header fields and parameters that refer to a second path, which must be covered too.
    pub referenced_paths: Vec<ReferencedPath>,
    /// Whether the service ignores case in paths.
    pub paths_ignore_case: bool,
    /// Whether the service's partial responses (206) are parts of what a client stored.
    pub returns_stored_content: bool,
    /// The operations at the endpoint that mint credentials.
    pub minting: Minting,
}

/// The `allow` of `[mount.NAME.caller.X]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerAllow {
    /// The caller's name in the configuration.
    pub caller: Arc<str>,
    /// The patterns.
    pub allowed: Vec<Pattern>,
}

/// An origin that a service may redirect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The origin.
    pub endpoint: Endpoint,
    /// Whether the grant's tokens may be sent there. Requests to other origins have no credentials.
    pub takes_token: bool,
}

/// A field of a response that is sealed, and where its value may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The field, as a JSON pointer (RFC 6901).
    pub field: String,
    /// The name of the audience at whose endpoint it may be spent; `None` if the mount has no grant
    /// for it, so that it cannot be spent.
    pub spend: Option<Arc<str>>,
    /// The part of a request where it may be spent.
    pub place: SpendPlace,
    /// How long the response may be cached; `None` for not at all.
    pub keep: Option<Duration>,
    /// The calls whose responses may contain the value itself.
    pub export: Option<Pattern>,
    /// Whether it is sealed regardless of the manifest.
    pub imposed: bool,
}

/// Why a grant does not cover a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotCovered {
    /// The plugin's manifest does not declare it, so no configuration can allow it.
    NotDeclared,
    /// The configuration does not allow it.
    NotAllowed,
    /// The configuration allows it, but not for the caller of this name.
    NotAllowedForCaller(Arc<str>),
    /// A pattern would have to check a parameter that can be read in more than one way.
    AmbiguousParameter(AmbiguousParameter),
}

impl Grant {
    /// Reads the path of a request as the service does, and returns it without the endpoint's
    /// prefix; `None` if it does not begin with the prefix.
    ///
    /// # Errors
    ///
    /// The path is ambiguous.
    pub fn read(&self, path: &str) -> Result<Option<NormalPath>, PathError> {
        let purpose = if self.is_narrowed() { Purpose::Compare } else { Purpose::Forward };
        self.paths.read(path, &self.endpoint.prefix, purpose)
    }

    /// The same for a path in another part of a request, which is sent unchanged.
    pub(crate) fn read_unchanged(&self, path: &str) -> Result<Option<NormalPath>, PathError> {
        self.paths.read(path, &self.endpoint.prefix, Purpose::CompareUnchanged)
    }

    /// Checks that the grant covers a request in all readings of its path, which is without the
    /// endpoint's prefix.
    ///
    /// # Errors
    ///
    /// The manifest does not declare it, the configuration does not allow it, or it has a parameter
    /// that patterns cannot check.
    pub fn covers(&self, head: &RequestHead<'_>, path: &NormalPath) -> Result<(), NotCovered> {
        let for_caller = self.for_caller.as_ref();
        for (patterns, not_covered) in [
            (self.declared.as_ref(), NotCovered::NotDeclared),
            (self.allowed.as_ref(), NotCovered::NotAllowed),
            (
                for_caller.map(|caller| &caller.allowed),
                NotCovered::NotAllowedForCaller(
                    for_caller.map_or_else(Arc::default, |caller| Arc::clone(&caller.caller)),
                ),
            ),
        ] {
            let Some(patterns) = patterns else { continue };
            let mut ambiguous = None;
            let mut matches = |pattern: &Pattern, reading: &str| {
                pattern
                    .matches(head, reading, self.paths_ignore_case, &self.operations)
                    .unwrap_or_else(|parameter| {
                        ambiguous = Some(parameter);
                        false
                    })
            };
            let mut covers =
                |reading: &str| patterns.iter().any(|pattern| matches(pattern, reading));
            if !path.readings().all(&mut covers) {
                return Err(ambiguous.map_or(not_covered, NotCovered::AmbiguousParameter));
            }
        }
        Ok(())
    }

    /// Whether one pattern alone covers a request in all readings of its path.
    #[must_use]
    pub fn is_covered_by(
        &self,
        pattern: &Pattern,
        head: &RequestHead<'_>,
        path: &NormalPath,
    ) -> bool {
        path.readings().all(|reading| {
            pattern.matches(head, reading, self.paths_ignore_case, &self.operations) == Ok(true)
        })
    }

    /// A line of `allow` that covers a request: with the first of the service's operations that
    /// covers it, else with its method.
    #[must_use]
    pub fn line_for(&self, head: &RequestHead<'_>, path: &NormalPath) -> String {
        let covers = |operations: &NamedOperations, name: &str| {
            path.readings().all(|reading| {
                operations.cover(name, head, reading, self.paths_ignore_case) == Ok(true)
            })
        };
        let operation = self.operations.iter().find_map(|operations| {
            let mut names = operations.iter().map(|operation| operation.name.as_str());
            names.find(|name| covers(operations, name))
        });
        let verb = operation.unwrap_or(Pattern::verb_for(head.method));
        format!("{verb} {}", path.covering_pattern())
    }

    /// The operations of the service that a line of `allow` with a method and no parameters covers,
    /// as far as the manifest declares them.
    #[must_use]
    pub fn operations_of(&self, line: &Pattern) -> Vec<&'static NamedOperation> {
        let may_cover = |pattern: &Pattern, operation: &NamedOperation| {
            let by_method = |method| {
                operation.may_have(method) && operation.may_have_path_of(pattern.path_pattern())
            };
            pattern.unconditional_method().is_some_and(by_method)
        };
        let is_declared = |operation: &NamedOperation| {
            let declares = |pattern: &Pattern| {
                pattern.path_pattern().may_overlap(line.path_pattern())
                    && (pattern.operation() == Some(&operation.name)
                        || may_cover(pattern, operation))
            };
            self.declared.as_ref().is_none_or(|declared| declared.iter().any(declares))
        };
        let all = self.operations.iter().flat_map(|operations| operations.iter());
        all.filter(|operation| may_cover(line, operation) && is_declared(operation)).collect()
    }

    /// What a line of `allow` covers, in a few words.
    #[must_use]
    pub fn describe(&self, line: &Pattern) -> String {
        let Some(name) = line.operation() else {
            return line.describe_method();
        };
        let all = self.operations.iter().flat_map(|operations| operations.iter());
        let named: Vec<String> = all
            .filter(|operation| operation.name == name)
            .map(|operation| format!("{} ({})", operation.summary, operation.describe()))
            .collect();
        named.join("; or ")
    }

    /// Whether the manifest or the configuration has patterns for this caller.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.declared.is_some() || self.allowed.is_some() || self.for_caller.is_some()
    }

    /// The same grant on behalf of a caller whose section has an `allow`.
    #[must_use]
    pub fn narrowed_for(&self, caller: CallerAllow) -> Self {
        Self { for_caller: Some(caller), ..self.clone() }
    }

    /// Whether a pattern may cover a request that the grant covers.
    pub(crate) fn may_cover(&self, pattern: &Pattern) -> bool {
        let overlaps = |own: &Pattern| own.may_overlap(pattern, &self.operations);
        let mut lists = [&self.declared, &self.allowed].into_iter().flatten();
        lists.all(|patterns| patterns.iter().any(overlaps))
    }

    /// Whether a pattern of the configuration covers a request in a reading of its path, and has no
    /// `*` in the segment of this index.
    pub(crate) fn allows_literally(
        &self,
        head: &RequestHead<'_>,
        reading: &str,
        segment: usize,
    ) -> bool {
        let names = |pattern: &Pattern| {
            pattern.has_literal(segment)
                && pattern.matches(head, reading, self.paths_ignore_case, &self.operations)
                    == Ok(true)
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
    /// A grant for tests, which covers every request and knows no minting operations.
    pub(crate) fn example(endpoint: &str) -> Self {
        Self {
            name: "it".into(),
            is_first: true,
            audience: Audience::new("https://own.example").unwrap(),
            restated: false,
            endpoint: Endpoint::parse(endpoint).unwrap(),
            redirects: Vec::new(),
            redirect_nodes: None,
            seals: Vec::new(),
            unsealed: false,
            declared: None,
            allowed: None,
            for_caller: None,
            operations: Vec::new(),
            paths: PathReading::Segments,
            referenced_paths: Vec::new(),
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
