//! Guests that try to obtain a credential, or to spend one in a forbidden place.

use keyward::audit::Outcome;
use keyward::{CallError, SURROGATE_PREFIX, Violation};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{Logs, Rig, get};

/// Asserts that the guest found no token in its own memory. Its result is in the log, whatever its
/// caller received.
async fn assert_no_token_in_memory(rig: &str) {
    let line = Logs::collect().line_with(&[&format!("mount=\"{rig}\""), "memory: "]).await;
    assert!(line.contains(" 0 tokens"), "{line}");
}

#[tokio::test]
async fn the_search_of_a_guests_memory_finds_a_planted_token() {
    let rig = Rig::of(keyward_tests::guest("reads")).start().await;
    let canary = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln";
    rig.call(get("/secrets/db?api-version=7.4", &[("x-canary", canary)])).await;
    let line = Logs::collect().line_with(&["mount=\"m\"", "memory: "]).await;
    assert!(!line.contains(" 0 tokens"), "{line}");
}

#[tokio::test]
async fn an_undeclared_audience_is_an_error() {
    let rig = Rig::hostile("undeclared_audience").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_eq!(response.text().matches("Error::NotDeclared").count(), 5, "{}", response.text());
    rig.assert_no_token_in(&response);
    assert_no_token_in_memory("undeclared-audience").await;
    assert_eq!(rig.emulator.log().for_service("imds").len(), 0);
    assert_eq!(rig.audit.wait(1).await.denied_audiences.len(), 5);
}

#[tokio::test]
async fn the_error_about_an_audience_that_is_not_granted_names_its_section() {
    let rig = Rig::hostile("ungranted_audience").start().await;
    let response = rig.call(get("/", &[])).await;
    assert!(response.text().contains("NotGranted"), "{}", response.text());
    assert!(
        response.text().contains("[mount.ungranted-audience.audience.arm]"),
        "{}",
        response.text()
    );
    assert_eq!(
        rig.emulator.log().for_service("imds").len(),
        0,
        "no token is requested without a grant"
    );
    assert_eq!(rig.audit.wait(1).await.denied_audiences, ["arm"]);
}

#[tokio::test]
async fn a_surrogate_is_valid_only_in_the_authorization_field() {
    for (guest, place) in [
        ("surrogate_in_query", "query"),
        ("surrogate_in_path", "path"),
        ("surrogate_in_method", "method"),
        ("surrogate_in_header", "header fields"),
        ("surrogate_in_body", "body"),
    ] {
        let rig = Rig::hostile(guest).start().await;
        let response = rig.call(get("/", &[])).await;
        assert_eq!(response.violation(), &Violation::MisplacedSurrogate(place), "{guest}");
        assert_eq!(response.status, 502);
        rig.assert_no_token_in(&response);
        assert_no_token_in_memory(&guest.replace('_', "-")).await;
        assert!(
            rig.emulator.log().for_service("vault").iter().all(|seen| seen.status == 0),
            "{guest}: nothing was answered"
        );
        let record = rig.audit.wait(1).await;
        assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("surrogate")), "{guest}");
    }
}

#[tokio::test]
async fn a_guest_that_asks_again_gets_the_same_surrogate() {
    let rig = Rig::hostile("asks_for_tokens_in_a_loop").start().await;
    let answer = rig.call(get("/", &[])).await;
    assert_eq!(answer.text(), "1 surrogates, 1000 errors", "{:?}", answer.error);
    rig.assert_no_token_in(&answer);
    assert_eq!(rig.emulator.issued_tokens().len(), 1);
    let denied = rig.audit.wait(1).await.denied_audiences;
    assert!(denied.len() == 64 && denied.iter().all(|name| name.len() <= 100), "{denied:?}");
}

#[tokio::test]
async fn a_surrogate_twice_in_one_request_is_denied() {
    let rig = Rig::hostile("surrogate_twice").start().await;
    let response = rig.call(get("/", &[])).await;
    assert_eq!(response.violation(), &Violation::SeveralAuthorizations);
    assert_eq!(rig.emulator.log().for_service("vault").len(), 0);
    rig.assert_no_token_in(&response);
    assert_no_token_in_memory("surrogate-twice").await;
}

#[tokio::test]
async fn no_other_authorization_is_sent() {
    let rig = Rig::hostile("earlier_token").start().await;
    let earlier = rig.call(get("/", &[])).await.text();
    assert!(earlier.starts_with(SURROGATE_PREFIX), "{earlier}");
    let forged = format!("Bearer {SURROGATE_PREFIX}{}", "A".repeat(43));
    for value in [
        &format!("Bearer {earlier}"),
        &forged,
        "Bearer eyJ0.own.token",
        "Basic dXNlcjpwYXNz",
        "SharedKey a:b",
    ] {
        let response = rig.call(get("/", &[("x-authorization", value)])).await;
        assert_eq!(response.violation(), &Violation::ForeignAuthorization, "{value}");
        rig.assert_no_token_in(&response);
    }
    assert_eq!(rig.emulator.log().for_service("vault").len(), 0);
    assert_no_token_in_memory("earlier-token").await;
}

