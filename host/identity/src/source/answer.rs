//! A token endpoint's answer.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::expiry::Written;
use super::{Issued, UserAssigned};
use crate::{AccessToken, TokenError};

/// A token answer, as far as it is read. Unknown members are left alone.
#[derive(Deserialize)]
struct Answer {
    #[serde(default, alias = "accessToken")]
    access_token: Zeroizing<String>,
    expires_on: Option<Written>,
    expires_in: Option<Written>,
    /// The Azure CLI's older name.
    #[serde(rename = "expiresOn")]
    expires_on_date: Option<Written>,
    client_id: Option<Value>,
    object_id: Option<Value>,
    #[serde(alias = "mi_res_id")]
    msi_res_id: Option<Value>,
}

/// Reads a token and its end, and checks whose it is where the answer says so. No text of the answer ever gets into an
/// error, but for the ids of an identity that was not asked for.
pub(super) fn parse(body: &[u8], wall: Duration, asked: Option<&UserAssigned>) -> Result<Issued, TokenError> {
    let malformed = |what: &str| TokenError::Malformed { what: what.to_owned() };
    let mut answer: Answer = serde_json::from_slice(body).map_err(|error| {
        // The error's own text may quote the answer.
        let (line, column) = (error.line(), error.column());
        TokenError::Malformed { what: format!("no token answer in JSON (line {line}, column {column})") }
    })?;
    if let Some(asked) = asked {
        answer.is_for(asked)?;
    }
    // One that cannot be read does no harm where the other says it.
    let expires_in = answer.expires_in.as_ref().and_then(Written::seconds).map(Duration::from_secs);
    let on = answer.expires_on.as_ref().and_then(Written::instant);
    let on = on.or_else(|| answer.expires_on_date.as_ref().and_then(Written::instant));
    let said = answer.expires_on.is_some() || answer.expires_in.is_some() || answer.expires_on_date.is_some();
    let expires_on = match (on, expires_in) {
        (Some(at), _) => at,
        (None, Some(left)) => wall.saturating_add(left).as_secs(),
        (None, None) if said => return Err(malformed("its expires_on is neither seconds nor a date in a known form")),
        (None, None) => return Err(malformed("it says neither expires_on nor expires_in")),
    };
    let token = AccessToken::new(std::mem::take(&mut *answer.access_token), expires_on)?;
    Ok(Issued { client_id: answer.client_id.as_ref().and_then(uuid), ..Issued::new(token, expires_in) })
}

/// An id, for people to read. Whatever else is in its place is not shown to anybody.
fn uuid(id: &Value) -> Option<String> {
    let id = id.as_str().filter(|id| id.len() == 36)?;
    let hyphens = id.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    hyphens.then(|| id.to_owned())
}

