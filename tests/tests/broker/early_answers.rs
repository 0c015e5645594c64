//! Services that answer before they have the whole body, and guests that send it in ways of their
//! own.

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
            let answer = rig.call(get("/", &[])).await;
            let text = answer.text();
            assert!(
                text.starts_with("status 403\n"),
                "{read} {at_once}: {text} {:?}",
                answer.error
            );
            assert!(text.ends_with("did not wait for the body.\"}}"), "{read} {at_once}: {text}");
            calls += 1;
            assert_eq!(rig.audit.wait(calls).await.outcome, Outcome::Answered);
            rig.assert_no_token_in(&answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_is_an_error_to_a_guest_that_writes_everything_first() {
    let rig = Rig::hostile("sequential_upload").start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::CloseAfterRequestBytes(1000)));
    for _ in 0..5 {
        let answer = rig.call(get("/", &[])).await;
        assert!(answer.text().starts_with("error "), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_may_be_left_unfinished_after_its_response() {
    let rig = Rig::hostile("unfinished_upload").start().await;
    for (calls, (read, at_once)) in (1..).zip([(0, true), (1, true), (0, false)]) {
        rig.emulator.faults().clear();
        rig.emulator.faults().add(early(read, at_once));
        let answer = rig.call(get("/", &[])).await;
        assert!(answer.text().starts_with("status 403\n"), "{}: {:?}", answer.text(), answer.error);
        assert_eq!(answer.broken, None);
        assert_eq!(rig.audit.wait(calls).await.outcome, Outcome::Answered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_response_beside_an_upload_does_not_look_complete() {
    let rig = Rig::hostile("unfinished_upload").start().await;
    rig.emulator.faults().add(early(0, true));
    let answer = rig.call(get("/", &[("x-leave", "response")])).await;
    assert!(answer.error.is_some() || answer.broken.is_some(), "{}", answer.text());
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed);
}
