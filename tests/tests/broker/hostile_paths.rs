//! Callers whose path the service may read differently from `allow`.

use keyward::{CallError, Violation};
use keyward_tests::{Rig, get};

/// Asserts that none of these paths reaches the service, and that a valid one does afterwards.
async fn assert_rejected(paths: &[&str]) {
    let rig = Rig::keyvault().mount_lines("allow = [\"GET /secrets/*\"]").start().await;
    for path in paths {
        let response = rig.call(get(path, &[])).await;
        match &response.error {
            Some(CallError::Caller { violation: Violation::Path(_), .. }) => {
                assert_eq!(response.status, 400, "{path}");
            }
            other => panic!("{path}: {other:?} {}", response.text()),
        }
        rig.assert_no_token_in(&response);
    }
    assert!(rig.emulator.log().for_service("vault").is_empty(), "nothing was sent");
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200, "a neighbour is harmed");
}

#[tokio::test]
async fn a_caller_that_encodes_a_slash_in_pieces_is_rejected() {
    assert_rejected(&["/secrets/a%25%32%66b", "/secrets/a%25%32fb", "/secrets/a%252%66b"]).await;
}

#[tokio::test]
async fn a_caller_that_encodes_a_slash_many_times_is_rejected() {
    assert_rejected(&[
        "/secrets/a%252fb",
        "/secrets/a%25252fb",
        "/secrets/a%2525252525252525252fb",
    ])
    .await;
}

#[tokio::test]
async fn a_caller_that_hides_a_dot_segment_behind_a_semicolon_is_rejected() {
    assert_rejected(&[
        "/secrets/..;x",
        "/secrets/..%3Bx",
        "/secrets/%2e%2e%3bx",
        "/secrets/..%253Bx",
    ])
    .await;
}

#[tokio::test]
async fn a_segment_of_only_parameters_is_rejected() {
    assert_rejected(&[
        "/secrets/;x",
        "/secrets/%3Bx",
        "/secrets/%253Bx",
        "/secrets/db;x",
        "/secrets/db%3B",
    ])
    .await;
}

#[tokio::test]
async fn a_caller_that_writes_a_slash_in_too_many_bytes_is_rejected() {
    assert_rejected(&["/secrets/a%c0%afb", "/secrets/a%25u002fb", "/secrets/%c0%ae%c0%ae"]).await;
}

#[tokio::test]
async fn an_unambiguous_name_passes() {
    let rig = Rig::storage("allow = [\"GET /hello/*\"]").start().await;
    for (path, sent) in [
        ("/hello/100%25", "/hello/100%25"),
        ("/hello/c%23%3f", "/hello/c%23%3F"),
        ("/hello/a%20b+c,d", "/hello/a%20b%2Bc%2Cd"),
        ("/hello/%e2%82%ac", "/hello/%E2%82%AC"),
        ("/hello/..a", "/hello/..a"),
    ] {
        let response = rig.call(get(path, &[])).await;
        assert!(response.error.is_none(), "{path}: {:?}", response.error);
        assert_eq!(rig.emulator.log().for_service("blob").last().unwrap().path, sent);
    }
}
