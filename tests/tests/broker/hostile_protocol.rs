//! Guests that violate the protocol: missing, repeated and partial responses, and invalid framing
//! of requests.

use keyward::CallError;
use keyward::audit::Outcome;
use keyward_tests::{CallResponse, Logs, Rig, get};

fn trapped(response: &CallResponse) -> &str {
    match &response.error {
        Some(CallError::Trapped { why, .. }) => why,
        other => panic!("no trap: {other:?}, {}", response.text()),
    }
}

#[tokio::test]
async fn a_missing_response_is_a_clear_error() {
    let rig = Rig::hostile("no_response").start().await;
    let response = rig.call(get("/", &[])).await;
    assert!(matches!(response.error, Some(CallError::NoResponse { .. })), "{:?}", response.error);
    assert_eq!(response.status, 502);
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn an_error_code_of_the_plugin_is_a_plugin_failure() {
    let rig = Rig::hostile("error_response").start().await;
    let response = rig.call(get("/", &[])).await;
    assert!(trapped(&response).contains("a guest's own words"), "{:?}", response.error);
}

#[tokio::test]
async fn a_second_response_traps() {
    let rig = Rig::hostile("two_responses").start().await;
    let response = rig.call(get("/", &[])).await;
    // If the first response was already sent, its body is aborted.
    assert!(response.error.is_some() || response.broken.is_some(), "{response:?}");
    let record = rig.audit.wait(1).await;
    assert_eq!(record.outcome, Outcome::Failed);
    assert!(record.problem.unwrap().contains("handle"), "the handle is gone");
}

#[tokio::test]
async fn a_trap_before_the_head_is_a_bad_gateway() {
    let rig = Rig::hostile("trap_before_head").start().await;
    let response = rig.call(get("/", &[])).await;
    assert!(trapped(&response).contains("unreachable"), "{:?}", response.error);
    assert_eq!(response.status, 502);
    let next = rig.call(get("/", &[])).await;
    assert_eq!(next.status, 502, "the next call has a sandbox of its own");
}

#[tokio::test]
async fn a_trap_after_the_head_aborts_the_response() {
    for guest in ["trap_after_head", "leaves_body_open"] {
        let rig = Rig::hostile(guest).start().await;
        let response = rig.call(get("/", &[])).await;
        assert!(
            response.error.is_some() || response.broken.is_some(),
            "{guest}: a short response must not look whole"
        );
        assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed, "{guest}");
    }
}

#[tokio::test]
async fn an_endless_response_is_aborted() {
    let rig = Rig::hostile("sleep_after_head").limits("idle_time = \"200ms\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_eq!(
        (response.status.as_u16(), response.body.as_ref()),
        (200, b"the beginning".as_slice())
    );
    assert!(response.broken.unwrap().contains("idle_time"));
    assert_eq!(rig.audit.wait(1).await.rule, Some("idle_time"));
}

#[tokio::test]
async fn an_aborted_upload_never_looks_complete_to_the_service() {
    let rig = Rig::hostile("trap_in_upload").start().await;
    for number in 1..=20 {
        let response = rig.call(get("/", &[])).await;
        assert_eq!(response.status, 502);
        rig.assert_no_token_in(&response);
        rig.audit.wait(number).await;
    }
    let seen = rig.emulator.log().for_service("vault");
    assert!(seen.iter().all(|seen| seen.status == 0), "the secret was never set: {seen:?}");
}

#[tokio::test]
async fn only_the_host_frames_requests() {
    let rig = Rig::hostile("framing").start().await;
    let report = rig.call(get("/", &[])).await.text();
    for line in
        report.lines().filter(|line| !line.starts_with("authority") && !line.starts_with("path"))
    {
        assert!(line.contains("Err("), "taken: {line}");
    }
    for line in
        report.lines().filter(|line| line.starts_with("path") || line.starts_with("authority"))
    {
        let is_taken = line.contains("Ok(");
        assert!(!is_taken || line.contains("http://evil.example/"), "taken: {line}");
    }
    assert!(report.lines().count() > 25, "{report}");
}

#[tokio::test]
async fn a_body_with_a_wrong_length_is_not_delivered() {
    for guest in ["short_body", "overshoot"] {
        let rig = Rig::hostile(guest).start().await;
        let response = rig.call(get("/", &[])).await;
        rig.assert_no_token_in(&response);
        rig.audit.wait(1).await;
        let seen = rig.emulator.log().for_service("vault");
        let paths: Vec<(&str, u16)> =
            seen.iter().map(|seen| (seen.path.as_str(), seen.status)).collect();
        match guest {
            "short_body" => assert!(paths.iter().all(|(_, status)| *status == 0), "{paths:?}"),
            // Excess bytes are truncated or the request is rejected; there is no second request.
            _ => assert!(paths.iter().all(|(path, _)| *path == "/secrets/long"), "{paths:?}"),
        }
    }
}

#[tokio::test]
async fn an_informational_status_is_a_plugin_failure() {
    let rig = Rig::hostile("informational_answer").start().await;
    for status in ["100", "101", "103", "199"] {
        let answer = rig.call(get("/", &[("x-status", status)])).await;
        assert!(trapped(&answer).contains(status), "{:?}", answer.error);
        assert_eq!(answer.status, 502);
    }
    assert_eq!(rig.call(get("/", &[("x-status", "204")])).await.status, 204);
}

#[tokio::test]
async fn an_error_of_a_guest_forges_no_line_and_is_cut() {
    let rig = Rig::hostile("forges_log_lines").start().await;
    let answer = rig.call(get("/", &[])).await;
    let why = trapped(&answer);
    assert!(why.contains("forged") && !why.contains(char::is_control), "{why:?}");
    assert!(why.len() < 2000, "{} bytes", why.len());
    let log = Logs::collect().text();
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR")), "forged");
}

#[tokio::test]
async fn a_panic_message_goes_to_the_log_and_not_to_the_caller() {
    let rig = Rig::hostile("trap_before_head").start().await;
    let response = rig.call(get("/", &[])).await;
    assert!(!response.text().contains("memory:"), "{}", response.text());
    Logs::collect().line_with(&["mount=\"trap-before-head\"", "memory: "]).await;
}
