//! Keys from a server over HTTPS: when they are fetched, and from where.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use keyward::identity::source::DocumentError;
use serde_json::json;

use super::issuer::{SigningKey, discovery, key_set};
use super::server::{Behaviour, JWKS, Server};
use super::{ISSUER, claims, made_up, name, padded, settled};
use crate::service_account::config::{Access, KeySource};
use crate::service_account::error::KeysError;
use crate::service_account::fetch::{MAX_FILE, TIMEOUT};
use crate::service_account::key_cache::{REFRESH_SERVER, RETRY_INTERVAL, STALE};
use crate::service_account::{TokenError, Verifier};

const DISCOVERY: &str = "/cluster/.well-known/openid-configuration";
const SECOND: Duration = Duration::from_secs(1);

/// Why the keys are not known.
async fn keys_error(verifier: &Verifier) -> Arc<KeysError> {
    match verifier.load_keys().await {
        Err(TokenError::KeysUnavailable(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn long_lived(key: &SigningKey) -> String {
    let mut claims = claims();
    claims["exp"] = json!(u64::MAX);
    key.token(&claims)
}

#[tokio::test]
async fn keys_are_fetched_once_however_many_callers_wait() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let verifier = server.verifier();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (verifier, token) = (Arc::clone(&verifier), long_lived(&key));
        calls.spawn(async move { verifier.verify(&token).await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), 50);
    assert_eq!(server.requests(), [("/keys".to_owned(), None)]);
}

#[tokio::test]
async fn a_flood_of_made_up_kids_causes_one_request_in_an_interval() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let verifier = server.verifier();
    verifier.load_keys().await.unwrap();
    for interval in 1..=3 {
        server.clock.advance(RETRY_INTERVAL);
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..50 {
            let verifier = Arc::clone(&verifier);
            calls.spawn(async move {
                let token = made_up(number);
                name(&verifier.verify(&token).await.unwrap_err(), &token)
            });
        }
        for error in calls.join_all().await {
            assert_eq!(error, "UnknownKey");
        }
        assert_eq!(server.requests().len(), 1 + interval);
        server.clock.advance(RETRY_INTERVAL - SECOND);
        verifier.verify(&made_up(0)).await.unwrap_err();
        assert_eq!(server.requests().len(), 1 + interval);
        verifier.verify(&long_lived(&key)).await.unwrap();
    }
}

#[tokio::test]
async fn a_rotated_key_is_fetched_when_a_token_names_it_and_ends_tokens_of_the_old_one() {
    let server = Server::start().await;
    let (old, new) = (SigningKey::ecdsa("ES256"), SigningKey::rsa("RS256"));
    server.set_keys(&[&old]);
    let verifier = server.verifier();
    verifier.verify(&long_lived(&old)).await.unwrap();
    server.set_keys(&[&new]);
    server.clock.advance(RETRY_INTERVAL);
    verifier.verify(&long_lived(&new)).await.unwrap();
    let error = verifier.verify(&long_lived(&old)).await.unwrap_err();
    assert!(matches!(error, TokenError::UnknownKey), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn keys_are_refreshed_in_the_background_while_calls_use_the_old_ones() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let verifier = server.verifier();
    let token = long_lived(&key);
    verifier.verify(&token).await.unwrap();
    server.set("/keys", Behaviour::Hang);
    server.clock.advance(REFRESH_SERVER);
    for _ in 0..10 {
        verifier.verify(&token).await.unwrap();
    }
    server.received(2).await;
    // Those with another `kid` wait for the request, but not longer than it may take.
    let waiting = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        async move { verifier.verify(&made_up(0)).await.unwrap_err() }
    });
    server.clock.advance(TIMEOUT);
    let error = waiting.await.unwrap();
    assert!(matches!(error, TokenError::UnknownKey), "{error:?}");
    verifier.verify(&token).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn after_a_pause_a_removed_key_is_not_accepted_unless_the_server_fails() {
    let server = Server::start().await;
    let (removed, new) = (SigningKey::ecdsa("ES256"), SigningKey::rsa("RS256"));
    server.set_keys(&[&removed]);
    let verifier = server.verifier();
    let token = long_lived(&removed);
    verifier.verify(&token).await.unwrap();
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    server.set("/keys", Behaviour::Respond(unavailable, String::new()));
    server.clock.advance(REFRESH_SERVER * 2);
    verifier.verify(&token).await.unwrap();
    assert_eq!(server.requests().len(), 2, "it waited for the request");

    // Each call waits only once for a server that does not respond.
    server.set("/keys", Behaviour::Hang);
    server.clock.advance(RETRY_INTERVAL);
    for _ in 0..10 {
        verifier.verify(&token).await.unwrap();
    }
    server.received(3).await;
    server.clock.advance(TIMEOUT);
    settled(&verifier).await;

    server.set_keys(&[&new]);
    server.clock.advance(REFRESH_SERVER * 2);
    let error = verifier.verify(&token).await.unwrap_err();
    assert!(matches!(error, TokenError::UnknownKey), "{error:?}");
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_what_others_wait_for() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set("/keys", Behaviour::Hang);
    let verifier = server.verifier();
    let token = long_lived(&key);
    let hanging_up = tokio::spawn({
        let (verifier, token) = (Arc::clone(&verifier), token.clone());
        async move { verifier.verify(&token).await.unwrap_err() }
    });
    server.received(1).await;
    hanging_up.abort();
    assert!(hanging_up.await.unwrap_err().is_cancelled());
    let waiting = tokio::spawn(async move { verifier.verify(&token).await.unwrap_err() });
    server.clock.advance(TIMEOUT);
    let error = waiting.await.unwrap();
    let TokenError::KeysUnavailable(error) = error else { panic!("{error:?}") };
    let KeysError::Request { source, .. } = &*error else { panic!("{error:?}") };
    assert!(matches!(source, DocumentError::Broken { .. }), "it went on: {source:?}");
    assert_eq!(server.requests().len(), 1, "it is the same request");
}

#[tokio::test]
async fn keys_are_used_for_a_day_while_the_server_fails() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let verifier = server.verifier();
    let token = long_lived(&key);
    verifier.verify(&token).await.unwrap();
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    server.set("/keys", Behaviour::Respond(unavailable, String::new()));
    server.clock.advance(STALE - SECOND);
    verifier.verify(&token).await.unwrap();
    settled(&verifier).await;
    assert_eq!(server.requests().len(), 2);
    server.clock.advance(RETRY_INTERVAL + SECOND);
    let error = keys_error(&verifier).await;
    let KeysError::Request { url, source } = &*error else { panic!("{error:?}") };
    assert_eq!(url, JWKS);
    assert_eq!(*source, DocumentError::Status { status: unavailable });
    let requests = server.requests().len();
    let error = verifier.verify(&token).await.unwrap_err();
    assert!(matches!(error, TokenError::KeysUnavailable(_)), "{error:?}");
    assert_eq!(server.requests().len(), requests, "it was attempted a moment ago");
    server.set_keys(&[&key]);
    server.clock.advance(RETRY_INTERVAL);
    verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_long_document_is_not_read() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set("/keys", Behaviour::Redirect("https://issuer.example/other"));
    server.set("/other", Behaviour::Respond(StatusCode::OK, key_set(&[&key])));
    let error = keys_error(&server.verifier()).await;
    let KeysError::Request { source, .. } = &*error else { panic!("{error:?}") };
    assert_eq!(*source, DocumentError::Status { status: StatusCode::FOUND });
    assert_eq!(server.requests().len(), 1);

    let respond = |length| Behaviour::Respond(StatusCode::OK, padded(length));
    server.set("/keys", respond(MAX_FILE));
    assert_eq!(server.verifier().load_keys().await.unwrap(), 1);
    server.set("/keys", respond(MAX_FILE + 1));
    let error = keys_error(&server.verifier()).await;
    let KeysError::Request { source, .. } = &*error else { panic!("{error:?}") };
    assert!(matches!(source, DocumentError::Broken { .. }), "{source:?}");
}

#[tokio::test]
async fn only_the_configured_authority_is_trusted() {
    let (server, other) = (Server::start().await, Server::start().await);
    for ca_file in [other.file("ca.crt"), None] {
        let access = Access { ca_file, token_file: None };
        let keys = KeySource::Url { url: JWKS.to_owned(), access };
        let error = keys_error(&server.verifier_with(keys)).await;
        let KeysError::Request { source, .. } = &*error else { panic!("{error:?}") };
        assert!(matches!(source, DocumentError::Untrusted { .. }), "{source:?}");
    }
    let url = "https://elsewhere.example/keys".to_owned();
    let keys = KeySource::Url { url, access: server.access() };
    let error = keys_error(&server.verifier_with(keys)).await;
    assert!(error.help().contains("authority"), "the certificate is not for this name: {error:?}");
    assert_eq!(server.requests(), []);

    std::fs::write(server.file("ca.crt").unwrap(), "no certificate").unwrap();
    let error = keys_error(&server.verifier()).await;
    assert!(matches!(*error, KeysError::Certificates { .. }), "{error:?}");
}

#[tokio::test]
async fn the_brokers_own_token_is_read_for_each_request() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let token_file = server.file("token");
    let access = Access { token_file: token_file.clone(), ..server.access() };
    let verifier = server.verifier_with(KeySource::Url { url: JWKS.to_owned(), access });
    for token in ["first", "second"] {
        std::fs::write(token_file.as_ref().unwrap(), format!("{token}\n")).unwrap();
        server.clock.advance(RETRY_INTERVAL);
        verifier.verify(&made_up(0)).await.unwrap_err();
        let (_, authorization) = server.requests().pop().unwrap();
        assert_eq!(authorization.unwrap(), format!("Bearer {token}"));
    }
    for text in ["", "\n", "two words", "two\nlines", "ä"] {
        std::fs::write(token_file.as_ref().unwrap(), text).unwrap();
        let access = Access { token_file: token_file.clone(), ..server.access() };
        let keys = KeySource::Url { url: JWKS.to_owned(), access };
        let error = keys_error(&server.verifier_with(keys)).await;
        assert!(matches!(*error, KeysError::OwnToken { .. }), "{error:?}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn keys_are_discovered_at_the_issuers_own_host_only() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let respond = |body: String| Behaviour::Respond(StatusCode::OK, body);
    let verifier = || server.verifier_with(KeySource::Discover(server.access()));
    for jwks_uri in [JWKS, "https://ISSUER.example:443/keys"] {
        server.set(DISCOVERY, respond(discovery(ISSUER, jwks_uri)));
        assert_eq!(verifier().load_keys().await.unwrap(), 1, "{jwks_uri}");
    }
    let paths = || server.requests().into_iter().map(|(path, _)| path);
    assert_eq!(paths().collect::<Vec<_>>(), [DISCOVERY, "/keys", DISCOVERY, "/keys"]);
    for jwks_uri in [
        "https://elsewhere.example/keys",
        "https://issuer.example:8443/keys",
        "https://issuer.example.elsewhere.example/keys",
        "https://issuer.example@elsewhere.example/keys",
        "http://issuer.example/keys",
        "file:///keys",
        "/keys",
        "",
    ] {
        server.set(DISCOVERY, respond(discovery(ISSUER, jwks_uri)));
        let error = keys_error(&verifier()).await;
        assert!(matches!(*error, KeysError::ElsewhereKeys { .. }), "{jwks_uri}: {error:?}");
    }
    for document in [
        discovery("https://issuer.example/other", JWKS),
        discovery(&format!("{ISSUER}/"), JWKS),
        format!(r#"{{"issuer":"{ISSUER}"}}"#),
        "<html>".to_owned(),
    ] {
        server.set(DISCOVERY, respond(document.clone()));
        let error = keys_error(&verifier()).await;
        assert!(matches!(*error, KeysError::Discovery { .. }), "{document}: {error:?}");
    }
    assert_eq!(paths().filter(|path| path == "/keys").count(), 2, "no keys were fetched");
}

#[tokio::test]
async fn an_issuer_may_end_with_a_slash() {
    let (server, key) = (Server::start().await, SigningKey::ecdsa("ES256"));
    server.set_keys(&[&key]);
    let issuer = format!("{ISSUER}/");
    let document = discovery(&issuer, JWKS);
    server.set(DISCOVERY, Behaviour::Respond(StatusCode::OK, document));
    let verifier = server.verifier_of(&issuer, KeySource::Discover(server.access()));
    let mut claims = claims();
    let error = verifier.verify(&key.token(&claims)).await.unwrap_err();
    assert!(matches!(error, TokenError::WrongIssuer { .. }), "{error:?}");
    claims["iss"] = json!(issuer);
    verifier.verify(&key.token(&claims)).await.unwrap();
}
