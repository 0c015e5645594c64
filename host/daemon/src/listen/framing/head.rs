//! Examines the head of a request: its lines, its target, and how its body is delimited.
//!
//! It accepts what only one reading is possible of (RFC 9112, and RFC 9110 for `expect`). Where the
//! RFC lets a server choose between rejecting and repairing, it rejects.

use http::{Method, StatusCode, Uri};
use httparse::{Error, Header, Request, Status};
use keyward::Rejection;
use memchr::memchr_iter;

/// The longest head, in bytes.
const MAX_HEAD_BYTES: usize = 128 << 10;

/// The longest request line, in bytes: as long as the longest URI that `http` can have.
const MAX_LINE_BYTES: usize = 65_000;

/// The most header fields.
const MAX_FIELDS: usize = 100;

/// The longest method, in bytes. The longest one that is registered has 17.
const MAX_METHOD_BYTES: usize = 32;

/// The largest `content-length`. nginx has the same limit.
const MAX_CONTENT_LENGTH: u64 = i64::MAX as u64;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// By its length; without a body, 0.
    Length(u64),
    Chunked,
}

/// What arrived of a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Examined {
    Partial,
    /// A head of this many bytes.
    Complete(usize, Delimiter),
    Rejected(Box<RejectedHead>),
}

/// A head that is rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RejectedHead {
    /// Its method and path, where they are valid: for the audit.
    pub(super) line: Option<(Method, String)>,
    pub(super) rejection: Rejection,
}

impl From<Rejection> for Box<RejectedHead> {
    fn from(rejection: Rejection) -> Self {
        Self::new(RejectedHead { line: None, rejection })
    }
}

/// Examines what arrived of a head. Of it, `seen` bytes have been examined before; it is updated.
pub(super) fn examine(bytes: &[u8], seen: &mut usize) -> Examined {
    match examine_lines(bytes, seen) {
        Ok(None) => Examined::Partial,
        Ok(Some((length, delimiter))) => Examined::Complete(length, delimiter),
        Err(rejected) => Examined::Rejected(rejected),
    }
}

fn examine_lines(
    bytes: &[u8],
    seen: &mut usize,
) -> Result<Option<(usize, Delimiter)>, Box<RejectedHead>> {
    let length = match end(bytes, *seen) {
        Ok(Some(length)) if length <= MAX_HEAD_BYTES => length,
        Ok(None) if bytes.len() <= MAX_HEAD_BYTES => {
            *seen = bytes.len();
            // A first line without an end, such as a client's that speaks TLS.
            if memchr::memchr(b'\n', bytes).is_none() {
                check_beginning(bytes)?;
            }
            return Ok(None);
        }
        Ok(_) => {
            return Err(too_large().into());
        }
        Err(rejection) => return Err(rejection.into()),
    };
    *seen = 0;
    let head = bytes.get(..length).unwrap_or_default();
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(head) {
        Ok(Status::Complete(parsed)) if parsed == length => {}
        // The lines are complete, so this cannot be.
        Ok(_) => return Err(Rejection::malformed("the head of the request is malformed").into()),
        Err(error) => return Err(unparsable(error).into()),
    }
    // hyper cannot hold a longer one.
    if request.headers.iter().any(|field| field.name.len() > usize::from(u16::MAX)) {
        return Err(too_large().into());
    }
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let line = request_line(method, target)?;
    let is_http_10 = request.version == Some(0);
    match delimiter(request.headers, is_http_10) {
        Ok(delimiter) => Ok(Some((length, delimiter))),
        Err(rejection) => Err(Box::new(RejectedHead { line: Some(line), rejection })),
    }
}

