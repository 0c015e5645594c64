//! The compact serialization of a signed token: `HEADER.PAYLOAD.SIGNATURE`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::TokenError;
use super::public_key::Algorithm;

/// A token whose signature has not been checked.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
    /// What is signed.
    pub(super) message: &'t str,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// The members that API servers write, and an external signer may: any other is an error, above all
/// `crit` and those that bring a key along (`jwk`, `jku`, `x5c`, `x5u`). A duplicate is an error
/// too.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

impl<'t> Jws<'t> {
    /// Splits and decodes a token. Parts in base64url that is not canonical are errors, so there is
    /// one spelling of a token.
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenError> {
        let malformed = |part| TokenError::Malformed { part };
        let parts = "expected three parts with dots between them";
        let (message, signature) = token.rsplit_once('.').ok_or(malformed(parts))?;
        let (header, payload) = message.split_once('.').ok_or(malformed(parts))?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part);
        let header = decode(header).map_err(|_| malformed("its header is not base64url"))?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| malformed("its header is not JSON with `alg` and `kid`"))?;
        if !header.others.is_empty() {
            return Err(TokenError::HeaderMember);
        }
        if header.typ.is_some_and(|typ| typ != "JWT") {
            return Err(malformed("its header's `typ` is not JWT"));
        }
        Ok(Self {
            algorithm: Algorithm::parse(&header.alg).ok_or(TokenError::Algorithm)?,
            kid: header.kid,
            message,
            payload: decode(payload).map_err(|_| malformed("its payload is not base64url"))?,
            signature: decode(signature)
                .map_err(|_| malformed("its signature is not base64url"))?,
        })
    }
}
