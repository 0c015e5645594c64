//! Token responses.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::UserAssigned;
use super::expiry::ExpiryValue;
use super::issued::Issued;
use super::quote::quotable;
use crate::{AccessToken, TokenError};

/// The members of a token response that are read. Others are ignored.
#[derive(Deserialize)]
struct TokenResponse {
    #[serde(default, alias = "accessToken")]
    access_token: Zeroizing<String>,
    expires_on: Option<ExpiryValue>,
    expires_in: Option<ExpiryValue>,
    /// The older member of the Azure CLI.
    #[serde(rename = "expiresOn")]
    expires_on_date: Option<ExpiryValue>,
    client_id: Option<Value>,
    object_id: Option<Value>,
    #[serde(alias = "mi_res_id")]
    msi_res_id: Option<Value>,
}

impl Issued {
    /// Parses a token response (status 200) as every source does, for sources outside of this
    /// crate: JSON with `access_token`, and `expires_on` or `expires_in` in any of the forms that
    /// Azure's endpoints use. `wall` is the current time, since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// [`TokenError::Malformed`], which quotes no part of the response.
    pub fn from_response(body: &[u8], wall: Duration) -> Result<Self, TokenError> {
        parse(body, wall, None)
    }
}

/// Parses a token response, and checks that it is for the requested identity if it says so. Errors
/// quote no part of the response, except the id of another identity.
pub(super) fn parse(
    body: &[u8],
    wall: Duration,
    requested: Option<&UserAssigned>,
) -> Result<Issued, TokenError> {
    let malformed = |reason: &str| TokenError::Malformed { reason: reason.to_owned() };
    let mut response: TokenResponse = serde_json::from_slice(body).map_err(|error| {
        // The error's own message may quote the response.
        let (line, column) = (error.line(), error.column());
        malformed(&format!("it is not a token response in JSON (line {line}, column {column})"))
    })?;
    if let Some(requested) = requested {
        response.check_identity(requested)?;
    }
    // One of the two may be invalid, as long as the other is valid.
    let expires_in = response.expires_in.as_ref().and_then(ExpiryValue::seconds);
    let expires_in = expires_in.map(Duration::from_secs);
    let absolute = [&response.expires_on, &response.expires_on_date];
    let instant = absolute.into_iter().flatten().find_map(ExpiryValue::instant);
    let has_expiry = response.expires_in.is_some() || absolute.into_iter().any(Option::is_some);
    let expires_on = match (instant, expires_in) {
        (Some(instant), _) => instant,
        (None, Some(left)) => wall.saturating_add(left).as_secs(),
        (None, None) if has_expiry => {
            return Err(malformed("its expires_on is neither seconds nor a date in a known form"));
        }
        (None, None) => return Err(malformed("it has neither expires_on nor expires_in")),
    };
    let token = AccessToken::new(std::mem::take(&mut *response.access_token), expires_on)?;
    let client_id = response.client_id.as_ref().and_then(uuid);
    Ok(Issued { client_id, ..Issued::new(token, expires_in) })
}

/// The value, if it is a UUID. Anything else is not fit for messages.
fn uuid(id: &Value) -> Option<String> {
    let id = id.as_str().filter(|id| id.len() == 36)?;
    let is_uuid = id.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    is_uuid.then(|| id.to_owned())
}

