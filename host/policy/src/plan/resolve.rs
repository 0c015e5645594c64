//! Entries of `[egress.resolve]` that are probably misspelt.

use std::collections::BTreeSet;

use http::Uri;

use super::{Plan, callers};
use crate::config::IdentitySource;
use crate::diagnostic::Diagnostic;

/// The edit distance up to which a host and port counts as misspelt.
const TYPING_ERRORS: usize = 2;

impl Plan {
    /// Warnings about parts of the plan that are valid, but probably mistakes.
    #[must_use]
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let used = self.hosts();
        let entries = self.config.egress.resolve.iter();
        let entries: Vec<(String, String)> =
            entries.map(|((host, port), to)| (format!("{host}:{port}"), to.to_string())).collect();
        // Several plans may share a configuration, so an unused entry alone is not reported.
        let unresolved = used.iter().filter(|host| entries.iter().all(|(entry, _)| entry != *host));
        let unresolved: Vec<&String> = unresolved.collect();
        let unused = entries.iter().filter(|(entry, _)| !used.contains(entry));
        let warnings = unused.filter_map(|(entry, to)| {
            let mut similar = unresolved.iter();
            let intended =
                similar.find(|host| strsim::osa_distance(host.as_str(), entry) <= TYPING_ERRORS)?;
            let message = format!(
                "`{entry:?}` in [egress.resolve] is unused: no mount and no identity connects there"
            );
            Some(Diagnostic::new(None, message).write(format!("{intended:?} = {to:?}")))
        });
        warnings.chain(callers::overlaps(&self.callers)).collect()
    }

    /// The hosts and ports that mounts and identities are configured to connect to.
    fn hosts(&self) -> BTreeSet<String> {
        let grants = self.mounts.iter().flat_map(|mount| &mount.grants);
        let endpoints = grants.flat_map(|grant| {
            let redirects = grant.redirects.iter().map(|redirect| &redirect.endpoint);
            redirects
                .chain([&grant.endpoint])
                .map(|endpoint| (endpoint.host.clone(), endpoint.port))
        });
        let identities =
            self.config.identities.values().filter_map(|identity| match &identity.source {
                IdentitySource::Imds(imds) => origin(imds.endpoint.as_deref()?, 80),
                IdentitySource::Platform(..) | IdentitySource::Auto(_) => {
                    origin(&self.config.cloud.authority, 443)
                }
                IdentitySource::Supplied => None,
            });
        endpoints.chain(identities).map(|(host, port)| format!("{host}:{port}")).collect()
    }
}

/// The host and port of a URL.
fn origin(url: &str, port: u16) -> Option<(String, u16)> {
    let url: Uri = url.parse().ok()?;
    Some((url.host()?.to_owned(), url.port_u16().unwrap_or(port)))
}
