//! Shared access signatures from Resource Manager.
//!
//! [List Service SAS] signs them with the account's key. The host seals the response, so that the
//! plugin gets a surrogate.
//!
//! [List Service SAS]: https://learn.microsoft.com/rest/api/storagerp/storage-accounts/list-service-sas

use keyward_plugin::{Context, Method, Outgoing, Problem};
use serde_json::{Value, json};

use crate::required_permission::RequiredPermission;

const API_VERSION: &str = "2023-05-01";

/// Maximum length of Resource Manager's response, in bytes.
const MAX_RESPONSE: usize = 64 << 10;

/// Signatures expire at multiples of a quarter of an hour. All requests for the same signature
/// within a quarter are then identical, and the host serves them from its cache.
const QUARTER: u64 = 15 * 60;

/// Validity of a signature in quarters: at least 45 minutes. The service checks it when a request
/// begins.
const QUARTERS: u64 = 4;

/// The surrogate for a signature.
pub(crate) struct Sas(pub(crate) String);

/// When a signature that is requested at `now` expires, in seconds since 1970.
fn expiry(now: u64) -> u64 {
    (now / QUARTER + QUARTERS) * QUARTER
}

/// Requests a signature for a single request.
pub(crate) fn get(required: &RequiredPermission, cx: &Context) -> Result<Sas, Problem> {
    get_until(required, expiry(cx.now()), cx)
}

/// Requests a signature that expires at `end`.
pub(crate) fn get_until(
    required: &RequiredPermission,
    end: u64,
    cx: &Context,
) -> Result<Sas, Problem> {
    let missing = "a shared access signature requires the account's resource id: add `account = \
                   \"/subscriptions/...\"` to the settings of this mount";
    let account = cx.setting("account").ok_or_else(|| Problem::internal(missing))?;
    let account = account.trim_end_matches('/');
    let name = account.rsplit('/').next().unwrap_or_default();
    let body = json!({
        "canonicalizedResource": format!("/blob/{name}/{}", required.resource),
        "signedResource": if required.is_blob { "b" } else { "c" },
        "signedPermission": required.permissions,
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
    let body: Value =
        serde_json::from_slice(&response.body.into_bytes(MAX_RESPONSE)?).unwrap_or_default();
    match body.get("serviceSasToken").and_then(Value::as_str) {
        Some(sas) if status == 200 => Ok(Sas(sas.to_owned())),
        _ => Err(arm_error(status, &body, retry_after)),
    }
}

impl Sas {
    /// Appends the surrogate to the query. It stands for whole parameters.
    pub(crate) fn spend(&self, outgoing: &mut Outgoing) {
        let separator = if outgoing.path_and_query.contains('?') { '&' } else { '?' };
        outgoing.path_and_query.push(separator);
        outgoing.path_and_query.push_str(&self.0);
    }
}

/// A time in the service's format.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The problem of an unsuccessful response from Resource Manager.
fn arm_error(status: u16, body: &Value, retry_after: Option<String>) -> Problem {
    let text = |pointer: &str| {
        body.pointer(pointer).and_then(Value::as_str).unwrap_or("no reason").to_owned()
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
        "Resource Manager returned no shared access signature ({status} {code}): {message}{advice}"
    );
    let problem = match status {
        401 | 403 => Problem::new(403, "sas-refused", "Resource Manager denied the SAS", detail),
        429 | 503 => Problem::new(503, "sas-throttled", "Resource Manager is busy", detail),
        _ => Problem::new(502, "sas-failed", "Resource Manager returned no SAS", detail),
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

    fn sas_response() -> Response {
        Response::new(200).with_body(r#"{"serviceSasToken":"surrogate-for-sas"}"#)
    }

    #[test]
    fn a_blob_is_read_with_a_signature_for_just_that() {
        let sent = Rc::new(RefCell::new(Vec::<Sent>::new()));
        let log = Rc::clone(&sent);
        let response = mount()
            .respond_with(move |sent| {
                let is_arm = sent.url.starts_with("https://management.");
                log.borrow_mut().push(sent);
                if is_arm { sas_response() } else { Response::new(200).with_body("Hello") }
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
    fn a_signature_expires_at_a_full_quarter_after_45_to_60_minutes() {
        for now in [0, 1, 899, 900, 1_795_243_634] {
            assert_eq!(expiry(now) % QUARTER, 0);
            assert!((45 * 60..=60 * 60).contains(&(expiry(now) - now)), "{now}");
        }
        assert_eq!(rfc3339(1_795_243_500), "2026-11-21T06:45:00Z");
    }

    #[test]
    fn a_denied_signature_is_reported_with_the_required_role() {
        let forbidden =
            r#"{"error":{"code":"AuthorizationFailed","message":"The client has no right."}}"#;
        let response = mount()
            .respond_with(move |_| Response::new(403).with_body(forbidden))
            .call::<Storage>(Request::get("/hello/world.txt"));
        assert_eq!(response.status, 403);
        let problem = text(response);
        assert!(
            problem.contains("AuthorizationFailed")
                && problem.contains("Storage Account Contributor"),
            "{problem}"
        );
        let busy = mount()
            .respond_with(|_| Response::new(429).with_header("retry-after", "17"))
            .call::<Storage>(Request::get("/hello/world.txt"));
        assert_eq!((busy.status, busy.headers.get("retry-after").as_deref()), (503, Some("17")));
    }

    #[test]
    fn no_signature_is_requested_for_what_it_cannot_cover() {
        let response = mount().call::<Storage>(Request::new(Method::Put, "/new?restype=container"));
        assert_eq!(response.status, 400);
        assert!(text(response).contains("entra"));
    }
}
