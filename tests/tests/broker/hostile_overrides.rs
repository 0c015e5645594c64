//! Guests and callers that override the meaning of an allowed request with a header field.

use http::Request;
use keyward::audit::Outcome;
use keyward::{CallError, Violation};
use keyward_tests::{Rig, get};

/// A field for each thing that is overridden, and one in the spelling of variables.
const FIELDS: [(&str, &str); 6] = [
    ("x-http-method-override", "x-http-method-override"),
    ("X-HTTP-Method", "x-http-method"),
    ("x-method-override", "x-method-override"),
    ("x-original-url", "x-original-url"),
    ("x-rewrite-url", "x-rewrite-url"),
    ("x_original_url", "x-original-url"),
];

#[tokio::test]
async fn a_guest_that_overrides_its_request_is_denied() {
    let rig = Rig::hostile("overrides_the_request").start().await;
    for (number, (field, known)) in FIELDS.into_iter().enumerate() {
        let response = rig.call(get("/", &[("x-field", field)])).await;
        match &response.error {
            Some(CallError::Violation { violation, .. }) => {
                assert_eq!(*violation, Violation::Override(known), "{field}");
            }
            other => panic!("{field}: {other:?}, {}", response.text()),
        }
        rig.assert_no_token_in(&response);
        let record = rig.audit.wait(number + 1).await;
        assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("override")), "{field}");
    }
    assert!(rig.emulator.log().for_service("vault").is_empty(), "nothing was sent");
    let response = rig.call(get("/", &[])).await;
    assert!(response.text().contains("swordfish"), "a neighbour is harmed: {}", response.text());
}

#[tokio::test]
async fn a_caller_that_overrides_its_request_is_denied_before_the_plugin_runs() {
    let rig = Rig::keyvault().mount_lines("allow = [\"GET /secrets/*\"]").start().await;
    for (number, (field, known)) in FIELDS.into_iter().enumerate() {
        let response = rig.call(get("/secrets/db", &[(field, "/keys/signing")])).await;
        assert_eq!(response.status, 400, "{field}: {}", response.text());
        let mount = "vault".to_owned();
        let expected = CallError::Override { mount, narrowed_for: None, field: known };
        assert_eq!(response.error, Some(expected), "{field}");
        assert!(response.text().contains(known), "the field is named: {}", response.text());
        rig.assert_no_token_in(&response);
        let record = rig.audit.wait(number + 1).await;
        assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("override")), "{field}");
    }
    assert!(rig.emulator.log().all().is_empty(), "no token was requested");
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
}

#[tokio::test]
async fn override_fields_pass_without_allow() {
    let rig = Rig::keyvault().start().await;
    let request = Request::get("/secrets/db")
        .header("x-http-method", "GET")
        .body(Default::default())
        .unwrap();
    assert_eq!(rig.call(request).await.status, 200);
}