impl TokenResponse {
    /// An endpoint that knows one identity only may return its token whichever was requested.
    fn check_identity(&self, requested: &UserAssigned) -> Result<(), TokenError> {
        let (expected, received) = match requested {
            UserAssigned::ClientId(id) => (id, &self.client_id),
            UserAssigned::ObjectId(id) => (id, &self.object_id),
            UserAssigned::ResourceId(id) => (id, &self.msi_res_id),
        };
        let received = received.as_ref().and_then(Value::as_str).filter(|id| !id.is_empty());
        match received {
            Some(received) if !received.eq_ignore_ascii_case(expected) => {
                Err(TokenError::WrongIdentity {
                    requested: requested.to_string(),
                    received: quotable(received),
                })
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn expiry(body: &str) -> (u64, Option<u64>) {
        let issued = parse(body.as_bytes(), NOW, None).unwrap();
        (issued.token.expires_on(), issued.expires_in.map(|left| left.as_secs()))
    }

    #[test]
    fn the_expiry_is_a_number_or_a_string_absolute_or_relative() {
        for (body, expected) in [
            (r#"{"access_token":"x","expires_on":"1700086400"}"#, (1_700_086_400, None)),
            (r#"{"access_token":"x","expires_on":1700086400}"#, (1_700_086_400, None)),
            (r#"{"access_token":"x","expires_in":"3600"}"#, (1_700_003_600, Some(3600))),
            (
                r#"{"access_token":"x","expires_in":3600,"expires_on":"1700086400","x":"r"}"#,
                (1_700_086_400, Some(3600)),
            ),
        ] {
            assert_eq!(expiry(body), expected, "{body}");
        }
    }

    #[test]
    fn the_client_id_is_returned_if_it_is_a_uuid() {
        let client_id = |id: &str| {
            let body = format!(r#"{{"access_token":"x","expires_in":3600,"client_id":{id}}}"#);
            parse(body.as_bytes(), NOW, None).unwrap().client_id
        };
        let id = "00001111-aaaa-2222-bbbb-3333cccc4444";
        assert_eq!(client_id(&format!("{id:?}")).as_deref(), Some(id));
        let malformed = "\"00001111aaaa-2222-bbbb-3333cccc4444--\"";
        for other in ["null", "7", "\"\"", "\"x\"", malformed, "\"eyJ0\""] {
            assert_eq!(client_id(other), None, "{other}");
        }
    }

    #[test]
    fn one_valid_expiry_is_enough() {
        for (body, expected) in [
            (
                r#"{"access_token":"x","expires_in":3600,"expires_on":"who knows"}"#,
                (1_700_003_600, Some(3600)),
            ),
            (
                r#"{"access_token":"x","expires_in":["3600"],"expires_on":1700086400}"#,
                (1_700_086_400, None),
            ),
            (
                r#"{"access_token":"x","expires_in":null,"expires_on":1700086400}"#,
                (1_700_086_400, None),
            ),
        ] {
            assert_eq!(expiry(body), expected, "{body}");
        }
    }

    #[test]
    fn responses_of_the_azure_cli_are_parsed() {
        for body in [
            r#"{"accessToken":"x","expiresOn":"2023-11-15 10:00:00.0","expires_on":1700086400}"#,
            r#"{"accessToken":"x","expiresOn":"2023-11-15 22:13:20.123456"}"#,
        ] {
            assert_eq!(expiry(body), (1_700_086_400, None), "{body}");
        }
    }

    #[test]
    fn a_response_for_another_identity_is_an_error() {
        let body = r#"{"access_token":"x","expires_in":1,"client_id":"AAAA","object_id":"o",
                       "mi_res_id":"/r"}"#;
        let error = |requested: &UserAssigned| parse(body.as_bytes(), NOW, Some(requested)).err();
        for requested in [
            UserAssigned::ClientId("aaaa".into()),
            UserAssigned::ObjectId("o".into()),
            UserAssigned::ResourceId("/R".into()),
        ] {
            assert_eq!(error(&requested), None, "{requested}");
        }
        let other = UserAssigned::ClientId("bbbb".into());
        for requested in [
            other.clone(),
            UserAssigned::ObjectId("bbbb".into()),
            UserAssigned::ResourceId("bbbb".into()),
        ] {
            let error = error(&requested);
            assert!(matches!(error, Some(TokenError::WrongIdentity { .. })), "{requested}");
        }
        let without_id = br#"{"access_token":"x","expires_in":1}"#;
        assert!(parse(without_id, NOW, Some(&other)).is_ok());
    }

    #[test]
    fn an_invalid_response_is_an_error_that_quotes_nothing() {
        for body in [
            "",
            "<html>eyJsecret</html>",
            r#"{"access_token":"eyJsecret","expires_on":"eyJsecret"}"#,
            r#"{"access_token":"eyJsecret""#,
            r#"{"access_token":"eyJsecret"}"#,
            r#"{"access_token":"eyJsecret","expires_on":1700086400000}"#,
            r#"{"access_token":["eyJsecret"],"expires_in":1}"#,
            r#"{"access_token":"eyJsecret\n","expires_in":1}"#,
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"expires_in":1}"#,
        ] {
            let error = parse(body.as_bytes(), NOW, None).unwrap_err();
            assert!(matches!(error, TokenError::Malformed { .. }), "{body}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{body}: {error}");
        }
    }

    const OTHER: [&str; 6] = ["null", "true", "[]", "{}", "[1]", "eyJsecret"];

    fn value() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:e}"))
        ];
        let string = "[0-9/:. TZ+\\-APM]{0,30}".prop_map(|string| format!("\"{string}\""));
        let other = proptest::sample::select(&OTHER[..]).prop_map(str::to_owned);
        prop_oneof![number, string, other]
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body, NOW, None);
        }

        #[test]
        fn arbitrary_members_give_a_token_or_an_error_that_quotes_nothing(
            on in value(), left in value(), id in value(), length in 0_usize..200
        ) {
            let body = format!(
                r#"{{"access_token":"eyJsecret","expires_on":{on},"expires_in":{left},
                    "client_id":{id},"resource":{id}}}"#
            );
            let body = body.as_bytes();
            let requested = UserAssigned::ClientId("c".into());
            for body in [body, &body[..length.min(body.len())]] {
                match parse(body, NOW, Some(&requested)) {
                    Ok(issued) => {
                        prop_assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret");
                    }
                    Err(error) => {
                        let quotes = format!("{error} {error:?}").contains("secret");
                        prop_assert!(!quotes, "{}", error);
                    }
                }
            }
        }
    }
}
