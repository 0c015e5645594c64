//! Guests that exceed limits. Only their own call is ended, with an error that names the limit.

use std::time::Duration;

use keyward::audit::Outcome;
use keyward::{CallError, Limit};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{CallResponse, Rig, RigBuilder, get};

/// A mount of a guest that exceeds a limit.
fn greedy(guest: &str, limit: &str) -> RigBuilder {
    Rig::hostile(guest).limits(limit)
}

async fn assert_limited(rig: &Rig, response: &CallResponse, limit: Limit, status: u16) {
    match &response.error {
        Some(CallError::Limit { limit: found, .. }) => assert_eq!(*found, limit),
        other => panic!("no limit: {other:?}, {}", response.text()),
    }
    assert_eq!(response.status, status);
    assert!(
        response.text().contains(limit.key()),
        "the problem names the limit: {}",
        response.text()
    );
    rig.assert_no_token_in(response);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Failed, Some(limit.key())));
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    let rig = greedy("endless_loop", "cpu_time = \"200ms\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::CpuTime(Duration::from_millis(200)), 502).await;
}

#[tokio::test]
async fn an_endless_sleep_is_stopped_also_in_small_steps() {
    for guest in ["endless_sleep", "sleeps_in_small_steps"] {
        let rig = greedy(guest, "idle_time = \"200ms\"").start().await;
        let response = rig.call(get("/", &[])).await;
        assert_limited(&rig, &response, Limit::IdleTime(Duration::from_millis(200)), 504).await;
    }
}

#[tokio::test]
async fn a_call_has_a_total_time_limit() {
    let rig = greedy("endless_sleep", "wall_time = \"200ms\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::WallTime(Duration::from_millis(200)), 504).await;
}

#[tokio::test]
async fn an_endless_upload_and_an_endless_answer_are_stopped() {
    let rig = greedy("endless_upload", "wall_time = \"500ms\"").start().await;
    rig.emulator.faults().add(Fault::once("vault", FaultKind::DiscardBody));
    let answer = rig.call(get("/", &[])).await;
    assert_limited(&rig, &answer, Limit::WallTime(Duration::from_millis(500)), 504).await;

    let rig = greedy("endless_answer", "wall_time = \"500ms\"").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert!(answer.broken.is_some(), "it must not look whole");
    assert_eq!(rig.audit.wait(1).await.rule, Some("wall_time"));
}

#[tokio::test]
async fn memory_is_bounded() {
    let rig = greedy("memory_hog", "memory = \"8MiB\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::Memory(8 << 20), 502).await;
}

#[tokio::test]
async fn what_the_host_holds_for_a_guest_counts_as_its_memory() {
    for way in
        ["fields", "clones", "paths", "bodies", "ended-bodies", "trailers", "uploads", "responses"]
    {
        let limits = "memory = \"8MiB\"\nresources = 100000\nrequests = 4000";
        let rig = greedy("holds_host_memory", limits).start().await;
        let answer = vec![("x-long".to_owned(), "x".repeat(4096))];
        let large = FaultKind::Respond { status: 200, headers: answer, body: "{}".to_owned() };
        if way == "responses" {
            rig.emulator.faults().add(Fault::always("vault", large));
        }
        let response = rig.call(get("/", &[("x-hold", way)])).await;
        assert_limited(&rig, &response, Limit::Memory(8 << 20), 502).await;
    }
}

#[tokio::test]
async fn what_a_guest_drops_does_not_count() {
    for way in ["fields-and-drop", "bodies-and-drop"] {
        let rig = greedy("holds_host_memory", "memory = \"8MiB\"").start().await;
        let response = rig.call(get("/", &[("x-hold", way)])).await;
        assert_eq!(response.status, 200, "{way}: {:?}", response.error);
        assert!(response.text().starts_with("held 0"), "{}", response.text());
    }
}

#[tokio::test]
async fn a_guest_that_goes_on_after_its_response_is_stopped() {
    let rig = greedy("overstays", "finish_time = \"200ms\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_eq!(response.status, 200, "its response is not harmed");
    assert!(response.broken.is_none() && response.text().starts_with("all of it"));
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Failed, Some("finish_time")));
    assert_eq!(record.status, Some(200));
}

#[tokio::test]
async fn handles_are_bounded() {
    let rig = greedy("resource_hog", "resources = 500").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::Resources(500), 502).await;
}

#[tokio::test]
async fn header_fields_are_bounded() {
    let rig = greedy("header_hog", "header_bytes = \"32KiB\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::HeaderBytes(32 << 10), 502).await;
}

#[tokio::test]
async fn the_size_of_host_call_arguments_is_bounded() {
    let rig = greedy("hostcall_hog", "hostcall_bytes = \"1MiB\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::HostcallBytes(1 << 20), 502).await;
}

#[tokio::test]
async fn a_log_flood_is_stopped() {
    let rig = greedy("log_flood", "log_bytes = \"4KiB\"").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::LogBytes(4 << 10), 502).await;
}

#[tokio::test]
async fn the_count_of_requests_is_bounded() {
    let rig = greedy("thousand_requests", "requests = 10").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::Requests(10), 502).await;
    assert_eq!(rig.emulator.log().for_service("vault").len(), 10);
}

