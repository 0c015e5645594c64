//! Signs tokens, properly or not.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs1KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// Made with `openssl genpkey` for these tests, since `ring` makes no RSA keys.
const RSA_KEY: &str = include_str!("rsa_key.pem");

pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl SigningKey {
    pub(super) fn rsa(algorithm: &'static str) -> Self {
        let key = PrivatePkcs1KeyDer::from_pem_slice(RSA_KEY.as_bytes()).unwrap();
        let pair = Pair::Rsa(RsaKeyPair::from_der(key.secret_pkcs1_der()).unwrap());
        Self { kid: "rsa".to_owned(), algorithm, pair }
    }

    /// A new key each time.
    pub(super) fn ecdsa(algorithm: &'static str) -> Self {
        let (random, parameters) = (
            SystemRandom::new(),
            match algorithm {
                "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
                "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
                other => panic!("{other}"),
            },
        );
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(parameters, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(parameters, pkcs8.as_ref(), &random).unwrap();
        Self { kid: encode(&pair.public_key().as_ref()[1..9]), algorithm, pair: Pair::Ecdsa(pair) }
    }

    /// The bytes of the public key, as a confused verifier would take them for a shared secret.
    pub(super) fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The key as the API server publishes it.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = json!({ "use": "sig", "kid": self.kid, "alg": self.algorithm });
        let members = match &self.pair {
            Pair::Rsa(pair) => {
                let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({ "kty": "RSA", "n": encode(&public.n), "e": encode(&public.e) })
            }
            Pair::Ecdsa(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
        };
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "kid": self.kid })
    }

    /// A token with the header that the API server writes.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// A token with any texts as header and claims.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", encode(&signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn ring::signature::RsaEncoding = match self.algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }
}

pub(super) fn key_set(keys: &[&SigningKey]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A discovery document.
pub(super) fn discovery(issuer: &str, jwks_uri: &str) -> String {
    let members = HashMap::from([("issuer", issuer), ("jwks_uri", jwks_uri)]);
    json!(members).to_string()
}
