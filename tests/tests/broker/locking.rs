//! Locks: everything, or one mount, caller or identity, is denied at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use http_body_util::BodyExt;
use keyward::audit::Outcome;
use keyward::caller::Proof;
use keyward::{Broker, CallError, Caller, Lock, LockAction, LockEvent, LockTarget, Locked};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{Rig, get};

/// Two callers by their users.
const CALLERS: &str = "[caller.web]\nuser = 33\n[caller.batch]\nuser = 34\n";

fn user(uid: u32) -> Caller {
    Proof { uid: Some(uid), ..Proof::default() }.into()
}

fn mount(name: &str) -> LockTarget {
    LockTarget::Mount(name.to_owned())
}

fn caller(name: &str) -> LockTarget {
    LockTarget::Caller(name.to_owned())
}

fn identity(name: &str) -> LockTarget {
    LockTarget::Identity(name.to_owned())
}

async fn lock(broker: &Broker, target: LockTarget) -> Locked {
    broker.lock(Lock::new(target, &user(0), Some("a drill".to_owned()))).await.unwrap()
}

fn unlock(broker: &Broker, target: LockTarget) -> Option<Lock> {
    broker.unlock(&LockEvent::now(LockAction::Unlock, target, &user(0), None))
}

async fn call(broker: &Broker, mount: &str, caller: &Caller, path: &str) -> Result<u16, CallError> {
    let response = broker.call(mount, caller, get(path, &[])).await?;
    let status = response.status().as_u16();
    drop(response.into_body().collect().await);
    Ok(status)
}

fn is_locked(result: Result<u16, CallError>) -> bool {
    matches!(result, Err(CallError::Locked { .. }))
}

/// Waits until a service has received so many requests.
async fn requests(rig: &Rig, service: &str, count: usize) {
    while rig.emulator.log().for_service(service).len() < count {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_lock_denies_what_it_covers_and_nothing_else() {
    let sections = format!(
        "{CALLERS}[identity.reports]\nsource = \"imds\"\n\
         [mount.arm]\nplugin = \"arm\"\ncallers = [\"web\"]\nidentity = \"reports\"\n"
    );
    let lines = "callers = [\"web\", \"batch\", \"*\"]";
    let rig = Rig::keyvault().mount_lines(lines).sections(&sections).start().await;
    let (broker, path) = (&rig.broker, "/secrets/db");
    for (target, denied) in [
        (LockTarget::All, [true, true, true, true]),
        (mount("vault"), [true, true, true, false]),
        (identity("default"), [true, true, true, false]),
        (caller("web"), [true, false, false, true]),
        (caller("*"), [false, false, true, false]),
        (mount("arm"), [false, false, false, true]),
        (identity("reports"), [false, false, false, true]),
    ] {
        assert!(!lock(broker, target.clone()).await.was_locked);
        for (uid, denied) in [33, 34, 35].into_iter().zip(denied) {
            let called = call(broker, "vault", &user(uid), path).await;
            assert_eq!(is_locked(called), denied, "{target} {uid}");
        }
        // Without its lock, it would look for a metadata service.
        if denied[3] {
            let called = call(broker, "arm", &user(33), "/subscriptions").await;
            assert!(is_locked(called), "{target}");
        }
        assert_eq!(unlock(broker, target.clone()).unwrap().target, target);
        assert_eq!(unlock(broker, target), None);
        assert_eq!(call(broker, "vault", &user(33), path).await, Ok(200));
    }
}

#[tokio::test]
async fn a_denial_names_the_lock_and_how_to_lift_it_but_not_its_reason() {
    let rig = Rig::keyvault().start().await;
    lock(&rig.broker, mount("vault")).await;
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(response.status, 403);
    let text = response.text();
    assert!(text.contains("urn:keyward:problem:locked"), "{text}");
    assert!(text.contains("mount `vault` is locked"), "{text}");
    assert!(text.contains("keyward unlock --mount vault"), "{text}");
    assert!(!text.contains("drill"), "{text}");
    assert!(rig.emulator.log().for_service("imds").is_empty());
}

#[tokio::test]
async fn locks_of_one_call_are_lifted_one_by_one() {
    let rig = Rig::keyvault().start().await;
    let (broker, anybody) = (&rig.broker, Caller::named("test"));
    lock(broker, mount("vault")).await;
    lock(broker, LockTarget::All).await;
    assert!(lock(broker, LockTarget::All).await.was_locked);
    assert!(unlock(broker, LockTarget::All).is_some());
    assert!(is_locked(call(broker, "vault", &anybody, "/secrets/db").await));
    assert!(unlock(broker, mount("vault")).is_some());
    assert_eq!(call(broker, "vault", &anybody, "/secrets/db").await, Ok(200));
    assert!(broker.locks().is_empty());
}

#[tokio::test]
async fn an_unknown_name_is_an_error_with_the_known_ones() {
    let rig = Rig::keyvault().sections(CALLERS).mount_lines("callers = [\"web\"]").start().await;
    for (target, words) in [
        (mount("valut"), "there is no mount `valut`; expected vault"),
        (caller("wbe"), "there is no caller `wbe`; expected web, batch or *"),
        (identity("x"), "there is no identity `x`; expected default"),
    ] {
        let error = rig.broker.lock(Lock::new(target, &"test", None)).await.unwrap_err();
        assert_eq!(error.to_string(), words);
    }
    assert!(rig.broker.locks().is_empty());
}

#[tokio::test]
async fn running_and_waiting_calls_end_at_once() {
    let limits = "concurrency = 1\nqueue = 4\nqueue_time = \"1h\"\n";
    let rig = Rig::keyvault().limits(limits).start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let broker = rig.broker.clone();
            tokio::spawn(async move {
                call(&broker, "vault", &Caller::named("test"), "/secrets/db").await
            })
        })
        .collect();
    // The emulator logs a request when it responds.
    requests(&rig, "imds", 1).await;
    let locked = lock(&rig.broker, LockTarget::All).await;
    assert_eq!((locked.calls_ended, locked.calls_stopping), (3, 0));
    for call in calls {
        assert!(is_locked(call.await.unwrap()));
    }
    let record = rig.audit.wait(4).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("locked")));
    assert_eq!(record.status, Some(403));
}

