//! Services that reject tokens, either correctly or to make the broker request others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Request;
use keyward::identity::clock::{Clock, Sleep, SystemClock};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{Rig, get};

const REJECTED: (&str, &str) =
    ("www-authenticate", "Bearer error=\"invalid_token\", error_description=\"revoked\"");

fn rejects(rejection: (&str, &str)) -> FaultKind {
    let headers = vec![(rejection.0.to_owned(), rejection.1.to_owned())];
    FaultKind::Respond { status: 401, headers, body: String::new() }
}

/// The system's clock, some seconds ahead.
#[derive(Clone, Default)]
struct Ahead(SystemClock, Arc<AtomicU64>);

impl Ahead {
    fn by(&self) -> Duration {
        Duration::from_secs(self.1.load(Ordering::SeqCst))
    }
}

impl Clock for Ahead {
    fn wall(&self) -> Duration {
        self.0.wall() + self.by()
    }

    fn steady(&self) -> Duration {
        self.0.steady() + self.by()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }
}

#[tokio::test]
async fn a_read_whose_token_is_rejected_is_repeated_once_with_another() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().add(Fault::once("vault", rejects(REJECTED)));
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(rig.emulator.log().for_service("vault").len(), 2);
    assert_eq!(rig.emulator.log().for_service("imds").len(), 2);
    let record = rig.audit.wait(1).await;
    assert!(record.upstream[0].token_rejected && record.upstream[0].status == Some(200));
    rig.assert_no_token_in(&response);
}

#[tokio::test]
async fn a_service_that_rejects_every_token_costs_one_request_a_minute() {
    let clock = Ahead::default();
    let rig = Rig::keyvault().clock(clock.clone()).start().await;
    rig.emulator.faults().add(Fault::always("vault", rejects(REJECTED)));
    for minute in 1..=3 {
        for _ in 0..10 {
            let response = rig.call(get("/secrets/db", &[])).await;
            assert_eq!(response.status, 401);
            rig.assert_no_token_in(&response);
        }
        assert_eq!(
            rig.emulator.log().for_service("imds").len(),
            1 + minute,
            "after {minute} minutes"
        );
        clock.1.fetch_add(61, Ordering::SeqCst);
    }
    assert_eq!(
        rig.emulator.log().for_service("vault").len(),
        33,
        "one repetition for each new token"
    );
    rig.emulator.faults().clear();
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
}

#[tokio::test]
async fn a_rejected_token_stays_cached_if_there_is_no_other() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
    rig.emulator.faults().status("imds", 400, &[], "{\"error\": \"invalid_request\"}");
    rig.emulator.faults().add(Fault::once("vault", rejects(REJECTED)));
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 401);
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_is_not_repeated() {
    let rig = Rig::keyvault().start().await;
    let put = || {
        let request = Request::put("/secrets/new").header("content-type", "application/json");
        request.body(bytes::Bytes::from_static(b"{\"value\": \"x\"}").into()).unwrap()
    };
    rig.emulator.faults().add(Fault::once("vault", rejects(REJECTED)));
    assert_eq!(rig.call(put()).await.status, 401);
    assert_eq!(rig.emulator.log().for_service("vault").len(), 1);
    assert_eq!(rig.call(put()).await.status, 200, "with another token");
    assert_eq!(rig.emulator.log().for_service("imds").len(), 2);
}

#[tokio::test]
async fn a_401_that_does_not_reject_the_token_changes_nothing() {
    let rig = Rig::keyvault().start().await;
    for challenge in
        [("www-authenticate", "Bearer error=\"insufficient_scope\""), ("x-ms-error-code", "Other")]
    {
        rig.emulator.faults().add(Fault::once("vault", rejects(challenge)));
        assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 401);
    }
    assert_eq!(rig.emulator.log().for_service("imds").len(), 1);
}

#[tokio::test]
async fn storages_own_rejection_field_is_recognized() {
    let rig = Rig::storage("").start().await;
    rig.emulator
        .faults()
        .add(Fault::once("blob", rejects(("x-ms-error-code", "InvalidAuthenticationInfo"))));
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
    assert_eq!(rig.emulator.log().for_service("imds").len(), 2);
}

#[tokio::test]
async fn the_first_token_is_redacted_from_the_response_to_the_second() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
    let first = rig.emulator.issued_tokens().pop().unwrap();
    rig.emulator.faults().add(Fault::once("vault", rejects(REJECTED)));
    let echo = FaultKind::Respond {
        status: 200,
        headers: vec![("x-echo".to_owned(), first.clone())],
        body: first,
    };
    rig.emulator.faults().add(Fault::once("vault", echo));
    let response = rig.call(get("/secrets/db", &[])).await;
    assert!(response.status == 200 && response.text().contains("****"), "{}", response.text());
    assert_eq!(rig.emulator.issued_tokens().len(), 2);
    rig.assert_no_token_in(&response);
}
