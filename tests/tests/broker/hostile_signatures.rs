//! Shared access signatures that are returned to callers cover no more than `allow`.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward::audit::Outcome;
use keyward::{CallError, MintingRule, SURROGATE_PREFIX, SignatureRule};
use keyward_emulator::SUBSCRIPTION;
use keyward_tests::{CallResponse, Rig, get};
use serde_json::{Value, json};

const NARROW: &str = "allow = [\"GET /hello/**\"]\nhand_out = [\"listServiceSas\"]";

fn request_signature(path: &str) -> Request<Full<Bytes>> {
    Request::post(format!("/$sas{path}")).body("".into()).unwrap()
}

fn rule(response: &CallResponse) -> &SignatureRule {
    match &response.error {
        Some(CallError::Minting(denied)) => match &denied.request.reason {
            MintingRule::Signature(rule) => rule,
            other => panic!("another rule: {other:?}"),
        },
        other => panic!("nothing was denied: {other:?}, {}", response.text()),
    }
}

fn assert_unsigned(rig: &Rig, response: &CallResponse) {
    rig.assert_no_token_in(response);
    assert_eq!(response.status, 403, "{}", response.text());
    assert!(rig.emulator.issued_sas().is_empty(), "nothing was signed");
}

#[tokio::test]
async fn a_signature_within_allow_is_handed_out() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    let response = rig.call(request_signature("/hello/world.txt?permissions=r")).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let handed: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(handed["sas"], rig.emulator.issued_sas()[0]);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.handed_out), (Outcome::Exported, Some("listServiceSas")));
}

#[tokio::test]
async fn a_caller_gets_no_signature_for_another_container() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    let response = rig.call(request_signature("/private/salaries.csv?permissions=r")).await;
    assert!(matches!(rule(&response), SignatureRule::Permission { letter: 'r', .. }));
    assert_unsigned(&rig, &response);
    assert_eq!(
        rig.call(get("/hello/world.txt", &[])).await.status,
        200,
        "its neighbours are unharmed"
    );
}

#[tokio::test]
async fn a_caller_gets_no_signature_for_a_whole_container() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    let response = rig.call(request_signature("/hello?permissions=r")).await;
    assert_eq!(rule(&response), &SignatureRule::Wide("a whole container"));
    assert_unsigned(&rig, &response);
}

#[tokio::test]
async fn a_caller_gets_no_signature_that_may_write() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    for permissions in ["w", "rw", "rc", "ra", "rd", "rt"] {
        let response = rig
            .call(request_signature(&format!("/hello/world.txt?permissions={permissions}")))
            .await;
        assert!(matches!(rule(&response), SignatureRule::Permission { .. }), "{permissions}");
        assert_unsigned(&rig, &response);
    }
}

#[tokio::test]
async fn a_callers_line_breaks_do_not_reach_a_request_body() {
    for lines in [NARROW, "hand_out = [\"listServiceSas\"]", ""] {
        let rig = Rig::storage_with_sas(lines).start().await;
        let mut requests =
            vec![get("/hello/world.txt%0A2099", &[]), get("/hello/world%0D%0A.txt", &[])];
        if !lines.is_empty() {
            requests.push(request_signature("/hello/world.txt%0A%0A2099?permissions=r"));
        }
        for request in requests {
            let response = rig.call(request).await;
            assert!(response.status.is_client_error(), "{}", response.text());
            rig.assert_no_token_in(&response);
        }
        assert!(rig.emulator.log().for_service("arm").is_empty(), "{lines}: nothing was requested");
        assert_eq!(
            rig.call(get("/hello/world.txt", &[])).await.status,
            200,
            "its neighbours are unharmed"
        );
    }
}

fn path() -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/\
         Microsoft.Storage/storageAccounts/contoso/listServiceSas?api-version=2023-05-01"
    )
}

fn body(resource: &str, kind: &str, permission: &str) -> Value {
    json!({
        "canonicalizedResource": resource,
        "signedResource": kind,
        "signedPermission": permission,
        "signedExpiry": "2096-01-01T00:00:00Z",
    })
}

#[tokio::test]
async fn a_guest_that_signs_more_than_it_declares_is_denied() {
    let rig = Rig::hostile_to_seals_with("signs_more_than_it_says", NARROW).start().await;
    let call =
        async |body: &str| rig.call(get("/export", &[("x-path", &path()), ("x-body", body)])).await;
    let good = body("/blob/contoso/hello/world.txt", "b", "r").to_string();
    for body in [
        body("/blob/contoso/private/salaries.csv", "b", "r").to_string(),
        body("/blob/contoso/hello", "c", "r").to_string(),
        body("/blob/contoso/hello/world.txt", "b", "racwd").to_string(),
        body("/blob/contoso/hello/../private/salaries.csv", "b", "r").to_string(),
        body("/blob/other/hello/world.txt", "b", "r").to_string(),
        body("/blob/contoso/hello/world.txt\n2099", "b", "r").to_string(),
        good.replacen('{', "{\"canonicalizedResource\":\"/blob/contoso/private/salaries.csv\",", 1),
        good.replacen('{', "{\"CanonicalizedResource\":\"/blob/contoso/private/salaries.csv\",", 1),
        good.replacen('{', "{\"signedIdentifier\":\"everything\",", 1),
        "not JSON".to_owned(),
    ] {
        let response = call(&body).await;
        rule(&response);
        assert_unsigned(&rig, &response);
    }
    let response = call(&good).await;
    assert_eq!(
        response.text(),
        rig.emulator.issued_sas()[0],
        "what is within `allow` is handed out"
    );
}

#[tokio::test]
async fn a_guest_that_signs_for_itself_hands_nothing_out() {
    let rig = Rig::hostile_to_seals_with("signs_more_than_it_says", NARROW).start().await;
    let wide = body("/blob/contoso/hello/world.txt", "b", "racwd").to_string();
    // On another route the signature stays sealed, whatever it covers: the host checks each request
    // that spends it.
    let response = rig.call(get("/", &[("x-path", &path()), ("x-body", &wide)])).await;
    assert!(response.text().starts_with(SURROGATE_PREFIX), "{}", response.text());
    rig.assert_no_token_in(&response);
    // Nor is that signature available on the path that returns signatures.
    let response = rig.call(get("/export", &[("x-path", &path()), ("x-body", &wide)])).await;
    assert!(matches!(rule(&response), SignatureRule::Permission { .. }));
    rig.assert_no_token_in(&response);
}

#[tokio::test]
async fn a_guest_that_exports_a_password_hands_out_a_surrogate() {
    let vault =
        "[mount.exports-a-password.audience.vault]\nendpoint = \"https://contoso.vault.azure.net\"";
    let rig = Rig::hostile_to_seals_with(
        "exports_a_password",
        &format!("hand_out = [\"listServiceSas\"]\n{vault}"),
    )
    .start()
    .await;
    let response = rig.call(get("/export", &[])).await;
    let text = response.text();
    assert!(text.contains(SURROGATE_PREFIX) && !text.contains("swordfish"), "{text}");
    rig.assert_no_token_in(&response);
    assert!(rig.audit.all().iter().all(|record| record.outcome != Outcome::Exported));
}
