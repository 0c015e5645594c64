//! Which permission a request needs, and for what.
//!
//! From the documentation of [service SAS permissions]: the least that a request needs, where it
//! names a choice. A service SAS covers one blob, or one container's blobs; it covers no container
//! and no account.
//!
//! [service SAS permissions]: https://learn.microsoft.com/rest/api/storageservices/create-service-sas#specify-permissions

use keyward_plugin::{Method, Problem, Request};
use percent_encoding::percent_decode_str;

/// The letters of permissions, in the order that the service demands.
pub(crate) const ORDER: &str = "racwdxyltmeop";

/// What a shared access signature must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// `container`, or `container/blob`, decoded.
    pub(crate) resource: String,
    /// Whether it is one blob, and not a container's blobs.
    pub(crate) is_blob: bool,
    /// Letters, in their order.
    pub(crate) permissions: String,
}

/// The containers and blobs that a path names: `None` where it names none, which is the account.
pub(crate) enum Resource {
    Account,
    Container(String),
    Blob(String),
}

/// What a request needs.
pub(crate) fn needed(request: &Request) -> Result<Needed, Problem> {
    let query = |name: &str| parameter(request.query(), name);
    let comp = query("comp").unwrap_or_default().to_ascii_lowercase();
    let is_container =
        query("restype").is_some_and(|restype| restype.eq_ignore_ascii_case("container"));
    if request.headers.contains("x-ms-copy-source") {
        return Err(beyond("a copy, whose source would need a signature of its own"));
    }
    let needed = |resource: String, is_blob, permission: char| {
        Ok(Needed { resource, is_blob, permissions: permission.to_string() })
    };
    match resource(request.path(), is_container)? {
        Resource::Account => Err(beyond("the account")),
        Resource::Container(name) if comp == "list" && request.method == Method::Get => {
            needed(name, false, 'l')
        }
        Resource::Container(_) => Err(beyond("a container itself")),
        Resource::Blob(name) => {
            let permission = of_a_blob(&request.method, &comp, query("versionid").is_some());
            needed(
                name,
                true,
                permission
                    .ok_or_else(|| beyond(&format!("{} of a blob", request.method.as_str())))?,
            )
        }
    }
}

fn of_a_blob(method: &Method, comp: &str, is_version: bool) -> Option<char> {
    match (method, comp) {
        (Method::Get | Method::Head, "tags") => Some('t'),
        (Method::Get | Method::Head, _) => Some('r'),
        (Method::Put, "tags") => Some('t'),
        (Method::Put, "appendblock") => Some('a'),
        (Method::Put, "snapshot") => Some('c'),
        (Method::Put, "immutabilitypolicies" | "legalhold") => Some('i'),
        (Method::Put, _) => Some('w'),
        (Method::Post, "query") => Some('r'),
        (Method::Delete, "immutabilitypolicies") => Some('i'),
        (Method::Delete, _) if is_version => Some('x'),
        (Method::Delete, _) => Some('d'),
        _ => None,
    }
}

/// The container or blob of a path. A path of one segment is a container where the query says so,
/// and else a blob in the container `$root`.
pub(crate) fn resource(path: &str, is_container: bool) -> Result<Resource, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded = decoded
        .map_err(|_| Problem::bad_request("the path is not UTF-8, which no blob's name is"))?;
    // The service does so too, and compares a signature with what comes of it.
    let decoded = decoded.replace('\\', "/");
    // What is signed are lines: a line break in the name would be the beginning of another.
    if decoded
        .contains(|letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'))
    {
        return Err(Problem::bad_request(
            "the path has a line break or another control character in it",
        ));
    }
    if decoded.starts_with('/') || decoded.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Problem::bad_request("the path has an empty container or a dot segment in it"));
    }
    Ok(match decoded.split_once('/') {
        None if decoded.is_empty() => Resource::Account,
        None | Some((_, "")) if is_container => {
            Resource::Container(decoded.trim_end_matches('/').to_owned())
        }
        None => Resource::Blob(format!("$root/{decoded}")),
        Some(_) => Resource::Blob(decoded),
    })
}

/// The value of a query's parameter, as it stands there.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn beyond(what: &str) -> Problem {
    let detail = format!(
        "a service SAS cannot cover {what}: it covers reading, writing and deleting blobs, and \
         listing them. Call a mount \
         with `auth = \"entra\"` for this"
    );
    Problem::new(400, "beyond-sas", "No SAS can cover this", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(method: &str, path: &str) -> Option<(String, String)> {
        let needed = needed(&Request::new(method.into(), path)).ok()?;
        assert_eq!(needed.is_blob, needed.resource.contains('/'));
        Some((needed.resource, needed.permissions))
    }

    #[test]
    fn each_request_needs_the_least_that_the_service_asks_for() {
        for (method, path, resource, permissions) in [
            ("GET", "/c/b", "c/b", "r"),
            ("HEAD", "/c/b?comp=metadata", "c/b", "r"),
            ("GET", "/c/b?comp=blocklist", "c/b", "r"),
            ("GET", "/c/b?comp=tags", "c/b", "t"),
            ("PUT", "/c/b", "c/b", "w"),
            ("PUT", "/c/b?comp=block&blockid=AAAA", "c/b", "w"),
            ("PUT", "/c/b?comp=blocklist", "c/b", "w"),
            ("PUT", "/c/b?comp=appendblock", "c/b", "a"),
            ("PUT", "/c/b?comp=lease", "c/b", "w"),
            ("PUT", "/c/b?comp=snapshot", "c/b", "c"),
            ("POST", "/c/b?comp=query", "c/b", "r"),
            ("DELETE", "/c/b", "c/b", "d"),
            ("DELETE", "/c/b?versionId=2026", "c/b", "x"),
            ("GET", "/c?restype=container&comp=list&prefix=a", "c", "l"),
            ("GET", "/c/deep/er%20blob", "c/deep/er blob", "r"),
            ("GET", "/c/a%2Fb//c", "c/a/b//c", "r"),
            ("GET", "/c//lead", "c//lead", "r"),
            ("GET", "/c/back%5Cslash", "c/back/slash", "r"),
            ("GET", "/c/a%252Fb", "c/a%2Fb", "r"),
            ("GET", "/c/trail/", "c/trail/", "r"),
            ("GET", "/blob-at-the-root", "$root/blob-at-the-root", "r"),
        ] {
            assert_eq!(
                need(method, path),
                Some((resource.to_owned(), permissions.to_owned())),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn what_no_signature_covers_is_said_so() {
        for (method, path) in [
            ("GET", "/?comp=list"),
            ("PUT", "/c?restype=container"),
            ("GET", "/c?restype=container"),
            ("DELETE", "/c?restype=container"),
            ("PATCH", "/c/b"),
            ("GET", "/c/%ff"),
            ("GET", "/c/b%0A2099-01-01"),
            ("GET", "/c/b%0D"),
            ("GET", "/c/b%E2%80%A8"),
            ("GET", "//c/b"),
            ("GET", "/c/../d/b"),
            ("GET", "/c/a%2f%2e%2e%5cb"),
        ] {
            assert_eq!(need(method, path), None, "{method} {path}");
        }
        let mut copy = Request::new(Method::Put, "/c/b");
        copy.headers.set("x-ms-copy-source", "https://x").unwrap();
        assert!(needed(&copy).is_err());
    }
}
