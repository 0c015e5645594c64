//! A shared access signature, from Resource Manager.
//!
//! [List Service
//! SAS](https://learn.microsoft.com/rest/api/storagerp/storage-accounts/list-service-sas) signs
//! what it is asked for with the account's key. The host seals the answer: what is here is a
//! surrogate.

use keyward_plugin::{Context, Method, Outgoing, Problem};
use serde_json::{Value, json};

use crate::operation::Needed;

const API_VERSION: &str = "2023-05-01";

/// The longest answer of Resource Manager's, in bytes.
const LONGEST: usize = 64 << 10;

/// Signatures end at full quarters of an hour, so that all requests for one blob within one are the
/// same, and the host answers all but the first.
const QUARTER: u64 = 15 * 60;

/// How many quarters a signature is good for: 45 minutes at least. It is checked when a request
/// begins.
const QUARTERS: u64 = 4;

/// A signature's surrogate.
pub(crate) struct Sas(pub(crate) String);

/// When a signature ends that is asked for now, in seconds since 1970.
fn end(now: u64) -> u64 {
    (now / QUARTER + QUARTERS) * QUARTER
}

/// Gets a signature for a request.
pub(crate) fn get(needed: &Needed, cx: &Context) -> Result<Sas, Problem> {
    get_until(needed, end(cx.now()), cx)
}

/// Gets a signature that ends then.
pub(crate) fn get_until(needed: &Needed, end: u64, cx: &Context) -> Result<Sas, Problem> {
    let missing = "a shared access signature needs the account's resource id: write `account = \"/subscriptions/...\"` into the \
                   settings of this mount";
    let account = cx.setting("account").ok_or_else(|| Problem::internal(missing))?;
    let account = account.trim_end_matches('/');
    let name = account.rsplit('/').next().unwrap_or_default();
    let body = json!({
        "canonicalizedResource": format!("/blob/{name}/{}", needed.resource),
        "signedResource": if needed.is_blob { "b" } else { "c" },
        "signedPermission": needed.permissions,
        "signedProtocol": "https",
        "signedExpiry": rfc3339(end),
    });
    let path = format!("{account}/listServiceSas?api-version={API_VERSION}");
    let mut outgoing = Outgoing::new(Method::Post, &cx.endpoint("arm")?, &path);
    outgoing.headers.set("content-type", "application/json")?;
    outgoing.body = body.to_string().into_bytes().into();
    outgoing.authorize(&cx.token("arm")?)?;
    let response = cx.send(outgoing)?;

    let (status, retry_after) = (response.status, response.headers.get("retry-after"));
    let answer: Value =
        serde_json::from_slice(&response.body.into_bytes(LONGEST)?).unwrap_or_default();
    match answer.get("serviceSasToken").and_then(Value::as_str) {
        Some(sas) if status == 200 => Ok(Sas(sas.to_owned())),
        _ => Err(refused(status, &answer, retry_after)),
    }
}

impl Sas {
    /// Puts it where it belongs: whole parameters of the query.
    pub(crate) fn spend(&self, outgoing: &mut Outgoing) {
        let separator = if outgoing.path_and_query.contains('?') { '&' } else { '?' };
        outgoing.path_and_query.push(separator);
        outgoing.path_and_query.push_str(&self.0);
    }
}

