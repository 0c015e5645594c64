//! Services that respond before they have the whole body, and guests that send it in unusual ways.

use keyward::audit::Outcome;
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{Rig, get};

fn early(read: usize, at_once: bool) -> Fault {
    Fault::always("vault", FaultKind::RespondEarly { status: 403, read, at_once })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_writes_everything_first_gets_the_response() {
    let rig = Rig::hostile("sequential_upload").start().await;
    let mut calls = 0;
    for (read, at_once) in [(0, true), (100_000, true), (0, false)] {
        rig.emulator.faults().clear();
        rig.emulator.faults().add(early(read, at_once));
        for _ in 0..5 {
            let response = rig.call(get("/", &[])).await;
            let text = response.text();
            assert!(
                text.starts_with("status 403\n"),
                "{read} {at_once}: {text} {:?}",
                response.error
            );
            assert!(text.ends_with("did not wait for the body.\"}}"), "{read} {at_once}: {text}");
            calls += 1;
            assert_eq!(rig.audit.wait(calls).await.outcome, Outcome::Answered);
            rig.assert_no_token_in(&response);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_is_an_error_to_a_guest_that_writes_everything_first() {
    let rig = Rig::hostile("sequential_upload").start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::CloseAfterRequestBytes(1000)));
    for _ in 0..5 {
        let response = rig.call(get("/", &[])).await;
        assert!(response.text().starts_with("error "), "{}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_may_be_left_unfinished_after_its_response() {
    let rig = Rig::hostile("unfinished_upload").start().await;
    for (calls, (read, at_once)) in (1..).zip([(0, true), (1, true), (0, false)]) {
        rig.emulator.faults().clear();
        rig.emulator.faults().add(early(read, at_once));
        let response = rig.call(get("/", &[])).await;
        assert!(
            response.text().starts_with("status 403\n"),
            "{}: {:?}",
            response.text(),
            response.error
        );
        assert_eq!(response.broken, None);
        assert_eq!(rig.audit.wait(calls).await.outcome, Outcome::Answered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_response_beside_an_upload_does_not_look_complete() {
    let rig = Rig::hostile("unfinished_upload").start().await;
    rig.emulator.faults().add(early(0, true));
    let response = rig.call(get("/", &[("x-leave", "response")])).await;
    assert!(response.error.is_some() || response.broken.is_some(), "{}", response.text());
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed);
}
