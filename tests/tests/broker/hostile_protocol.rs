//! Guests that do not keep to the protocol: no answer, two answers, half answers, requests framed
//! otherwise.

use keyward::CallError;
use keyward::audit::Outcome;
use keyward_tests::{Answer, Logs, Rig, get};

fn trapped(answer: &Answer) -> &str {
    match &answer.error {
        Some(CallError::Trapped { why, .. }) => why,
        other => panic!("no trap: {other:?}, {}", answer.text()),
    }
}

#[tokio::test]
async fn a_missing_response_is_a_clear_error() {
    let rig = Rig::hostile("no_response").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert!(matches!(answer.error, Some(CallError::NoResponse { .. })), "{:?}", answer.error);
    assert_eq!(answer.status, 502);
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn an_error_code_of_the_plugin_is_a_plugin_failure() {
    let rig = Rig::hostile("error_response").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert!(trapped(&answer).contains("a guest's own words"), "{:?}", answer.error);
}

#[tokio::test]
async fn a_second_response_traps() {
    let rig = Rig::hostile("two_responses").start().await;
    let answer = rig.call(get("/", &[])).await;
    // The first answer may have gone out already; then it is its body that breaks off.
    assert!(answer.error.is_some() || answer.broken.is_some(), "{answer:?}");
    let record = rig.audit.wait(1).await;
    assert_eq!(record.outcome, Outcome::Failed);
    assert!(record.problem.unwrap().contains("handle"), "the handle is gone");
}

#[tokio::test]
async fn a_trap_before_the_head_is_a_bad_gateway() {
    let rig = Rig::hostile("trap_before_head").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert!(trapped(&answer).contains("unreachable"), "{:?}", answer.error);
    assert_eq!(answer.status, 502);
    let next = rig.call(get("/", &[])).await;
    assert_eq!(next.status, 502, "the next call has a sandbox of its own");
}

#[tokio::test]
async fn a_trap_after_the_head_aborts_the_response() {
    for guest in ["trap_after_head", "leaves_body_open"] {
        let rig = Rig::hostile(guest).start().await;
        let answer = rig.call(get("/", &[])).await;
        assert!(
            answer.error.is_some() || answer.broken.is_some(),
            "{guest}: a short answer must not look whole"
        );
        assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed, "{guest}");
    }
}

#[tokio::test]
async fn an_endless_response_is_aborted() {
    let rig = Rig::hostile("sleep_after_head").limits("idle_time = \"200ms\"").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, b"the beginning".as_slice()));
    assert!(answer.broken.unwrap().contains("idle_time"));
    assert_eq!(rig.audit.wait(1).await.rule, Some("idle_time"));
}

#[tokio::test]
async fn an_aborted_upload_never_looks_complete_to_the_service() {
    let rig = Rig::hostile("trap_in_upload").start().await;
    for number in 1..=20 {
        let answer = rig.call(get("/", &[])).await;
        assert_eq!(answer.status, 502);
        rig.assert_no_token_in(&answer);
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
        let answer = rig.call(get("/", &[])).await;
        rig.assert_no_token_in(&answer);
        rig.audit.wait(1).await;
        let seen = rig.emulator.log().for_service("vault");
        let paths: Vec<(&str, u16)> =
            seen.iter().map(|seen| (seen.path.as_str(), seen.status)).collect();
        match guest {
            "short_body" => assert!(paths.iter().all(|(_, status)| *status == 0), "{paths:?}"),
            // What is over is cut off, or the whole is refused; the second request is none.
            _ => assert!(paths.iter().all(|(path, _)| *path == "/secrets/long"), "{paths:?}"),
        }
    }
}

#[tokio::test]
async fn a_panic_message_goes_to_the_log_and_not_to_the_caller() {
    let rig = Rig::hostile("trap_before_head").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert!(!answer.text().contains("memory:"), "{}", answer.text());
    Logs::collect().line_with(&["mount=\"trap-before-head\"", "memory: "]).await;
}
