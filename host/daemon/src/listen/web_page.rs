//! Web pages are not callers.
//!
//! A browser on this machine lets every page that it shows send requests to a loopback address.
//! What a browser sends says so: `origin`, `sec-fetch-site`, or a `referer` of another origin. Such
//! requests are rejected, unless the configuration names the page's origin. Those pages get the
//! fields of CORS from Keyward, and never those of a service.
//!
//! No browser reaches a Unix socket, so none of this applies there, except that fields by which a
//! service speaks about its own host do not come through.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALT_SVC, CONTENT_SECURITY_POLICY,
    CONTENT_SECURITY_POLICY_REPORT_ONLY, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER,
    REFRESH, SET_COOKIE, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode, Uri};
use keyward::{Body, Rejection};

use super::site::{Site, TcpSite};
use crate::config::Origin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Fields of responses that would say something about the daemon's own host to a browser.
const DROPPED: [HeaderName; 9] = [
    ALT_SVC,
    CLEAR_SITE_DATA,
    CONTENT_SECURITY_POLICY_REPORT_ONLY,
    HeaderName::from_static("nel"),
    REFRESH,
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
];

/// A document runs no script, loads nothing, and has an origin that no other has.
const SANDBOX: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// How long a browser may keep the response to a preflight request, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Rejects the requests of web pages. Returns the page's origin, if it may call.
pub(super) fn check(headers: &HeaderMap, site: &Site) -> Result<Option<HeaderValue>, Rejection> {
    let Site::Tcp(site) = site else { return Ok(None) };
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if is_named(site, origin) => return Ok(Some(origin.clone())),
        (Some(origin), _) => return Err(rejection("origin", origin, site)),
        (None, _) => {}
    }
    if let Some(value) = headers.get(SEC_FETCH_SITE) {
        return Err(rejection("sec-fetch-site", value, site));
    }
    let mut referers = headers.get_all(REFERER).iter();
    match referers.find(|referer| !is_own(site, referer)) {
        Some(referer) => Err(rejection("referer", referer, site)),
        None => Ok(None),
    }
}

fn is_named(site: &TcpSite, origin: &HeaderValue) -> bool {
    site.origins.iter().any(|named| named.as_str().as_bytes() == origin.as_bytes())
}

/// Whether a referring URL is one of this listener: Go's client sends that after a redirect.
fn is_own(site: &TcpSite, referer: &HeaderValue) -> bool {
    let uri = referer.to_str().ok().and_then(|referer| referer.parse::<Uri>().ok());
    uri.is_some_and(|uri| {
        uri.scheme_str() == Some(site.scheme)
            && uri.host().is_some_and(|host| site.is_at(host, uri.port_u16()))
    })
}

fn rejection(field: &'static str, value: &HeaderValue, site: &TcpSite) -> Rejection {
    let section = if site.scheme == "https" { "[listen.tls]" } else { "[listen]" };
    // A value from a page is repeated only where it is a line to write.
    let origin = value.to_str().ok().and_then(|origin| Origin::parse(origin).ok());
    let line = match origin.filter(|_| field == "origin") {
        Some(origin) => format!("origins = [\"{}\"]", origin.as_str()),
        None => "origins = [\"https://app.example\"]".to_owned(),
    };
    let detail = format!(
        "the field `{field}` says that a browser sends this request for a web page. If a page that \
         you trust is to call with `fetch`, write {line} in {section}. A program that is not a \
         browser must not send the field"
    );
    Rejection::denied(StatusCode::FORBIDDEN, "web-page", "Web pages may not call", field, detail)
}

/// The response to a preflight request of a page that may call.
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    let requested =
        headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS);
    let requested = requested?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let fields = response.headers_mut();
    fields.insert(ACCESS_CONTROL_ALLOW_METHODS, requested.clone());
    if let Some(names) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    fields.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    Some(response)
}

/// Removes what a page's request has for CORS: Keyward responds to that, and not the service.
pub(super) fn drop_request_fields(headers: &mut HeaderMap) {
    for name in [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
        headers.remove(name);
    }
}

