//! Callers: whom a mount serves, and what it does for each of them.

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use keyward::audit::Outcome;
use keyward::caller::{Proof, ServiceAccount};
use keyward::{Body, Caller};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{Rig, get, post};
use serde_json::json;
use tokio::task::JoinSet;

/// Two callers by their users, and one by its place in the embedding service.
const CALLERS: &str = "[caller.web]\nuser = 33\n[caller.batch]\nuser = 34\n\
                       [caller.reports]\nembedded = \"reports\"\n";

fn user(uid: u32) -> Caller {
    Proof { uid: Some(uid), ..Proof::default() }.into()
}

async fn send(
    rig: &Rig,
    mount: &str,
    caller: &Caller,
    request: Request<Full<Bytes>>,
) -> Response<Body> {
    rig.broker.respond(mount, caller, request).await
}

async fn status(rig: &Rig, mount: &str, caller: &Caller, path: &str) -> u16 {
    send(rig, mount, caller, get(path, &[])).await.status().as_u16()
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[tokio::test]
async fn a_mount_serves_only_the_callers_that_it_names() {
    let lines = "callers = [\"web\", \"reports\"]";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    assert_eq!(status(&rig, "vault", &user(33), "/secrets/db").await, 200);
    assert_eq!(status(&rig, "vault", &Caller::named("reports"), "/secrets/db").await, 200);
    let record = rig.audit.wait(2).await;
    assert_eq!(record.caller_name.as_deref(), Some("reports"));
    for (caller, words) in [
        (user(34), "the caller `batch` (uid=34): `callers` does not name it"),
        (user(35), "does not serve uid=35: no section [caller.NAME] matches"),
        (Caller::named("web"), "does not serve name=web: no section [caller.NAME] matches"),
        (Proof::default().into(), "does not serve anybody"),
    ] {
        let response = send(&rig, "vault", &caller, get("/secrets/db", &[])).await;
        assert_eq!(response.status(), 403, "{caller}");
        let text = text(response).await;
        assert!(text.contains(words) && text.contains("To allow"), "{text}");
        assert!(text.contains("urn:keyward:problem:caller\""), "{text}");
    }
    let record = rig.audit.wait(3).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("caller-not-served")));
    assert_eq!(record.caller_name.as_deref(), Some("batch"));
    assert!(record.upstream.is_empty());
}

#[tokio::test]
async fn a_star_serves_every_other_caller() {
    let lines =
        "callers = [\"web\", \"*\"]\n[mount.vault.caller.\"*\"]\nallow = [\"GET /secrets/db\"]";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    assert_eq!(status(&rig, "vault", &user(33), "/secrets").await, 200);
    for caller in [user(34), user(35), Proof::default().into()] {
        assert_eq!(status(&rig, "vault", &caller, "/secrets/db").await, 200, "{caller}");
        assert_eq!(status(&rig, "vault", &caller, "/secrets").await, 403, "{caller}");
    }
}

#[tokio::test]
async fn a_callers_own_request_is_checked_before_there_is_a_sandbox() {
    let lines = "[mount.orders.caller.web]\nrequests = [\"POST /query\"]\n";
    let rig = Rig::orders(lines).sections(CALLERS).start().await;
    let query = json!({ "sql": "SELECT id FROM orders" });
    let response = send(&rig, "orders", &user(33), post("/query", &[], &query)).await;
    assert_eq!(response.status(), 200);
    drop(text(response).await);
    let denied = send(&rig, "orders", &user(33), post("/query/", &[], &query)).await;
    assert_eq!(denied.status(), 403);
    let denied = send(&rig, "orders", &user(33), get("/other", &[])).await;
    assert_eq!(denied.status(), 403);
    let text = text(denied).await;
    let line = "add \\\"GET /other\\\" to `requests` in [mount.orders.caller.web]";
    assert!(text.contains(line), "{text}");
    assert_eq!(rig.audit.wait(3).await.rule, Some("caller-request"));
}

#[tokio::test]
async fn a_request_that_is_denied_never_reaches_a_sandbox() {
    let lines = "[mount.trap-before-head.caller.web]\nrequests = [\"GET /allowed\"]\n";
    let rig = Rig::hostile("trap_before_head").mount_lines(lines).sections(CALLERS).start().await;
    let mount = "trap-before-head";
    assert_eq!(status(&rig, mount, &user(33), "/denied").await, 403);
    let field = [("x-http-method", "DELETE")];
    let response = send(&rig, mount, &user(33), get("/allowed", &field)).await;
    assert_eq!(response.status(), 403);
    assert_eq!(status(&rig, mount, &user(34), "/allowed").await, 403);
    // Its plugin ends every call that begins.
    assert_eq!(status(&rig, mount, &user(33), "/allowed").await, 502);
}

