//! Redirects of services to origins that `redirects` does not name.
//!
//! The host follows no redirect: it hands it to the plugin, and the next request is checked like any other. That one goes
//! to another origin because its service said so, and not because the plugin did, is remembered for the message: it says
//! which line would allow it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::LOCATION;
use http::uri::Scheme;
use http::{HeaderMap, StatusCode, Uri};

use super::rules::{Misuse, Refusal};
use crate::call::Call;
use crate::config::bare;
use crate::grant::Endpoint;

/// How many origins are remembered of one call.
const MOST: usize = 4;

/// A request to where the service redirected, which the configuration does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedirectDenied {
    /// The mount.
    pub mount: String,
    /// The audience's name, where it is not the plugin's first.
    pub audience: Option<String>,
    /// The endpoint whose service redirected.
    pub endpoint: Endpoint,
    /// Where to.
    pub to: Endpoint,
    /// The origins that `redirects` names.
    pub named: Vec<Endpoint>,
}

impl fmt::Display for RedirectDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, audience, endpoint, to, named } = self;
        let section = match audience {
            None => format!("[mount.{}]", bare(mount)),
            Some(audience) => format!("[mount.{}.audience.{}]", bare(mount), bare(audience)),
        };
        let named: Vec<String> = named.iter().chain([to]).map(|origin| format!("\"{origin}\"")).collect();
        write!(
            f,
            "{endpoint} redirects to {to}, which `redirects` of {section} does not name. If you trust that host, write \
             redirects = [{}] in {section}",
            named.join(", ")
        )
    }
}

impl std::error::Error for RedirectDenied {}

/// The origins that services redirected to in one call, each with the grant whose service it was.
#[derive(Debug, Default)]
pub(crate) struct Redirects(Mutex<Vec<(usize, Endpoint)>>);

impl Redirects {
    pub(crate) fn note(&self, grant: usize, to: Endpoint) {
        let mut noted = self.noted();
        if noted.len() < MOST && !noted.contains(&(grant, to.clone())) {
            noted.push((grant, to));
        }
    }

    /// As text, for a call that comes later.
    pub(crate) fn to_text(&self) -> String {
        let noted = self.noted();
        noted.iter().map(|(grant, to)| format!("{grant} {to}")).collect::<Vec<String>>().join(" ")
    }

    /// Adds what [`to_text`](Self::to_text) wrote.
    pub(crate) fn add(&self, text: &str) {
        let mut words = text.split(' ');
        while let (Some(grant), Some(to)) = (words.next(), words.next()) {
            if let (Ok(grant), Ok(to)) = (grant.parse(), Endpoint::parse(to)) {
                self.note(grant, to);
            }
        }
    }

    fn grant_of(&self, to: &Endpoint) -> Option<usize> {
        self.noted().iter().find(|(_, noted)| noted == to).map(|(grant, _)| *grant)
    }

    fn noted(&self) -> MutexGuard<'_, Vec<(usize, Endpoint)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The origin that a response redirects to. `None` also where `redirects` could not name it: its scheme is not https, or an
/// address in place of a name.
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
    let origin = Endpoint::parse(&format!("https://{}", uri.authority()?.as_str().to_ascii_lowercase())).ok()?;
    // No name ends with a label of digits.
    let is_name = origin.host.rsplit('.').next().is_some_and(|label| label.bytes().any(|byte| !byte.is_ascii_digit()));
    is_name.then_some(origin)
}

/// Why a request was refused, where its service had redirected it to that origin.
pub(super) fn denied(call: &Call, uri: &Uri, refusal: &Refusal) -> Option<RedirectDenied> {
    let Refusal::Misuse(Misuse::Elsewhere { .. }) = refusal else { return None };
    let to = origin(uri)?;
    let number = call.redirects().grant_of(&to)?;
    let mount = call.mount();
    let grant = mount.grants.get(number)?;
    Some(RedirectDenied {
        mount: mount.name.clone(),
        audience: (number > 0).then(|| grant.name.to_string()),
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
        assert_eq!((to(200, "https://node.example"), to(304, "https://node.example")), (None, None));
    }

    #[test]
    fn redirects_are_the_same_in_a_later_call() {
        let (redirects, later) = (Redirects::default(), Redirects::default());
        for host in ["a", "b", "b", "c", "d", "e"] {
            redirects.note(usize::from(host == "b"), Endpoint::parse(&format!("https://{host}.example:1")).unwrap());
        }
        later.add(&redirects.to_text());
        assert_eq!(
            later.to_text(),
            "0 https://a.example:1 1 https://b.example:1 0 https://c.example:1 0 https://d.example:1"
        );
        later.add("");
        later.add("x y 0");
        assert_eq!(later.noted().len(), MOST);
    }
}
