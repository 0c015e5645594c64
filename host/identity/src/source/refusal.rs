//! What an endpoint says when it gives no token, in all the shapes in which it does.
//!
//! | shape | from |
//! |---|---|
//! | `{"error":"invalid_request","error_description":"..."}` | IMDS, Azure Arc, Entra |
//! | `{"error":{"code":"...","message":"...","correlationId":"..."}}` | Service Fabric, Cloud Shell |
//! | `{"statusCode":400,"message":"...","correlationId":"..."}`, in either case | App Service |
//! | the same with arrays where text was expected, or in an array | gateways |
//! | plain text, a page of HTML, nothing | whatever else listens there |

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::retry::{Attempt, retry_after};
use super::transport::Answer;
use crate::{Audience, TokenError};

/// The members of an error answer that say something, in the order in which they are quoted.
const TELLING: [&str; 7] =
    ["code", "error", "error_description", "message", "description", "exceptionmessage", "error_codes"];

/// How much of an answer is quoted, in characters. Entra's longest fit.
const LONGEST: usize = 1000;

/// What is known about the endpoint that refused.
pub(super) struct Refused<'a> {
    pub(super) endpoint: &'a str,
    pub(super) audience: &'a Audience,
    pub(super) wall: Duration,
    /// Whether 404 says that there is no identity, and not that the endpoint is being updated.
    pub(super) not_found_is_final: bool,
}

impl Refused<'_> {
    /// What a status other than 200 means ([IMDS], [Service Fabric]): 404, 408, 410, 429 and 5xx may pass, all else will
    /// not.
    ///
    /// [IMDS]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
    /// [Service Fabric]: https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code#error-handling
    pub(super) fn judge<T>(&self, answer: &Answer) -> Attempt<T> {
        /// Who is told to slow down and not for how long does not come back at once.
        const A_SECOND: Duration = Duration::from_secs(1);
        let status = answer.status.as_u16();
        let said = said(&answer.body, status);
        let known = self.known(status, &said, &answer.headers);
        let after = retry_after(&answer.headers, self.wall);
        match (status, known) {
            (429, _) => {
                let error = TokenError::Throttled { retry_after: after.unwrap_or(A_SECOND) };
                Attempt::Later { error, after: Some(after.unwrap_or(A_SECOND)), gone: false }
            }
            (500.., known) => {
                let error = known.unwrap_or(TokenError::Unavailable { said });
                Attempt::Later { error, after, gone: false }
            }
            (_, Some(known)) => Attempt::Final(known),
            (404, None) if self.not_found_is_final => Attempt::Final(TokenError::IdentityNotFound { said }),
            (404 | 408 | 410, None) => {
                Attempt::Later { error: TokenError::Unavailable { said }, after, gone: status == 410 }
            }
            (_, None) if said.contains("temporarily_unavailable") => {
                Attempt::Later { error: TokenError::Unavailable { said }, after, gone: false }
            }
            (_, None) => Attempt::Final(TokenError::Refused { status, said }),
        }
    }

    fn known(&self, status: u16, said: &str, headers: &HeaderMap) -> Option<TokenError> {
        let lower = said.to_ascii_lowercase();
        let any = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        let (said, endpoint) = (said.to_owned(), self.endpoint.to_owned());
        if is_foreign(headers) || (status == 403 && any(&["unreachable"])) {
            Some(TokenError::NotManagedIdentityMachine { endpoint, said })
        } else if any(&[
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
            Some(TokenError::ResourceUnknown { audience: self.audience.clone(), said })
        } else if any(&[
            "multiple user assigned identities",
            "multiple user-assigned identities",
            "multiple managed identities",
        ]) {
            Some(TokenError::SeveralIdentities { said })
        } else if any(&[
            "identity not found",
            "identitynotfound",
            "no managed identity found",
            "no msi found",
            "no user assigned or delegated managed identity found",
            "unable to load the proper managed identity",
            "aadsts700016",
        ]) {
            Some(TokenError::IdentityNotFound { said })
        } else {
            None
        }
    }
}

/// The metadata services of other clouds have the same address.
fn is_foreign(headers: &HeaderMap) -> bool {
    let starts = |name: &str, with: &str| {
        headers.get(name).is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(with.as_bytes()))
    };
    starts("metadata-flavor", "google") || starts("server", "metadata server for vm") || starts("server", "ec2ws")
}

/// The answer's words, in a length that suits a message.
fn said(body: &[u8], status: u16) -> String {
    let words = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let mut found = Vec::new();
            collect(&value, &mut found);
            found.dedup();
            found.join(": ").chars().take(LONGEST).collect()
        }
        Err(_) => plain(body),
    };
    if words.is_empty() { format!("status {status}") } else { format!("status {status}, {words}") }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for name in TELLING {
                if let Some(value) = member(members, name) {
                    collect(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().take(4).for_each(|value| collect(value, found)),
        Value::String(text) if !text.trim().is_empty() => found.push(quotable(text)),
        Value::Number(number) => found.push(number.to_string()),
        _ => {}
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What is no JSON. Of a page, only that it is one.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('<') { "a page of HTML".to_owned() } else { quotable(text) }
}

/// Text of a peer's, for a message: no control characters, no word that may be a token, not endless.
pub(super) fn quotable(text: &str) -> String {
    let secret = |word: &str| word.len() > 120 || word.contains("eyJ");
    // Before a word is judged: a control character in the middle of a token does not hide it.
    let words = text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
    let words = words.filter(|word| !word.is_empty());
    let words = words.map(|word| if secret(&word) { "[...]".to_owned() } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_shape_of_an_error_is_read() {
        for (body, words) in [
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
            ("<!DOCTYPE html><html>secret</html>", "a page of HTML"),
        ] {
            assert_eq!(said(body.as_bytes(), 400), format!("status 400, {words}"));
        }
        for body in ["", " ", "{}", "[]", "null", r#"{"error":null}"#, r#"{"error":""}"#] {
            assert_eq!(said(body.as_bytes(), 400), "status 400", "{body}");
        }
    }

    #[test]
    fn an_errors_words_are_quoted_but_never_a_word_like_a_token() {
        let token = format!("eyJ{}", "x".repeat(500));
        assert_eq!(quotable(&format!("echo\r\n {token} end\u{7}")), "echo [...] end");
        assert_eq!(quotable("token=eyJ0 end"), "[...] end");
        assert_eq!(quotable("e\u{1}yJ0 \u{2} end"), "[...] end");
        assert_eq!(quotable(&"x ".repeat(1000)).len(), 300);
    }

    #[test]
    fn an_answer_of_many_words_is_cut() {
        let words = format!("\"{}\",", "x ".repeat(150)).repeat(4);
        let words = format!("[{}]", words.trim_end_matches(','));
        let body = format!(r#"{{"code":{words},"error":{words},"message":{words}}}"#);
        assert!(said(body.as_bytes(), 400).len() <= LONGEST + "status 400, ".len());
    }

    #[test]
    fn a_deep_answer_is_read_or_left() {
        let deep = format!("{}{}", r#"{"error":"#.repeat(2000), "}".repeat(2000));
        assert!(said(deep.as_bytes(), 400).starts_with("status 400"));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(said(&body, 400).starts_with("status 400"));
        }

        #[test]
        fn no_json_breaks_it_or_gets_a_token_quoted(body in "[{}\\[\\]\",:a-z0-9 ]{0,60}", at in 0_usize..60) {
            let mut body = body;
            let at = at.min(body.len());
            body.insert_str(at, "eyJsecret");
            prop_assert!(!said(body.as_bytes(), 400).contains("secret"));
        }
    }
}
