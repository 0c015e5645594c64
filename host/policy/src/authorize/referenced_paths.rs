//! Paths that a request refers to in addition to its own: the source of a copy, the target of a
//! rename.
//!
//! A narrowed grant must cover these paths too. Otherwise a mount that may write to one container
//! could copy into it from any other. The cloud table has the header fields and parameters that
//! refer to paths, by service. The paths are read as the service reads the paths of requests, and
//! are sent unchanged.

use http::uri::{Authority, Uri};
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::denied::Denied;
use super::origin::origin_of;
use super::violation::Violation;
use crate::cloud::ReferencedPath;
use crate::grant::Grant;
use crate::path::NormalPath;
use crate::request_head::RequestHead;

/// The characters that are not encoded when a parameter's value is written as a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Checks the paths that a request refers to in addition to its own.
///
/// A path that is only read, such as the source of a copy, is compared like that of a `GET` without
/// a query. Any other is compared like the path of the request itself.
pub(super) fn check(
    grant: &Grant,
    head: &RequestHead<'_>,
    headers: &HeaderMap,
) -> Result<(), Denied> {
    if !grant.is_narrowed() {
        return Ok(());
    }
    for reference in &grant.referenced_paths {
        let method = method_of(reference);
        let compared = method.as_ref().map_or(*head, RequestHead::of_method);
        for path in read(reference, grant, head.query, headers, None)? {
            let covered = grant.covers(&compared, &path);
            covered.map_err(|reason| Denied::not_covered(grant, &compared, &path, reason))?;
        }
    }
    Ok(())
}

/// A path that a request refers to.
pub(crate) struct Reference {
    /// The header field, or the parameter of the query.
    pub(crate) field: String,
    /// The method that it is compared with; `None` for that of the request.
    pub(crate) method: Option<Method>,
    /// Without the endpoint's prefix. The error is of a path that cannot be compared.
    pub(crate) path: Result<NormalPath, Violation>,
}

/// The paths that a caller's own request refers to, as the grant's service reads them. `own_url` is
/// where callers reach the mount: plugins take it for the endpoint's address.
pub(crate) fn find(grant: &Grant, head: &RequestHead<'_>, own_url: Option<&str>) -> Vec<Reference> {
    let none = HeaderMap::new();
    let headers = head.headers.unwrap_or(&none);
    let mut found = Vec::new();
    for reference in &grant.referenced_paths {
        let one = |path| Reference { field: name(reference), method: method_of(reference), path };
        match read(reference, grant, head.query, headers, own_url) {
            Ok(paths) => found.extend(paths.into_iter().map(|path| one(Ok(path)))),
            Err(violation) => found.push(one(Err(violation))),
        }
    }
    found
}

fn method_of(reference: &ReferencedPath) -> Option<Method> {
    reference.method.as_deref().and_then(|name| name.parse().ok())
}

fn name(reference: &ReferencedPath) -> String {
    reference.header.as_ref().or(reference.query.as_ref()).cloned().unwrap_or_default()
}

/// The paths of one header field or parameter, without the endpoint's prefix.
fn read(
    reference: &ReferencedPath,
    grant: &Grant,
    query: Option<&str>,
    headers: &HeaderMap,
    own_url: Option<&str>,
) -> Result<Vec<NormalPath>, Violation> {
    let name = || name(reference);
    let paths = paths(reference, grant, query, headers, own_url)?;
    let read = paths.into_iter().map(|path| {
        let path = grant
            .read_unchanged(&path)
            .map_err(|error| Violation::AmbiguousReference { field: name(), error })?;
        path.ok_or_else(|| other_host(&name(), &grant.endpoint.authority(), grant))
    });
    read.collect()
}

/// The paths that a request has in a header field or a parameter of its query.
fn paths(
    reference: &ReferencedPath,
    grant: &Grant,
    query: Option<&str>,
    headers: &HeaderMap,
    own_url: Option<&str>,
) -> Result<Vec<String>, Violation> {
    let mut paths = Vec::new();
    if let Some(name) = &reference.header {
        for value in headers.get_all(name.as_str()) {
            let text = value.to_str().map_err(|_| Violation::UncheckableReference(name.clone()))?;
            paths.push(path_in_header(text, name, grant, own_url)?);
        }
    }
    if let Some(name) = &reference.query {
        for value in values(query.unwrap_or_default(), name) {
            if let Some(opaque_when) = &reference.opaque_when {
                if value.eq_ignore_ascii_case(opaque_when.as_bytes()) {
                    return Err(Violation::UncheckableReference(format!("{name}={opaque_when}")));
                }
                continue;
            }
            let separator = |byte: &u8| reference.list && *byte == b',';
            let prefix = reference.prefix.as_deref().unwrap_or_default();
            paths.extend(
                value
                    .split(separator)
                    .map(|path| format!("{prefix}{}", percent_encode(path, PATH))),
            );
        }
    }
    Ok(paths)
}

