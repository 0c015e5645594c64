//! Guests and callers that send bodies where no rule looks at them.

use http::Request;
use keyward::audit::Outcome;
use keyward::{CallError, Violation};
use keyward_tests::{Rig, get};

#[tokio::test]
async fn a_get_or_head_that_announces_a_body_is_denied_at_a_mount_with_allow() {
    let rig = Rig::hostile("sends_a_body_with_a_get").start().await;
    let methods = [("GET", http::Method::GET), ("HEAD", http::Method::HEAD)];
    for (number, (name, method)) in methods.into_iter().enumerate() {
        let answer = rig.call(get("/", &[("x-method", name)])).await;
        assert_eq!(*answer.violation(), Violation::Body(method), "{name}");
        assert_eq!(answer.status, 502);
        rig.assert_no_token_in(&answer);
        let record = rig.audit.wait(number + 1).await;
        assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("body")), "{name}");
        assert_eq!(record.upstream[0].denied, Some("body"));
    }
    assert!(rig.emulator.log().for_service("vault").is_empty(), "nothing was sent");
    let empty = rig.call(get("/", &[("x-length", "0")])).await;
    assert!(empty.text().contains("swordfish"), "content-length: 0 is no body: {}", empty.text());
}

#[tokio::test]
async fn a_get_whose_body_begins_to_arrive_ends_the_call_at_a_mount_with_allow() {
    let rig = Rig::hostile("streams_a_body_with_a_get").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert_eq!(*answer.violation(), Violation::Body(http::Method::GET));
    rig.assert_no_token_in(&answer);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("body")));
    let sent = rig.emulator.log().for_service("vault");
    assert!(sent.iter().all(|seen| seen.body_bytes == 0), "no byte of it was sent: {sent:?}");
    let empty = rig.call(get("/", &[("x-empty", "yes")])).await;
    assert!(empty.text().contains("swordfish"), "an empty body passes: {}", empty.text());
}

#[tokio::test]
async fn a_body_of_a_get_passes_without_allow() {
    for guest in ["sends_a_body_with_a_get", "streams_a_body_with_a_get"] {
        let rig = Rig::hostile(guest).at("https://contoso.vault.azure.net").start().await;
        let answer = rig.call(get("/", &[])).await;
        assert!(answer.text().contains("swordfish"), "{guest}: {:?}", answer.error);
    }
}

#[tokio::test]
async fn a_caller_that_sends_a_body_with_a_get_gets_400() {
    let rig = Rig::keyvault().mount_lines("allow = [\"GET /secrets/*\"]").start().await;
    let request = Request::get("/secrets/db").header("content-length", "2");
    let answer = rig.call(request.body("{}".into()).unwrap()).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("GET request with a body"), "{}", answer.text());
    let violation = Violation::Body(http::Method::GET);
    let (mount, narrowed_for) = ("vault".to_owned(), None);
    assert_eq!(answer.error, Some(CallError::Caller { mount, narrowed_for, violation }));
    assert_eq!(rig.audit.wait(1).await.rule, Some("body"));
    let request = Request::get("/secrets/db").header("content-length", "0");
    assert_eq!(rig.call(request.body("".into()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn trailers_of_a_request_are_not_sent() {
    let rig = Rig::hostile("surrogate_in_trailers").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert!(answer.text().starts_with("status 200"), "{:?} {}", answer.error, answer.text());
    let sent = rig.emulator.log().for_service("vault");
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(sent.header("trailer").is_none() && sent.header("x-stolen").is_none(), "{sent:?}");
}
