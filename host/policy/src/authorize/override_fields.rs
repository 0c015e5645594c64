//! Header fields that override a request's method or URL.
//!
//! `allow` checks the method and the path that a request has. A service, or a proxy before it, that
//! honours one of these fields acts on another method or path, so they never pass a narrowed grant:
//! neither from a plugin, nor from a caller.

use http::HeaderMap;

use super::violation::Violation;
use crate::grant::Grant;

/// Fields that override the method. All lists here are in lower case and with hyphens.
///
/// The first is the default of ASP.NET Core's `UseHttpMethodOverride`, Rack::MethodOverride,
/// Express's method-override and Google's APIs; the second is OData's ([MS-ODATA] 2.2.5.8), which
/// SharePoint and Dataverse honour; the third is the last one that OWASP's testing guide lists
/// (WSTG-CONF-06).
pub(super) const METHODS: &[&str] =
    &["x-http-method-override", "x-http-method", "x-method-override"];

/// Fields that override the path: those of IIS's URL Rewrite and ISAPI_Rewrite, which Symfony,
/// Drupal and Zend honour too (CVE-2018-14773).
pub const PATHS: &[&str] = &["x-original-url", "x-rewrite-url", "x-override-url"];

/// Fields that a proxy sets for the service behind it, and that some services trust.
const PROXIES: &[&str] = &[
    // Method and URL in requests to authorization services: ingress-nginx, Traefik's ForwardAuth.
    "x-original-method",
    "x-original-uri",
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-original-path",
    // The front ends of Azure App Service.
    "x-waws-unencoded-url",
    // Host: Azure's Application Gateway, and PortSwigger's list of host header attacks.
    "x-original-host",
    "x-host",
    "x-http-host-override",
    "x-forwarded-server",
];

/// The first field that overrides a request's method or URL.
pub fn find(headers: &HeaderMap) -> Option<&'static str> {
    [METHODS, PROXIES, PATHS].into_iter().find_map(|fields| find_of(fields, headers))
}

/// The first of these fields that a request has.
pub fn find_of(fields: &[&'static str], headers: &HeaderMap) -> Option<&'static str> {
    fields.iter().copied().find(|field| headers.keys().any(|name| is_same(name.as_str(), field)))
}

/// Checks a plugin's request that the grant covers.
pub(super) fn check(grant: &Grant, headers: &HeaderMap) -> Result<(), Violation> {
    if !grant.is_narrowed() {
        return Ok(());
    }
    find(headers).map_or(Ok(()), |field| Err(Violation::Override(field)))
}

/// Whether a server may read two names as the same. CGI and WSGI have one variable for `x-a` and
/// `x_a`.
fn is_same(name: &str, field: &str) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    name.len() == field.len() && name.bytes().zip(field.bytes()).all(|(a, b)| fold(a) == b)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn found(name: &str) -> Option<&'static str> {
        let name: HeaderName = name.parse().unwrap();
        find(&HeaderMap::from_iter([(name, HeaderValue::from_static("DELETE"))]))
    }

    #[test]
    fn an_override_is_found_in_every_spelling_that_servers_accept() {
        for field in [METHODS, PROXIES, PATHS].concat() {
            assert_eq!(found(field), Some(field));
            assert_eq!(found(&field.to_ascii_uppercase()), Some(field));
        }
        assert_eq!(found("X_HTTP_Method_Override"), Some("x-http-method-override"));
        assert_eq!(found("x-http.method"), Some("x-http-method"));
    }

    #[test]
    fn ordinary_fields_are_not_overrides() {
        for field in [
            "x-ms-version",
            "x-ms-copy-source",
            "x-http-methods",
            "accept",
            "x-request-id",
            "traceparent",
        ] {
            assert_eq!(found(field), None, "{field}");
        }
    }
}
