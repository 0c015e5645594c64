//! The entry point of the fuzz target in `fuzz`, and the properties of all responses. Compiled with
//! `--cfg fuzzing`, and for a test that reads the corpus.
//!
//! An input is a response in a readable form: a line with the status, lines with header fields, an
//! empty line, the body. Any other input is a body of status 200.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use zeroize::Zeroizing;

use super::UserAssigned;
use super::error_response::ErrorResponses;
use super::issued::Issued;
use super::response;
use super::retry::Attempt;
use super::transport::Response;
use crate::{Audience, TokenError};

const NOW: Duration = Duration::from_secs(1_700_000_000);
/// The end of the year 9999, in seconds: no token expires later.
const LATEST: u64 = 253_402_300_799;

/// Interprets a response as the sources do.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check(input: &[u8]) {
    let response = parse(input);
    if response.status == StatusCode::OK {
        let client = "00001111-aaaa-2222-bbbb-3333cccc4444".to_owned();
        let client = UserAssigned::ClientId(client);
        for requested in [None, Some(&client)] {
            check_issued(response::parse(&response.body, NOW, requested));
        }
    } else if let Ok(audience) = Audience::new("https://vault.azure.net") {
        for not_found_is_final in [false, true] {
            let endpoint = "http://x";
            let audience = &audience;
            let errors = ErrorResponses { endpoint, audience, wall: NOW, not_found_is_final };
            check_attempt(&errors.interpret(&response));
        }
    }
}

fn check_issued(issued: Result<Issued, TokenError>) {
    match issued {
        Ok(issued) => {
            let left = issued.expires_in.unwrap_or_default().as_secs();
            assert!(left <= LATEST && issued.token.expires_on() <= LATEST + NOW.as_secs());
            assert!(issued.token.authorization().len() > "Bearer ".len());
        }
        Err(error) => check_error(&error),
    }
}

fn check_attempt(attempt: &Attempt<()>) {
    match attempt {
        Attempt::Done(()) => unreachable!("an error response has no token"),
        Attempt::Final(error) => check_error(error),
        Attempt::Retry { error, after, .. } => {
            assert!(after.is_none_or(|after| after <= Duration::from_secs(3600)));
            check_error(error);
        }
    }
}

/// An error quotes nothing like a token, and has a limited length.
fn check_error(error: &TokenError) {
    for text in [error.message_and_help(), format!("{error:?}")] {
        assert!(!text.contains("eyJ"), "{text}");
        assert!(text.chars().count() < 8000, "{text}");
    }
}

fn parse(input: &[u8]) -> Response {
    let mut headers = HeaderMap::new();
    let body_only = |headers| {
        let body = Zeroizing::new(input.to_vec());
        Response { status: StatusCode::OK, headers, body }
    };
    let Some((first, mut rest)) = line(input) else { return body_only(headers) };
    let Ok(status) = StatusCode::from_bytes(first) else { return body_only(headers) };
    while let Some((header, after)) = line(rest) {
        rest = after;
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.and_then(|at| header.split_at_checked(at)) else {
            continue;
        };
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let field = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = field {
            headers.append(name, value);
        }
    }
    Response { status, headers, body: Zeroizing::new(rest.to_vec()) }
}

fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = input.split_at_checked(end)?;
    Some((line, rest.strip_prefix(b"\n").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_response() {
        let response = parse(b"429\nretry-after: 7\n\n{}\n");
        assert_eq!((response.status.as_u16(), &response.body[..]), (429, &b"{}\n"[..]));
        assert_eq!(response.headers["retry-after"], "7");
        for body in [&b"{\"access_token\":\n\"x\"}"[..], b"", b"\n", b"20\n"] {
            let response = parse(body);
            assert_eq!((response.status.as_u16(), &response.body[..]), (200, body));
        }
    }

    #[test]
    fn every_response_of_the_corpus_has_the_properties() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/token_response");
        let files = std::fs::read_dir(corpus).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 50, "{}", files.len());
        for file in files {
            check(&std::fs::read(file).unwrap());
        }
    }

    #[test]
    #[should_panic(expected = "eyJ")]
    fn an_error_that_quotes_a_token_is_found() {
        check_error(&TokenError::Unavailable { reason: "eyJsecret".to_owned() });
    }
}