/// Removes the fields of a service's response that are for its own pages.
pub(super) fn drop_response_fields(headers: &mut HeaderMap) {
    let names = headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
    let names: Vec<HeaderName> = names.cloned().collect();
    for name in names.iter().chain(&DROPPED) {
        headers.remove(name);
    }
}

/// Adds what keeps a browser from showing a response, or using it in a page. `page` is the origin
/// that may read it.
pub(super) fn protect(headers: &mut HeaderMap, site: &Site, page: Option<HeaderValue>) {
    let Site::Tcp(_) = site else { return };
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if let Some(origin) = page {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &str = "https://app.example";

    fn tcp() -> Site {
        let origins = [Origin::parse(ALLOWED).unwrap()];
        Site::tcp("http", "127.0.0.1:8200".parse().unwrap(), &[], &origins)
    }

    fn rule(fields: &[(&'static str, &'static str)]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert!(check(&headers, &Site::Unix).is_ok());
        check(&headers, &tcp()).err().map(|rejection| rejection.rule)
    }

    #[test]
    fn programs_pass() {
        for fields in [
            &[][..],
            &[("sec-fetch-mode", "cors")],
            &[("referer", "http://localhost:8200/vault/secrets")],
            &[("referer", "http://127.0.0.1:8200/")],
            &[("user-agent", "Mozilla/5.0")],
        ] {
            assert_eq!(rule(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn pages_do_not() {
        for (fields, expected) in [
            (&[("origin", "https://evil.example")][..], "origin"),
            (&[("origin", "null")], "origin"),
            (&[("origin", "http://localhost:8200")], "origin"),
            (&[("origin", "http://127.0.0.1:8200")], "origin"),
            (&[("origin", "https://app.example.evil.example")], "origin"),
            (&[("origin", "https://app.example:8443")], "origin"),
            (&[("origin", "http://app.example")], "origin"),
            (&[("origin", "")], "origin"),
            (&[("origin", ALLOWED), ("origin", "https://evil.example")], "origin"),
            (&[("origin", ALLOWED), ("origin", ALLOWED)], "origin"),
            (&[("sec-fetch-site", "cross-site")], "sec-fetch-site"),
            (&[("sec-fetch-site", "same-site")], "sec-fetch-site"),
            (&[("sec-fetch-site", "same-origin")], "sec-fetch-site"),
            (&[("sec-fetch-site", "none")], "sec-fetch-site"),
            (&[("sec-fetch-site", "")], "sec-fetch-site"),
            (&[("referer", "https://evil.example/")], "referer"),
            (&[("referer", "https://localhost:8200/")], "referer"),
            (&[("referer", "http://localhost:8201/")], "referer"),
            (&[("referer", "http://localhost/")], "referer"),
            (&[("referer", "http://evil.example/localhost:8200")], "referer"),
            (&[("referer", "http://localhost:8200@evil.example/")], "referer"),
            (&[("referer", "about:blank")], "referer"),
            (&[("referer", "/path")], "referer"),
            (&[("referer", "")], "referer"),
            (
                &[("referer", "http://localhost:8200/"), ("referer", "http://evil.example/")],
                "referer",
            ),
        ] {
            assert_eq!(rule(fields), Some(expected), "{fields:?}");
        }
    }

    #[test]
    fn a_page_of_a_named_origin_passes() {
        let referer = ("referer", "https://app.example/");
        let site = ("sec-fetch-site", "cross-site");
        assert_eq!(rule(&[("origin", ALLOWED), referer, site]), None);
        // Only `origin` can be named: other fields do not say whether the page may read.
        assert_eq!(rule(&[referer, site]), Some("sec-fetch-site"));
        assert_eq!(rule(&[referer]), Some("referer"));
    }

    #[test]
    fn the_rejection_has_the_line_to_write() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static("https://other.example"));
        let rejection = check(&headers, &tcp()).unwrap_err();
        let line = "write origins = [\"https://other.example\"] in [listen]";
        assert!(rejection.detail.contains(line), "{}", rejection.detail);
        headers.insert(ORIGIN, HeaderValue::from_static("null"));
        assert!(!check(&headers, &tcp()).unwrap_err().detail.contains("null"));
    }
}
