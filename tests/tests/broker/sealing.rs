//! Sealing: plugins spend shared access signatures without seeing them.

use http::Request;
use keyward::audit::Outcome;
use keyward::{CallError, SURROGATE_PREFIX, Violation};
use keyward_emulator::{Fault, FaultKind, SUBSCRIPTION};
use keyward_tests::{CallResponse, Logs, Rig, get};
use serde_json::{Value, json};

fn path() -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/\
         Microsoft.Storage/storageAccounts/contoso/listServiceSas?api-version=2023-05-01"
    )
}

fn body() -> String {
    let wanted = json!({
        "canonicalizedResource": "/blob/contoso/hello/world.txt",
        "signedResource": "b",
        "signedPermission": "rw",
        "signedProtocol": "https",
        "signedExpiry": "2096-01-01T00:00:00Z",
    });
    wanted.to_string()
}

async fn call(rig: &Rig, fields: &[(&str, &str)]) -> CallResponse {
    let (path, body) = (path(), body());
    let all: Vec<(&str, &str)> =
        [("x-path", path.as_str()), ("x-body", &body)].iter().chain(fields).copied().collect();
    let response = rig.call(get("/", &all)).await;
    rig.assert_no_token_in(&response);
    response
}

#[tokio::test]
async fn a_compressed_response_is_sealed_like_any_other() {
    let rig = Rig::hostile_to_seals("sas_reader").start().await;
    rig.emulator.faults().add(Fault::once("arm", FaultKind::Gzip));
    let response = call(&rig, &[]).await;
    assert!(
        response.text().contains(SURROGATE_PREFIX) && !response.text().contains("sig="),
        "{}",
        response.text()
    );
}

#[tokio::test]
async fn a_guest_gets_a_surrogate_whatever_request_it_sends() {
    for field in [
        "",
        "range: bytes=0-40",
        "accept-encoding: gzip",
        "x-ms-return: header",
        "if-none-match: *",
    ] {
        let rig = Rig::hostile_to_seals("sas_reader").start().await;
        let response = call(&rig, &[("x-field", field)]).await;
        assert_eq!(response.status, 200, "{:?}", response.error);
        let text = response.text();
        assert!(
            text.matches(SURROGATE_PREFIX).count() == 2 && !text.contains("sig="),
            "{field}: {text}"
        );
        assert_eq!(
            rig.emulator.issued_sas().len(),
            1,
            "{field}: the second response is the host's own"
        );
        for seen in rig.emulator.log().for_service("arm") {
            for name in ["range", "x-ms-return", "if-none-match"] {
                assert_eq!(seen.header(name), None, "{field}");
            }
        }
        let record = rig.audit.wait(1).await;
        assert_eq!((record.upstream[0].cached, record.upstream[1].cached), (false, true));
    }
}

#[tokio::test]
async fn requests_that_differ_in_accept_do_not_share_a_response() {
    let rig = Rig::hostile_to_seals("sas_reader").start().await;
    let answer = call(&rig, &[("x-field", "accept: text/plain")]).await;
    assert_eq!(answer.status, 200, "{:?}", answer.error);
    assert_eq!(rig.emulator.issued_sas().len(), 2);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.upstream[0].cached, record.upstream[1].cached), (false, false));
    call(&rig, &[("x-field", "accept: text/plain")]).await;
    assert_eq!(rig.emulator.issued_sas().len(), 2, "each has a response of its own now");
}

/// A signature as a service gives it that puts it in odd places.
const ODD: &str = "sv=2022-11-02&sr=b&sp=r&sig=b2RkLXNpZ25hdHVyZS1vZGQtc2lnbmF0dXJl%3D";

