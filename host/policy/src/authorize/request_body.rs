//! Bodies of GET and HEAD requests.
//!
//! `allow` checks the method and the path of a request. These methods define no meaning for a body
//! (RFC 9110, 9.3.1), so a service that reads one acts on something that no rule has looked at.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method};

use super::violation::Violation;
use crate::grant::Grant;

/// Whether a request must have no body: a GET or HEAD of a narrowed grant.
#[must_use]
pub fn must_be_empty(grant: &Grant, method: &Method) -> bool {
    grant.is_narrowed() && matches!(*method, Method::GET | Method::HEAD)
}

/// Checks that a plugin's request announces no body where it must have none. `content-length: 0` is
/// accepted.
pub(super) fn check(grant: &Grant, method: &Method, headers: &HeaderMap) -> Result<(), Violation> {
    let has_length = || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
    let announces_body = || headers.contains_key(TRANSFER_ENCODING) || has_length();
    if must_be_empty(grant, method) && announces_body() {
        return Err(Violation::Body(method.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(
        grant: &Grant,
        method: Method,
        field: (&'static str, &'static str),
    ) -> Result<(), Violation> {
        let headers = [(field.0.parse().unwrap(), field.1.parse().unwrap())].into_iter().collect();
        check(grant, &method, &headers)
    }

    #[test]
    fn a_get_or_head_of_a_narrowed_grant_announces_no_body() {
        let grant = Grant::example("https://contoso.vault.azure.net").allowing(&["* /**"]);
        for method in [Method::GET, Method::HEAD] {
            for field in [
                ("content-length", "1"),
                ("content-length", "00"),
                ("transfer-encoding", "chunked"),
            ] {
                let denied = checked(&grant, method.clone(), field);
                assert_eq!(denied, Err(Violation::Body(method.clone())), "{field:?}");
            }
            assert_eq!(checked(&grant, method.clone(), ("content-length", "0")), Ok(()));
            assert_eq!(checked(&grant, method, ("accept", "*/*")), Ok(()));
        }
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(checked(&grant, method, ("content-length", "1")), Ok(()));
        }
    }

    #[test]
    fn a_grant_without_patterns_takes_any_body() {
        let grant = Grant::example("https://contoso.vault.azure.net");
        assert!(!grant.is_narrowed());
        assert_eq!(checked(&grant, Method::GET, ("content-length", "1")), Ok(()));
    }
}
