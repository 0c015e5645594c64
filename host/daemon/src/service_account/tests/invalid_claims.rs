//! Signed tokens whose claims must not be accepted, each with one thing wrong.

use serde_json::{Value, json};

use super::issuer::SigningKey;
use super::{ISSUER, NOW, WithFile, claims, claims_with};

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_audience_is_rejected() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    for (pointer, value, expected) in [
        ("/iss", json!("https://issuer.example/other"), "WrongIssuer"),
        ("/iss", json!(format!("{ISSUER}/")), "WrongIssuer"),
        ("/iss", json!(ISSUER.to_uppercase()), "WrongIssuer"),
        ("/iss", json!([ISSUER]), "Claims"),
        ("/iss", Value::Null, "Claims"),
        ("/aud", json!("https://kubernetes.default.svc"), "WrongAudience"),
        ("/aud", json!(["https://kubernetes.default.svc", "Keyward", "keyward "]), "WrongAudience"),
        ("/aud", json!([]), "WrongAudience"),
        ("/aud", json!(""), "WrongAudience"),
        ("/aud", json!([["keyward"]]), "Claims"),
        ("/aud", json!(["keyward", 7]), "Claims"),
        ("/aud", json!({ "keyward": "keyward" }), "Claims"),
        ("/aud", json!(true), "Claims"),
        ("/aud", Value::Null, "Claims"),
    ] {
        let token = key.token(&claims_with([(pointer, value.clone())]));
        assert_eq!(with.error(&token).await, expected, "{pointer} {value}");
    }
}

#[tokio::test]
async fn a_token_is_valid_from_nbf_and_iat_with_some_leeway_until_exp_without_any() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    for (pointer, value, expected) in [
        ("/exp", json!(NOW + 1), None),
        ("/exp", json!(NOW), Some("Expired")),
        ("/exp", json!(NOW - 1), Some("Expired")),
        ("/exp", json!(0), Some("Expired")),
        ("/exp", json!(u64::MAX), None),
        ("/exp", json!(-1), Some("Claims")),
        ("/exp", json!(1e300), Some("Claims")),
        ("/exp", json!(NOW as f64 + 0.5), Some("Claims")),
        ("/exp", json!((NOW + 3600).to_string()), Some("Claims")),
        ("/exp", Value::Null, Some("Claims")),
        ("/nbf", json!(NOW + 60), None),
        ("/nbf", json!(NOW + 61), Some("NotYetValid")),
        ("/nbf", json!(u64::MAX), Some("NotYetValid")),
        ("/nbf", json!("0"), Some("Claims")),
        ("/nbf", Value::Null, None),
        ("/iat", json!(NOW + 60), None),
        ("/iat", json!(NOW + 61), Some("NotYetValid")),
        ("/iat", Value::Null, None),
    ] {
        let token = key.token(&claims_with([(pointer, value.clone())]));
        match expected {
            None => drop(with.verifier.verify(&token).await.unwrap()),
            Some(expected) => {
                assert_eq!(with.error(&token).await, expected, "{pointer} {value}");
            }
        }
    }
}