#[tokio::test]
async fn a_request_that_overrides_its_method_is_denied_where_a_caller_has_requests() {
    let lines = "callers = [\"batch\"]\n[mount.blobs.caller.web]\nrequests = [\"GET /hello/*\"]\n";
    let rig = Rig::storage(lines).sections(CALLERS).start().await;
    assert_eq!(status(&rig, "blobs", &user(33), "/hello/world.txt").await, 200);
    let reached = rig.emulator.log().for_service("blob").len();
    for field in ["x-http-method-override", "x-method-override", "X_HTTP_Method", "x-original-url"]
    {
        let request = get("/hello/world.txt", &[(field, "DELETE")]);
        let denied = send(&rig, "blobs", &user(33), request).await;
        assert_eq!(denied.status(), 403, "{field}");
        let text = text(denied).await;
        assert!(text.contains("which its `requests` cannot check"), "{text}");
    }
    assert_eq!(rig.audit.wait(5).await.rule, Some("caller-override"));
    assert_eq!(rig.emulator.log().for_service("blob").len(), reached);
}

#[tokio::test]
async fn a_copy_from_what_a_caller_may_not_request_is_denied() {
    let lines = "[mount.blobs.caller.web]\n\
                 requests = [\"PUT /hello/copy\", \"GET /hello/world.txt\"]\n";
    let rig = Rig::storage(lines).sections(CALLERS).start().await;
    let copy = async |source: &str| {
        let request = Request::put("/hello/copy").header("x-ms-copy-source", source);
        let request = request.body(Full::default()).unwrap();
        send(&rig, "blobs", &user(33), request).await
    };
    let account = "https://contoso.blob.core.windows.net";
    for source in [
        format!("{account}/secret/a"),
        format!("{account}/hello/other.txt"),
        format!("{account}/hello/%2e%2e/secret/a"),
        "https://other.blob.core.windows.net/hello/world.txt".to_owned(),
    ] {
        let denied = copy(&source).await;
        assert_eq!(denied.status(), 403, "{source}");
        let text = text(denied).await;
        assert!(text.contains("may not refer to this path in `x-ms-copy-source`"), "{text}");
    }
    assert_eq!(rig.audit.wait(4).await.rule, Some("caller-reference"));
    assert!(rig.emulator.log().for_service("blob").is_empty());
    assert_ne!(copy(&format!("{account}/hello/world.txt")).await.status(), 403);
    assert_eq!(rig.emulator.log().for_service("blob").len(), 1);
}

#[tokio::test]
async fn what_is_sent_on_a_callers_behalf_is_narrower_than_the_mount() {
    let lines = "allow = [\"GET /secrets/*\", \"PUT /secrets/*\"]\ncallers = [\"batch\"]\n\
                 [mount.vault.caller.web]\nallow = [\"read /secrets/db\", \"GET /secrets/d*\"]";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    assert_eq!(status(&rig, "vault", &user(33), "/secrets/db").await, 200);
    let denied = send(&rig, "vault", &user(33), get("/secrets/other", &[])).await;
    assert_eq!(denied.status(), 403);
    let text = text(denied).await;
    assert!(text.contains("for the caller `web` (uid=33)"), "{text}");
    assert!(text.contains("to `allow` in [mount.vault.caller.web]"), "{text}");
    let record = rig.audit.wait(2).await;
    assert_eq!((record.rule, record.outcome), (Some("caller-allow"), Outcome::Denied));
    // The mount's own limit stays, and another caller has all of it.
    assert_eq!(status(&rig, "vault", &user(33), "/keys/a").await, 403);
    assert_eq!(rig.audit.wait(3).await.rule, Some("allow"));
    assert_eq!(status(&rig, "vault", &user(34), "/secrets/other").await, 404);
}

