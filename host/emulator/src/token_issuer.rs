//! Issues and verifies tokens: JSON web tokens signed with ES256 ([RFC 7515], [RFC 7519]).
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7519]: https://www.rfc-editor.org/rfc/rfc7519

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

use crate::directory::{Identity, TENANT};

/// Random bytes in a claim without meaning: tokens of Entra have 1.5 KiB and more.
const PADDING: usize = 900;

/// Issues tokens, signed with a key that is generated at start.
pub(crate) struct TokenIssuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    lifetime: Mutex<Duration>,
    issued: Mutex<Vec<String>>,
}

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    iss: String,
    iat: u64,
    nbf: u64,
    pub(crate) exp: u64,
    pub(crate) appid: String,
    pub(crate) oid: String,
    sub: String,
    tid: String,
    ver: String,
    idtyp: String,
    uti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    xms_mirid: Option<String>,
    xms_padding: String,
}

/// Why a token is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    Missing,
    Malformed,
    Signature,
    Audience { found: String },
    Expired,
    NotYetValid,
}

impl TokenIssuer {
    pub(crate) fn new(lifetime: Duration) -> Result<Self, String> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document =
            EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|error| error.to_string())?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|error| error.to_string())?;
        Ok(Self { key, random, lifetime: Mutex::new(lifetime), issued: Mutex::default() })
    }

    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner) = lifetime;
    }

    pub(crate) fn issued(&self) -> Vec<String> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Issues a token. Returns it with its claims.
    pub(crate) fn issue(
        &self,
        identity: &Identity,
        audience: &str,
    ) -> Result<(String, Claims), String> {
        let lifetime = *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unique = [0_u8; 16];
        self.random.fill(&mut unique).map_err(|error| error.to_string())?;
        let mut padding = vec![0_u8; PADDING];
        self.random.fill(&mut padding).map_err(|error| error.to_string())?;
        let now = now();
        let claims = Claims {
            aud: audience.to_owned(),
            iss: format!("https://sts.windows.net/{TENANT}/"),
            iat: now,
            nbf: now.saturating_sub(300),
            exp: now + lifetime.as_secs(),
            appid: identity.client_id.clone(),
            oid: identity.object_id.clone(),
            sub: identity.object_id.clone(),
            tid: TENANT.to_owned(),
            ver: "1.0".to_owned(),
            idtyp: "app".to_owned(),
            uti: URL_SAFE_NO_PAD.encode(unique),
            xms_mirid: identity.resource_id.clone(),
            xms_padding: URL_SAFE_NO_PAD.encode(padding),
        };
        let header =
            URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ES256","kid":"keyward-emulator"}"#);
        let payload = serde_json::to_vec(&claims).map_err(|error| error.to_string())?;
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature =
            self.key.sign(&self.random, signed.as_bytes()).map_err(|error| error.to_string())?;
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        Ok((token, claims))
    }

    /// Verifies a token. The audience must be equal, including a slash at the end.
    pub(crate) fn verify(&self, token: Option<&str>, audience: &str) -> Result<Claims, TokenError> {
        let token = token.ok_or(TokenError::Missing)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (_, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        key.verify(signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Malformed)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
        if claims.aud != audience {
            return Err(TokenError::Audience { found: claims.aud });
        }
        let now = now();
        if now >= claims.exp {
            Err(TokenError::Expired)
        } else if now < claims.nbf {
            Err(TokenError::NotYetValid)
        } else {
            Ok(claims)
        }
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenIssuer(..)")
    }
}

/// The current time in Unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: &str = "https://vault.azure.net";

    #[test]
    fn a_token_is_valid_for_exactly_its_audience() {
        let issuer = TokenIssuer::new(Duration::from_secs(60)).unwrap();
        let (token, claims) = issuer.issue(&Identity::system_assigned(), VAULT).unwrap();
        assert!(token.len() > 1500);
        assert_eq!(issuer.verify(Some(&token), VAULT).unwrap().oid, claims.oid);
        let found = VAULT.to_owned();
        assert_eq!(
            issuer.verify(Some(&token), "https://vault.azure.net/").unwrap_err(),
            TokenError::Audience { found }
        );
        assert_eq!(issuer.verify(None, VAULT).unwrap_err(), TokenError::Missing);
    }

    #[test]
    fn a_changed_token_or_one_of_another_issuer_is_invalid() {
        let issuer = TokenIssuer::new(Duration::from_secs(60)).unwrap();
        let other = TokenIssuer::new(Duration::from_secs(60)).unwrap();
        let (token, _) = other.issue(&Identity::system_assigned(), VAULT).unwrap();
        assert_eq!(issuer.verify(Some(&token), VAULT).unwrap_err(), TokenError::Signature);
        for broken in ["", "a", "a.b", "a.b.c", "..", &token.replace('.', "..")] {
            assert!(issuer.verify(Some(broken), VAULT).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_token_expires() {
        let issuer = TokenIssuer::new(Duration::ZERO).unwrap();
        let (token, _) = issuer.issue(&Identity::system_assigned(), VAULT).unwrap();
        assert_eq!(issuer.verify(Some(&token), VAULT).unwrap_err(), TokenError::Expired);
    }
}