#[tokio::test]
async fn a_signature_in_another_field_is_not_visible_either() {
    let sealed = |more: &str| format!("{{\"serviceSasToken\":\"{ODD}\"{more}}}");
    let odd = [
        (200, "text/plain", sealed(""), true),
        (200, "application/octet-stream", sealed(""), true),
        (
            200,
            "application/json",
            sealed(&format!(",\"copy\":\"{ODD}\",\"deep\":{{\"er\":[\"?{ODD}\"]}}")),
            true,
        ),
        (200, "application/json", ODD.to_owned(), false),
        (200, "application/json", format!("{{\"elsewhere\":\"{ODD}\"}}"), false),
        (200, "application/json", format!("{{\"serviceSasToken\":[\"{ODD}\"]}}"), false),
        (200, "application/xml", format!("<a>{ODD}</a>"), false),
        (206, "application/json", sealed(""), true),
        (
            400,
            "application/json",
            sealed(&format!(",\"error\":{{\"code\":\"Bad\",\"message\":\"not {ODD}\"}}")),
            true,
        ),
        (500, "text/html", format!("<p>{ODD}</p>"), true),
        (302, "application/json", sealed(""), true),
    ];
    for (status, content_type, body, answered) in odd {
        let rig = Rig::hostile_to_seals("sas_reader").start().await;
        let headers = vec![
            ("content-type".to_owned(), content_type.to_owned()),
            ("x-sas".to_owned(), ODD.to_owned()),
            ("location".to_owned(), format!("https://contoso.blob.core.windows.net/x?{ODD}")),
        ];
        rig.emulator
            .faults()
            .add(Fault::always("arm", FaultKind::Respond { status, headers, body: body.clone() }));
        let response = call(&rig, &[]).await;
        let everything = format!(
            "{:?} {:?} {}",
            response.headers,
            response.error,
            String::from_utf8_lossy(&response.body)
        );
        assert!(!everything.contains("b2RkLXNpZ25h"), "{status} {body}: {everything}");
        assert_eq!(response.error.is_none(), answered, "{status} {body}: {:?}", response.error);
        if !answered {
            assert!(
                matches!(response.error, Some(CallError::Unsealable { .. })),
                "{:?}",
                response.error
            );
            assert_eq!(response.status, 502);
        }
        assert!(!Logs::collect().text().contains("b2RkLXNpZ25h"), "{status} {body}");
        assert!(!format!("{:?}", rig.audit.all()).contains("b2RkLXNpZ25h"));
    }
}

#[tokio::test]
async fn a_response_too_long_to_seal_is_denied() {
    let rig = Rig::hostile_to_seals("sas_reader").start().await;
    rig.emulator.faults().add(Fault::always("arm", FaultKind::Bytes(300 << 10)));
    let response = call(&rig, &[]).await;
    assert!(
        matches!(
            &response.error,
            Some(CallError::Unsealable { why, .. }) if why.contains("longer")
        ),
        "{:?}",
        response.error
    );
}

#[tokio::test]
async fn a_signature_is_spent_in_the_query_of_its_endpoint() {
    let rig = Rig::hostile_to_seals("sas_spender").start().await;
    let response = call(&rig, &[("x-where", "query")]).await;
    assert!(response.text().contains("Hello, world!"), "{}", response.text());
    let seen = rig.emulator.log().for_service("blob");
    assert!(seen[0].query.contains("sig="), "the service got it");
    let record = rig.audit.wait(1).await;
    assert!(record.upstream[1].sealed && !record.upstream[1].token);
    assert_eq!(record.upstream[1].url, "https://contoso.blob.core.windows.net/hello/world.txt");
}