#[tokio::test]
async fn a_response_that_streams_breaks_off() {
    let rig = Rig::storage("").start().await;
    rig.emulator.faults().add(Fault::always("blob", FaultKind::Stall(5)));
    let request = get("/hello/world.txt", &[]);
    let response = rig.broker.call("blobs", &Caller::named("test"), request).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    let locked = lock(&rig.broker, mount("blobs")).await;
    assert_eq!((locked.calls_ended, locked.calls_stopping), (1, 0));
    let error = body.frame().await.unwrap().unwrap_err().to_string();
    assert!(error.contains("mount `blobs` is locked"), "{error}");
    drop(body);
    let record = rig.audit.wait(2).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("locked")));
}

#[tokio::test]
async fn a_guest_that_computes_ends_too() {
    let rig = Rig::hostile("endless_loop").limits("cpu_time = \"1m\"\n").start().await;
    let broker = rig.broker.clone();
    let calling =
        tokio::spawn(
            async move { call(&broker, "endless-loop", &Caller::named("test"), "/").await },
        );
    // It has no other effect than the call that runs.
    let ended = async {
        loop {
            let locked = lock(&rig.broker, LockTarget::All).await;
            if locked.calls_ended == 1 {
                return locked;
            }
            unlock(&rig.broker, LockTarget::All);
            tokio::task::yield_now().await;
        }
    };
    let locked = tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
    assert_eq!(locked.calls_stopping, 0);
    assert!(is_locked(calling.await.unwrap()));
}

