//! A token endpoint's answer.

use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Issued;
use crate::{AccessToken, TokenError};

/// A token answer, as far as it is read. Unknown members are left alone.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: Zeroizing<String>,
    expires_on: Option<Seconds>,
    expires_in: Option<Seconds>,
}

/// A number of seconds, which arrives as a number or as a string of digits.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "NumberOrText")]
struct Seconds(u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for Seconds {
    type Error = &'static str;

    fn try_from(value: NumberOrText) -> Result<Self, Self::Error> {
        match value {
            NumberOrText::Number(seconds) => Ok(Self(seconds)),
            NumberOrText::Text(text) => text.trim().parse().map(Self).map_err(|_| "no number of seconds"),
        }
    }
}

/// Reads a token and its end. No text of the answer ever gets into an error.
pub(super) fn parse(body: &[u8], wall: Duration) -> Result<Issued, TokenError> {
    let malformed = |what: &str| TokenError::Malformed { what: what.to_owned() };
    let mut answer: Answer = serde_json::from_slice(body).map_err(|error| {
        // The error's own text may quote the answer.
        let (line, column) = (error.line(), error.column());
        TokenError::Malformed { what: format!("no token answer in JSON (line {line}, column {column})") }
    })?;
    let expires_in = answer.expires_in.map(|seconds| Duration::from_secs(seconds.0));
    let expires_on = match (answer.expires_on, expires_in) {
        (Some(Seconds(at)), _) => at,
        (None, Some(left)) => wall.saturating_add(left).as_secs(),
        (None, None) => return Err(malformed("it says neither expires_on nor expires_in")),
    };
    let token = AccessToken::new(std::mem::take(&mut *answer.access_token), expires_on)?;
    Ok(Issued { token, expires_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn ends(answer: &str) -> (u64, Option<u64>) {
        let issued = parse(answer.as_bytes(), NOW).unwrap();
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
    fn what_is_no_token_answer_says_so_and_quotes_nothing() {
        for answer in [
            "",
            "<html>eyJsecret</html>",
            r#"{"access_token":"eyJsecret","expires_on":"eyJsecret"}"#,
            r#"{"access_token":"eyJsecret""#,
            r#"{"access_token":"eyJsecret"}"#,
            r#"{"access_token":["eyJsecret"],"expires_in":1}"#,
            r#"{"access_token":"eyJsecret\n","expires_in":1}"#,
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"expires_in":1}"#,
        ] {
            let error = parse(answer.as_bytes(), NOW).unwrap_err();
            assert!(matches!(error, TokenError::Malformed { .. }), "{answer}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{answer}: {error}");
        }
    }
}
