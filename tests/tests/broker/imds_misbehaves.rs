//! Faults of the identity endpoint: callers get a clear problem, and cached tokens remain in use.

use std::time::Duration;

use keyward_emulator::{Directory, Fault, FaultKind, Identity, Options};
use keyward_tests::{CallResponse, Rig, get};

async fn read_secret(rig: &Rig) -> CallResponse {
    let response = rig.call(get("/secrets/db", &[])).await;
    rig.assert_no_token_in(&response);
    response
}

/// The status and body that a caller gets during this fault of the endpoint.
async fn read_during(misbehaviour: FaultKind) -> (u16, String) {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().add(Fault::always("imds", misbehaviour));
    let response = read_secret(&rig).await;
    assert_eq!(response.headers["content-type"], "application/problem+json");
    assert_eq!(rig.emulator.log().for_service("vault").len(), 0);
    (response.status.as_u16(), response.text())
}

fn status(status: u16, body: &str) -> FaultKind {
    FaultKind::Respond { status, headers: Vec::new(), body: body.to_owned() }
}

#[tokio::test]
async fn every_invalid_token_response_is_a_clear_problem() {
    let identity = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let expired =
        format!(r#"{{"access_token":"eyJ0eXAi.eyJh.c2ln","expires_on":"{}"}}"#, 1_600_000_000);
    for (misbehaviour, words) in [
        (status(404, ""), "status 404"),
        (status(410, ""), "status 410"),
        (status(500, ""), "status 500"),
        (
            status(503, r#"{"error":"unknown","error_description":"busy doing nothing"}"#),
            "busy doing nothing",
        ),
        (status(400, identity), "does not have this identity"),
        (status(403, ""), "status 403"),
        (status(200, ""), "is invalid"),
        (status(200, "{\"access_token\": \"eyJ0eXAi"), "is invalid"),
        (status(200, r#"{"access_token":"","expires_in":"3600"}"#), "the token is empty"),
        (
            status(200, r#"{"access_token":"a b","expires_in":"3600"}"#),
            "a header field cannot contain",
        ),
        (status(200, &expired), "expired"),
        (FaultKind::Html, "is invalid"),
        (FaultKind::HalfBody, "is invalid"),
        (FaultKind::Truncate(100), "is unavailable"),
        (FaultKind::Close, "is unavailable"),
    ] {
        let (status, text) = read_during(misbehaviour.clone()).await;
        assert_eq!(status, 503, "{misbehaviour:?}: {text}");
        assert!(text.contains(words), "{misbehaviour:?}: {words} in {text}");
        assert!(text.contains("urn:keyward:problem:token-unavailable"), "{text}");
        assert!(!text.contains("eyJ"), "{text}");
    }
}

#[tokio::test]
async fn a_busy_endpoints_retry_after_reaches_the_caller() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().status("imds", 429, &[("retry-after", "17")], "");
    let response = read_secret(&rig).await;
    assert_eq!(
        (response.status.as_u16(), response.headers["retry-after"].to_str().unwrap()),
        (503, "17")
    );
    let again = read_secret(&rig).await;
    assert_eq!(again.status, 503);
    assert_eq!(
        rig.emulator.log().for_service("imds").len(),
        1,
        "no request is sent within the requested delay"
    );
}

#[tokio::test]
async fn an_endpoint_that_recovers_within_the_deadline_is_not_noticed() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().statuses("imds", &[500]);
    assert_eq!(read_secret(&rig).await.status, 200, "the first retry is at once");
    assert_eq!(rig.emulator.log().for_service("imds").len(), 2);
}

#[tokio::test]
async fn a_valid_token_keeps_serving_while_the_endpoint_is_down() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(read_secret(&rig).await.status, 200);
    rig.emulator.faults().add(Fault::always("imds", FaultKind::Close));
    for _ in 0..10 {
        assert_eq!(read_secret(&rig).await.status, 200);
    }
}

#[tokio::test]
async fn all_calls_wait_for_one_request_to_a_slow_endpoint() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().add(Fault::always("imds", FaultKind::Delay(300)));
    let calls = tokio::join!(read_secret(&rig), read_secret(&rig), read_secret(&rig));
    assert_eq!(
        [calls.0.status, calls.1.status, calls.2.status],
        [200; 3].map(|s| http::StatusCode::from_u16(s).unwrap())
    );
    assert_eq!(rig.emulator.log().for_service("imds").len(), 1);
}

#[tokio::test]
async fn ten_thousand_callers_on_a_cold_cache_make_one_request() {
    let rig = std::sync::Arc::new(
        Rig::keyvault().limits("queue = 20000\nqueue_time = \"10m\"").start().await,
    );
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let rig = std::sync::Arc::clone(&rig);
            tokio::spawn(async move { rig.call(get("/secrets/db", &[])).await.status })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(rig.emulator.log().for_service("imds").len(), 1);
    assert_eq!(rig.emulator.log().for_service("vault").len(), 10_000);
}

#[tokio::test]
async fn several_identities_need_an_id() {
    let mut options = Options::default();
    options.directory = Directory::new()
        .with(Identity::user_assigned("a", 1))
        .with(Identity::user_assigned("b", 2));
    let rig = Rig::keyvault().emulator(options).start().await;
    let response = read_secret(&rig).await;
    assert_eq!(response.status, 503);
    assert!(
        response.text().contains("Set client_id, object_id or resource_id"),
        "{}",
        response.text()
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.set_token_lifetime(Duration::from_secs(2));
    let mut statuses = Vec::new();
    let until = std::time::Instant::now() + Duration::from_secs(5);
    while std::time::Instant::now() < until {
        statuses.push(read_secret(&rig).await.status.as_u16());
    }
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(rig.emulator.log().for_service("imds").len() >= 2);
}
