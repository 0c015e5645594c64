//! Tokens that must not be accepted because of their signature, header or form, each with one thing
//! wrong.

use serde_json::json;

use super::issuer::{SigningKey, encode};
use super::{WithFile, claims};
use crate::service_account::verifier::MAX_TOKEN;

#[tokio::test]
async fn a_token_that_is_not_signed_with_a_key_of_the_issuer_is_rejected() {
    let (key, other) = (SigningKey::rsa("RS256"), SigningKey::ecdsa("ES256"));
    let with = WithFile::new(&[&key]);
    let claims = claims().to_string();
    let signed = key.token(&super::claims());
    let message = signed.rsplit_once('.').unwrap().0;
    let hmac = |secret: &[u8]| {
        let header = json!({ "alg": "HS256", "kid": "rsa" }).to_string();
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let tag = ring::hmac::sign(&secret, message.as_bytes());
        format!("{message}.{}", encode(tag.as_ref()))
    };
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid }).to_string();
    let none = key.sign(&header("none", "rsa"), &claims);
    for (token, expected) in [
        (none.clone(), "Algorithm"),
        (format!("{}.", none.rsplit_once('.').unwrap().0), "Algorithm"),
        (key.sign(&header("NONE", "rsa"), &claims), "Algorithm"),
        (key.sign(&header("rs256", "rsa"), &claims), "Algorithm"),
        (key.sign(&header("PS256", "rsa"), &claims), "Algorithm"),
        (key.sign(&header("EdDSA", "rsa"), &claims), "Algorithm"),
        (hmac(&key.public()), "Algorithm"),
        (hmac(super::issuer::key_set(&[&key]).as_bytes()), "Algorithm"),
        (key.sign(&header("ES256", "rsa"), &claims), "WrongKeyType"),
        // The key is published for RS256 only.
        (key.sign(&header("RS512", "rsa"), &claims), "WrongKeyType"),
        (other.sign(&header("RS256", "rsa"), &claims), "Signature"),
        (other.token(&super::claims()), "UnknownKey"),
        (format!("{message}."), "Signature"),
        (format!("{message}.{}", encode(&[0; 256])), "Signature"),
        (format!("{message}.{}", encode(&[0; 64])), "Signature"),
    ] {
        assert_eq!(with.error(&token).await, expected);
    }
}

#[tokio::test]
async fn an_ecdsa_signature_of_zeros_or_in_der_is_rejected() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let token = key.token(&claims());
    let message = token.rsplit_once('.').unwrap().0;
    let der = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01];
    for signature in [&[0; 64][..], &[0; 63], &[0xff; 64], &der] {
        let token = format!("{message}.{}", encode(signature));
        assert_eq!(with.error(&token).await, "Signature");
    }
}

#[tokio::test]
async fn a_header_with_other_members_is_rejected_and_keys_in_it_are_not_used() {
    let (key, own) = (SigningKey::ecdsa("ES256"), SigningKey::ecdsa("ES256"));
    let with = WithFile::new(&[&key]);
    for (member, value) in [
        ("jwk", own.jwk()),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
    ] {
        let mut header = key.header();
        header[member] = value;
        let token = own.sign(&header.to_string(), &claims().to_string());
        assert_eq!(with.error(&token).await, "HeaderMember", "{member}");
        let token = key.sign(&header.to_string(), &claims().to_string());
        assert_eq!(with.error(&token).await, "HeaderMember", "{member}");
    }
}

#[tokio::test]
async fn a_malformed_header_is_rejected() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let kid = &key.kid;
    for header in [
        format!(r#"{{"alg":"ES256","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"none","kid":"{kid}","alg":"ES256"}}"#),
        format!(r#"{{"alg":"ES256","\u0061lg":"none","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","kid":"other"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}"}} x"#),
        format!(r#"["ES256","{kid}"]"#),
        format!(r#"{{"alg":["ES256"],"kid":"{kid}"}}"#),
        format!(r#"{{"kid":"{kid}"}}"#),
        r#"{"alg":"ES256"}"#.to_owned(),
        r#"{"alg":"ES256","kid":null}"#.to_owned(),
        r#"{"alg":"ES256","kid":7}"#.to_owned(),
        String::new(),
        "null".to_owned(),
        "[".repeat(10_000),
    ] {
        let token = key.sign(&header, &claims().to_string());
        assert_eq!(with.error(&token).await, "Malformed", "{header:.60}");
    }
    let typ = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#);
    with.verifier.verify(&key.sign(&typ, &claims().to_string())).await.unwrap();
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    let key = SigningKey::rsa("RS256");
    let with = WithFile::new(&[&key]);
    let token = key.token(&claims());
    with.verifier.verify(&token).await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!() };
    // 256 bytes leave four unused bits in the last character.
    let (start, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.find(last).unwrap() + 1;
    let trailing_bits = format!("{start}{}", &alphabet[next..=next]);
    for spelling in [
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}.{payload}.{trailing_bits}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}.{signature}\n"),
        format!(" {token}"),
        format!("Bearer {token}"),
        token.replace('.', ".."),
        token.replacen('_', "/", 1).replacen('-', "+", 1),
        "..".to_owned(),
        ".".to_owned(),
        String::new(),
    ] {
        let error = with.error(&spelling).await;
        // Without a payload, the signature is another.
        assert!(matches!(error.as_str(), "Malformed" | "Signature"), "{error}");
    }
}

#[tokio::test]
async fn a_huge_token_is_rejected_before_it_is_read() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    // No keys are needed to reject it.
    with.remove();
    assert_eq!(with.error(&"a".repeat(MAX_TOKEN + 1)).await, "TooLong");
    assert_eq!(with.error(&"a".repeat(MAX_TOKEN)).await, "KeysUnavailable");
}
