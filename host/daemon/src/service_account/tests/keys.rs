//! Which keys are accepted, and how a file with keys is read again.

use serde_json::{Value, json};

use super::issuer::{SigningKey, encode, key_set};
use super::{WithFile, claims, padded, settled};
use crate::service_account::TokenError;
use crate::service_account::error::KeysError;
use crate::service_account::fetch::MAX_FILE;
use crate::service_account::key_cache::{REFRESH_FILE, RETRY_INTERVAL, STALE};

async fn load(keys: Value) -> Result<usize, String> {
    load_text(&json!({ "keys": keys }).to_string()).await
}

async fn load_text(json: &str) -> Result<usize, String> {
    match WithFile::with_json(json).verifier.load_keys().await {
        Ok(keys) => Ok(keys),
        Err(TokenError::KeysUnavailable(error)) => {
            let text = format!("{error} {}", error.help());
            assert!(!text.contains("secret"), "{text}");
            Err(error.to_string())
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn keys_that_are_not_for_signatures_are_left_out() {
    let (rsa, p256) = (SigningKey::rsa("RS256").jwk(), SigningKey::ecdsa("ES256").jwk());
    let with = |jwk: &Value, member: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[member] = value;
        jwk
    };
    let number = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= (8 - bits % 8) % 8;
        json!(encode(&bytes))
    };
    for (key, reason) in [
        (with(&rsa, "use", json!("enc")), "its `use` is not \"sig\""),
        (with(&rsa, "key_ops", json!(["encrypt"])), "its `key_ops` do not include \"verify\""),
        (with(&rsa, "alg", json!("RSA-OAEP")), "its `alg` is not supported with its type"),
        (with(&rsa, "alg", json!("HS256")), "its `alg` is not supported with its type"),
        (with(&rsa, "alg", json!("none")), "its `alg` is not supported with its type"),
        (with(&rsa, "alg", json!("ES256")), "its `alg` is not supported with its type"),
        (with(&rsa, "n", number(1024)), "it has less than 2048 or more than 8192 bits"),
        (with(&rsa, "n", number(2047)), "it has less than 2048 or more than 8192 bits"),
        (with(&rsa, "n", number(8193)), "it has less than 2048 or more than 8192 bits"),
        (with(&rsa, "n", json!(encode(&[0; 256]))), "its `n` is malformed"),
        (with(&rsa, "n", json!("")), "its `n` is malformed"),
        (with(&rsa, "n", json!("not base64url")), "its `n` is malformed"),
        (with(&rsa, "n", Value::Null), "its `n` is malformed"),
        (with(&rsa, "e", json!("AAAB")), "its `e` is malformed"),
        (with(&rsa, "kid", Value::Null), "it has no `kid`"),
        (with(&rsa, "kid", json!("")), "it has no `kid`"),
        (with(&rsa, "kty", json!("oct")), "its type is neither RSA nor EC"),
        (with(&p256, "crv", json!("P-521")), "its curve is neither P-256 nor P-384"),
        (with(&p256, "crv", json!("P-384")), "its `x` is malformed"),
        (with(&p256, "crv", Value::Null), "its curve is neither P-256 nor P-384"),
        (with(&p256, "alg", json!("ES384")), "its `alg` is not supported with its type"),
        (with(&p256, "y", json!("AAAA")), "its `y` is malformed"),
        (json!({ "kty": "oct", "kid": "a", "k": "secret" }), "its type is neither RSA nor EC"),
    ] {
        let expected = format!("none of the issuer's 1 keys can be used: {reason}");
        assert_eq!(load(json!([key.clone()])).await, Err(expected), "{key}");
        assert_eq!(load(json!([key, p256])).await, Ok(1), "the other key is used");
    }
    for key in [with(&rsa, "n", number(2048)), with(&rsa, "key_ops", json!(["verify"])), rsa] {
        assert_eq!(load(json!([key])).await, Ok(1));
    }
}

#[tokio::test]
async fn a_file_without_a_key_set_is_an_error_that_quotes_nothing() {
    for json in [
        "",
        "secret",
        "[]",
        "null",
        "{}",
        r#"{"keys":"secret"}"#,
        r#"{"keys":["secret"]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"RSA","kty":"secret"}]}"#,
        "-----BEGIN PUBLIC KEY-----\nsecret\n-----END PUBLIC KEY-----",
    ] {
        let error = load_text(json).await.unwrap_err();
        assert!(error.starts_with("the keys are not a JSON Web Key Set"), "{json}: {error}");
    }
    let none = load(json!([])).await.unwrap_err();
    assert_eq!(none, "none of the issuer's 0 keys can be used");
    assert_eq!(load_text(&padded(MAX_FILE)).await, Ok(1));
    assert!(load_text(&padded(MAX_FILE + 1)).await.unwrap_err().contains("longer than 65536"));
}

#[tokio::test]
async fn two_keys_with_one_kid_are_an_error_unless_they_are_the_same() {
    let (one, mut other) = (SigningKey::ecdsa("ES256").jwk(), SigningKey::ecdsa("ES256").jwk());
    assert_eq!(load(json!([one, one])).await, Ok(1));
    other["kid"] = one["kid"].clone();
    let error = load(json!([one, other])).await.unwrap_err();
    assert_eq!(error, "two keys of the issuer have the same `kid`");
}

#[tokio::test]
async fn a_removed_key_ends_the_tokens_that_were_verified_with_it() {
    let (old, new) = (SigningKey::ecdsa("ES256"), SigningKey::rsa("RS256"));
    let with = WithFile::new(&[&old, &new]);
    let (by_old, by_new) = (old.token(&claims()), new.token(&claims()));
    with.verifier.verify(&by_old).await.unwrap();
    with.verifier.verify(&by_new).await.unwrap();
    with.write(&key_set(&[&new]));
    with.verifier.verify(&by_old).await.unwrap();
    with.clock.advance(REFRESH_FILE);
    with.verifier.verify(&by_old).await.unwrap();
    settled(&with.verifier).await;
    assert_eq!(with.error(&by_old).await, "UnknownKey");
    with.verifier.verify(&by_new).await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_replaced_under_its_kid_ends_the_tokens_of_the_old_one() {
    let (old, mut new) = (SigningKey::ecdsa("ES256"), SigningKey::ecdsa("ES256"));
    new.kid.clone_from(&old.kid);
    let with = WithFile::new(&[&old]);
    let token = old.token(&claims());
    with.verifier.verify(&token).await.unwrap();
    with.write(&key_set(&[&new]));
    with.clock.advance(REFRESH_FILE);
    with.verifier.verify(&token).await.unwrap();
    settled(&with.verifier).await;
    assert_eq!(with.error(&token).await, "Signature");
    with.verifier.verify(&new.token(&claims())).await.unwrap();
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it_but_not_more_often_than_permitted() {
    let (old, new) = (SigningKey::ecdsa("ES256"), SigningKey::ecdsa("ES384"));
    let with = WithFile::new(&[&old]);
    let token = new.token(&claims());
    with.verifier.load_keys().await.unwrap();
    with.write(&key_set(&[&old, &new]));
    assert_eq!(with.error(&token).await, "UnknownKey");
    with.clock.advance(RETRY_INTERVAL);
    with.verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn keys_outlive_their_file_for_a_day() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let mut claims = claims();
    claims["exp"] = json!(u64::MAX);
    let token = key.token(&claims);
    with.verifier.verify(&token).await.unwrap();
    with.remove();
    with.clock.advance(STALE - std::time::Duration::from_secs(1));
    with.verifier.verify(&token).await.unwrap();
    with.clock.advance(RETRY_INTERVAL);
    let error = with.verifier.verify(&token).await.unwrap_err();
    let TokenError::KeysUnavailable(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, KeysError::File { .. }), "{error:?}");
    // A file that is back is read once the interval has passed.
    with.write(&key_set(&[&key]));
    assert_eq!(with.error(&token).await, "KeysUnavailable");
    with.clock.advance(RETRY_INTERVAL);
    with.verifier.verify(&token).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_fifo_is_an_error_that_does_not_block() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let with = WithFile::with_json("");
    with.remove();
    let path = with.directory.path().join("jwks.json");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let error = with.verifier.load_keys().await.unwrap_err();
    let TokenError::KeysUnavailable(error) = error else { panic!("{error:?}") };
    assert!(matches!(*error, KeysError::File { .. }), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_a_group_can_change_is_not_read() {
    use std::os::unix::fs::PermissionsExt;

    let (key, other) = (SigningKey::ecdsa("ES256"), SigningKey::ecdsa("ES384"));
    let with = WithFile::new(&[&key]);
    with.verifier.verify(&key.token(&claims())).await.unwrap();
    with.write(&key_set(&[&other]));
    let path = with.directory.path().join("jwks.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    with.clock.advance(REFRESH_FILE * 2);
    assert_eq!(with.error(&other.token(&claims())).await, "UnknownKey");
    with.verifier.verify(&key.token(&claims())).await.unwrap();
    with.clock.advance(STALE);
    let error = with.verifier.verify(&key.token(&claims())).await.unwrap_err();
    let TokenError::KeysUnavailable(error) = error else { panic!("{error:?}") };
    assert!(matches!(&*error, KeysError::Unprotected { found } if found.contains("group")));
}