/// The length of the head, once its end is there: the empty line. `seen` bytes have no end.
fn end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Rejection> {
    // An end may have begun there.
    let from = seen.saturating_sub(1);
    for position in memchr_iter(b'\n', bytes.get(from..).unwrap_or_default()) {
        let at = from + position;
        let before = bytes.get(..at).unwrap_or_default();
        let Some(line) = before.strip_suffix(b"\r") else {
            let detail = "a line of the head ends with a line feed alone; end lines with CR LF";
            return Err(Rejection::malformed(detail));
        };
        if line.ends_with(b"\r\n") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

/// Rejects a first line that no method begins, and one that is too long, before its end is there.
fn check_beginning(bytes: &[u8]) -> Result<(), Rejection> {
    let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    if Method::from_bytes(method).is_err() {
        return Err(Rejection::malformed("the request does not begin with a method"));
    }
    if bytes.len() > MAX_LINE_BYTES {
        let detail = format!("the request line has more than {MAX_LINE_BYTES} bytes");
        return Err(Rejection::malformed(detail).with_status(StatusCode::URI_TOO_LONG));
    }
    Ok(())
}

fn too_large() -> Rejection {
    let detail = format!(
        "the head of the request has more than {} KiB or {MAX_FIELDS} header fields",
        MAX_HEAD_BYTES >> 10
    );
    Rejection::malformed(detail).with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
}

fn unparsable(error: Error) -> Rejection {
    Rejection::malformed(match error {
        Error::TooManyHeaders => return too_large(),
        Error::Version => "the request line names an unknown version; use HTTP/1.1",
        Error::HeaderName => "the name of a header field is malformed",
        Error::HeaderValue => "the value of a header field has a control character",
        Error::Token | Error::NewLine | Error::Status => "the request line is malformed",
    })
}

/// The method and the path of a valid request line.
fn request_line(method: &str, target: &str) -> Result<(Method, String), Rejection> {
    if method.len() > MAX_METHOD_BYTES {
        return Err(Rejection::malformed("unknown method"));
    }
    if target.len() > MAX_LINE_BYTES {
        let detail = format!("the request's target has more than {MAX_LINE_BYTES} bytes");
        return Err(Rejection::malformed(detail).with_status(StatusCode::URI_TOO_LONG));
    }
    if !target.is_ascii() {
        let detail = "the request's target has characters outside of ASCII; percent-encode them";
        return Err(Rejection::malformed(detail));
    }
    if target.contains('#') {
        let detail = "the request's target has a fragment; write `#` as %23, or leave it out";
        return Err(Rejection::malformed(detail));
    }
    let malformed = "the request's target is malformed";
    let method = method.parse().map_err(|_| Rejection::malformed("malformed method"))?;
    let uri: Uri = target.parse().map_err(|_| Rejection::malformed(malformed))?;
    Ok((method, uri.path().to_owned()))
}

/// How the body is delimited, if there is one way only to read that.
fn delimiter(fields: &[Header<'_>], is_http_10: bool) -> Result<Delimiter, Rejection> {
    let values = |name: &'static str| {
        fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|f| f.value)
    };
    let only = |name| -> Result<Option<&[u8]>, Rejection> {
        let mut values = values(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Rejection::malformed(format!("the request has more than one `{name}`")));
        }
        Ok(value)
    };
    let length = only("content-length")?;
    let coding = only("transfer-encoding")?;
    if let Some(expected) = only("expect")?
        && !expected.eq_ignore_ascii_case(b"100-continue")
    {
        let detail = "the only expectation that is supported is `100-continue`";
        return Err(Rejection::malformed(detail).with_status(StatusCode::EXPECTATION_FAILED));
    }
    match (length, coding) {
        (None, None) => Ok(Delimiter::Length(0)),
        (Some(length), None) => content_length(length).map(Delimiter::Length),
        (Some(_), Some(_)) => {
            let detail = "the request has both `content-length` and `transfer-encoding`";
            Err(Rejection::malformed(detail))
        }
        (None, Some(_)) if is_http_10 => {
            Err(Rejection::malformed("HTTP/1.0 has no `transfer-encoding`; use HTTP/1.1"))
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Delimiter::Chunked),
        (None, Some(_)) => {
            Err(Rejection::malformed("the only `transfer-encoding` that is supported is `chunked`"))
        }
    }
}

