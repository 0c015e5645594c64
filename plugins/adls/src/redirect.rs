//! Where a redirect leads.
//!
//! The target is read, not judged: the host checks it against the mount's grant like that of any
//! other request, and fails the call of a service that would lead the token elsewhere.
//!
//! A caller that is to follow a redirect gets a link that leads back through the mount, with the
//! target sealed in it ([`Target::link`], [`Target::sealed_in`]). It can be neither read nor made
//! up, and is good for the method and the path that it was made for.

use keyward_plugin::{Context, Endpoint, Outgoing, Problem, Request, Response};

use crate::query;

/// The parameter of a link that has a target sealed in it.
const PARAMETER: &str = "keyward-redirect";

/// Where the second step goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    authority: String,
    path_and_query: String,
}

/// Whether a status sends the client elsewhere. 304 is in the range, and does not.
pub(crate) fn is_redirect(status: u16) -> bool {
    (300..400).contains(&status) && status != 304
}

impl Target {
    /// The `Location` of an answer of the service at `endpoint`.
    ///
    /// # Errors
    ///
    /// A problem (502) where it is neither an `https` URL nor a path on the same host. The problem
    /// does not repeat it: its query may be signed.
    pub(crate) fn of(answer: &Response, endpoint: &Endpoint) -> Result<Self, Problem> {
        let Some(location) = answer.headers.get("location") else {
            return Err(bad("The service answered with a redirect that has no readable Location"));
        };
        Self::parse(&location, endpoint).ok_or_else(|| {
            bad("The service answered with a redirect whose Location is neither an https URL nor a path on its own host")
        })
    }

    fn parse(location: &str, endpoint: &Endpoint) -> Option<Self> {
        // A fragment is the client's own and is not sent.
        let location = location.split('#').next()?;
        let (authority, rest) = match split_scheme(location) {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            // Two slashes would begin another host's name.
            None if location.starts_with('/') && !location.starts_with("//") => {
                (endpoint.authority.as_str(), location)
            }
            None => return None,
        };
        if authority.is_empty() {
            return None;
        }
        let slash = if rest.starts_with('/') { "" } else { "/" };
        // Hosts have no case, and the broker knows its endpoints in lower case.
        Some(Self {
            authority: authority.to_ascii_lowercase(),
            path_and_query: format!("{slash}{rest}"),
        })
    }

    /// The target that is sealed in a request; `None` where the request is not for a link.
    ///
    /// # Errors
    ///
    /// A problem (403) where the link was not made for this, or is too old.
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
            let detail = "The link is not one that this mount made for this caller, method and path, or it is older than ten \
                          minutes. Start the operation again";
            Problem::new(403, "bad-link", "The link cannot be followed", detail)
        })
    }

    /// A link to this target, for the caller of a request to follow with the same method.
    pub(crate) fn link(&self, request: &Request, cx: &Context) -> Result<String, Problem> {
        let sealed =
            cx.seal(&format!("{}\n{}\n{}", purpose(request), self.authority, self.path_and_query))?;
        let operation = query::values(request.query(), "op").next().unwrap_or_default();
        Ok(format!("{}{}?op={operation}&{PARAMETER}={sealed}", cx.mount_url(), request.path()))
    }

    /// The mount's address for a resource that the service names by a node's: what is behind the
    /// node's name is the same.
    pub(crate) fn through_mount(&self, cx: &Context) -> String {
        format!("{}{}", cx.mount_url(), self.path_and_query.split('?').next().unwrap_or_default())
    }

    /// The caller's request, sent there: method, header fields and body are its own.
    pub(crate) fn outgoing(self, request: Request) -> Outgoing {
        let Self { authority, path_and_query } = self;
        let Request { method, headers, body, .. } = request;
        Outgoing { method, authority, path_and_query, headers, body }
    }
}

/// What a link is for.
fn purpose(request: &Request) -> String {
    format!("{} {}", request.method, request.path())
}

/// A redirect that the plugin does not follow.
pub(crate) fn bad(detail: &str) -> Problem {
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
    fn a_location_is_taken_apart_and_otherwise_left_as_it_is() {
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
    fn anything_else_is_no_target() {
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
    fn a_location_that_is_refused_is_not_repeated() {
        let endpoint = Endpoint::parse("https://contoso.azuredatalakestore.net").unwrap();
        let answer = Response::new(307).with_header("location", "http://a.example/x?sig=secret");
        let problem = Target::of(&answer, &endpoint).unwrap_err();
        assert_eq!(problem.status(), 502);
        assert!(!problem.to_string().contains("secret"));
    }

    #[test]
    fn not_modified_is_no_redirect() {
        assert!([301, 302, 303, 307, 308].into_iter().all(is_redirect));
        assert!(![200, 201, 304, 400, 500].into_iter().any(is_redirect));
    }
}