/// The values of a parameter, decoded. Some services read a plus as a space and others do not, so
/// a value with a plus is returned in both readings.
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

/// A violation: the path is at another host than the grant's.
fn other_host(field: &str, authority: &str, grant: &Grant) -> Violation {
    let authority = authority.chars().take(200).collect();
    Violation::ReferenceToOtherHost {
        field: field.to_owned(),
        authority,
        endpoint: grant.endpoint.to_string(),
    }
}

/// The path in a header field: a path, or a URL at this endpoint. No pattern can cover a URL at
/// another host, which may be another name of the same account.
fn path_in_header(
    text: &str,
    name: &str,
    grant: &Grant,
    own_url: Option<&str>,
) -> Result<String, Violation> {
    let path = |text: &str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    if text.starts_with('/') {
        return Ok(path(text));
    }
    let own = own_url.and_then(|url| text.strip_prefix(url)).filter(|rest| rest.starts_with('/'));
    if let Some(rest) = own {
        return Ok(format!("{}{}", grant.endpoint.prefix, path(rest)));
    }
    let uri: Uri = text.parse().map_err(|_| Violation::UncheckableReference(name.to_owned()))?;
    let authority = uri.authority().map_or("", Authority::as_str);
    if uri.scheme_str() != Some("https")
        || origin_of(authority, grant).is_none_or(|origin| !origin.takes_token)
    {
        return Err(other_host(name, authority, grant));
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
        let (referenced_paths, paths) = (service.referenced_paths.clone(), service.paths.unwrap());
        Grant { referenced_paths, paths, ..Grant::example(endpoint).allowing(allowed) }
    }

    #[test]
    fn the_source_of_a_copy_may_be_at_a_redirects_host_only_if_that_takes_tokens() {
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
        let denied = from("https://node.example/open/a").unwrap_err();
        assert!(
            matches!(denied, Denied::Violation(Violation::ReferenceToOtherHost { .. })),
            "{denied:?}"
        );
    }

    fn header(grant: &Grant, name: &'static str, value: &str) -> Result<(), Denied> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        let head = RequestHead { headers: Some(&headers), ..RequestHead::of_method(&Method::PUT) };
        check(grant, &head, &headers)
    }

    fn query(grant: &Grant, method: Method, query: &str) -> Result<(), Denied> {
        let head = RequestHead { query: Some(query), ..RequestHead::of_method(&method) };
        check(grant, &head, &HeaderMap::new())
    }

    #[test]
    fn the_source_of_a_copy_must_be_allowed_to_be_read() {
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
            "not a URL",
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
            "the grant is not narrowed"
        );
    }

    #[test]
    fn the_source_of_a_rename_must_be_allowed_to_be_written() {
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
    fn the_paths_in_queries_of_webhdfs_are_checked() {
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

    #[test]
    fn a_comma_separates_paths_only_in_a_list() {
        let patterns = ["PUT /webhdfs/v1/public/**", "POST /webhdfs/v1/public/**"];
        let lake = grant("datalake", "https://contoso.azuredatalakestore.net", &patterns);
        assert_eq!(query(&lake, Method::PUT, "op=RENAME&destination=/public/a,b"), Ok(()));
        assert!(query(&lake, Method::POST, "op=CONCAT&sources=/public/a,b").is_err());
    }

    #[test]
    fn a_reference_outside_the_prefix_or_at_another_host_names_the_field_and_the_host() {
        let service = &Cloud::named("public").unwrap().services["blob"];
        let grant = Grant {
            referenced_paths: service.referenced_paths.clone(),
            paths: service.paths.unwrap(),
            ..Grant::example("https://localhost:10000/account").allowing(&["* /**"])
        };
        let denied = |source: &str| header(&grant, "x-ms-copy-source", source).unwrap_err();
        for (source, authority) in [
            ("https://localhost:10000/accounts/c/a", "localhost:10000"),
            ("https://evil.example/account/c/a", "evil.example"),
        ] {
            let expected = Violation::ReferenceToOtherHost {
                field: "x-ms-copy-source".to_owned(),
                authority: authority.to_owned(),
                endpoint: "https://localhost:10000/account".to_owned(),
            };
            assert_eq!(denied(source), Denied::Violation(expected));
        }
        assert_eq!(
            header(&grant, "x-ms-copy-source", "https://localhost:10000/account/c/a"),
            Ok(())
        );
    }
}