/// A component whose handler is this WebAssembly, with a table and a memory at hand.
fn in_wat(handler: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "wasi:http/types@0.2.12" (instance $types
                (export "incoming-request" (type (sub resource)))
                (export "response-outparam" (type (sub resource)))))
            (alias export $types "incoming-request" (type $request))
            (alias export $types "response-outparam" (type $outparam))
            (core module $module
                (table $table 1 funcref)
                (memory $memory 1)
                {handler})
            (core instance $instance (instantiate $module))
            (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
                (canon lift (core func $instance "handle")))
            (component $wrapper
                (import "request" (type $request (sub resource)))
                (import "outparam" (type $outparam (sub resource)))
                (import "handle" (func $handle
                    (param "request" (own $request)) (param "response-out" (own $outparam))))
                (export "handle" (func $handle)))
            (instance $handler (instantiate $wrapper
                (with "request" (type $request)) (with "outparam" (type $outparam))
                (with "handle" (func $handle))))
            (export "wasi:http/incoming-handler@0.2.12" (instance $handler)))"#
    );
    with_manifest(&text)
}

/// A component from its text, with a manifest.
fn with_manifest(text: &str) -> Vec<u8> {
    let mut component = wat::parse_str(text).unwrap();
    let manifest = b"name = \"wat\"\n[audience.vault]\ncloud = \"vault\"\n";
    component.extend([0, u8::try_from(1 + 16 + manifest.len()).unwrap(), 16]);
    component.extend(b"keyward:manifest");
    component.extend(manifest);
    component
}

#[tokio::test]
async fn tables_are_bounded() {
    let grow = "(func (export \"handle\") (param i32 i32)
        (loop (drop (table.grow $table (ref.null func) (i32.const 100))) (br 0)))";
    let rig = Rig::of(in_wat(grow)).limits("table_elements = 1000").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_limited(&rig, &response, Limit::TableElements(1000), 502).await;
}

#[tokio::test]
async fn the_stack_is_bounded() {
    let recurse = "(func $f (export \"handle\") (param i32 i32) (call $f (local.get 0) (local.get \
                   1)) unreachable)";
    let rig = Rig::of(in_wat(recurse)).start().await;
    let response = rig.call(get("/", &[])).await;
    match &response.error {
        Some(CallError::Trapped { why, .. }) => assert!(why.contains("stack"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(response.status, 502);
}

#[tokio::test]
async fn concurrent_hostile_calls_do_not_affect_another_mount() {
    let rig =
        greedy("endless_loop", "cpu_time = \"300ms\"\nconcurrency = 4\nqueue = 4").start().await;
    let neighbour = Rig::keyvault().start().await;
    let calls: Vec<_> = (0..8).map(|_| rig.call(get("/", &[]))).collect();
    let neighbours = async {
        for _ in 0..20 {
            assert_eq!(neighbour.call(get("/secrets/db", &[])).await.status, 200);
        }
    };
    let (responses, ()) = tokio::join!(all(calls), neighbours);
    assert!(
        responses.iter().all(|response| matches!(response.error, Some(CallError::Limit { .. }))),
        "{responses:?}"
    );
    let good = rig.call(get("/", &[])).await;
    assert!(matches!(good.error, Some(CallError::Limit { .. })), "its places are free again");
}

#[tokio::test]
async fn a_call_beyond_the_queue_is_rejected_immediately() {
    let rig =
        greedy("endless_sleep", "wall_time = \"500ms\"\nconcurrency = 2\nqueue = 3").start().await;
    let responses = all((0..8).map(|_| rig.call(get("/", &[]))).collect()).await;
    let busy: Vec<_> = responses
        .iter()
        .filter(|response| matches!(response.error, Some(CallError::Busy { .. })))
        .collect();
    assert_eq!(busy.len(), 3);
    assert_eq!(
        (busy[0].status.as_u16(), busy[0].headers["retry-after"].to_str().unwrap()),
        (429, "1")
    );
}

#[tokio::test]
async fn a_call_does_not_wait_forever_for_another_to_end() {
    let limits = "wall_time = \"1h\"\nidle_time = \"1h\"\nconcurrency = 1\nqueue_time = \"100ms\"";
    let rig = greedy("endless_sleep", limits).start().await;
    let running = rig.call(get("/", &[]));
    let waiting = rig.call(get("/", &[]));
    let response = tokio::select! {
        biased;
        _ = running => panic!("it sleeps"),
        response = waiting => response,
    };
    match &response.error {
        Some(CallError::Waited { waited, .. }) => assert_eq!(*waited, Duration::from_millis(100)),
        other => panic!("{other:?}"),
    }
    assert_eq!((response.status.as_u16(), &response.headers["retry-after"] == "1"), (429, true));
    assert!(response.text().contains("queue_time"), "{}", response.text());
}

async fn all<F: Future<Output = CallResponse>>(calls: Vec<F>) -> Vec<CallResponse> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut responses = Vec::new();
    std::future::poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            std::task::Poll::Ready(response) => {
                responses.push(response);
                false
            }
            std::task::Poll::Pending => true,
        });
        if calls.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    responses
}

#[tokio::test]
async fn a_component_with_an_unknown_import_is_rejected_by_name() {
    let plan = |component: Vec<u8>| {
        let config = "[identity.default]\nsource = \"imds\"\n[mount.m]\nplugin = \"p\"\nendpoint \
                      = \"https://a.vault.azure.net\"\n";
        let config =
            keyward_policy::config::Config::from_toml(std::path::Path::new("k.toml"), config)
                .unwrap();
        keyward::plan(config, &keyward::Plugins::new().with("p", component)).unwrap()
    };
    let files = r#"(component (import "wasi:filesystem/preopens@0.2.12"
        (instance (export "get-directories" (func)))))"#;
    let error = keyward::Broker::start(plan(with_manifest(files))).unwrap_err().to_string();
    assert!(
        error.contains("wasi:filesystem/preopens@0.2.12") && error.contains("which no plugin gets"),
        "{error}"
    );
    let memories = in_wat("(memory 1) (memory 1) (func (export \"handle\") (param i32 i32))");
    let error = keyward::Broker::start(plan(memories)).unwrap_err().to_string();
    assert!(error.contains("memor"), "{error}");
}
