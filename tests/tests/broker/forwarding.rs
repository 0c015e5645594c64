//! Guests that have messages passed on by the host. The rules are those of any request.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use keyward::audit::Outcome;
use keyward::{CallError, Caller, Limit, Lock, LockTarget, Violation};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{CallResponse, Rig, get};

/// The path of a secret that the emulator has.
const SECRET: &str = "/secrets/db?api-version=7.4";

fn put(headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let request = Request::put("/secrets/new?api-version=7.4");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.header("content-type", "application/json");
    request.body(Full::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn a_request_and_its_response_are_passed_on() {
    let rig = Rig::hostile("forwards").start().await;
    let response = rig.call(get(SECRET, &[("x-reply-set", "x-from=the plugin")])).await;
    assert_eq!(response.status, 200, "{} {:?}", response.text(), response.error);
    assert!(response.text().contains("swordfish"), "{}", response.text());
    assert_eq!(response.headers["x-from"], "the plugin");
    rig.assert_no_token_in(&response);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.status), (Outcome::Answered, Some(200)));
    assert_eq!(record.bytes_out, response.body.len() as u64);
    assert_eq!(record.upstream[0].bytes, response.body.len() as u64);
}

#[tokio::test]
async fn a_body_is_passed_on_unread() {
    let rig = Rig::hostile("forwards").start().await;
    let body = r#"{"value":"of the caller"}"#;
    assert_eq!(rig.call(put(&[], body)).await.status, 200);
    let sent = &rig.emulator.log().for_service("vault")[0];
    assert_eq!(sent.body_bytes, body.len());
    assert_eq!(sent.header("content-length"), Some(body.len().to_string().as_str()));
    let read = rig.call(get("/secrets/new?api-version=7.4", &[])).await;
    assert!(read.text().contains("of the caller"), "{}", read.text());
    assert_eq!(rig.audit.wait(1).await.bytes_in, body.len() as u64);
}

#[tokio::test]
async fn a_plugin_sends_and_answers_bytes_of_its_own() {
    let rig = Rig::hostile("forwards").start().await;
    let bytes = r#"{"value":"of the plugin"}"#;
    for headers in [&[("x-body", bytes)][..], &[("x-body", bytes), ("x-own-fields", "yes")]] {
        let answer = rig.call(put(headers, "never sent")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for sent in rig.emulator.log().for_service("vault") {
        assert_eq!(sent.body_bytes, bytes.len());
    }
    let own = &rig.emulator.log().for_service("vault")[1];
    assert_eq!(own.header("content-type"), None, "fields of the caller were sent");
    for (reply, expected) in [("bytes", "of the plugin"), ("empty", "")] {
        let answer = rig.call(get(SECRET, &[("x-reply", reply)])).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, expected));
        assert_eq!(answer.headers["content-length"], expected.len().to_string());
    }
}

#[tokio::test]
async fn a_surrogate_is_valid_only_in_the_authorization_field() {
    let rig = Rig::hostile("forwards").start().await;
    for (headers, place) in [
        ([("x-path", "/secrets/SURROGATE")], "path"),
        ([("x-path", "/secrets/db?api-version=SURROGATE")], "query"),
        ([("x-set", "x-copy=SURROGATE")], "header field"),
        ([("x-body", "text SURROGATE text")], "body"),
    ] {
        let response = rig.call(put(&headers, "{}")).await;
        assert!(
            matches!(response.violation(), Violation::MisplacedSurrogate(_)),
            "{place}: {:?}",
            response.error
        );
        rig.assert_no_token_in(&response);
    }
    assert!(rig.emulator.log().for_service("vault").iter().all(|sent| sent.body_bytes == 0));
}

#[tokio::test]
async fn what_is_not_allowed_is_denied() {
    let rig = Rig::hostile("forwards").start().await;
    for headers in [
        [("x-authority", "evil.example")],
        [("x-authority", "contoso.vault.azure.net:8443")],
        [("x-authority", "x@contoso.vault.azure.net")],
        [("x-path", "/keys/signing")],
        [("x-path", "/secrets/../keys/signing")],
        [("x-path", "/secrets/..%2fkeys")],
        [("x-set", "authorization=Bearer eyJ0.of.another")],
        [("x-set", "x-http-method-override=DELETE")],
    ] {
        let response = rig.call(get(SECRET, &headers)).await;
        assert!(response.error.is_some(), "{headers:?}: {}", response.text());
    }
    assert!(rig.emulator.log().for_service("vault").is_empty(), "a request was sent");
}

