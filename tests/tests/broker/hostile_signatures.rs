//! Shared access signatures that are handed out cover no more than `allow`.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward::audit::Outcome;
use keyward::{CallError, MintingRule, SURROGATE_PREFIX, SignatureRule};
use keyward_emulator::SUBSCRIPTION;
use keyward_tests::{Answer, Rig, get};
use serde_json::{Value, json};

const NARROW: &str = "allow = [\"GET /hello/**\"]\nhand_out = [\"listServiceSas\"]";

fn ask(path: &str) -> Request<Full<Bytes>> {
    Request::post(format!("/$sas{path}")).body("".into()).unwrap()
}

fn rule(answer: &Answer) -> &SignatureRule {
    match &answer.error {
        Some(CallError::Minting(denied)) => match &denied.request.reason {
            MintingRule::Signature(rule) => rule,
            other => panic!("another rule: {other:?}"),
        },
        other => panic!("nothing was denied: {other:?}, {}", answer.text()),
    }
}

fn assert_unsigned(rig: &Rig, answer: &Answer) {
    rig.assert_no_token_in(answer);
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(rig.emulator.issued_sas().is_empty(), "nothing was signed");
}

#[tokio::test]
async fn a_signature_within_allow_is_handed_out() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    let answer = rig.call(ask("/hello/world.txt?permissions=r")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let handed: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(handed["sas"], rig.emulator.issued_sas()[0]);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.handed_out), (Outcome::Exported, Some("listServiceSas")));
}

#[tokio::test]
async fn a_caller_gets_no_signature_for_another_container() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    let answer = rig.call(ask("/private/salaries.csv?permissions=r")).await;
    assert!(matches!(rule(&answer), SignatureRule::Permission { letter: 'r', .. }));
    assert_unsigned(&rig, &answer);
    assert_eq!(
        rig.call(get("/hello/world.txt", &[])).await.status,
        200,
        "its neighbours are unharmed"
    );
}

#[tokio::test]
async fn a_caller_gets_no_signature_for_a_whole_container() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    let answer = rig.call(ask("/hello?permissions=r")).await;
    assert_eq!(rule(&answer), &SignatureRule::Wide("a whole container"));
    assert_unsigned(&rig, &answer);
}

#[tokio::test]
async fn a_caller_gets_no_signature_that_may_write() {
    let rig = Rig::storage_with_sas(NARROW).start().await;
    for permissions in ["w", "rw", "rc", "ra", "rd", "rt"] {
        let answer = rig.call(ask(&format!("/hello/world.txt?permissions={permissions}"))).await;
        assert!(matches!(rule(&answer), SignatureRule::Permission { .. }), "{permissions}");
        assert_unsigned(&rig, &answer);
    }
}

#[tokio::test]
async fn a_callers_line_breaks_do_not_reach_a_request_body() {
    for lines in [NARROW, "hand_out = [\"listServiceSas\"]", ""] {
        let rig = Rig::storage_with_sas(lines).start().await;
        let mut requests =
            vec![get("/hello/world.txt%0A2099", &[]), get("/hello/world%0D%0A.txt", &[])];
        if !lines.is_empty() {
            requests.push(ask("/hello/world.txt%0A%0A2099?permissions=r"));
        }
        for request in requests {
            let answer = rig.call(request).await;
            assert!(answer.status.is_client_error(), "{}", answer.text());
            rig.assert_no_token_in(&answer);
        }
        assert!(rig.emulator.log().for_service("arm").is_empty(), "{lines}: nothing was asked for");
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
    let ask =
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
        let answer = ask(&body).await;
        rule(&answer);
        assert_unsigned(&rig, &answer);
    }
    let answer = ask(&good).await;
    assert_eq!(answer.text(), rig.emulator.issued_sas()[0], "what is within `allow` is handed out");
}

#[tokio::test]
async fn a_guest_that_signs_for_itself_hands_nothing_out() {
    let rig = Rig::hostile_to_seals_with("signs_more_than_it_says", NARROW).start().await;
    let wide = body("/blob/contoso/hello/world.txt", "b", "racwd").to_string();
    // On another route the signature stays sealed, whatever it covers: the host checks each request
    // that spends it.
    let answer = rig.call(get("/", &[("x-path", &path()), ("x-body", &wide)])).await;
    assert!(answer.text().starts_with(SURROGATE_PREFIX), "{}", answer.text());
    rig.assert_no_token_in(&answer);
    // And what it asked for then is not at hand on the route that hands out.
    let answer = rig.call(get("/export", &[("x-path", &path()), ("x-body", &wide)])).await;
    assert!(matches!(rule(&answer), SignatureRule::Permission { .. }));
    rig.assert_no_token_in(&answer);
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
    let answer = rig.call(get("/export", &[])).await;
    let text = answer.text();
    assert!(text.contains(SURROGATE_PREFIX) && !text.contains("swordfish"), "{text}");
    rig.assert_no_token_in(&answer);
    assert!(rig.audit.all().iter().all(|record| record.outcome != Outcome::Exported));
}