#[tokio::test]
async fn a_guest_never_has_a_token_in_its_memory() {
    let rig = Rig::hostile("reads").start().await;
    let headers = [
        ("authorization", "Bearer callers-own"),
        ("x-forwarded-host", "evil.example"),
        ("x-ms-x", "1"),
    ];
    let response = rig.call(get("/secrets/db?api-version=7.4", &headers)).await;
    let text = response.text();
    assert!(text.contains("swordfish"), "{text}");
    assert!(response.body.len() > 100_000, "its memory stands behind its response");
    assert!(!text.contains("callers-own") && !text.contains("evil.example"), "{text}");
    assert!(text.contains("x-ms-x: 1") && text.contains("x-forwarded-prefix: /reads"), "{text}");
    assert!(text.contains("endpoint.vault"), "{text}");
    assert_eq!(rig.tokens().count(), 1);
    rig.assert_no_token_in(&response);
    assert_no_token_in_memory("reads").await;
}

#[tokio::test]
async fn the_host_does_not_follow_a_redirect() {
    let rig = Rig::hostile("redirect_follower").start().await;
    for (location, outcome) in [
        ("https://evil.example/collect", "redirect"),
        ("https://169.254.169.254/metadata/identity", "elsewhere"),
        ("https://contoso.vault.azure.net/keys/k", "allow"),
    ] {
        rig.emulator.faults().clear();
        rig.emulator.faults().status("vault", 302, &[("location", location)], "");
        let response = rig.call(get("/", &[])).await;
        match outcome {
            "elsewhere" => {
                assert!(matches!(response.violation(), Violation::OtherHost { .. }), "{location}");
            }
            "redirect" => {
                assert!(
                    matches!(response.error, Some(CallError::Redirect(_))),
                    "{location}: {:?}",
                    response.error
                );
                let line =
                    "redirects = [\\\"https://evil.example\\\"] in [mount.redirect-follower]";
                assert!(response.text().contains(line), "{}", response.text());
            }
            _ => assert!(
                matches!(response.error, Some(CallError::NotAllowed(_))),
                "{location}: {:?}",
                response.error
            ),
        }
        rig.assert_no_token_in(&response);
    }
    assert!(rig.emulator.log().for_service("vault").iter().all(|seen| seen.path == "/secrets/db"));
}

#[tokio::test]
async fn a_redirect_target_that_is_not_a_host_of_the_audience_gets_no_token() {
    let node = "contoso.dfs.core.windows.net";
    let lines = format!("redirects = [\"https://{node}\"]");
    let rig = Rig::hostile("redirect_follower").mount_lines(&lines).start().await;
    rig.emulator.faults().status(
        "vault",
        302,
        &[("location", &format!("https://{node}/secrets/x"))],
        "",
    );
    let response = rig.call(get("/", &[])).await;
    assert!(response.text().contains("followed: status 401"), "{}", response.text());
    rig.assert_no_token_in(&response);
    let record = rig.audit.wait(1).await;
    assert_eq!(
        record.upstream.iter().map(|upstream| upstream.token).collect::<Vec<_>>(),
        [true, false]
    );
    let seen = rig.emulator.log().all().into_iter().find(|seen| seen.host == node).unwrap();
    assert_eq!((seen.identity, seen.status), (None, 401));
}

#[tokio::test]
async fn an_echoed_token_is_redacted_across_chunk_borders() {
    let rig = Rig::hostile("reads").start().await;
    for (number, piece) in [1_usize, 7, 100, 1000, 1_000_000].into_iter().enumerate() {
        rig.emulator.faults().clear();
        rig.emulator.faults().add(Fault::always("vault", FaultKind::Echo(piece)));
        let response = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
        let text = response.text();
        assert!(text.contains("\"you sent\": \"Bearer ****"), "in pieces of {piece}: {text}");
        assert!(text.contains("\"and again\": \"Bearer ****"), "in pieces of {piece}: {text}");
        assert!(text.contains("x-echo: Bearer ****"), "{text}");
        rig.assert_no_token_in(&response);
        assert!(rig.audit.wait(number + 1).await.redacted);
    }
    assert_no_token_in_memory("reads").await;
}

#[tokio::test]
async fn an_echo_keeps_its_length_on_the_way_to_the_caller() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().add(Fault::always("vault", FaultKind::Echo(100)));
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(response.headers["content-length"], response.body.len().to_string().as_str());
    assert!(response.broken.is_none());
    rig.assert_no_token_in(&response);
}
