//! The permission that a request requires of its shared access signature.
//!
//! It is the least that the documentation of [service SAS permissions] allows. A service SAS covers
//! a blob or the blobs of a container, but neither the container itself nor the account.
//!
//! [service SAS permissions]: https://learn.microsoft.com/rest/api/storageservices/create-service-sas#specify-permissions

use keyward_plugin::{Method, Problem, Request};
use percent_encoding::percent_decode_str;

/// The letters of permissions, in the order that the service requires.
pub(crate) const PERMISSIONS: &str = "racwdxyltmeop";

/// The resource and permissions that a shared access signature must cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequiredPermission {
    /// `container`, or `container/blob`, decoded.
    pub(crate) resource: String,
    /// Whether the resource is a blob, instead of the blobs of a container.
    pub(crate) is_blob: bool,
    /// Letters, in the order of [`PERMISSIONS`].
    pub(crate) permissions: String,
}

/// The resource that a path names.
pub(crate) enum Resource {
    Account,
    Container(String),
    Blob(String),
}

/// The permission that a request requires.
///
/// # Errors
///
/// A problem (400) if no service SAS can cover the request.
pub(crate) fn required_permission(request: &Request) -> Result<RequiredPermission, Problem> {
    let query = |name: &str| parameter(request.query(), name);
    let comp = query("comp").unwrap_or_default().to_ascii_lowercase();
    let is_container =
        query("restype").is_some_and(|restype| restype.eq_ignore_ascii_case("container"));
    if request.headers.contains("x-ms-copy-source") {
        return Err(beyond_sas("a copy, whose source would need a signature of its own"));
    }
    let required = |resource: String, is_blob, permission: char| {
        Ok(RequiredPermission { resource, is_blob, permissions: permission.to_string() })
    };
    match resource(request.path(), is_container)? {
        Resource::Account => Err(beyond_sas("the account")),
        Resource::Container(name) if comp == "list" && request.method == Method::Get => {
            required(name, false, 'l')
        }
        Resource::Container(_) => Err(beyond_sas("a container itself")),
        Resource::Blob(name) => {
            let permission = blob_permission(&request.method, &comp, query("versionid").is_some())
                .ok_or_else(|| beyond_sas(&format!("{} of a blob", request.method)))?;
            required(name, true, permission)
        }
    }
}

fn blob_permission(method: &Method, comp: &str, is_version: bool) -> Option<char> {
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

/// The container or blob of a path. A path of one segment is a container if `is_container`, and
/// otherwise a blob in the container `$root`.
pub(crate) fn resource(path: &str, is_container: bool) -> Result<Resource, Problem> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::bad_request("the path is not valid UTF-8"))?;
    // The service normalizes the name in the same way before it verifies a signature.
    let decoded = decoded.replace('\\', "/");
    // The signed string consists of lines, so a line break in the name could add another one.
    if decoded
        .contains(|letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'))
    {
        return Err(Problem::bad_request(
            "the path contains a line break or another control character",
        ));
    }
    if decoded.starts_with('/') || decoded.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Problem::bad_request("the path has an empty container or a dot segment"));
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

/// The undecoded value of a query parameter.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn beyond_sas(what: &str) -> Problem {
    let detail = format!(
        "a service SAS cannot cover {what}: it covers reading, writing, deleting and listing \
         blobs. Use a mount with `auth = \"entra\"`"
    );
    Problem::new(400, "beyond-sas", "No SAS can cover this", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(method: &str, path: &str) -> Option<(String, String)> {
        let required = required_permission(&Request::new(method.into(), path)).ok()?;
        assert_eq!(required.is_blob, required.resource.contains('/'));
        Some((required.resource, required.permissions))
    }

    #[test]
    fn a_request_requires_the_least_permission_that_the_service_accepts() {
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
                required(method, path),
                Some((resource.to_owned(), permissions.to_owned())),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn requests_that_no_signature_covers_are_errors() {
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
            assert_eq!(required(method, path), None, "{method} {path}");
        }
        let mut copy = Request::new(Method::Put, "/c/b");
        copy.headers.set("x-ms-copy-source", "https://x").unwrap();
        assert!(required_permission(&copy).is_err());
    }
}
