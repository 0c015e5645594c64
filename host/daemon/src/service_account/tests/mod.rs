//! Tests with whole tokens: an issuer that signs them, and the daemon's clock under control.

mod fetching;
mod hostile;
mod invalid_claims;
mod issuer;
mod keys;
mod properties;
mod server;

use std::sync::Arc;
use std::time::Duration;

use keyward::identity::clock::{Clock, ManualClock};
use serde_json::{Value, json};

use super::config::{IssuerConfig, KeySource};
use super::*;
use issuer::SigningKey;

const ISSUER: &str = "https://issuer.example/cluster";
const NOW: u64 = 1_800_000_000;

fn clock() -> ManualClock {
    ManualClock::at(Duration::from_secs(NOW))
}

/// The claims of a projected token, as the API server writes them.
fn claims() -> Value {
    json!({
        "aud": ["keyward"],
        "exp": NOW + 3600,
        "iat": NOW,
        "iss": ISSUER,
        "jti": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "kubernetes.io": {
            "namespace": "shop",
            "node": { "name": "node-1", "uid": "00001111-aaaa-2222-bbbb-3333cccc4445" },
            "pod": { "name": "web-5d9c7b", "uid": "00001111-aaaa-2222-bbbb-3333cccc4446" },
            "serviceaccount": { "name": "web", "uid": "00001111-aaaa-2222-bbbb-3333cccc4447" },
            "warnafter": NOW + 3607,
        },
        "nbf": NOW,
        "sub": "system:serviceaccount:shop:web",
    })
}

/// The claims, with other values at some JSON pointers. `Value::Null` removes a member.
fn claims_with<const N: usize>(changes: [(&str, Value); N]) -> Value {
    let mut claims = claims();
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let parent = claims.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(member).unwrap();
        } else {
            parent.insert(member.to_owned(), value);
        }
    }
    claims
}

/// A verifier whose keys are in a file.
struct WithFile {
    directory: tempfile::TempDir,
    clock: ManualClock,
    verifier: Verifier,
}

impl WithFile {
    fn new(keys: &[&SigningKey]) -> Self {
        Self::with_json(&issuer::key_set(keys))
    }

    fn with_json(json: &str) -> Self {
        let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
        let path = directory.path().join("jwks.json");
        let config = IssuerConfig {
            issuer: ISSUER.to_owned(),
            audience: "keyward".to_owned(),
            keys: KeySource::File(path),
            addresses: Default::default(),
        };
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let this =
            Self { directory, clock, verifier: Verifier::with_clock(config, shared).unwrap() };
        this.write(json);
        this
    }

    fn write(&self, json: &str) {
        std::fs::write(self.directory.path().join("jwks.json"), json).unwrap();
    }

    fn remove(&self) {
        std::fs::remove_file(self.directory.path().join("jwks.json")).unwrap();
    }

    /// The name of the error, since errors do not compare.
    async fn error(&self, token: &str) -> String {
        name(&self.verifier.verify(token).await.unwrap_err(), token)
    }
}

/// The name of an error's variant. Checks that neither message nor debug output contains a part of
/// the token.
fn name(error: &TokenError, token: &str) -> String {
    let text = format!("{error} {} {error:?}", error.help());
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!text.contains(part), "the error contains a part of the token");
    }
    for claim in ["shop", "web-5d9c7b", "system:serviceaccount"] {
        assert!(!text.contains(claim), "the error contains a claim");
    }
    let debug = format!("{error:?}");
    debug.split([' ', '(']).next().unwrap().to_owned()
}

/// A token with a `kid` that no key has.
fn made_up(number: usize) -> String {
    let mut key = SigningKey::ecdsa("ES256");
    key.kid = format!("made-up-{number}");
    key.token(&claims())
}

/// Waits until no keys are being fetched, as a token with a made-up `kid` does. It causes no
/// request, since one has just been sent.
async fn settled(verifier: &Verifier) {
    let token = made_up(0);
    let error = verifier.verify(&token).await.unwrap_err();
    assert_eq!(name(&error, &token), "UnknownKey");
}

/// A key set, padded to a length.
fn padded(length: usize) -> String {
    let mut json = issuer::key_set(&[&SigningKey::ecdsa("ES256")]);
    json.push_str(&" ".repeat(length - json.len()));
    json
}

#[tokio::test]
async fn a_projected_token_proves_namespace_service_account_and_pod() {
    for key in [
        SigningKey::rsa("RS256"),
        SigningKey::rsa("RS384"),
        SigningKey::rsa("RS512"),
        SigningKey::ecdsa("ES256"),
        SigningKey::ecdsa("ES384"),
    ] {
        let verifier = WithFile::new(&[&key]).verifier;
        // The directory is gone by now, and so is the file.
        let error = verifier.verify(&key.token(&claims())).await.unwrap_err();
        assert!(matches!(error, TokenError::KeysUnavailable(_)), "{error:?}");

        let with = WithFile::new(&[&key]);
        let caller = with.verifier.verify(&key.token(&claims())).await.unwrap();
        let expected = ServiceAccount {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            pod: Some("web-5d9c7b".to_owned()),
        };
        assert_eq!(*caller, expected, "{}", key.algorithm);
    }
}

#[tokio::test]
async fn a_token_may_be_bound_to_no_pod_and_have_several_audiences() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    for audience in [json!("keyward"), json!(["api", "keyward"]), json!(["keyward"])] {
        let claims = claims_with([("/aud", audience), ("/kubernetes.io/pod", Value::Null)]);
        let caller = with.verifier.verify(&key.token(&claims)).await.unwrap();
        assert_eq!(caller.pod, None);
    }
}

#[tokio::test]
async fn a_token_is_verified_once_until_it_expires() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let token = key.token(&claims());
    let first = with.verifier.verify(&token).await.unwrap();
    let second = with.verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "it comes from the cache");
    with.clock.advance(Duration::from_secs(3599));
    with.verifier.verify(&token).await.unwrap();
    with.clock.advance(Duration::from_secs(1));
    assert_eq!(with.error(&token).await, "Expired");
}

#[tokio::test]
async fn a_cached_token_expires_by_the_steady_clock_too() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let token = key.token(&claims_with([("/exp", json!(NOW + 5))]));
    let first = with.verifier.verify(&token).await.unwrap();
    with.clock.advance(Duration::from_secs(6));
    with.clock.set_wall(Duration::from_secs(NOW));
    let second = with.verifier.verify(&token).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "it was verified by the clock as it is now");
}
