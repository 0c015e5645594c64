//! Redirects of services to origins that `redirects` does not name.
//!
//! The host follows no redirect: it hands it to the plugin, and the next request is checked like
//! any other. That one goes to another origin because its service said so, and not because the
//! plugin did, is remembered for the message: it says which line would allow it.

use http::header::LOCATION;
use http::uri::Scheme;
use http::{HeaderMap, StatusCode, Uri};

use keyward_policy::authorize::{Denied, Violation};

use crate::call::Call;
use crate::denial::RedirectDenied;
use keyward_policy::endpoint::Endpoint;

/// The origin that a response redirects to. `None` also where `redirects` could not name it: its
/// scheme is not https, or an address in place of a name.
pub(super) fn target(status: StatusCode, headers: &HeaderMap) -> Option<Endpoint> {
    if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let location: Uri = headers.get(LOCATION)?.to_str().ok()?.parse().ok()?;
    origin(&location)
}

fn origin(uri: &Uri) -> Option<Endpoint> {
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return None;
    }
    let origin =
        Endpoint::parse(&format!("https://{}", uri.authority()?.as_str().to_ascii_lowercase()))
            .ok()?;
    // No name ends with a label of digits.
    let is_name = origin
        .host
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().any(|byte| !byte.is_ascii_digit()));
    is_name.then_some(origin)
}

/// Why a request was refused, where its service had redirected it to that origin.
pub(super) fn denied(call: &Call, uri: &Uri, denied: &Denied) -> Option<RedirectDenied> {
    let Denied::Violation(Violation::OtherHost { .. }) = denied else { return None };
    let to = origin(uri)?;
    let mount = call.mount();
    let grant = call.grant(&call.redirects().audience_of(&to)?)?;
    Some(RedirectDenied {
        mount: mount.name.clone(),
        audience: (!grant.is_first).then(|| grant.name.to_string()),
        endpoint: grant.endpoint.clone(),
        to,
        named: grant.redirects.iter().map(|redirect| redirect.endpoint.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn to(status: u16, location: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        target(StatusCode::from_u16(status).unwrap(), &headers).map(|to| to.to_string())
    }

    #[test]
    fn a_redirects_origin_is_what_a_line_could_name() {
        for (location, origin) in [
            ("https://node.example/x?y=https://other.example", "https://node.example"),
            ("HTTPS://Node.example:8443", "https://node.example:8443"),
            ("https://node.example:443/x", "https://node.example"),
        ] {
            assert_eq!(to(307, location).as_deref(), Some(origin), "{location}");
        }
        for location in [
            "http://node.example/x",
            "/x",
            "//node.example/x",
            "https://user@node.example/x",
            "https://169.254.169.254/x",
            "https://2130706433/x",
            "https://[::1]/x",
            "https://node.example./x",
            "https://\u{fc}.example/x",
            "",
        ] {
            assert_eq!(to(307, location), None, "{location}");
        }
        assert_eq!(
            (to(200, "https://node.example"), to(304, "https://node.example")),
            (None, None)
        );
    }
}
