//! A response with secrets in it, taken apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::redact::Scanner;
use crate::sealed_value::SealedValue;
use crate::surrogate::Surrogates;
use keyward_policy::grant::Seal;
use keyward_policy::manifest::SpendPlace;

/// How long an error is the response to those who ask the same.
const ERROR_KEPT: Duration = Duration::from_secs(1);

/// The longest message of an error that a plugin is told.
const LONGEST_MESSAGE: usize = 2048;

/// A response whose secrets are set apart.
pub(crate) struct SealedResponse {
    pub(crate) status: StatusCode,
    /// The response, without the secrets.
    document: Value,
    sealed: Vec<(Seal, Arc<SealedValue>)>,
    /// For how many seconds the service asks for patience.
    pub(crate) retry_after: Option<u32>,
    /// Whether a secret, or a token, stood elsewhere in it too.
    pub(crate) redacted: bool,
}

/// Why a response cannot be sealed, and so cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsealable {
    #[error("it is not JSON")]
    NoJson,
    #[error("it lacks the sealed field, or the field is not a string")]
    NoField,
    #[error("the field's value cannot be spent where the seal says")]
    Unspendable,
}

impl SealedResponse {
    /// Takes a response apart. `token` finds the token that it was asked with.
    ///
    /// An error has no field to seal. What it says is reduced to the code and the message that
    /// Azure's errors have, without anything that looks like a signature.
    pub(crate) fn take_apart(
        status: StatusCode,
        body: &[u8],
        seals: &[Seal],
        token: &Scanner,
    ) -> Result<Self, Unsealable> {
        let parsed = serde_json::from_slice::<Value>(body);
        if status != StatusCode::OK {
            return Ok(Self::error(status, &parsed.unwrap_or_default(), token));
        }
        let mut document = parsed.map_err(|_| Unsealable::NoJson)?;
        let mut sealed = Vec::new();
        for seal in seals {
            let field = document.pointer_mut(&seal.field).ok_or(Unsealable::NoField)?;
            let Value::String(text) = field.take() else { return Err(Unsealable::NoField) };
            let value = match seal.place {
                SpendPlace::Query => SealedValue::query(&text),
                SpendPlace::LoginPassword => SealedValue::login_password(&text),
            };
            sealed.push((seal.clone(), Arc::new(value.ok_or(Unsealable::Unspendable)?)));
            drop(zeroize::Zeroizing::new(text));
        }
        let scanner = Scanner::new(sealed.iter().map(|(_, value)| value.index()));
        let redacted = redact(&mut document, &[&scanner, token]);
        Ok(Self { status, document, sealed, retry_after: None, redacted })
    }

    fn error(status: StatusCode, document: &Value, token: &Scanner) -> Self {
        let text =
            |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let code: String =
            text("/error/code").chars().filter(char::is_ascii_alphanumeric).take(100).collect();
        let message: String = text("/error/message").chars().take(LONGEST_MESSAGE).collect();
        let hides_nothing = !message.to_ascii_lowercase().contains("sig");
        let message = if hides_nothing {
            message
        } else {
            "(kept back: it has a signature in it)".to_owned()
        };
        let mut document = json!({ "error": { "code": code, "message": message } });
        let redacted = redact(&mut document, &[token]);
        Self { status, document, sealed: Vec::new(), retry_after: None, redacted }
    }

    /// How long it may be used again. An error is told to all who wait for the same, and not asked
    /// for by each.
    pub(crate) fn keep(&self) -> Option<Duration> {
        if self.sealed.is_empty() {
            return Some(ERROR_KEPT);
        }
        self.sealed.iter().map(|(seal, _)| seal.keep).min().flatten()
    }

    /// Whether this value is of it.
    pub(crate) fn has(&self, value: &Arc<SealedValue>) -> bool {
        self.sealed.iter().any(|(_, own)| Arc::ptr_eq(own, value))
    }

    /// Its secrets.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<SealedValue>> {
        self.sealed.iter().map(|(_, value)| value)
    }

    /// The response for one call: with surrogates of its own in the secrets' places.
    pub(crate) fn for_call(&self, surrogates: &Surrogates) -> Bytes {
        let mut document = self.document.clone();
        for (seal, value) in &self.sealed {
            if let Some(field) = document.pointer_mut(&seal.field) {
                *field = Value::String(
                    surrogates.for_sealed(seal.spend.as_ref(), value).as_str().to_owned(),
                );
            }
        }
        document.to_string().into()
    }
}

