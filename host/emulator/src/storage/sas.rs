//! Service shared access signatures ([reference]).
//!
//! [reference]: https://learn.microsoft.com/rest/api/storageservices/create-service-sas

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use super::storage_error::StorageError;
use super::time_format;

/// The version of new signatures. Azurite 3.35 accepts it.
pub(super) const VERSION: &str = "2022-11-02";

/// The first version whose string to sign has the encryption scope, as [`Sas::string_to_sign`] has.
const MIN_VERSION: &str = "2020-12-06";

/// All permissions, in the order that they must have.
pub(super) const PERMISSIONS: &str = "racwdxyltmeopi";

/// Characters that are not percent-encoded in a value.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a shared access signature is invalid.
#[derive(Debug, thiserror::Error)]
#[error("invalid shared access signature: {0}")]
pub struct InvalidSas(pub(super) String);

/// The parameters of a shared access signature. Has no `Debug`, since it contains the signature.
pub(super) struct Sas(BTreeMap<String, String>);

/// The parameters that set header fields of a response, in the order of the string to sign.
pub(super) const RESPONSE_HEADERS: [(&str, &str); 5] = [
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

    /// Reads it from a query; `None` if there is no signature.
    pub(super) fn from_query(query: &str) -> Option<Self> {
        let pairs = form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
        let all: BTreeMap<_, _> =
            pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned())).collect();
        all.contains_key("sig").then_some(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn string_to_sign(&self, canonicalized_resource: &str) -> String {
        let mut lines =
            vec![self.get("sp"), self.get("st"), self.get("se"), canonicalized_resource];
        lines.extend(["si", "sip", "spr", "sv", "sr"].map(|name| self.get(name)));
        // The time of a snapshot, and the encryption scope.
        lines.extend(["snapshot", "ses"].map(|name| self.get(name)));
        lines.extend(RESPONSE_HEADERS.map(|(name, _)| self.get(name)));
        lines.join("\n")
    }

    /// Signs it, and returns the query.
    pub(super) fn sign(&self, key: &[u8], canonicalized_resource: &str) -> String {
        let signature =
            hmac::sign(&hmac_key(key), self.string_to_sign(canonicalized_resource).as_bytes());
        let signature = STANDARD.encode(signature);
        let names = ["sv", "sr", "st", "se", "sp", "sip", "spr"]
            .into_iter()
            .chain(RESPONSE_HEADERS.map(|(name, _)| name));
        let parameters =
            names.map(|name| (name, self.get(name))).filter(|(_, value)| !value.is_empty());
        let pairs = parameters.chain([("sig", signature.as_str())]);
        pairs
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &UNRESERVED)))
            .collect::<Vec<_>>()
            .join("&")
    }

    /// Verifies the signature and the time for a container or a blob, whatever the permission.
    pub(super) fn verify(
        &self,
        account: &str,
        key: &[u8],
        container: &str,
        name: &str,
    ) -> Result<(), StorageError> {
        for required in ["sv", "sr", "sp", "se"] {
            if self.get(required).is_empty() {
                return Err(authentication_failed(format!(
                    "{required} is mandatory. Cannot be empty"
                )));
            }
        }
        if self.get("sv") < MIN_VERSION || !is_date(self.get("sv")) {
            return Err(authentication_failed(format!(
                "sv is not a version that the emulator supports: {MIN_VERSION} or later"
            )));
        }
        if !self.get("si").is_empty() {
            return Err(authentication_failed(
                "si is not supported: the emulator has no stored access policies",
            ));
        }
        if !matches!(self.get("spr"), "" | "https" | "https,http") {
            return Err(authentication_failed("spr has an invalid value"));
        }
        let resource = match (self.get("sr"), name) {
            ("c", _) | ("b", "") => format!("/blob/{account}/{container}"),
            ("b", name) => format!("/blob/{account}/{container}/{name}"),
            _ => return Err(authentication_failed("sr is invalid")),
        };
        let text = self.string_to_sign(&resource);
        let signature = STANDARD.decode(self.get("sig"));
        let is_valid = signature.is_ok_and(|signature| {
            hmac::verify(&hmac_key(key), text.as_bytes(), &signature).is_ok()
        });
        if !is_valid {
            return Err(authentication_failed(format!(
                "Signature did not match. String to sign used was {text}"
            )));
        }
        // A blob's signature is only for the blob, even if a container has the same string to sign.
        if self.get("sr") == "b" && name.is_empty() {
            return Err(authentication_failed("sr is invalid for this resource"));
        }
        self.check_time()
    }

    fn check_time(&self) -> Result<(), StorageError> {
        let (start, expiry) = (self.get("st"), self.get("se"));
        let now = time_format::now();
        let from = if start.is_empty() { Some(0) } else { time_format::parse_iso(start) };
        let until = time_format::parse_iso(expiry);
        match (from, until) {
            (Some(from), Some(until)) if from <= now && now < until => Ok(()),
            (Some(_), Some(_)) => Err(authentication_failed(format!(
                "Signature not valid in the specified time frame: Start [{start}] - \
                 Expiry [{expiry}] - Current [{}]",
                time_format::http(now)
            ))),
            _ => Err(authentication_failed("st or se is not a time in UTC of ISO 8601")),
        }
    }

    /// Checks that it has one of these permissions.
    pub(super) fn check_permission(&self, any_of: &str) -> Result<(), StorageError> {
        let allowed = self.get("sp").chars().any(|letter| any_of.contains(letter));
        if allowed { Ok(()) } else { Err(permission_mismatch()) }
    }
}

pub(super) fn permission_mismatch() -> StorageError {
    let message = "This request is not authorized to perform this operation using this permission.";
    StorageError::new(403, "AuthorizationPermissionMismatch", message)
}

/// 403 with the reason. As in Azure, that of a wrong signature contains the string to sign.
pub(super) fn authentication_failed(detail: impl Into<String>) -> StorageError {
    let message = "Server failed to authenticate the request. Make sure the value of Authorization \
                   header is formed correctly including the signature.";
    StorageError::new(403, "AuthenticationFailed", message)
        .detail("AuthenticationErrorDetail", detail)
}

fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// Whether it has the form of a version: `2022-11-02`.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && time_format::parse_iso(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected signature is from Python's `hmac`, over the sixteen lines of the reference.
    #[test]
    fn a_signature_covers_the_documented_lines() {
        let parameters = [
            ("sv", VERSION),
            ("sr", "b"),
            ("sp", "r"),
            ("se", "2030-01-01T00:00:00Z"),
            ("spr", "https"),
        ];
        let sas =
            Sas::new(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let text = sas.string_to_sign("/blob/contoso/hello/world.txt");
        let lines = "r\n\n2030-01-01T00:00:00Z\n/blob/contoso/hello/world.txt\n\n\nhttps\n\
                     2022-11-02\nb\n\n\n\n\n\n\n";
        assert_eq!(text, lines);
        let query = sas.sign(b"a key", "/blob/contoso/hello/world.txt");
        let expected = "sv=2022-11-02&sr=b&se=2030-01-01T00%3A00%3A00Z&sp=r&spr=https\
                        &sig=%2B9Lrv7QPgXsEX7cZG5Ku%2BAZlzul33vFrK4LfTdrueUw%3D";
        assert_eq!(query, expected);
    }
}
