//! The origins that a grant's requests may be sent to.

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use crate::endpoint::{Endpoint, Protocol};
use crate::grant::Grant;

/// An origin that a grant's requests may be sent to.
#[derive(Clone, Copy)]
pub(super) struct Origin<'g> {
    pub(super) endpoint: &'g Endpoint,
    /// Whether the grant's credentials may be sent there.
    pub(super) takes_token: bool,
}

impl Origin<'_> {
    /// The URI of a request to a path, which is without the prefix of the grant's endpoint.
    pub(super) fn uri(&self, prefix: &str, path: &str, query: Option<&str>) -> Option<Uri> {
        let path_and_query = match query {
            Some(query) => format!("{prefix}{path}?{query}"),
            None => format!("{prefix}{path}"),
        };
        let path_and_query = PathAndQuery::try_from(path_and_query).ok()?;
        Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(self.endpoint.authority())
            .path_and_query(path_and_query)
            .build()
            .ok()
    }
}

/// The endpoint, and the origins that its service may redirect to.
pub(super) fn origins(grant: &Grant) -> impl Iterator<Item = Origin<'_>> {
    let redirects = grant
        .redirects
        .iter()
        .map(|redirect| Origin { endpoint: &redirect.endpoint, takes_token: redirect.takes_token });
    std::iter::once(Origin { endpoint: &grant.endpoint, takes_token: true }).chain(redirects)
}

/// The origin of a grant that has this authority.
pub(super) fn origin_of<'g>(authority: &str, grant: &'g Grant) -> Option<Origin<'g>> {
    origins(grant).find(|origin| is_authority(authority, origin.endpoint))
}

/// Whether an authority is that of an endpoint, byte for byte. The default port is optional.
fn is_authority(authority: &str, endpoint: &Endpoint) -> bool {
    if endpoint.protocol != Protocol::Https {
        return false;
    }
    match authority.strip_prefix(endpoint.host.as_str()) {
        Some("") => endpoint.port == 443,
        Some(port) => port.strip_prefix(':').is_some_and(|port| port == endpoint.port.to_string()),
        None => false,
    }
}
