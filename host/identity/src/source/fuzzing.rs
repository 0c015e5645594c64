//! The way in for the fuzz target in `fuzz`, and what must hold of every answer. Compiled with `--cfg fuzzing` only, and for
//! the test that has the corpus read.
//!
//! An input is an answer as a person would write it down: a line with the status, lines with headers, an empty line, the
//! body. What begins otherwise is a body of status 200.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use zeroize::Zeroizing;

use super::refusal::Refused;
use super::retry::Attempt;
use super::transport::Answer;
use super::{Issued, UserAssigned, answer};
use crate::{Audience, TokenError};

const NOW: Duration = Duration::from_secs(1_700_000_000);
/// The end of the year 9999, in seconds: no end is later.
const LATEST: u64 = 253_402_300_799;

/// Reads an answer as the sources do.
///
/// # Panics
///
/// Where one of them gives what it must not.
pub fn read(input: &[u8]) {
    let answer = parse(input);
    if answer.status == StatusCode::OK {
        let client = UserAssigned::ClientId("00001111-aaaa-2222-bbbb-3333cccc4444".to_owned());
        for asked in [None, Some(&client)] {
            check_issued(answer::parse(&answer.body, NOW, asked));
        }
    } else if let Ok(audience) = Audience::new("https://vault.azure.net") {
        for not_found_is_final in [false, true] {
            let refused = Refused { endpoint: "http://x", audience: &audience, wall: NOW, not_found_is_final };
            check_refused(&refused.judge(&answer));
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

fn check_refused(attempt: &Attempt<()>) {
    match attempt {
        Attempt::Done(()) => unreachable!("a refusal gives no token"),
        Attempt::Final(error) => check_error(error),
        Attempt::Later { error, after, .. } => {
            assert!(after.is_none_or(|after| after <= Duration::from_secs(3600)));
            check_error(error);
        }
    }
}

/// It quotes no word like a token, and not without end.
fn check_error(error: &TokenError) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("eyJ"), "{text}");
        assert!(text.chars().count() < 8000, "{text}");
    }
}

fn parse(input: &[u8]) -> Answer {
    let mut headers = HeaderMap::new();
    let whole = |headers| Answer { status: StatusCode::OK, headers, body: Zeroizing::new(input.to_vec()) };
    let Some((first, mut rest)) = line(input) else { return whole(headers) };
    let Ok(status) = StatusCode::from_bytes(first) else { return whole(headers) };
    while let Some((header, after)) = line(rest) {
        rest = after;
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.and_then(|at| header.split_at_checked(at)) else { continue };
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    Answer { status, headers, body: Zeroizing::new(rest.to_vec()) }
}

fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = input.split_at_checked(input.iter().position(|byte| *byte == b'\n')?)?;
    Some((line, rest.strip_prefix(b"\n").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_an_answer() {
        let answer = parse(b"429\nretry-after: 7\n\n{}\n");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (429, &b"{}\n"[..]));
        assert_eq!(answer.headers["retry-after"], "7");
        for bare in [&b"{\"access_token\":\n\"x\"}"[..], b"", b"\n", b"20\n"] {
            let answer = parse(bare);
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, bare));
        }
    }

    #[test]
    fn every_answer_of_the_corpus_is_read() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/answer");
        let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 50, "{}", files.len());
        for file in files {
            read(&std::fs::read(file).unwrap());
        }
    }

    #[test]
    #[should_panic(expected = "eyJ")]
    fn an_error_that_quotes_a_token_is_found() {
        check_error(&TokenError::Unavailable { said: "eyJsecret".to_owned() });
    }
}
