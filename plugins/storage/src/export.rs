//! Handing a signature out: `POST /$sas/CONTAINER[/BLOB]?permissions=rw&expires_in=1h`.
//!
//! The answer is `{"sas": "sv=...", "url": "https://...", "permissions": "rw", "expires": "..."}`.
//! The host puts the signature into it, and only where the mount's configuration says `hand_out =
//! ["listServiceSas"]`; else it does not come this far. The host also compares what is to be signed
//! with the mount's `allow`.

use keyward_plugin::{Context, Method, Problem, Request, Response};
use serde_json::json;

use crate::operation::{Needed, ORDER, Resource, parameter, resource};
use crate::sas;

const ROUTE: &str = "/$sas/";

/// The longest that a signature may be good for.
const LONGEST: u64 = 24 * 3600;

pub(crate) fn is_asked(request: &Request) -> bool {
    request.path().starts_with(ROUTE)
}

pub(crate) fn answer(request: Request, cx: &Context) -> Result<Response, Problem> {
    if request.method != Method::Post {
        return Err(Problem::new(
            405,
            "method",
            "Use POST",
            format!("a signature is asked for by POST {ROUTE}CONTAINER/BLOB"),
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
    let needed = Needed { resource: name, is_blob, permissions };
    let sas = sas::get_until(&needed, end, cx)?;
    let answer = json!({
        "sas": sas.0,
        "url": format!("{}/{path}", cx.endpoint("blob")?.url()),
        "permissions": needed.permissions,
        "expires": sas::rfc3339(end),
    });
    Ok(Response::new(200)
        .with_header("content-type", "application/json")
        .with_body(answer.to_string().into_bytes()))
}

/// The letters, in the order that the service demands.
fn permissions(given: &str) -> Result<String, Problem> {
    if given.is_empty() || given.chars().any(|letter| !ORDER.contains(letter)) {
        let detail = format!("`permissions={given}` has a letter that is not one of {ORDER}");
        return Err(Problem::bad_request(detail));
    }
    Ok(ORDER.chars().filter(|letter| given.contains(*letter)).collect())
}

fn expires_in(given: &str) -> Result<u64, Problem> {
    let seconds =
        humantime::parse_duration(given).map(|duration| duration.as_secs()).unwrap_or_default();
    if (60..=LONGEST).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Problem::bad_request(format!("`expires_in={given}` is not a duration from 1m to 24h")))
}

#[cfg(test)]
mod tests {
    use keyward_plugin::testing::{Mount, text};
    use serde_json::Value;

    use super::*;
    use crate::Storage;

    fn ask(path: &str, expected: &'static str) -> Response {
        Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .endpoint("arm", "https://management.azure.com")
            .setting("account", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso")
            .answer(move |sent| {
                let body: Value = serde_json::from_slice(&sent.body).unwrap();
                let asked = [&body["canonicalizedResource"], &body["signedResource"], &body["signedPermission"]];
                assert_eq!(asked.map(|value| value.as_str().unwrap()).join(" "), expected);
                Response::new(200).with_body(r#"{"serviceSasToken":"surrogate-for-sas"}"#)
            })
            .call::<Storage>(Request::new(Method::Post, path))
    }

    #[test]
    fn a_signature_is_asked_for_as_the_caller_wants_it() {
        let answer = ask(
            "/$sas/hello/a/b.txt?permissions=wr&expires_in=10m",
            "/blob/contoso/hello/a/b.txt b rw",
        );
        let answer: Value = serde_json::from_str(&text(answer)).unwrap();
        assert_eq!(answer["sas"], "surrogate-for-sas");
        assert_eq!(answer["url"], "https://contoso.blob.core.windows.net/hello/a/b.txt");
        assert_eq!(answer["permissions"], "rw");
        assert_eq!(ask("/$sas/hello", "/blob/contoso/hello c r").status, 200);
        assert_eq!(ask("/$sas/hello/", "/blob/contoso/hello c r").status, 200);
        assert_eq!(ask("/$sas/hello//a%2Fb%5Cc/", "/blob/contoso/hello//a/b/c/ b r").status, 200);
    }

    #[test]
    fn what_cannot_be_signed_is_said_so() {
        for path in [
            "/$sas/",
            "/$sas/c?permissions=q",
            "/$sas/c?permissions=",
            "/$sas/c?expires_in=9d",
            "/$sas/c?expires_in=x",
        ] {
            assert_eq!(ask(path, "").status, 400, "{path}");
        }
    }
}
