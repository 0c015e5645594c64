//! Targets of redirects.
//!
//! A target is parsed here but not authorized: the host checks it against the mount's grant like
//! that of any other request, and denies a redirect that would send the token elsewhere.
//!
//! A caller that must follow a redirect itself gets a link that leads back through the mount, with
//! the target sealed in it ([`Target::link`], [`Target::sealed_in`]). The caller can neither read
//! nor forge it, and it is valid only for the method and the path that it was created for.

use keyward_plugin::{Context, Endpoint, Outgoing, Problem, Request, Response};

use crate::query;

/// The query parameter with the sealed target.
const PARAMETER: &str = "keyward-redirect";

/// The target of a redirect: where the second step is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    authority: String,
    path_and_query: String,
}

/// Whether a status is a redirect. 304 is not one.
pub(crate) fn is_redirect(status: u16) -> bool {
    (300..400).contains(&status) && status != 304
}

impl Target {
    /// The `Location` of a response of the service at `endpoint`.
    ///
    /// # Errors
    ///
    /// A problem (502) if it is neither an `https` URL nor a path on the same host. The problem
    /// does not repeat it, since its query may contain a signature.
    pub(crate) fn of(response: &Response, endpoint: &Endpoint) -> Result<Self, Problem> {
        let Some(location) = response.headers.get("location") else {
            return Err(bad_redirect(
                "The service responded with a redirect without a readable Location",
            ));
        };
        Self::parse(&location, endpoint).ok_or_else(|| {
            bad_redirect(
                "The service responded with a redirect whose Location is neither an https URL nor \
                 a path on its own host",
            )
        })
    }

    fn parse(location: &str, endpoint: &Endpoint) -> Option<Self> {
        // A fragment is never sent to the server.
        let location = location.split('#').next()?;
        let (authority, rest) = match split_scheme(location) {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            // Two slashes would begin the name of another host.
            None if location.starts_with('/') && !location.starts_with("//") => {
                (endpoint.authority.as_str(), location)
            }
            None => return None,
        };
        if authority.is_empty() {
            return None;
        }
        let slash = if rest.starts_with('/') { "" } else { "/" };
        // Hosts are case-insensitive, and the broker has endpoints in lower case.
        Some(Self {
            authority: authority.to_ascii_lowercase(),
            path_and_query: format!("{slash}{rest}"),
        })
    }

    /// The target that is sealed in a request, or `None` if the request does not follow a link.
    ///
    /// # Errors
    ///
    /// A problem (403) if the link was created for another request, or has expired.
    pub(crate) fn sealed_in(request: &Request, cx: &Context) -> Result<Option<Self>, Problem> {
        let Some(sealed) = query::values(request.query(), PARAMETER).next() else {
            return Ok(None);
        };
        let state = cx.open(sealed);
        let target = state.as_deref().and_then(|state| {
            let (purpose, target) = state.split_once('\n')?;
            let (authority, path_and_query) = target.split_once('\n')?;
            (purpose == self::purpose(request)).then(|| Self {
                authority: authority.to_owned(),
                path_and_query: path_and_query.to_owned(),
            })
        });
        target.map(Some).ok_or_else(|| {
            let detail = "The link was not created by this mount for this caller, method and path, \
                          or it is older than ten minutes. Start the operation again";
            Problem::new(403, "bad-link", "The link is invalid", detail)
        })
    }

    /// A link to this target, which the caller can follow with the method of its request.
    pub(crate) fn link(&self, request: &Request, cx: &Context) -> Result<String, Problem> {
        let sealed =
            cx.seal(&format!("{}\n{}\n{}", purpose(request), self.authority, self.path_and_query))?;
        let operation = query::values(request.query(), "op").next().unwrap_or_default();
        Ok(format!("{}{}?op={operation}&{PARAMETER}={sealed}", cx.mount_url(), request.path()))
    }

    /// The URL at the mount of a resource that the service located at a node. Its path is the same.
    pub(crate) fn through_mount(&self, cx: &Context) -> String {
        format!("{}{}", cx.mount_url(), self.path_and_query.split('?').next().unwrap_or_default())
    }

    /// The caller's request to this target, with the same method, header fields and body.
    pub(crate) fn outgoing(self, request: Request) -> Outgoing {
        let Self { authority, path_and_query } = self;
        let Request { method, headers, body, .. } = request;
        Outgoing { method, authority, path_and_query, headers, body }
    }
}

/// The request that a link is valid for.
fn purpose(request: &Request) -> String {
    format!("{} {}", request.method, request.path())
}

/// The problem of a redirect that the plugin does not follow.
pub(crate) fn bad_redirect(detail: &str) -> Problem {
    Problem::new(
        502,
        "bad-redirect",
        "The service redirects to a host that is not permitted",
        detail,
    )
}

fn split_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_at_checked("https://".len())?;
    scheme.eq_ignore_ascii_case("https://").then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(location: &str) -> Option<(String, String)> {
        let endpoint = Endpoint::parse("https://contoso.azuredatalakestore.net/tenant").unwrap();
        Target::parse(location, &endpoint).map(|target| (target.authority, target.path_and_query))
    }

    #[test]
    fn a_location_is_split_and_otherwise_unchanged() {
        for (location, authority, path_and_query) in [
            (
                "https://a.example/x/%20y?op=CREATE&write=true",
                "a.example",
                "/x/%20y?op=CREATE&write=true",
            ),
            ("HTTPS://A.example:8443/x#y", "a.example:8443", "/x"),
            ("https://a.example", "a.example", "/"),
            ("https://a.example?x=/y", "a.example", "/?x=/y"),
            ("https://user@a.example/", "user@a.example", "/"),
            (
                "/x?a=https://b.example/",
                "contoso.azuredatalakestore.net",
                "/x?a=https://b.example/",
            ),
        ] {
            assert_eq!(
                parse(location),
                Some((authority.to_owned(), path_and_query.to_owned())),
                "{location}"
            );
        }
    }

    #[test]
    fn anything_else_is_not_a_target() {
        for location in [
            "http://a.example/x",
            "//a.example/x",
            "https:///x",
            "https://",
            "x?y",
            "?x",
            "#/x",
            "",
            "ftp:x",
        ] {
            assert_eq!(parse(location), None, "{location}");
        }
    }

    #[test]
    fn a_rejected_location_is_not_repeated() {
        let endpoint = Endpoint::parse("https://contoso.azuredatalakestore.net").unwrap();
        let response = Response::new(307).with_header("location", "http://a.example/x?sig=secret");
        let problem = Target::of(&response, &endpoint).unwrap_err();
        assert_eq!(problem.status(), 502);
        assert!(!problem.to_string().contains("secret"));
    }

    #[test]
    fn not_modified_is_not_a_redirect() {
        assert!([301, 302, 303, 307, 308].into_iter().all(is_redirect));
        assert!(![200, 201, 304, 400, 500].into_iter().any(is_redirect));
    }
}