#[tokio::test]
async fn sealed_values_and_handed_out_signatures_obey_the_callers_allow() {
    let lines = "hand_out = [\"listServiceSas\"]\ncallers = [\"batch\"]\n\
                 [mount.blobs.caller.web]\nallow = [\"GET /hello/world.txt\", \"POST /$sas/**\"]\n";
    let rig = Rig::storage_with_sas(lines).sections(CALLERS).start().await;
    assert_eq!(status(&rig, "blobs", &user(33), "/hello/world.txt").await, 200);
    assert_eq!(status(&rig, "blobs", &user(33), "/hello/other.txt").await, 403);
    assert_eq!(status(&rig, "blobs", &user(34), "/hello/other.txt").await, 404);
    let export = async |uid: u32, path: &str| {
        let uri = format!("{path}?permissions=r&expires_in=10m");
        let request = Request::post(uri).body(Full::default()).unwrap();
        send(&rig, "blobs", &user(uid), request).await.status().as_u16()
    };
    assert_eq!(export(34, "/$sas/hello/other.txt").await, 200);
    assert_eq!(export(33, "/$sas/hello/world.txt").await, 200);
    assert_eq!(export(33, "/$sas/hello/other.txt").await, 403);
    assert_eq!(export(33, "/$sas/hello").await, 403);
}

#[tokio::test]
async fn a_database_is_opened_on_behalf_of_a_caller_that_may_open_it() {
    let lines =
        "[mount.orders.caller.batch]\n[mount.orders.caller.web]\nallow = [\"CONNECT /other\"]\n";
    let rig = Rig::orders(lines).sections(CALLERS).start().await;
    let query = json!({ "sql": "SELECT id FROM orders" });
    let query = async |uid: u32| {
        send(&rig, "orders", &user(uid), post("/query", &[], &query)).await.status().as_u16()
    };
    assert_eq!(query(34).await, 200);
    assert_eq!(query(33).await, 403);
}

#[tokio::test]
async fn a_caller_beyond_its_rate_waits_and_others_do_not() {
    let lines = "callers = [\"batch\"]\n[mount.vault.caller.web]\nrate = \"2/h\"\n";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    for _ in 0..2 {
        assert_eq!(status(&rig, "vault", &user(33), "/secrets/db").await, 200);
    }
    let refused = send(&rig, "vault", &user(33), get("/secrets/db", &[])).await;
    assert_eq!(refused.status(), 429);
    let after: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1700..=1801).contains(&after), "half an hour for each call: {after}");
    let text = text(refused).await;
    assert!(text.contains("raise `rate` in [mount.vault.caller.web]"), "{text}");
    assert_eq!(rig.audit.wait(3).await.rule, Some("rate"));
    assert_eq!(status(&rig, "vault", &user(34), "/secrets/db").await, 200);
}

#[tokio::test]
async fn one_caller_cannot_take_all_permits_of_a_mount() {
    let lines = "callers = [\"web\", \"batch\"]\n\
                 [mount.vault.limits]\nconcurrency = 4\nqueue = 4\nqueue_time = \"200ms\"\n";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang).at("/secrets/slow"));
    let hanging: Vec<_> = (0..3)
        .map(|_| {
            let broker = rig.broker.clone();
            tokio::spawn(async move {
                broker.respond("vault", &user(33), get("/secrets/slow", &[])).await
            })
        })
        .collect();
    let refused = loop {
        let response = send(&rig, "vault", &user(33), get("/secrets/db", &[])).await;
        match response.status().as_u16() {
            429 => break response,
            // The other calls have yet to begin.
            status => assert_eq!(status, 200),
        }
    };
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    let text = text(refused).await;
    assert!(text.contains("the caller `web` (uid=33) has 3 calls running"), "{text}");
    assert_eq!(status(&rig, "vault", &user(34), "/secrets/db").await, 200);
    hanging.into_iter().for_each(|call| call.abort());
}

/// Calls of a user that begin and do not end.
fn hang(rig: &Rig, uid: u32, count: usize) -> JoinSet<Response<Body>> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let broker = rig.broker.clone();
        calls.spawn(
            async move { broker.respond("vault", &user(uid), get("/secrets/slow", &[])).await },
        );
    }
    calls
}

#[tokio::test]
async fn a_caller_has_its_share_of_the_queue() {
    let lines = "callers = [\"web\", \"batch\"]\n\
                 [mount.vault.limits]\nconcurrency = 4\nqueue = 4\nqueue_time = \"1h\"\n";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang).at("/secrets/slow"));
    // Three run and three wait, so that one of seven ends.
    let mut calls = hang(&rig, 33, 7);
    let refused = calls.join_next().await.unwrap().unwrap();
    assert_eq!(refused.status(), 429);
    let text = text(refused).await;
    assert!(
        text.contains("(uid=33) has 3 calls running at mount `vault`, and its share"),
        "{text}"
    );
    assert_eq!(rig.audit.wait(1).await.rule, Some("caller-concurrency"));
    assert_eq!(status(&rig, "vault", &user(34), "/secrets/db").await, 200);
}