#[tokio::test]
async fn a_request_that_cannot_be_made_is_an_error_to_the_plugin() {
    let rig = Rig::hostile("forwards").start().await;
    for (headers, expected) in [
        ([("x-set", "host=evil.example")], "forbidden header name"),
        ([("x-set", "transfer-encoding=chunked")], "forbidden header name"),
        ([("x-append", "content-length=5")], "follows from the body"),
        ([("x-remove", "Content-Length")], "follows from the body"),
        ([("x-set", "x a=b")], "invalid header name"),
        ([("x-set", "=b")], "invalid header name"),
        ([("x-authority", "a b")], "HttpRequestUriInvalid"),
        ([("x-path", "no-slash and space")], "HttpRequestUriInvalid"),
    ] {
        let response = rig.call(get(SECRET, &headers)).await;
        let text = response.text();
        assert!(text.contains(expected), "{headers:?}: {text} {:?}", response.error);
    }
    assert!(rig.emulator.log().for_service("vault").is_empty(), "a request was sent");
}

#[tokio::test]
async fn a_body_is_sent_at_most_once() {
    let rig = Rig::hostile("forwards").start().await;
    for (headers, body) in [
        (&[("x-first", "send")][..], "{\"value\":\"1\"}"),
        (&[("x-first", "read")], "{\"value\":\"1\"}"),
        (&[("x-own-fields", "yes"), ("x-body", "unchanged")], "{\"value\":\"1\"}"),
    ] {
        let response = rig.call(put(headers, body)).await;
        assert!(
            response.text().contains("was read or sent before"),
            "{headers:?}: {} {:?}",
            response.text(),
            response.error
        );
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_made_ends_the_call() {
    let rig = Rig::hostile("forwards").start().await;
    for headers in [
        [("x-reply", "unchanged-of-nothing")],
        [("x-reply", "read")],
        [("x-reply-set", "connection=close")],
        [("x-reply-set", "content-length=1")],
        [("x-status", "99")],
        [("x-status", "103")],
    ] {
        let response = rig.call(get(SECRET, &headers)).await;
        assert!(
            matches!(response.error, Some(CallError::Trapped { .. })),
            "{headers:?}: {:?} {}",
            response.error,
            response.text()
        );
    }
}

#[tokio::test]
async fn limits_hold_for_what_is_passed_on() {
    let rig = Rig::hostile("forwards").limits("requests = 3").start().await;
    let response = rig.call(get(SECRET, &[("x-first", "many")])).await;
    let limit = |response: &CallResponse| match &response.error {
        Some(CallError::Limit { limit, .. }) => *limit,
        other => panic!("no limit: {other:?} {}", response.text()),
    };
    assert_eq!(limit(&response), Limit::Requests(3));

    let rig = Rig::hostile("forwards").limits("header_bytes = \"8KiB\"").start().await;
    let response = rig.call(get(SECRET, &[("x-large", "9000")])).await;
    assert_eq!(limit(&response), Limit::HeaderBytes(8 << 10));

    let rig = Rig::hostile("forwards").limits("memory = \"4MiB\"").start().await;
    let response = rig.call(put(&[("x-body", "large")], "{}")).await;
    assert_eq!(limit(&response), Limit::Memory(4 << 20));
}

#[tokio::test]
async fn a_guest_may_go_on_after_its_reply_and_must_end() {
    let rig = Rig::hostile("forwards").start().await;
    let response = rig.call(get(SECRET, &[("x-reply", "log")])).await;
    assert!(response.text().contains("swordfish") && response.broken.is_none());
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Answered);

    let rig = Rig::hostile("forwards").limits("cpu_time = \"200ms\"").start().await;
    rig.call(get(SECRET, &[("x-reply", "loop")])).await;
    assert_eq!(rig.audit.wait(1).await.rule, Some("cpu_time"));

    let response = rig.call(get(SECRET, &[("x-reply", "trap")])).await;
    assert!(response.broken.is_some() || response.error.is_some(), "{}", response.text());
    assert_eq!(rig.audit.wait(2).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn a_token_that_comes_back_is_redacted_in_a_reply() {
    let rig = Rig::hostile("forwards").start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Echo(7)));
    let response = rig.call(get(SECRET, &[])).await;
    assert_eq!(response.status, 200);
    rig.assert_no_token_in(&response);
    assert!(rig.audit.wait(1).await.redacted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_response_does_not_look_whole() {
    let rig = Rig::hostile("forwards").start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Truncate(5)));
    let response = rig.call(get(SECRET, &[])).await;
    assert!(response.broken.is_some() || response.error.is_some(), "{}", response.text());
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed);
}