#[tokio::test]
async fn a_lock_of_a_caller_ends_its_calls_only_and_leaves_the_token() {
    let lines = "callers = [\"web\", \"batch\"]";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang));
    let calling = |uid| {
        let broker = rig.broker.clone();
        tokio::spawn(async move { call(&broker, "vault", &user(uid), "/secrets/db").await })
    };
    let (web, batch) = (calling(33), calling(34));
    requests(&rig, "imds", 1).await;
    let locked = lock(&rig.broker, caller("web")).await;
    assert_eq!((locked.calls_ended, locked.calls_stopping), (1, 0));
    assert!(locked.tokens.is_empty());
    assert!(is_locked(web.await.unwrap()));
    rig.emulator.faults().clear();
    assert_eq!(batch.await.unwrap(), Ok(200));
    assert_eq!(rig.emulator.log().for_service("imds").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_token_is_fetched_once_the_lock_is_there() {
    for target in [LockTarget::All, mount("vault"), identity("default"), caller("*")] {
        let rig = Rig::keyvault().start().await;
        let (denied, anybody) = (Arc::new(AtomicUsize::new(0)), Caller::named("test"));
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let (broker, denied, anybody) =
                    (rig.broker.clone(), Arc::clone(&denied), anybody.clone());
                tokio::spawn(async move {
                    while !is_locked(call(&broker, "vault", &anybody, "/secrets/db").await) {}
                    denied.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        requests(&rig, "vault", 20).await;
        let locked = lock(&rig.broker, target.clone()).await;
        assert_eq!(locked.calls_stopping, 0);
        let fetched = rig.emulator.log().for_service("imds").len();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(denied.load(Ordering::SeqCst), 8);
        assert_eq!(rig.emulator.log().for_service("imds").len(), fetched, "{target}");
        let statistics = rig.broker.token_statistics();
        let has_token = statistics["default"].iter().any(|token| token.expires_on.is_some());
        assert_eq!(has_token, matches!(target, LockTarget::Caller(_)), "{target}");
    }
}

#[tokio::test]
async fn tokens_are_dropped_and_fetched_again_after_the_unlock() {
    for target in [LockTarget::All, mount("vault"), identity("default")] {
        let rig = Rig::keyvault().start().await;
        let (broker, anybody) = (&rig.broker, Caller::named("test"));
        assert_eq!(call(broker, "vault", &anybody, "/secrets/db").await, Ok(200));
        let locked = lock(broker, target.clone()).await;
        let dropped: Vec<String> =
            locked.tokens["default"].iter().map(ToString::to_string).collect();
        assert_eq!(dropped, ["https://vault.azure.net"], "{target}");
        assert!(unlock(broker, target).is_some());
        assert_eq!(call(broker, "vault", &anybody, "/secrets/db").await, Ok(200));
        assert_eq!(rig.emulator.log().for_service("imds").len(), 2);
    }
}

#[tokio::test]
async fn pooled_sessions_of_a_database_are_closed() {
    let rig = Rig::database("").start().await;
    let steps = "open shop | query select 1 as one | all";
    for (count, cached) in [(1, false), (2, true)] {
        assert_eq!(rig.call(get("/", &[("x-do", steps)])).await.status, 200);
        assert_eq!(rig.audit.wait(count).await.upstream[0].cached, cached);
    }
    lock(&rig.broker, mount("database")).await;
    assert!(unlock(&rig.broker, mount("database")).is_some());
    assert_eq!(rig.call(get("/", &[("x-do", steps)])).await.status, 200);
    assert!(!rig.audit.wait(5).await.upstream[0].cached);
}

#[tokio::test]
async fn sealed_values_are_dropped() {
    let rig = Rig::hostile_to_seals("sas_reader").start().await;
    let call = async || rig.call(get("/", &[("x-field", "accept: */*")])).await;
    assert_eq!(call().await.status, 200);
    let issued = rig.emulator.issued_sas().len();
    assert_eq!(call().await.status, 200);
    assert_eq!(rig.emulator.issued_sas().len(), issued, "cached");
    lock(&rig.broker, LockTarget::All).await;
    assert_eq!(call().await.status, 403);
    assert!(unlock(&rig.broker, LockTarget::All).is_some());
    assert_eq!(call().await.status, 200);
    assert_eq!(rig.emulator.issued_sas().len(), 2 * issued);
}

#[tokio::test]
async fn the_audit_has_who_locked_and_unlocked_what_and_why() {
    let rig = Rig::keyvault().start().await;
    lock(&rig.broker, mount("vault")).await;
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.caller.as_str()), (Outcome::Locked, "uid=0"));
    assert_eq!((record.mount.as_str(), record.lock), ("vault", Some(mount("vault"))));
    assert_eq!(record.reason.as_deref(), Some("a drill"));
    unlock(&rig.broker, mount("vault"));
    let record = rig.audit.wait(2).await;
    assert_eq!((record.outcome, record.lock), (Outcome::Unlocked, Some(mount("vault"))));
    unlock(&rig.broker, mount("vault"));
    assert_eq!(rig.audit.all().len(), 2, "nothing was locked");
}

#[tokio::test]
async fn a_broker_starts_with_its_locks_and_takes_those_of_others() {
    let stored = |target| Lock::new(target, &"test", None);
    let gone = mount("removed-since");
    let rig = Rig::keyvault().locks([stored(mount("vault")), stored(gone.clone())]).start().await;
    let (broker, anybody) = (&rig.broker, Caller::named("test"));
    assert!(is_locked(call(broker, "vault", &anybody, "/secrets/db").await));
    assert!(unlock(broker, gone).is_some());
    broker.change_locks(&[mount("vault")], vec![stored(identity("default"))]).await;
    assert!(is_locked(call(broker, "vault", &anybody, "/secrets/db").await));
    assert!(rig.emulator.log().for_service("imds").is_empty());
    broker.change_locks(&[identity("default")], Vec::new()).await;
    assert_eq!(call(broker, "vault", &anybody, "/secrets/db").await, Ok(200));
}

#[tokio::test]
async fn all_locks_of_others_deny_before_the_calls_of_the_first_have_stopped() {
    let rig = Rig::keyvault().sections("[mount.arm]\nplugin = \"arm\"\n").start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang));
    let broker = rig.broker.clone();
    let calling =
        tokio::spawn(
            async move { call(&broker, "vault", &Caller::named("test"), "/secrets/db").await },
        );
    requests(&rig, "imds", 1).await;
    let locks = [mount("vault"), mount("arm")].map(|target| Lock::new(target, &"test", None));
    let mut changing = std::pin::pin!(rig.broker.change_locks(&[], locks.to_vec()));
    let begun = std::future::poll_fn(|context| Poll::Ready(changing.as_mut().poll(context)));
    assert!(begun.await.is_pending(), "a call has not stopped yet");
    assert_eq!(rig.broker.locks().len(), 2);
    changing.await;
    assert!(is_locked(calling.await.unwrap()));
}