#[tokio::test]
async fn duplicate_claims_are_rejected() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let whole = claims().to_string();
    let also = |members: &str| format!("{},{members}}}", whole.strip_suffix('}').unwrap());
    let within = whole.replace(r#""namespace":"shop""#, r#""namespace":"a","namespace":"shop""#);
    let account = whole.replace(r#""name":"web""#, r#""name":"admin","name":"web""#);
    assert!(within != whole && account != whole);
    for claims in [
        also(r#""aud":"keyward""#),
        also(&format!(r#""iss":"{ISSUER}""#)),
        also(r#""\u0069ss":"other""#),
        also(r#""exp":9999999999"#),
        also(r#""sub":"system:serviceaccount:shop:admin""#),
        also(r#""kubernetes.io":{}"#),
        within,
        account,
        format!("{whole} {whole}"),
        "[]".to_owned(),
        "{}".to_owned(),
        String::new(),
    ] {
        let token = key.sign(&key.header().to_string(), &claims);
        assert_eq!(with.error(&token).await, "Claims", "{claims}");
    }
}

#[tokio::test]
async fn a_token_that_names_no_service_account_is_rejected() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    for (pointer, value, expected) in [
        ("/kubernetes.io", Value::Null, "NoServiceAccount"),
        ("/kubernetes.io", json!({}), "NoServiceAccount"),
        ("/kubernetes.io", json!("shop"), "Claims"),
        ("/kubernetes.io/namespace", Value::Null, "NoServiceAccount"),
        ("/kubernetes.io/serviceaccount", Value::Null, "NoServiceAccount"),
        ("/kubernetes.io/serviceaccount", json!("web"), "Claims"),
        ("/kubernetes.io/serviceaccount", json!({ "uid": "u" }), "Claims"),
        ("/kubernetes.io/pod", json!({}), "Claims"),
        ("/sub", Value::Null, "Claims"),
        ("/sub", json!("system:serviceaccount:shop:admin"), "SubjectMismatch"),
        ("/sub", json!("system:serviceaccount:kube-system:web"), "SubjectMismatch"),
        ("/sub", json!("system:serviceaccount:shop:web:web"), "SubjectMismatch"),
        ("/sub", json!("system:serviceaccount:shop:web "), "SubjectMismatch"),
        ("/sub", json!("shop:web"), "SubjectMismatch"),
        ("/sub", json!("system:node:web"), "SubjectMismatch"),
        ("/sub", json!(""), "SubjectMismatch"),
    ] {
        let token = key.token(&claims_with([(pointer, value.clone())]));
        assert_eq!(with.error(&token).await, expected, "{pointer} {value}");
    }
}

#[tokio::test]
async fn names_that_kubernetes_does_not_permit_are_rejected() {
    let key = SigningKey::ecdsa("ES256");
    let with = WithFile::new(&[&key]);
    let long = "a".repeat(254);
    let invalid =
        ["", "a:b", "a/b", "../a", "a b", "A", "ä", "a\0", "a\n", "-a", "a-", "*", "a%2f"];
    let subdomains = [".", "a.", ".a", "a..b", "a.-b", &long];
    let labels = ["a.b", &long[..64]];
    let rejected = |claims| {
        let token = key.token(&claims);
        let with = &with;
        async move { with.error(&token).await }
    };
    for name in invalid.iter().chain(&subdomains) {
        let sub = format!("system:serviceaccount:shop:{name}");
        let changes = [("/kubernetes.io/serviceaccount/name", json!(name)), ("/sub", json!(sub))];
        assert_eq!(rejected(claims_with(changes)).await, "InvalidName", "{name:?}");
        let changes = [("/kubernetes.io/pod/name", json!(name))];
        assert_eq!(rejected(claims_with(changes)).await, "InvalidName", "{name:?}");
    }
    for name in invalid.iter().chain(&labels) {
        let sub = format!("system:serviceaccount:{name}:web");
        let changes = [("/kubernetes.io/namespace", json!(name)), ("/sub", json!(sub))];
        assert_eq!(rejected(claims_with(changes)).await, "InvalidName", "{name:?}");
    }
    // The service account `b:web` of `a` must not become `web` of `a:b`.
    let changes = [
        ("/kubernetes.io/namespace", json!("a")),
        ("/kubernetes.io/serviceaccount/name", json!("b:web")),
        ("/sub", json!("system:serviceaccount:a:b:web")),
    ];
    assert_eq!(rejected(claims_with(changes)).await, "InvalidName");
    for (namespace, name) in [("a", "0"), ("a-b", "a.b-c.d"), (&long[..63], &long[..253])] {
        let sub = format!("system:serviceaccount:{namespace}:{name}");
        let changes = [
            ("/kubernetes.io/namespace", json!(namespace)),
            ("/kubernetes.io/serviceaccount/name", json!(name)),
            ("/sub", json!(sub)),
        ];
        with.verifier.verify(&key.token(&claims_with(changes))).await.unwrap();
    }
}
