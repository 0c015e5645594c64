//! Properties of tokens that nobody would write by hand.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::issuer::{SigningKey, encode};
use super::{WithFile, claims, claims_with};
use crate::service_account::ServiceAccount;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::ecdsa("ES256"));

/// The service account that a token proves, if any.
fn verify(token: &str) -> Option<ServiceAccount> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let with = WithFile::new(&[&KEY]);
        match with.verifier.verify(token).await {
            Ok(service_account) => Some((*service_account).clone()),
            Err(error) => {
                super::name(&error, token);
                None
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_text_is_rejected(token in "\\PC{0,200}") {
        prop_assert_eq!(verify(&token), None);
    }

    #[test]
    fn arbitrary_parts_are_rejected(
        header in proptest::collection::vec(any::<u8>(), 0..60),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
        signature in proptest::collection::vec(any::<u8>(), 0..70),
    ) {
        let [header, payload, signature] = [header, payload, signature].map(|part| encode(&part));
        prop_assert_eq!(verify(&format!("{header}.{payload}.{signature}")), None);
    }

    #[test]
    fn a_token_with_another_character_is_rejected(at in any::<prop::sample::Index>(), by in "[ -~]") {
        let token = KEY.token(&claims());
        let at = at.index(token.len());
        let changed = format!("{}{by}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert_eq!(verify(&changed), None);
    }

    #[test]
    fn a_truncated_token_is_rejected(at in any::<prop::sample::Index>()) {
        let token = KEY.token(&claims());
        prop_assert_eq!(verify(&token[..at.index(token.len())]), None);
    }

    #[test]
    fn signed_claims_of_any_form_do_not_panic(payload in "[{}\\[\\]\":,a-z0-9.\\\\]{0,80}") {
        let token = KEY.sign(&KEY.header().to_string(), &payload);
        prop_assert_eq!(verify(&token), None);
    }

    /// Whatever separates a namespace and a name elsewhere, it is in neither.
    #[test]
    fn names_have_only_the_characters_that_kubernetes_permits(
        namespace in "[a-c.:/ -]{1,6}", name in "[a-c.:/ -]{1,6}"
    ) {
        let sub = format!("system:serviceaccount:{namespace}:{name}");
        let changes = [
            ("/kubernetes.io/namespace", json!(namespace)),
            ("/kubernetes.io/serviceaccount/name", json!(name)),
            ("/sub", json!(sub)),
        ];
        let label = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                && !text.starts_with('-')
                && !text.ends_with('-')
        };
        let is_valid = label(&namespace) && name.split('.').all(label);
        let proved = verify(&KEY.token(&claims_with(changes)));
        prop_assert_eq!(proved.is_some(), is_valid, "{:?} {:?}", namespace, name);
    }
}