#[tokio::test]
async fn a_signature_is_spent_nowhere_else() {
    for (place, expected) in [
        ("part of a parameter", Violation::MisplacedSurrogate("query")),
        ("twice", Violation::SeveralCredentials),
        ("beside a token", Violation::SeveralCredentials),
        ("authorization", Violation::MisplacedSurrogate("authorization")),
        ("another field", Violation::MisplacedSurrogate("header fields")),
        ("path", Violation::MisplacedSurrogate("path")),
        ("body", Violation::MisplacedSurrogate("body")),
        ("another endpoint", Violation::OtherAudience { audience: "blob".to_owned() }),
        ("token in the query", Violation::MisplacedSurrogate("query")),
    ] {
        let rig = Rig::hostile_to_seals("sas_spender").start().await;
        let response = call(&rig, &[("x-where", place)]).await;
        assert_eq!(response.violation(), &expected, "{place}");
        assert!(
            rig.emulator.log().for_service("blob").iter().all(|seen| seen.status == 0),
            "{place}: nothing was answered"
        );
        assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Denied);
    }
    let rig = Rig::hostile_to_seals("sas_spender").start().await;
    let response = call(&rig, &[("x-where", "elsewhere")]).await;
    assert_eq!(response.violation().rule(), "endpoint");
}

#[tokio::test]
async fn a_signatures_surrogate_is_valid_only_within_its_call() {
    let rig = Rig::hostile_to_seals("sas_spender").start().await;
    let earlier = call(&rig, &[("x-where", "nowhere")]).await.text();
    assert!(earlier.starts_with(SURROGATE_PREFIX), "{earlier}");
    let later = call(&rig, &[("x-where", "nowhere")]).await.text();
    assert_ne!(earlier, later, "each call has its own");
}

#[tokio::test]
async fn a_signature_that_the_service_repeats_is_redacted() {
    let rig = Rig::storage_with_sas("").start().await;
    // Azure's response to a wrong signature repeats what was signed; a hostile one would repeat
    // all.
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
    let sas = rig.emulator.issued_sas()[0].clone();
    rig.emulator.faults().status(
        "blob",
        403,
        &[("x-echo", &sas)],
        &format!("<Error>{sas}</Error>"),
    );
    let response = rig.call(get("/hello/world.txt", &[])).await;
    rig.assert_no_token_in(&response);
    assert!(response.text().contains("***"), "{}", response.text());
    assert!(rig.audit.wait(2).await.redacted);
}

#[tokio::test]
async fn many_callers_of_one_blob_make_one_request_for_a_signature() {
    let rig = std::sync::Arc::new(Rig::storage_with_sas("").start().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let rig = std::sync::Arc::clone(&rig);
        calls.spawn(async move { rig.call(get("/hello/world.txt", &[])).await.status });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(rig.emulator.issued_sas().len(), 1);
    assert_eq!(rig.emulator.log().for_service("blob").len(), 100);
}

#[tokio::test]
async fn a_rejected_signature_is_requested_again() {
    let rig = Rig::storage_with_sas("").start().await;
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
    rig.emulator.faults().add(Fault::once(
        "blob",
        FaultKind::Respond { status: 403, headers: Vec::new(), body: String::new() },
    ));
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 403);
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
    assert_eq!(rig.emulator.issued_sas().len(), 2);
}

#[tokio::test]
async fn a_signature_has_only_the_permissions_that_the_request_needs() {
    let rig = Rig::storage_with_sas("").start().await;
    let put = Request::put("/hello/new.txt")
        .header("x-ms-blob-type", "BlockBlob")
        .body("new".into())
        .unwrap();
    assert_eq!(rig.call(put).await.status, 201);
    assert_eq!(rig.call(get("/hello/new.txt", &[])).await.text(), "new");
    assert_eq!(rig.call(get("/hello?restype=container&comp=list", &[])).await.status, 200);
    assert_eq!(
        rig.call(Request::delete("/hello/new.txt").body("".into()).unwrap()).await.status,
        202
    );
    let queries: Vec<String> =
        rig.emulator.log().for_service("blob").into_iter().map(|seen| seen.query).collect();
    for (query, permission) in queries.iter().zip(["sp=w", "sp=r", "sp=l", "sp=d"]) {
        assert!(
            query.split('&').any(|pair| pair == permission) && query.contains("spr=https"),
            "{query}: {permission}"
        );
    }
    let refused = rig.call(Request::put("/more?restype=container").body("".into()).unwrap()).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("entra"), "{}", refused.text());
}