#[tokio::test]
async fn callers_without_a_name_share_one_rate_and_one_concurrency() {
    let lines = "callers = [\"web\"]\n[mount.vault.caller.\"*\"]\nrate = \"2/h\"\n";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    for (caller, expected) in
        [(user(35), 200), (user(36), 200), (user(37), 429), (Proof::default().into(), 429)]
    {
        assert_eq!(status(&rig, "vault", &caller, "/secrets/db").await, expected, "{caller}");
    }
    assert_eq!(status(&rig, "vault", &user(33), "/secrets/db").await, 200);

    let lines = "callers = [\"web\"]\n[mount.vault.caller.\"*\"]\nconcurrency = 1\n\
                 [mount.vault.limits]\nconcurrency = 4\nqueue = 4\nqueue_time = \"1h\"\n";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang).at("/secrets/slow"));
    // One of them runs, one waits, and the third is refused.
    let mut calls = JoinSet::new();
    for uid in 35..=37 {
        let mut one = hang(&rig, uid, 1);
        calls.spawn(async move { one.join_next().await.unwrap().unwrap() });
    }
    assert_eq!(calls.join_next().await.unwrap().unwrap().status(), 429);
    assert_eq!(status(&rig, "vault", &user(33), "/secrets/db").await, 200);
}

#[tokio::test]
async fn a_call_that_never_begins_does_not_count_against_the_rate() {
    let lines = "callers = [\"batch\"]\n[mount.vault.caller.web]\nrate = \"2/h\"\nconcurrency = 1\n\
                 [mount.vault.limits]\nconcurrency = 4\nqueue = 4\nqueue_time = \"1h\"\n";
    let rig = Rig::keyvault().mount_lines(lines).sections(CALLERS).start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Hang).at("/secrets/slow"));
    // One runs and one waits, and the others are refused.
    let mut calls = hang(&rig, 33, 6);
    for _ in 0..4 {
        let refused = calls.join_next().await.unwrap().unwrap();
        assert!(text(refused).await.contains("its share of the queue is full"));
    }
    calls.shutdown().await;
    assert_eq!(status(&rig, "vault", &user(33), "/secrets/db").await, 200);
    let refused = send(&rig, "vault", &user(33), get("/secrets/db", &[])).await;
    assert!(text(refused).await.contains("may begin at most 2 calls an hour"));
}

#[tokio::test]
async fn the_audit_names_what_was_proved_about_a_caller() {
    let sections = "[caller.pod]\nservice_account = \"shop/web\"\n[caller.unit]\nuser = 33\n\
                    unit = \"web.service\"\n";
    let lines = "callers = [\"pod\", \"unit\"]";
    let rig = Rig::keyvault().mount_lines(lines).sections(sections).start().await;
    let account = |name: &str| ServiceAccount {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        pod: Some("web-7".to_owned()),
    };
    let pod = |name| -> Caller {
        Proof { service_account: Some(account(name)), ..Proof::default() }.into()
    };
    assert_eq!(status(&rig, "vault", &pod("web"), "/secrets/db").await, 200);
    let record = rig.audit.wait(1).await;
    assert_eq!(record.caller, "service-account=shop/web pod=web-7");
    assert_eq!(record.caller_name.as_deref(), Some("pod"));
    assert_eq!(status(&rig, "vault", &pod("web2"), "/secrets/db").await, 403);
    let process = |unit: &str| -> Caller {
        let unit = Some(unit.to_owned());
        Proof { uid: Some(33), pid: Some(7), unit, ..Proof::default() }.into()
    };
    assert_eq!(status(&rig, "vault", &process("web.service"), "/secrets/db").await, 200);
    let record = rig.audit.wait(3).await;
    assert_eq!(record.caller, "uid=33 pid=7 unit=web.service");
    assert_eq!(status(&rig, "vault", &process("cron.service"), "/secrets/db").await, 403);
}

#[tokio::test]
async fn the_token_by_which_a_caller_proves_itself_goes_no_further() {
    let rig = Rig::keyvault().start().await;
    let request = get("/secrets/db", &[("x-keyward-token", "proof-of-a-pod")]);
    assert_eq!(send(&rig, "vault", &user(33), request).await.status(), 200);
    let seen = rig.emulator.log().for_service("vault").pop().unwrap();
    assert_eq!(seen.header("x-keyward-token"), None);
}