impl Answer {
    /// An endpoint that knows one identity only may answer for that one, whoever was asked for.
    fn is_for(&self, asked: &UserAssigned) -> Result<(), TokenError> {
        let (wanted, got) = match asked {
            UserAssigned::ClientId(id) => (id, &self.client_id),
            UserAssigned::ObjectId(id) => (id, &self.object_id),
            UserAssigned::ResourceId(id) => (id, &self.msi_res_id),
        };
        match got.as_ref().and_then(Value::as_str) {
            Some(got) if !got.is_empty() && !got.eq_ignore_ascii_case(wanted) => {
                let answered = super::refusal::quotable(got);
                Err(TokenError::WrongIdentity { asked: asked.to_string(), answered })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn ends(answer: &str) -> (u64, Option<u64>) {
        let issued = parse(answer.as_bytes(), NOW, None).unwrap();
        (issued.token.expires_on(), issued.expires_in.map(|left| left.as_secs()))
    }

    #[test]
    fn the_end_arrives_as_number_or_text_absolute_or_relative() {
        assert_eq!(ends(r#"{"access_token":"x","expires_on":"1700086400"}"#), (1_700_086_400, None));
        assert_eq!(ends(r#"{"access_token":"x","expires_on":1700086400}"#), (1_700_086_400, None));
        assert_eq!(ends(r#"{"access_token":"x","expires_in":"3600"}"#), (1_700_003_600, Some(3600)));
        let both = r#"{"access_token":"x","expires_in":3600,"expires_on":"1700086400","resource":"r"}"#;
        assert_eq!(ends(both), (1_700_086_400, Some(3600)));
    }

    #[test]
    fn whose_the_token_is_is_said_where_it_is_an_id() {
        let whose = |id: &str| {
            let answer = format!(r#"{{"access_token":"x","expires_in":3600,"client_id":{id}}}"#);
            parse(answer.as_bytes(), NOW, None).unwrap().client_id
        };
        let id = "00001111-aaaa-2222-bbbb-3333cccc4444";
        assert_eq!(whose(&format!("{id:?}")).as_deref(), Some(id));
        for other in ["null", "7", "\"\"", "\"x\"", "\"00001111aaaa-2222-bbbb-3333cccc4444--\"", "\"eyJ0\""] {
            assert_eq!(whose(other), None, "{other}");
        }
    }

    #[test]
    fn one_end_that_cannot_be_read_does_no_harm_where_the_other_says_it() {
        let odd = r#"{"access_token":"x","expires_in":3600,"expires_on":"who knows"}"#;
        assert_eq!(ends(odd), (1_700_003_600, Some(3600)));
        let odd = r#"{"access_token":"x","expires_in":["3600"],"expires_on":1700086400}"#;
        assert_eq!(ends(odd), (1_700_086_400, None));
        assert_eq!(ends(r#"{"access_token":"x","expires_in":null,"expires_on":1700086400}"#), (1_700_086_400, None));
    }

    #[test]
    fn the_azure_clis_names_are_known() {
        let new = r#"{"accessToken":"x","expiresOn":"2023-11-15 10:00:00.000000","expires_on":1700086400}"#;
        assert_eq!(ends(new), (1_700_086_400, None));
        assert_eq!(ends(r#"{"accessToken":"x","expiresOn":"2023-11-15 22:13:20.123456"}"#), (1_700_086_400, None));
    }

    #[test]
    fn an_answer_for_another_identity_is_an_error() {
        let of = |asked: UserAssigned, answer: &str| parse(answer.as_bytes(), NOW, Some(&asked)).err();
        let answer = r#"{"access_token":"x","expires_in":1,"client_id":"AAAA","object_id":"o","mi_res_id":"/r"}"#;
        assert_eq!(of(UserAssigned::ClientId("aaaa".into()), answer), None);
        assert_eq!(of(UserAssigned::ObjectId("o".into()), answer), None);
        assert_eq!(of(UserAssigned::ResourceId("/R".into()), answer), None);
        for other in ["client", "object", "resource"] {
            let asked = match other {
                "client" => UserAssigned::ClientId("bbbb".into()),
                "object" => UserAssigned::ObjectId("bbbb".into()),
                _ => UserAssigned::ResourceId("bbbb".into()),
            };
            assert!(matches!(of(asked, answer), Some(TokenError::WrongIdentity { .. })), "{other}");
        }
        let silent = r#"{"access_token":"x","expires_in":1}"#;
        assert_eq!(of(UserAssigned::ClientId("bbbb".into()), silent), None);
    }

    #[test]
    fn what_is_no_token_answer_says_so_and_quotes_nothing() {
        for answer in [
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
            let error = parse(answer.as_bytes(), NOW, None).unwrap_err();
            assert!(matches!(error, TokenError::Malformed { .. }), "{answer}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{answer}: {error}");
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let number = prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| format!("{n:e}"))];
        let text = "[0-9/:. TZ+\\-APM]{0,30}".prop_map(|text| format!("\"{text}\""));
        let odd = prop_oneof![Just("null"), Just("true"), Just("[]"), Just("{}"), Just("[1]"), Just("eyJsecret")];
        prop_oneof![number, text, odd.prop_map(str::to_owned)]
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body, NOW, None);
        }

        #[test]
        fn whatever_the_members_are_there_is_a_token_or_an_error_that_quotes_nothing(
            on in value(), left in value(), id in value(), cut in 0_usize..200
        ) {
            let answer = format!(
                r#"{{"access_token":"eyJsecret","expires_on":{on},"expires_in":{left},"client_id":{id},"resource":{id}}}"#
            );
            let body = answer.as_bytes();
            let asked = UserAssigned::ClientId("c".into());
            for body in [body, &body[..cut.min(body.len())]] {
                match parse(body, NOW, Some(&asked)) {
                    Ok(issued) => prop_assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret"),
                    Err(error) => prop_assert!(!format!("{error} {error:?}").contains("secret"), "{}", error),
                }
            }
        }
    }
}
