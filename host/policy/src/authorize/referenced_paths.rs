//! Paths that a request names beside its own: the source of a copy, the target of a rename.
//!
//! A grant that narrows what may be sent narrows these too, or a mount that may write in one place
//! could copy there from any other. Which requests name paths where is a matter of the service, and
//! stands in the cloud table. The paths are read as the service reads those of requests, and are
//! sent as they were written.

use http::uri::{Authority, Uri};
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::denied::{Denied, DeniedRequest};
use super::origin::origin_of;
use super::violation::Violation;
use crate::cloud::SecondPath;
use crate::grant::Grant;

/// What stays as it is when a path in a query's value is written as a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Checks the paths that a request names beside its own.
pub(super) fn check(
    grant: &Grant,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Denied> {
    if !grant.is_narrowed() {
        return Ok(());
    }
    for place in &grant.second_paths {
        let as_if = place
            .method
            .as_deref()
            .and_then(|name| name.parse().ok())
            .unwrap_or_else(|| method.clone());
        let name = || place.header.as_ref().or(place.query.as_ref()).cloned().unwrap_or_default();
        for path in paths(place, grant, query, headers)? {
            let read = grant.read_unchanged(&path);
            let behind =
                read.map_err(|error| Violation::AmbiguousReference { field: name(), error })?;
            let behind =
                behind.ok_or_else(|| elsewhere(&name(), &grant.endpoint.authority(), grant))?;
            grant.covers(&as_if, &behind).map_err(|why| {
                Denied::NotCovered(DeniedRequest::new(grant, &as_if, &behind, why))
            })?;
        }
    }
    Ok(())
}

fn paths(
    place: &SecondPath,
    grant: &Grant,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Vec<String>, Violation> {
    let mut paths = Vec::new();
    if let Some(name) = &place.header {
        for value in headers.get_all(name.as_str()) {
            let text = value.to_str().map_err(|_| Violation::UncheckableReference(name.clone()))?;
            paths.push(of_a_header(text, name, grant)?);
        }
    }
    if let Some(name) = &place.query {
        for value in values(query.unwrap_or_default(), name) {
            if let Some(unseen) = &place.unseen {
                if value.eq_ignore_ascii_case(unseen.as_bytes()) {
                    return Err(Violation::UncheckableReference(format!("{name}={unseen}")));
                }
                continue;
            }
            let separator = |byte: &u8| place.list && *byte == b',';
            let under = place.under.as_deref().unwrap_or_default();
            paths.extend(
                value.split(separator).map(|path| format!("{under}{}", percent_encode(path, PATH))),
            );
        }
    }
    Ok(paths)
}

/// The values of a parameter, decoded. A plus is a space to some services, and to others it is not.
fn values(query: &str, name: &str) -> Vec<Vec<u8>> {
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let mut values = Vec::new();
    for pair in query.split('&') {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(&found.replace('+', " ")).eq_ignore_ascii_case(name.as_bytes()) {
            values.push(decoded(&value.replace('+', " ")));
            if value.contains('+') {
                values.push(decoded(value));
            }
        }
    }
    values
}

fn elsewhere(place: &str, authority: &str, grant: &Grant) -> Violation {
    let authority = authority.chars().take(200).collect();
    Violation::ReferenceToOtherHost {
        field: place.to_owned(),
        authority,
        endpoint: grant.endpoint.to_string(),
    }
}

/// The path in a header field: a path as it is, or the URL of something at this endpoint. What is
/// elsewhere no pattern can cover; and the same storage may have other names, so that elsewhere is
/// not another place.
fn of_a_header(text: &str, name: &str, grant: &Grant) -> Result<String, Violation> {
    if text.starts_with('/') {
        return Ok(text.split(['?', '#']).next().unwrap_or_default().to_owned());
    }
    let uri: Uri = text.parse().map_err(|_| Violation::UncheckableReference(name.to_owned()))?;
    let authority = uri.authority().map_or("", Authority::as_str);
    if uri.scheme_str() != Some("https")
        || origin_of(authority, grant).is_none_or(|origin| !origin.takes_token)
    {
        return Err(elsewhere(name, authority, grant));
    }
    Ok(uri.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Cloud;
    use crate::endpoint::Endpoint;
    use crate::grant::Redirect;

    fn grant(service: &str, endpoint: &str, allowed: &[&str]) -> Grant {
        let service = &Cloud::named("public").unwrap().services[service];
        let (second_paths, paths) = (service.second_paths.clone(), service.paths.unwrap());
        Grant { second_paths, paths, ..Grant::example(endpoint).allowing(allowed) }
    }

    #[test]
    fn a_source_at_a_redirects_host_must_be_one_for_tokens() {
        let mut blobs = grant(
            "blob",
            "https://contoso.blob.core.windows.net",
            &["PUT /public/**", "GET /open/**"],
        );
        let to = |origin, takes_token| Redirect {
            endpoint: Endpoint::parse(origin).unwrap(),
            takes_token,
        };
        blobs.redirects = vec![
            to("https://other.blob.core.windows.net", true),
            to("https://node.example", false),
        ];
        let from = |source| header(&blobs, "x-ms-copy-source", source);
        assert_eq!(from("https://other.blob.core.windows.net/open/a"), Ok(()));
        let misuse = from("https://node.example/open/a").unwrap_err();
        assert!(
            matches!(misuse, Denied::Violation(Violation::ReferenceToOtherHost { .. })),
            "{misuse:?}"
        );
    }

    fn header(grant: &Grant, name: &'static str, value: &str) -> Result<(), Denied> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        check(grant, &Method::PUT, None, &headers)
    }

    fn query(grant: &Grant, method: Method, query: &str) -> Result<(), Denied> {
        check(grant, &method, Some(query), &HeaderMap::new())
    }

    #[test]
    fn the_source_of_a_copy_must_be_one_that_may_be_read() {
        let blobs = grant(
            "blob",
            "https://contoso.blob.core.windows.net",
            &["PUT /public/**", "GET /open/**"],
        );
        let from = |source: &str| header(&blobs, "x-ms-copy-source", source);
        assert_eq!(from("https://contoso.blob.core.windows.net/open/a?snapshot=1"), Ok(()));
        for secret in [
            "https://contoso.blob.core.windows.net/secret/a",
            "https://contoso.blob.core.windows.net/open/%2e%2e/secret/a",
            "https://contoso.blob.core.windows.net/open%2F..%2Fsecret/a",
            "https://contoso.blob.core.windows.net/open/a%2F..%2F..%2Fsecret%2Fa",
            "https://contoso.blob.core.windows.net/open/%252e%252e/secret/a",
            "https://contoso.blob.core.windows.net/open/..%5Csecret%5Ca",
            "https://contoso.blob.core.windows.net//secret/a",
            "https://CONTOSO.blob.core.windows.net/open/a",
            "https://contoso-secondary.blob.core.windows.net/open/a",
            "https://contoso.dfs.core.windows.net/open/a",
            "https://u@contoso.blob.core.windows.net/open/a",
            "http://contoso.blob.core.windows.net/open/a",
            "/secret/a",
            "no url at all",
        ] {
            assert!(from(secret).is_err(), "{secret}");
        }
        for legal in ["a%2Fb", "a//b", "/lead", "back%5Cslash", "a%252Fb", "a;b", "a+b"] {
            let source = format!("https://contoso.blob.core.windows.net/open/{legal}?snapshot=1");
            assert_eq!(from(&source), Ok(()), "{legal}");
        }
        let mut free = blobs;
        free.allowed = None;
        assert_eq!(
            header(&free, "x-ms-copy-source", "https://public.example/a"),
            Ok(()),
            "nothing is narrowed"
        );
    }

    #[test]
    fn what_is_renamed_must_be_where_that_may_be_written() {
        let lake = grant("dfs", "https://contoso.dfs.core.windows.net", &["PUT /fs/public/**"]);
        assert_eq!(header(&lake, "x-ms-rename-source", "/fs/public/a?sv=1"), Ok(()));
        assert!(header(&lake, "x-ms-rename-source", "/fs/secret/a").is_err());
        for secret in [
            "/fs/public/../secret/a",
            "/fs/public%5C..%5Csecret/a",
            "/fs/public/%252e%252e/secret",
            "//fs/secret/a",
        ] {
            assert!(header(&lake, "x-ms-rename-source", secret).is_err(), "{secret}");
        }
        for legal in
            ["/fs/public/a%2Fb", "/fs/public//a", "/fs/public/back%5Cslash", "/fs/public/a%252Fb"]
        {
            assert_eq!(header(&lake, "x-ms-rename-source", legal), Ok(()), "{legal}");
        }
        let one = grant("dfs", "https://contoso.dfs.core.windows.net", &["PUT /fs/public/back/*"]);
        let unchanged = header(&one, "x-ms-rename-source", "/fs/public/back%5Cslash");
        assert!(unchanged.is_err(), "it is sent with its backslash, which must be allowed too");
    }

    #[test]
    fn the_paths_in_webhdfs_queries_are_looked_at() {
        let patterns = ["PUT /webhdfs/v1/public/**", "POST /webhdfs/v1/public/**"];
        let lake = grant("datalake", "https://contoso.azuredatalakestore.net", &patterns);
        assert_eq!(query(&lake, Method::PUT, "op=RENAME&destination=/public/b%20c"), Ok(()));
        assert!(query(&lake, Method::PUT, "op=RENAME&destination=/secret/b").is_err());
        assert!(query(&lake, Method::PUT, "op=RENAME&Destin%61tion=%2Fsecret/b").is_err());
        assert!(query(&lake, Method::PUT, "op=RENAME&destination=/public/../secret").is_err());
        assert_eq!(query(&lake, Method::PUT, "op=RENAME&destination=//public//b"), Ok(()));
        assert_eq!(query(&lake, Method::PUT, "op=RENAME&destination=/public/a%252Fb%3Bc"), Ok(()));
        assert!(query(&lake, Method::PUT, "op=RENAME&destination=/public/..%5Csecret/b").is_err());
        assert!(
            query(&lake, Method::PUT, "op=RENAME&destination=/public/%c0%ae%c0%ae/secret").is_err()
        );
        assert!(
            query(&lake, Method::PUT, "op=RENAME&destination=/public/%25252e%25252e/secret")
                .is_err()
        );
        let plus = grant(
            "datalake",
            "https://contoso.azuredatalakestore.net",
            &["PUT /webhdfs/v1/a%20b/*"],
        );
        assert!(
            query(&plus, Method::PUT, "op=RENAME&destination=/a+b/c").is_err(),
            "it may be /a+b/c"
        );
        assert_eq!(query(&plus, Method::PUT, "op=RENAME&destination=/a%20b/c"), Ok(()));
        assert_eq!(query(&lake, Method::POST, "op=CONCAT&sources=/public/a,/public/b"), Ok(()));
        assert!(query(&lake, Method::POST, "op=CONCAT&sources=/public/a,/secret/b").is_err());
        assert!(query(&lake, Method::POST, "op=msconcat").is_err(), "its paths are in the body");
    }
}
