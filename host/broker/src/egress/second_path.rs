//! Paths that a request names beside its own: the source of a copy, the target of a rename.
//!
//! A grant that narrows what may be sent narrows these too, or a mount that may write in one place could copy there from any
//! other. Which requests name paths where is a matter of the service, and stands in the cloud table.

use http::uri::{Authority, Uri};
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::rules::{Misuse, Refusal, origin_of};
use crate::cloud::SecondPath;
use crate::grant::{Grant, NormalPath};

/// What stays as it is when a path in a query's value is written as a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Checks the paths that a request names beside its own.
pub(super) fn check(
    number: usize,
    grant: &Grant,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if grant.declared.is_none() && grant.allowed.is_none() {
        return Ok(());
    }
    for place in &grant.second_paths {
        let as_if = place.method.as_deref().and_then(|name| name.parse().ok()).unwrap_or_else(|| method.clone());
        for path in paths(place, grant, query, headers)? {
            let path = NormalPath::parse(&path).map_err(Misuse::Path)?;
            let behind = path.behind(&grant.endpoint.prefix).ok_or(Misuse::OutsidePrefix)?;
            grant.covers(&as_if, &behind).map_err(|why| Refusal::NotCovered {
                grant: number,
                method: as_if.clone(),
                path: behind.clone(),
                why,
            })?;
        }
    }
    Ok(())
}

fn paths(place: &SecondPath, grant: &Grant, query: Option<&str>, headers: &HeaderMap) -> Result<Vec<String>, Misuse> {
    let mut paths = Vec::new();
    if let Some(name) = &place.header {
        for value in headers.get_all(name.as_str()) {
            let text = value.to_str().map_err(|_| Misuse::SecondPath(name.clone()))?;
            paths.push(of_a_header(text, name, grant)?);
        }
    }
    if let Some(name) = &place.query {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        for (_, value) in pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)) {
            if let Some(unseen) = &place.unseen {
                if value.eq_ignore_ascii_case(unseen) {
                    return Err(Misuse::SecondPath(format!("{name}={unseen}")));
                }
                continue;
            }
            let values = if place.list { value.split(',').collect() } else { vec![&*value] };
            let under = place.under.as_deref().unwrap_or_default();
            paths.extend(values.iter().map(|path| format!("{under}{}", utf8_percent_encode(path, PATH))));
        }
    }
    Ok(paths)
}

/// The path in a header field: a path as it is, or the URL of something at this endpoint. What is elsewhere no pattern can
/// cover; and the same storage may have other names, so that elsewhere is not another place.
fn of_a_header(text: &str, name: &str, grant: &Grant) -> Result<String, Misuse> {
    if text.starts_with('/') {
        return Ok(text.split(['?', '#']).next().unwrap_or_default().to_owned());
    }
    let uri: Uri = text.parse().map_err(|_| Misuse::SecondPath(name.to_owned()))?;
    let authority = uri.authority().map_or("", Authority::as_str);
    if uri.scheme_str() != Some("https") || origin_of(authority, grant).is_none_or(|origin| !origin.takes_token) {
        let authority = authority.chars().take(200).collect();
        return Err(Misuse::Elsewhere { authority, endpoints: grant.endpoint.to_string() });
    }
    Ok(uri.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Cloud;
    use crate::grant::{Endpoint, Redirect};

    fn grant(service: &str, endpoint: &str, allowed: &[&str]) -> Grant {
        let second_paths = Cloud::named("public").unwrap().services[service].second_paths.clone();
        Grant { second_paths, ..Grant::example(endpoint).allowing(allowed) }
    }

    #[test]
    fn a_source_at_a_redirects_host_must_be_one_for_tokens() {
        let mut blobs = grant("blob", "https://contoso.blob.core.windows.net", &["PUT /public/**", "GET /open/**"]);
        let to = |origin, takes_token| Redirect { endpoint: Endpoint::parse(origin).unwrap(), takes_token };
        blobs.redirects = vec![to("https://other.blob.core.windows.net", true), to("https://node.example", false)];
        let from = |source| header(&blobs, "x-ms-copy-source", source);
        assert_eq!(from("https://other.blob.core.windows.net/open/a"), Ok(()));
        let misuse = from("https://node.example/open/a").unwrap_err();
        assert!(matches!(misuse, Refusal::Misuse(Misuse::Elsewhere { .. })), "{misuse:?}");
    }

    fn header(grant: &Grant, name: &'static str, value: &str) -> Result<(), Refusal> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        check(0, grant, &Method::PUT, None, &headers)
    }

    fn query(grant: &Grant, method: Method, query: &str) -> Result<(), Refusal> {
        check(0, grant, &method, Some(query), &HeaderMap::new())
    }

    #[test]
    fn the_source_of_a_copy_must_be_one_that_may_be_read() {
        let blobs = grant("blob", "https://contoso.blob.core.windows.net", &["PUT /public/**", "GET /open/**"]);
        let from = |source| header(&blobs, "x-ms-copy-source", source);
        assert_eq!(from("https://contoso.blob.core.windows.net/open/a?snapshot=1"), Ok(()));
        for secret in [
            "https://contoso.blob.core.windows.net/secret/a",
            "https://contoso.blob.core.windows.net/open/%2e%2e/secret/a",
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
        let mut free = blobs;
        free.allowed = None;
        assert_eq!(header(&free, "x-ms-copy-source", "https://public.example/a"), Ok(()), "nothing is narrowed");
    }

    #[test]
    fn what_is_renamed_must_be_where_that_may_be_written() {
        let lake = grant("dfs", "https://contoso.dfs.core.windows.net", &["PUT /fs/public/**"]);
        assert_eq!(header(&lake, "x-ms-rename-source", "/fs/public/a?sv=1"), Ok(()));
        assert!(header(&lake, "x-ms-rename-source", "/fs/secret/a").is_err());
        assert!(header(&lake, "x-ms-rename-source", "/fs/public/../secret/a").is_err());
    }

    #[test]
    fn the_paths_in_webhdfs_queries_are_looked_at() {
        let patterns = ["PUT /webhdfs/v1/public/**", "POST /webhdfs/v1/public/**"];
        let lake = grant("datalake", "https://contoso.azuredatalakestore.net", &patterns);
        assert_eq!(query(&lake, Method::PUT, "op=RENAME&destination=/public/b%20c"), Ok(()));
        assert!(query(&lake, Method::PUT, "op=RENAME&destination=/secret/b").is_err());
        assert!(query(&lake, Method::PUT, "op=RENAME&Destin%61tion=%2Fsecret/b").is_err());
        assert!(query(&lake, Method::PUT, "op=RENAME&destination=/public/../secret").is_err());
        assert_eq!(query(&lake, Method::POST, "op=CONCAT&sources=/public/a,/public/b"), Ok(()));
        assert!(query(&lake, Method::POST, "op=CONCAT&sources=/public/a,/secret/b").is_err());
        assert!(query(&lake, Method::POST, "op=msconcat").is_err(), "its paths are in the body");
    }
}