/// Calls, and reads the response up to where the service stalls. Its guest is gone by then.
async fn stalled(rig: &Rig) -> keyward::Body {
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Stall(5)));
    let caller = Caller::named("test");
    let call = rig.broker.call("forwards", &caller, get(SECRET, &[]));
    let mut body = call.await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_on_response_that_stalls_is_ended() {
    let rig = Rig::hostile("forwards").limits("idle_time = \"200ms\"").start().await;
    let mut body = stalled(&rig).await;
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(rig.audit.wait(1).await.rule, Some("idle_time"));

    let rig = Rig::hostile("forwards").limits("wall_time = \"300ms\"").start().await;
    let mut body = stalled(&rig).await;
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(rig.audit.wait(1).await.rule, Some("wall_time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_on_response_holds_its_permit() {
    let limits = "concurrency = 1\nqueue = 1\nqueue_time = \"200ms\"";
    let rig = Rig::hostile("forwards").limits(limits).start().await;
    let body = stalled(&rig).await;
    let second = rig.call(get(SECRET, &[])).await;
    assert_eq!(second.status, 429, "{}", second.text());
    drop(body);
    assert_eq!(rig.audit.wait(2).await.outcome, Outcome::Abandoned);
    rig.emulator.faults().clear();
    assert_eq!(rig.call(get(SECRET, &[])).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_ends_a_passed_on_response() {
    let rig = Rig::hostile("forwards").start().await;
    let mut body = stalled(&rig).await;
    let lock = Lock::new(LockTarget::Mount("forwards".to_owned()), &"test", None);
    rig.broker.lock(lock).await.unwrap();
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Locked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_overtakes_the_upload_ends_it() {
    let rig = Rig::hostile("forwards").start().await;
    for (read, at_once) in [(0, true), (100_000, true), (0, false)] {
        rig.emulator.faults().clear();
        let early = FaultKind::RespondEarly { status: 403, read, at_once };
        rig.emulator.faults().add(Fault::always("vault", early));
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        let request = Request::put(SECRET).header("content-length", 64 << 20).body(body).unwrap();
        let broker = rig.broker.clone();
        let call = tokio::spawn(async move {
            let response = broker.call("forwards", &Caller::named("test"), request).await.unwrap();
            (response.status(), response.into_body().collect().await.map(|body| body.to_bytes()))
        });
        // The body is dropped when the response is there.
        while sender.send_data(Bytes::from(vec![7_u8; 64 << 10])).await.is_ok() {}
        let (status, body) = call.await.unwrap();
        assert_eq!(status, 403, "{read} {at_once}");
        assert!(String::from_utf8_lossy(&body.unwrap()).contains("did not wait for the body"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_during_an_upload_ends_it() {
    let rig = Rig::hostile("forwards").start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::DiscardBody));
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::put(SECRET).header("content-length", 64 << 20).body(body).unwrap();
    let broker = rig.broker.clone();
    let call = tokio::spawn(async move {
        broker.call("forwards", &Caller::named("test"), request).await.map(drop)
    });
    for _ in 0..3 {
        sender.send_data(Bytes::from(vec![7_u8; 1 << 20])).await.unwrap();
    }
    call.abort();
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Abandoned);
    // Its side of the body is dropped too.
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while sender.send_data(Bytes::from_static(b"more")).await.is_ok() {}
    });
    assert!(gone.await.is_ok(), "the upload goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_length_of_a_body_that_is_read_in_part_is_known() {
    let rig = Rig::hostile("forwards").start().await;
    for length in (64 << 10)..(64 << 10) + 20 {
        // A body that ends like a surrogate or a token begins is held back in part.
        let body = format!("{}keyward-surrogate-eyJ", "x".repeat(length));
        rig.emulator.faults().clear();
        let respond = FaultKind::Respond { status: 200, headers: Vec::new(), body: body.clone() };
        rig.emulator.faults().add(Fault::always("vault", respond));
        let caller = Caller::named("test");
        let response = rig.broker.call("forwards", &caller, get(SECRET, &[])).await.unwrap();
        let hint = http_body::Body::size_hint(response.body());
        assert_eq!(hint.exact(), Some(body.len() as u64));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    }
}