fn content_length(value: &[u8]) -> Result<u64, Rejection> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Rejection::malformed("`content-length` is not a number"));
    }
    text.parse().ok().filter(|length| *length <= MAX_CONTENT_LENGTH).ok_or_else(|| {
        Rejection::malformed("`content-length` is too large")
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(head: &str) -> Examined {
        let whole = examine(head.as_bytes(), &mut 0);
        let mut seen = 0;
        let pieces = (1..=head.len()).map(|length| examine(&head.as_bytes()[..length], &mut seen));
        let single = pieces.into_iter().find(|examined| *examined != Examined::Partial);
        match (&whole, single.unwrap_or(Examined::Partial)) {
            (Examined::Rejected(_), Examined::Rejected(_)) => {}
            (whole, single) => assert_eq!(*whole, single, "{head:?}"),
        }
        whole
    }

    fn rejected(head: &str) -> (u16, String) {
        match examined(head) {
            Examined::Rejected(rejected) => {
                (rejected.rejection.status.as_u16(), rejected.rejection.detail)
            }
            other => panic!("{head:?} is {other:?}"),
        }
    }

    fn with(fields: &str) -> String {
        format!("PUT /a/b?c=d HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
    }

    #[test]
    fn a_head_says_how_its_body_is_delimited() {
        for (fields, delimiter) in [
            ("", Delimiter::Length(0)),
            ("content-length: 0\r\n", Delimiter::Length(0)),
            ("Content-Length:\t17 \r\nExpect: 100-Continue\r\n", Delimiter::Length(17)),
            ("content-length: 9223372036854775807\r\n", Delimiter::Length(MAX_CONTENT_LENGTH)),
            ("Transfer-Encoding: Chunked\r\n", Delimiter::Chunked),
        ] {
            let head = with(fields);
            let expected = Examined::Complete(head.len(), delimiter);
            assert_eq!(examined(&head), expected, "{fields}");
            let followed = examine(format!("{head}body\nbody").as_bytes(), &mut 0);
            assert_eq!(followed, expected, "{fields}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_rejected() {
        for (fields, status, detail) in [
            ("content-length: 5\r\ntransfer-encoding: chunked\r\n", 400, "both"),
            ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", 400, "both"),
            ("content-length: 5\r\ncontent-length: 5\r\n", 400, "more than one"),
            ("content-length: 5, 5\r\n", 400, "not a number"),
            ("content-length: +5\r\n", 400, "not a number"),
            ("content-length: 0x5\r\n", 400, "not a number"),
            ("content-length:\r\n", 400, "not a number"),
            ("content-length: 9223372036854775808\r\n", 413, "too large"),
            ("content-length: 99999999999999999999999\r\n", 413, "too large"),
            ("transfer-encoding: chunked, chunked\r\n", 400, "only"),
            ("transfer-encoding: gzip, chunked\r\n", 400, "only"),
            ("transfer-encoding: identity\r\n", 400, "only"),
            ("transfer-encoding:\r\n", 400, "only"),
            ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n", 400, "more than one"),
            ("transfer-encoding: \x0bchunked\r\n", 400, "control character"),
            ("transfer-encoding : chunked\r\n", 400, "name"),
            ("expect: 200-ok\r\n", 417, "100-continue"),
            ("expect: 100-continue\r\nexpect: 100-continue\r\n", 400, "more than one"),
            ("a: b\nc: d\r\n", 400, "line feed"),
            ("a: b\r\n folded\r\n", 400, "name"),
            ("a: b\rc: d\r\n", 400, "control character"),
            ("a: \0\r\n", 400, "control character"),
            ("a b: c\r\n", 400, "name"),
            (": c\r\n", 400, "name"),
            ("no colon\r\n", 400, "name"),
        ] {
            let (found, message) = rejected(&with(fields));
            assert_eq!(found, status, "{fields:?}: {message}");
            assert!(message.contains(detail), "{fields:?}: {message}");
        }
        let many = with(&"a: b\r\n".repeat(MAX_FIELDS));
        assert_eq!(rejected(&many).0, 431);
        let name = "a".repeat(usize::from(u16::MAX));
        assert!(matches!(examined(&with(&format!("{name}: b\r\n"))), Examined::Complete(..)));
        assert_eq!(rejected(&with(&format!("{name}a: b\r\n"))).0, 431);
    }

    #[test]
    fn a_malformed_request_line_is_rejected() {
        let long = "x".repeat(70_000);
        for (line, status, detail) in [
            ("GET / HTTP/2.0".to_owned(), 400, "version"),
            ("GET / HTTP/1.2".to_owned(), 400, "version"),
            ("GET /".to_owned(), 400, "malformed"),
            ("GET  / HTTP/1.1".to_owned(), 400, "malformed"),
            ("GET /a b HTTP/1.1".to_owned(), 400, "version"),
            ("GET /\u{e4} HTTP/1.1".to_owned(), 400, "ASCII"),
            ("GET /?q=\u{6f22} HTTP/1.1".to_owned(), 400, "ASCII"),
            ("GET /a#b HTTP/1.1".to_owned(), 400, "fragment"),
            ("GET http:///a HTTP/1.1".to_owned(), 400, "target"),
            (format!("{} / HTTP/1.1", "M".repeat(40)), 400, "method"),
            (format!("GET /{long} HTTP/1.1"), 414, "bytes"),
            ("\u{16}\u{3}\u{1}".to_owned(), 400, "malformed"),
            ("G{T / HTTP/1.1".to_owned(), 400, "malformed"),
        ] {
            let head = format!("{line}\r\n\r\n");
            let examined = examine(head.as_bytes(), &mut 0);
            let Examined::Rejected(rejected) = examined else { panic!("{line}: {examined:?}") };
            let Rejection { status: found, detail: message, .. } = rejected.rejection;
            assert_eq!(found.as_u16(), status, "{message}");
            assert!(message.contains(detail), "{line:.50}: {message}");
        }
    }

    #[test]
    fn a_head_without_an_end_is_bounded() {
        let line = format!("GET /{}", "x".repeat(70_000));
        assert_eq!(rejected_at_once(&line), 414);
        let fields = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(MAX_HEAD_BYTES));
        assert_eq!(rejected_at_once(&fields), 431);
        assert_eq!(rejected_at_once("\u{16}\u{3}\u{1}\u{2}"), 400);
    }

    fn rejected_at_once(head: &str) -> u16 {
        match examine(head.as_bytes(), &mut 0) {
            Examined::Rejected(rejected) => rejected.rejection.status.as_u16(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rejected_head_names_its_method_and_path() {
        let Examined::Rejected(rejected) = examined(&with("content-length: x\r\n")) else {
            panic!()
        };
        assert_eq!(rejected.line, Some((Method::PUT, "/a/b".to_owned())));
    }
}
