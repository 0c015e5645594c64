//! Public keys of issuers, and signatures of tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

use super::error::TokenError;

/// The sizes of RSA keys that `ring` accepts, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The algorithms that Kubernetes signs with, except ES512, which `ring` does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            _ => return None,
        })
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Rs256 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Self::Es256 => Scheme::Ecdsa(&ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Scheme::Ecdsa(&ECDSA_P384_SHA384_FIXED),
        }
    }
}

/// A JSON Web Key: the members that are read.
#[derive(Deserialize)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A key that tokens can be signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    material: Material,
    /// What it may be used with.
    algorithms: Vec<Algorithm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point of an elliptic curve.
    Point(Vec<u8>),
}

/// How `ring` names an algorithm.
enum Scheme {
    Rsa(&'static RsaParameters),
    Ecdsa(&'static EcdsaVerificationAlgorithm),
}

impl PublicKey {
    /// Reads a key; otherwise returns why it cannot be used.
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, &'static str> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("its `use` is not \"sig\"");
        }
        if jwk.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return Err("its `key_ops` do not include \"verify\"");
        }
        let (material, mut algorithms) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (rsa(jwk)?, vec![Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512]),
            ("EC", Some("P-256")) => (point(jwk, 32)?, vec![Algorithm::Es256]),
            ("EC", Some("P-384")) => (point(jwk, 48)?, vec![Algorithm::Es384]),
            ("EC", _) => return Err("its curve is neither P-256 nor P-384"),
            _ => return Err("its type is neither RSA nor EC"),
        };
        if let Some(only) = &jwk.alg {
            let only = Algorithm::parse(only);
            algorithms.retain(|algorithm| Some(*algorithm) == only);
        }
        if algorithms.is_empty() {
            return Err("its `alg` is not supported with its type");
        }
        Ok(Self { material, algorithms })
    }

    /// Checks a signature. The algorithm is the one that the token names, so it must be one of the
    /// key's.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(TokenError::WrongKeyType);
        }
        let verified = match (&self.material, algorithm.scheme()) {
            (Material::Rsa { n, e }, Scheme::Rsa(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Material::Point(point), Scheme::Ecdsa(algorithm)) => {
                UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            (Material::Rsa { .. }, Scheme::Ecdsa(_)) | (Material::Point(_), Scheme::Rsa(_)) => {
                return Err(TokenError::WrongKeyType);
            }
        };
        verified.map_err(|_| TokenError::Signature)
    }
}

fn rsa(jwk: &Jwk) -> Result<Material, &'static str> {
    let n = number(jwk.n.as_ref()).ok_or("its `n` is malformed")?;
    let e = number(jwk.e.as_ref()).ok_or("its `e` is malformed")?;
    let leading_zeros = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !RSA_BITS.contains(&(n.len() * 8 - leading_zeros)) {
        return Err("it has less than 2048 or more than 8192 bits");
    }
    Ok(Material::Rsa { n, e })
}

/// A positive number, without leading zeros.
fn number(text: Option<&String>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    bytes.first().is_some_and(|first| *first != 0).then_some(bytes)
}

fn point(jwk: &Jwk, length: usize) -> Result<Material, &'static str> {
    let coordinate = |text: Option<&String>| {
        let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
        (bytes.len() == length).then_some(bytes)
    };
    let x = coordinate(jwk.x.as_ref()).ok_or("its `x` is malformed")?;
    let y = coordinate(jwk.y.as_ref()).ok_or("its `y` is malformed")?;
    // The mark of an uncompressed point.
    Ok(Material::Point([&[4], x.as_slice(), &y].concat()))
}
