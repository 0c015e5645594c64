//! Signatures for callers: `POST /$sas/CONTAINER[/BLOB]?permissions=rw&expires_in=1h`.
//!
//! The response is `{"sas": "sv=...", "url": "https://...", "permissions": "rw", "expires":
//! "..."}`. The host replaces the surrogate in it with the signature. It serves this path only if
//! the mount has `hand_out = ["listServiceSas"]`, and checks the requested signature against the
//! mount's `allow`.

use keyward_plugin::{Context, Method, Problem, Request, Response};
use serde_json::json;

use crate::required_permission::{PERMISSIONS, RequiredPermission, Resource, parameter, resource};
use crate::sas;

const ROUTE: &str = "/$sas/";

/// Maximum validity of a signature, in seconds.
const MAX_VALIDITY: u64 = 24 * 3600;

pub(crate) fn is_export(request: &Request) -> bool {
    request.path().starts_with(ROUTE)
}

pub(crate) fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
    if request.method != Method::Post {
        return Err(Problem::new(
            405,
            "method",
            "Use POST",
            format!("request a signature with POST {ROUTE}CONTAINER/BLOB"),
        ));
    }
    let path = request.path().strip_prefix(ROUTE).unwrap_or_default();
    // A blob's name may end in a slash.
    let path = path.strip_suffix('/').filter(|container| !container.contains('/')).unwrap_or(path);
    let is_container = !path.contains('/');
    let (name, is_blob) = match resource(path, is_container)? {
        Resource::Container(name) => (name, false),
        Resource::Blob(name) => (name, true),
        Resource::Account => {
            return Err(Problem::bad_request("name a container, or a container and a blob"));
        }
    };
    let permissions = permissions(parameter(request.query(), "permissions").unwrap_or("r"))?;
    let expires_in = expires_in(parameter(request.query(), "expires_in").unwrap_or("1h"))?;
    let end = cx.now() + expires_in;
    let required = RequiredPermission { resource: name, is_blob, permissions };
    let sas = sas::get_until(&required, end, cx)?;
    let body = json!({
        "sas": sas.0,
        "url": format!("{}/{path}", cx.endpoint("blob")?.url()),
        "permissions": required.permissions,
        "expires": sas::rfc3339(end),
    });
    Ok(Response::new(200)
        .with_header("content-type", "application/json")
        .with_body(body.to_string().into_bytes()))
}

/// Sorts the letters in the order that the service requires.
fn permissions(letters: &str) -> Result<String, Problem> {
    if letters.is_empty() || letters.chars().any(|letter| !PERMISSIONS.contains(letter)) {
        let detail =
            format!("`permissions={letters}` must be one or more of the letters {PERMISSIONS}");
        return Err(Problem::bad_request(detail));
    }
    Ok(PERMISSIONS.chars().filter(|letter| letters.contains(*letter)).collect())
}

fn expires_in(text: &str) -> Result<u64, Problem> {
    let seconds =
        humantime::parse_duration(text).map(|duration| duration.as_secs()).unwrap_or_default();
    if (60..=MAX_VALIDITY).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Problem::bad_request(format!("`expires_in={text}` is not a duration from 1m to 24h")))
}

#[cfg(test)]
mod tests {
    use keyward_plugin::testing::{Mount, text};
    use serde_json::Value;

    use super::*;
    use crate::Storage;

    const ACCOUNT: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso";

    /// The response to a request for a signature. `expected` is the resource, its type and the
    /// permissions in the plugin's request to Resource Manager.
    fn export(path: &str, expected: &'static str) -> Response {
        Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .endpoint("arm", "https://management.azure.com")
            .setting("account", ACCOUNT)
            .respond_with(move |sent| {
                let body: Value = serde_json::from_slice(&sent.body).unwrap();
                let members = ["canonicalizedResource", "signedResource", "signedPermission"];
                let found = members.map(|member| body[member].as_str().unwrap());
                assert_eq!(found.join(" "), expected);
                Response::new(200).with_body(r#"{"serviceSasToken":"surrogate-for-sas"}"#)
            })
            .call::<Storage>(Request::new(Method::Post, path))
    }

    #[test]
    fn a_signature_has_the_resource_and_permissions_of_the_request() {
        let response = export(
            "/$sas/hello/a/b.txt?permissions=wr&expires_in=10m",
            "/blob/contoso/hello/a/b.txt b rw",
        );
        let body: Value = serde_json::from_str(&text(response)).unwrap();
        assert_eq!(body["sas"], "surrogate-for-sas");
        assert_eq!(body["url"], "https://contoso.blob.core.windows.net/hello/a/b.txt");
        assert_eq!(body["permissions"], "rw");
        assert_eq!(export("/$sas/hello", "/blob/contoso/hello c r").status, 200);
        assert_eq!(export("/$sas/hello/", "/blob/contoso/hello c r").status, 200);
        assert_eq!(
            export("/$sas/hello//a%2Fb%5Cc/", "/blob/contoso/hello//a/b/c/ b r").status,
            200
        );
    }

    #[test]
    fn invalid_requests_for_signatures_are_rejected() {
        for path in [
            "/$sas/",
            "/$sas/c?permissions=q",
            "/$sas/c?permissions=",
            "/$sas/c?expires_in=9d",
            "/$sas/c?expires_in=x",
        ] {
            assert_eq!(export(path, "").status, 400, "{path}");
        }
    }
}