/// A time as the service writes it.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Why Resource Manager gave none.
fn refused(status: u16, answer: &Value, retry_after: Option<String>) -> Problem {
    let text = |pointer: &str| {
        answer.pointer(pointer).and_then(Value::as_str).unwrap_or("no reason").to_owned()
    };
    let (code, message) = (text("/error/code"), text("/error/message"));
    let advice = match status {
        401 | 403 => {
            ". The mount's identity needs the action \
             Microsoft.Storage/storageAccounts/listServiceSas/action on the account, \
             which the role Storage Account Contributor has"
        }
        404 => ". Compare `account` in the mount's settings with the account's resource id",
        _ => "",
    };
    let detail = format!(
        "Resource Manager gave no shared access signature ({status} {code}): {message}{advice}"
    );
    let problem = match status {
        401 | 403 => Problem::new(403, "sas-refused", "Resource Manager refuses a SAS", detail),
        429 | 503 => Problem::new(503, "sas-throttled", "Resource Manager is busy", detail),
        _ => Problem::new(502, "sas-failed", "Resource Manager gave no SAS", detail),
    };
    match retry_after.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => problem.with_retry_after(seconds),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use keyward_plugin::testing::{Mount, Sent, text};
    use keyward_plugin::{Request, Response};

    use super::*;
    use crate::Storage;

    const ACCOUNT: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso";

    fn mount() -> Mount {
        Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .endpoint("arm", "https://management.azure.com")
            .setting("auth", "sas")
            .setting("account", ACCOUNT)
    }

    fn granted() -> Response {
        Response::new(200).with_body(r#"{"serviceSasToken":"surrogate-for-sas"}"#)
    }

    #[test]
    fn a_blob_is_read_with_a_signature_that_allows_no_more() {
        let sent = Rc::new(RefCell::new(Vec::<Sent>::new()));
        let log = Rc::clone(&sent);
        let response = mount()
            .answer(move |sent| {
                let is_arm = sent.url.starts_with("https://management.");
                log.borrow_mut().push(sent);
                if is_arm { granted() } else { Response::new(200).with_body("Hello") }
            })
            .call::<Storage>(Request::get("/hello/w%20d.txt?timeout=5"));
        assert_eq!(text(response), "Hello");
        let sent = sent.borrow();
        assert_eq!(
            sent[0].url,
            format!(
                "https://management.azure.com{ACCOUNT}/listServiceSas?api-version={API_VERSION}"
            )
        );
        assert_eq!(sent[0].header("authorization"), Some("Bearer surrogate-for-arm"));
        let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
        assert_eq!(body["canonicalizedResource"], "/blob/contoso/hello/w d.txt");
        assert_eq!(
            (&body["signedResource"], &body["signedPermission"]),
            (&json!("b"), &json!("r"))
        );
        assert_eq!(body["signedProtocol"], "https");
        assert_eq!(
            sent[1].url,
            "https://contoso.blob.core.windows.net/hello/w%20d.txt?timeout=5&surrogate-for-sas"
        );
        assert_eq!(sent[1].header("authorization"), None);
    }

    #[test]
    fn a_signature_ends_at_a_full_quarter_and_not_soon() {
        for now in [0, 1, 899, 900, 1_795_243_634] {
            assert_eq!(end(now) % QUARTER, 0);
            assert!((45 * 60..=60 * 60).contains(&(end(now) - now)), "{now}");
        }
        assert_eq!(rfc3339(1_795_243_500), "2026-11-21T06:45:00Z");
    }

    #[test]
    fn a_refusal_says_what_the_identity_needs() {
        let forbidden =
            r#"{"error":{"code":"AuthorizationFailed","message":"The client has no right."}}"#;
        let response = mount()
            .answer(move |_| Response::new(403).with_body(forbidden))
            .call::<Storage>(Request::get("/hello/world.txt"));
        assert_eq!(response.status, 403);
        let problem = text(response);
        assert!(
            problem.contains("AuthorizationFailed")
                && problem.contains("Storage Account Contributor"),
            "{problem}"
        );
        let busy = mount()
            .answer(|_| Response::new(429).with_header("retry-after", "17"))
            .call::<Storage>(Request::get("/hello/world.txt"));
        assert_eq!((busy.status, busy.headers.get("retry-after").as_deref()), (503, Some("17")));
    }

    #[test]
    fn what_no_signature_covers_is_not_asked_for() {
        let response = mount().call::<Storage>(Request::new(Method::Put, "/new?restype=container"));
        assert_eq!(response.status, 400);
        assert!(text(response).contains("entra"));
    }
}