/// Redacts secrets anywhere in a document, names included. Returns whether there were any.
fn redact(value: &mut Value, scanners: &[&Scanner]) -> bool {
    let clean = |text: &mut String| {
        let mut found = false;
        for scanner in scanners {
            if let Some(redacted) = scanner.inspect(text.as_bytes()).redacted {
                *text = String::from_utf8_lossy(&redacted).into_owned();
                found = true;
            }
        }
        found
    };
    match value {
        Value::String(text) => clean(text),
        Value::Array(items) => {
            items.iter_mut().fold(false, |found, item| redact(item, scanners) | found)
        }
        Value::Object(entries) => {
            let mut found =
                entries.values_mut().fold(false, |found, entry| redact(entry, scanners) | found);
            let names: Vec<String> = entries.keys().cloned().collect();
            for name in names {
                let mut redacted = name.clone();
                if clean(&mut redacted) {
                    let entry = entries.remove(&name).unwrap_or_default();
                    entries.insert(redacted, entry);
                    found = true;
                }
            }
            found
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::SecretIndex;

    const SAS: &str = "sv=2022-11-02&sr=b&sp=r&sig=c2lnbmF0dXJlc2lnbmF0dXJl%3D";

    fn seals() -> Vec<Seal> {
        vec![Seal {
            field: "/serviceSasToken".to_owned(),
            spend: Some("blob".into()),
            place: SpendPlace::Query,
            keep: Some(std::time::Duration::from_secs(60)),
            export: None,
            imposed: false,
        }]
    }

    fn apart(status: u16, body: &str) -> Result<SealedResponse, Unsealable> {
        let token = Scanner::new([Arc::new(SecretIndex::of_secrets([&Bytes::from_static(
            b"a-token-of-some-length",
        )]))]);
        SealedResponse::take_apart(
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
            &seals(),
            &token,
        )
    }

    fn seen(answer: &SealedResponse) -> String {
        let surrogates = Surrogates::default();
        String::from_utf8(answer.for_call(&surrogates).to_vec()).unwrap()
    }

    #[test]
    fn the_field_becomes_a_surrogate_of_the_call() {
        let answer = apart(200, &format!(r#"{{"serviceSasToken":"{SAS}","x":1}}"#)).unwrap();
        let (one, other) = (seen(&answer), seen(&answer));
        assert!(one.contains(crate::SURROGATE_PREFIX) && one.contains("\"x\":1"), "{one}");
        assert_ne!(one, other, "each call has its own");
        assert!(!one.contains("sig"));
        assert!(!answer.redacted);
    }

    #[test]
    fn the_value_is_redacted_wherever_else_it_stands() {
        let body = format!(
            r#"{{"serviceSasToken":"{SAS}","again":"?{SAS}&x","list":[{{"deep":"c2lnbmF0dXJlc2lnbmF0dXJl="}}],
               "{SAS}":1,"token":"a-token-of-some-length"}}"#
        );
        let answer = apart(200, &body).unwrap();
        let seen = seen(&answer);
        assert!(!seen.contains("c2lnbmF0dXJl") && !seen.contains("a-token"), "{seen}");
        assert!(answer.redacted);
    }

    #[test]
    fn what_cannot_be_sealed_is_not_shown() {
        let why = |status, body| apart(status, body).err();
        assert_eq!(why(200, "sv=2022&sig=abc"), Some(Unsealable::NoJson));
        assert_eq!(why(200, r#"{"other":"x"}"#), Some(Unsealable::NoField));
        assert_eq!(why(200, r#"{"serviceSasToken":{"a":"b"}}"#), Some(Unsealable::NoField));
        assert_eq!(
            why(200, r#"{"serviceSasToken":"with a space"}"#),
            Some(Unsealable::Unspendable)
        );
    }

    #[test]
    fn an_error_is_its_code_and_its_message() {
        let body = format!(
            r#"{{"serviceSasToken":"{SAS}","error":{{"code":"Bad","message":"no {SAS}","more":"{SAS}"}}}}"#
        );
        for status in [206, 302, 400, 500] {
            let seen = seen(&apart(status, &body).unwrap());
            assert!(seen.contains("\"Bad\"") && !seen.contains("c2lnbmF0dXJl"), "{seen}");
        }
        let plain =
            apart(403, r#"{"error":{"code":"AuthorizationFailed","message":"not you"}}"#).unwrap();
        assert!(seen(&plain).contains("not you"));
        assert!(seen(&apart(502, "<html>").unwrap()).contains("error"));
    }
}
