//! Error responses of token endpoints.
//!
//! | shape | from |
//! |---|---|
//! | `{"error":"invalid_request","error_description":"..."}` | IMDS, Azure Arc, Entra |
//! | `{"error":{"code":"...","message":"..."}}` | Service Fabric, Cloud Shell |
//! | `{"statusCode":400,"message":"..."}`, in either case | App Service |
//! | one of these with arrays in place of strings, or in an array | gateways |
//! | plain text, an HTML page, nothing | other programs |

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::quote::quotable;
use super::retry::{Attempt, retry_after};
use super::transport::Response;
use crate::{Audience, TokenError};

/// The members of an error response that are quoted, in this order.
const QUOTED: [&str; 7] = [
    "code",
    "error",
    "error_description",
    "message",
    "description",
    "exceptionmessage",
    "error_codes",
];

/// The longest message that is quoted, in characters. Entra's longest messages fit.
const MAX_LENGTH: usize = 1000;

/// The pause after a 429 without `Retry-After`.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Interprets the error responses of an endpoint.
pub(super) struct ErrorResponses<'a> {
    pub(super) endpoint: &'a str,
    pub(super) audience: &'a Audience,
    pub(super) wall: Duration,
    /// Whether 404 means that there is no identity, and not that the endpoint is updated.
    pub(super) not_found_is_final: bool,
}

impl ErrorResponses<'_> {
    /// Interprets a response with another status than 200 ([IMDS], [Service Fabric]): 404, 408,
    /// 410, 429 and 5xx may be temporary, others are permanent.
    ///
    /// [IMDS]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
    /// [Service Fabric]: https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code#error-handling
    pub(super) fn interpret<T>(&self, response: &Response) -> Attempt<T> {
        let status = response.status.as_u16();
        let message = message(&response.body, status);
        let known = self.known_error(status, &message, &response.headers);
        let after = retry_after(&response.headers, self.wall);
        let unavailable = |reason| TokenError::Unavailable { reason };
        match (status, known) {
            (429, _) => {
                let retry_after = after.unwrap_or(DEFAULT_RETRY_AFTER);
                let error = TokenError::Throttled { retry_after };
                Attempt::Retry { error, after: Some(retry_after), gone: false }
            }
            (500.., known) => {
                let error = known.unwrap_or_else(|| unavailable(message));
                Attempt::Retry { error, after, gone: false }
            }
            (_, Some(known)) => Attempt::Final(known),
            (404, None) if self.not_found_is_final => {
                Attempt::Final(TokenError::IdentityNotFound { message })
            }
            (404 | 408 | 410, None) => {
                Attempt::Retry { error: unavailable(message), after, gone: status == 410 }
            }
            (_, None) if message.contains("temporarily_unavailable") => {
                Attempt::Retry { error: unavailable(message), after, gone: false }
            }
            (_, None) => Attempt::Final(TokenError::Rejected { status, message }),
        }
    }

    /// The error that a message or a header field identifies.
    fn known_error(&self, status: u16, message: &str, headers: &HeaderMap) -> Option<TokenError> {
        let lower = message.to_ascii_lowercase();
        let contains = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        let (message, endpoint) = (message.to_owned(), self.endpoint.to_owned());
        if is_another_cloud(headers) || (status == 403 && contains(&["unreachable"])) {
            Some(TokenError::NoManagedIdentity { endpoint, message })
        } else if contains(&[
            "invalid_resource",
            "invalid_scope",
            "aadsts500011",
            "aadsts500012",
            "aadsts50001:",
            "aadsts650057",
            "aadsts70011",
            "audiencenotsupported",
            "not a supported msi token audience",
        ]) {
            Some(TokenError::ResourceUnknown { audience: self.audience.clone(), message })
        } else if contains(&[
            "multiple user assigned identities",
            "multiple user-assigned identities",
            "multiple managed identities",
        ]) {
            Some(TokenError::SeveralIdentities { message })
        } else if contains(&[
            "identity not found",
            "identitynotfound",
            "no managed identity found",
            "no msi found",
            "no user assigned or delegated managed identity found",
            "unable to load the proper managed identity",
            "aadsts700016",
        ]) {
            Some(TokenError::IdentityNotFound { message })
        } else {
            None
        }
    }
}

