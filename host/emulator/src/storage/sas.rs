//! Shared access signatures of the service kind ([how they are made]).
//!
//! [how they are made]: https://learn.microsoft.com/rest/api/storageservices/create-service-sas

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use super::clock;
use super::failure::Failure;

/// The version that new ones are signed for. Azurite 3.35 takes it.
pub(super) const VERSION: &str = "2022-11-02";

/// The first version whose string to sign has the encryption scope in it, as [`Sas::string_to_sign`] writes it.
const OLDEST: &str = "2020-12-06";

/// All permissions, in the order in which they must be written.
pub(super) const PERMISSIONS: &str = "racwdxyltmeopi";

/// What stays as it is in a value.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a shared access signature is no good.
#[derive(Debug, thiserror::Error)]
#[error("the shared access signature is refused: {0}")]
pub struct SasRefused(pub(super) String);

/// A shared access signature, by its parameters. It writes nothing of itself.
pub(super) struct Sas(BTreeMap<String, String>);

/// The header fields that it can set on an answer, in the order of the string to sign.
pub(super) const OVERRIDES: [(&str, &str); 5] = [
    ("rscc", "cache-control"),
    ("rscd", "content-disposition"),
    ("rsce", "content-encoding"),
    ("rscl", "content-language"),
    ("rsct", "content-type"),
];

impl Sas {
    pub(super) fn new(parameters: BTreeMap<String, String>) -> Self {
        Self(parameters)
    }

    /// The one in a query, where there is one.
    pub(super) fn in_query(query: &str) -> Option<Self> {
        let pairs = form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
        let all: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned())).collect();
        all.contains_key("sig").then_some(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn string_to_sign(&self, canonicalized_resource: &str) -> String {
        let mut lines = vec![self.get("sp"), self.get("st"), self.get("se"), canonicalized_resource];
        lines.extend(["si", "sip", "spr", "sv", "sr"].map(|name| self.get(name)));
        // Behind the resource: a snapshot's time and the encryption scope.
        lines.extend(["snapshot", "ses"].map(|name| self.get(name)));
        lines.extend(OVERRIDES.map(|(name, _)| self.get(name)));
        lines.join("\n")
    }

    /// The query, with the signature at its end.
    pub(super) fn signed(&self, key: &[u8], canonicalized_resource: &str) -> String {
        let signature = hmac::sign(&hmac_key(key), self.string_to_sign(canonicalized_resource).as_bytes());
        let signature = STANDARD.encode(signature);
        let names = ["sv", "sr", "st", "se", "sp", "sip", "spr"].into_iter().chain(OVERRIDES.map(|(name, _)| name));
        let given = names.map(|name| (name, self.get(name))).filter(|(_, value)| !value.is_empty());
        let pairs = given.chain([("sig", signature.as_str())]);
        pairs
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &UNRESERVED)))
            .collect::<Vec<_>>()
            .join("&")
    }

    /// Verifies it for a container and a name in it, whatever is to be done there.
    pub(super) fn verify(&self, account: &str, key: &[u8], container: &str, name: &str) -> Result<(), Failure> {
        for required in ["sv", "sr", "sp", "se"] {
            if self.get(required).is_empty() {
                return Err(refused(format!("{required} is mandatory. Cannot be empty")));
            }
        }
        if self.get("sv") < OLDEST || !is_date(self.get("sv")) {
            return Err(refused(format!("sv is not a version that the emulator knows: {OLDEST} or later")));
        }
        if !self.get("si").is_empty() {
            return Err(refused("si is not supported: the emulator has no stored access policies"));
        }
        if !matches!(self.get("spr"), "" | "https" | "https,http") {
            return Err(refused("spr has an invalid value"));
        }
        let resource = match (self.get("sr"), name) {
            ("c", _) | ("b", "") => format!("/blob/{account}/{container}"),
            ("b", name) => format!("/blob/{account}/{container}/{name}"),
            _ => return Err(refused("sr is invalid")),
        };
        let text = self.string_to_sign(&resource);
        let signature = STANDARD.decode(self.get("sig"));
        let good = signature.is_ok_and(|given| hmac::verify(&hmac_key(key), text.as_bytes(), &given).is_ok());
        if !good {
            return Err(refused(format!("Signature did not match. String to sign used was {text}")));
        }
        // A signature of a blob is for that blob, even where the string to sign could be read in another way.
        if self.get("sr") == "b" && name.is_empty() {
            return Err(refused("sr is invalid for this resource"));
        }
        self.check_time()
    }

    fn check_time(&self) -> Result<(), Failure> {
        let (start, expiry) = (self.get("st"), self.get("se"));
        let now = clock::now();
        let from = if start.is_empty() { Some(0) } else { clock::parse_iso(start) };
        let until = clock::parse_iso(expiry);
        match (from, until) {
            (Some(from), Some(until)) if from <= now && now < until => Ok(()),
            (Some(_), Some(_)) => Err(refused(format!(
                "Signature not valid in the specified time frame: Start [{start}] - Expiry [{expiry}] - Current [{}]",
                clock::http(now)
            ))),
            _ => Err(refused("st or se is not a time in UTC of ISO 8601")),
        }
    }

    /// Whether it allows something that any of these letters is enough for.
    pub(super) fn permits(&self, any_of: &str) -> Result<(), Failure> {
        let allowed = self.get("sp").chars().any(|letter| any_of.contains(letter));
        if allowed { Ok(()) } else { Err(mismatch()) }
    }
}

pub(super) fn mismatch() -> Failure {
    let message = "This request is not authorized to perform this operation using this permission.";
    Failure::new(403, "AuthorizationPermissionMismatch", message)
}

/// 403, with the reason. As in Azure, that of a wrong signature repeats what should have been signed.
pub(super) fn refused(detail: impl Into<String>) -> Failure {
    let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly \
                   including the signature.";
    Failure::new(403, "AuthenticationFailed", message).detail("AuthenticationErrorDetail", detail)
}

fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// Whether it is of the form of a version: `2022-11-02`.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && clock::parse_iso(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature was made with Python's `hmac`, over the sixteen lines as Microsoft documents them.
    #[test]
    fn a_signature_is_that_of_the_documentation() {
        let parameters = [("sv", VERSION), ("sr", "b"), ("sp", "r"), ("se", "2030-01-01T00:00:00Z"), ("spr", "https")];
        let sas = Sas::new(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let text = sas.string_to_sign("/blob/contoso/hello/world.txt");
        let lines = "r\n\n2030-01-01T00:00:00Z\n/blob/contoso/hello/world.txt\n\n\nhttps\n2022-11-02\nb\n\n\n\n\n\n\n";
        assert_eq!(text, lines);
        let query = sas.signed(b"a key", "/blob/contoso/hello/world.txt");
        let expected = "sv=2022-11-02&sr=b&se=2030-01-01T00%3A00%3A00Z&sp=r&spr=https&sig=%2B9Lrv7QPgXsEX7cZG5Ku%2BAZlzul33vFrK4LfTdrueUw%3D";
        assert_eq!(query, expected);
    }
}