#[tokio::test]
async fn callers_get_a_signature_only_with_hand_out() {
    let ask = || {
        Request::post("/$sas/hello/world.txt?permissions=r&expires_in=10m").body("".into()).unwrap()
    };
    let closed = Rig::storage_with_sas("").start().await;
    let response = closed.call(ask()).await;
    assert_eq!(response.status, 403);
    assert!(
        response.text().contains("hand_out = ") && response.text().contains("[mount.blobs]"),
        "{}",
        response.text()
    );
    assert!(closed.emulator.issued_sas().is_empty());
    assert_eq!(closed.audit.wait(1).await.rule, Some("sas-export-off"));

    // A mount that has no signatures at all.
    let entra = Rig::storage("").start().await;
    let response = entra.call(ask()).await;
    assert_eq!(response.status, 403, "{}", response.text());
    for words in
        ["hand_out = [\\\"listServiceSas\\\"] in [mount.blobs]", "[mount.blobs.audience.arm]"]
    {
        assert!(response.text().contains(words), "{words} in {}", response.text());
    }
    assert_eq!(entra.call(get("/hello/world.txt", &[])).await.status, 200, "all else works");

    let open = Rig::storage_with_sas("sas_export = true").start().await;
    let response = open.call(ask()).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let handed: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(handed["sas"], open.emulator.issued_sas()[0]);
    assert_eq!(response.headers["cache-control"], "no-store");
    let records = [open.audit.wait(1).await, open.audit.wait(2).await];
    assert_eq!(
        records.clone().map(|record| record.outcome),
        [Outcome::Exported, Outcome::Answered]
    );
    assert_eq!(records[0].path, "/$sas/hello/world.txt");
    // All other routes of the same mount stay sealed.
    let other = open.call(get("/hello/world.txt", &[])).await;
    open.assert_no_token_in(&other);
}

#[tokio::test]
async fn all_waiting_calls_share_one_failed_request_for_a_signature() {
    let rig = std::sync::Arc::new(Rig::storage_with_sas("").start().await);
    let busy = r#"{"error":{"code":"TooManyRequests","message":"slow down"}}"#;
    rig.emulator.faults().status("arm", 429, &[("retry-after", "7")], busy);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let rig = std::sync::Arc::clone(&rig);
        calls.spawn(async move { rig.call(get("/hello/world.txt", &[])).await });
    }
    for response in calls.join_all().await {
        assert_eq!(
            (response.status.as_u16(), &response.headers["retry-after"]),
            (503, &"7".parse().unwrap())
        );
        assert!(response.text().contains("TooManyRequests"), "{}", response.text());
    }
    let requests = rig.emulator.log().for_service("arm").len();
    assert!(requests < 10, "{requests} requests");
}

#[tokio::test]
async fn a_copy_reads_only_what_the_mount_may_read() {
    let lines = "allow = [\"PUT /hello/public/*\", \"GET /hello/public/*\"]";
    let rig = Rig::storage(lines).start().await;
    let copy = |source: &str| {
        let request = Request::put("/hello/public/copy.txt").header("x-ms-copy-source", source);
        request.body("".into()).unwrap()
    };
    let stolen = rig.call(copy("https://contoso.blob.core.windows.net/hello/world.txt")).await;
    assert_eq!(stolen.status, 403);
    assert!(stolen.text().contains("may not send GET /hello/world.txt"), "{}", stolen.text());
    assert!(rig.emulator.log().for_service("blob").is_empty());
    let put = Request::put("/hello/public/a.txt")
        .header("x-ms-blob-type", "BlockBlob")
        .body("a".into())
        .unwrap();
    assert_eq!(rig.call(put).await.status, 201);
    let copied = rig.call(copy("https://contoso.blob.core.windows.net/hello/public/a.txt")).await;
    assert!(copied.status.is_success(), "{}", copied.text());
}