/// The metadata services of other clouds have the same address.
fn is_another_cloud(headers: &HeaderMap) -> bool {
    let starts_with = |name: &str, prefix: &str| {
        let value = headers.get(name).map(|value| value.as_bytes().to_ascii_lowercase());
        value.is_some_and(|value| value.starts_with(prefix.as_bytes()))
    };
    starts_with("metadata-flavor", "google")
        || starts_with("server", "metadata server for vm")
        || starts_with("server", "ec2ws")
}

/// The status and the text of an error response, fit for a message.
fn message(body: &[u8], status: u16) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let mut found = Vec::new();
            collect(&value, &mut found);
            found.dedup();
            found.join(": ").chars().take(MAX_LENGTH).collect()
        }
        Err(_) => plain_text(body),
    };
    if text.is_empty() { format!("status {status}") } else { format!("status {status}, {text}") }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for value in QUOTED.iter().filter_map(|name| member(members, name)) {
                collect(value, found);
            }
        }
        Value::Array(values) => values.iter().take(4).for_each(|value| collect(value, found)),
        Value::String(text) if !text.trim().is_empty() => found.push(quotable(text)),
        Value::Number(number) => found.push(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) => {}
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The text of a response that is not JSON.
fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('<') { "an HTML page".to_owned() } else { quotable(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_shape_of_an_error_response_is_parsed() {
        for (body, text) in [
            (
                r#"{"error":"invalid_request","error_description":"Identity not found"}"#,
                "invalid_request: Identity not found",
            ),
            (r#"{"error":{"code":"NotFound","message":"no","correlationId":"1"}}"#, "NotFound: no"),
            (r#"{"statusCode":400,"message":"No MSI found"}"#, "No MSI found"),
            (r#"{"StatusCode":400,"Message":"No MSI found"}"#, "No MSI found"),
            (
                r#"{"error":["invalid_request"],"error_description":["Identity","not found"]}"#,
                "invalid_request: Identity: not found",
            ),
            (r#"[{"error":"a"}]"#, "a"),
            (r#""just text""#, "just text"),
            ("plain\r\ntext", "plain text"),
            ("<!DOCTYPE html><html>secret</html>", "an HTML page"),
        ] {
            assert_eq!(message(body.as_bytes(), 400), format!("status 400, {text}"));
        }
        for body in ["", " ", "{}", "[]", "null", r#"{"error":null}"#, r#"{"error":""}"#] {
            assert_eq!(message(body.as_bytes(), 400), "status 400", "{body}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let text = format!("\"{}\",", "x ".repeat(150)).repeat(4);
        let text = format!("[{}]", text.trim_end_matches(','));
        let body = format!(r#"{{"code":{text},"error":{text},"message":{text}}}"#);
        assert!(message(body.as_bytes(), 400).len() <= MAX_LENGTH + "status 400, ".len());
    }

    #[test]
    fn deeply_nested_json_does_not_overflow_the_stack() {
        let body = format!("{}{}", r#"{"error":"#.repeat(2000), "}".repeat(2000));
        assert!(message(body.as_bytes(), 400).starts_with("status 400"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(message(&body, 400).starts_with("status 400"));
        }

        #[test]
        fn arbitrary_json_does_not_get_a_token_quoted(
            body in "[{}\\[\\]\",:a-z0-9 ]{0,60}", at in 0_usize..60
        ) {
            let mut body = body;
            let at = at.min(body.len());
            body.insert_str(at, "eyJsecret");
            prop_assert!(!message(body.as_bytes(), 400).contains("secret"));
        }
    }
}
