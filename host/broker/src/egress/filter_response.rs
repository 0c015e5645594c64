//! Fourth stage: what a service sends back, without the credentials of the request in it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use wasmtime_wasi_http::{Error, WasiBody};

use super::{Authorized, redirect};
use crate::audit::Upstream;
use crate::call::{Call, HeldMemory, UpstreamNote, header_bytes};
use crate::error::CallError;
use crate::redact::{CodedScanner, CodingError, Scanner, TokenFragment, coding_of};
use crate::upstream::innermost;
use crate::wasi_body::size_hint_after;

/// Redacts a response as it streams. `scanner` finds the tokens of the mount, and the credential of
/// the request; `memory` is what the call holds for it.
pub(super) fn filter(
    call: &Arc<Call>,
    authorized: &Authorized,
    response: Response<Incoming>,
    scanner: Scanner,
    note: &UpstreamNote,
    mut memory: HeldMemory,
) -> Result<Response<WasiBody>, Error> {
    let (mut parts, body) = response.into_parts();
    let too_much = |_| Error::HttpResponseHeaderSectionSize(None);
    memory.grow(call, header_bytes(&parts.headers)).map_err(too_much)?;
    match redact_headers(&mut parts.headers, &scanner) {
        Ok(false) => {}
        Ok(true) => call.note_redacted(),
        Err(fragment) => return Err(stopped(call, fragment.into())),
    }
    if let Some(to) = redirect::target(parts.status, &parts.headers) {
        call.redirects().note(&authorized.grant.name, to);
    }
    // Without a body there is nothing to decode: a response to HEAD, 204, 304.
    let search = if scanner.is_empty() || body.is_end_stream() {
        Search::Plain(scanner)
    } else {
        let stored = authorized.grant.returns_stored_content;
        match coding_of(&parts, stored).map_err(|error| stopped(call, error.into()))? {
            None => Search::Plain(scanner),
            Some(coding) => {
                memory.grow(call, coding.max_memory()).map_err(too_much)?;
                Search::Coded(CodedScanner::new(coding, scanner))
            }
        }
    };
    let body = ResponseBody::new(body, search, Arc::clone(call), note.clone(), memory);
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

/// Redacts a token in the header fields. Returns whether there was one.
///
/// # Errors
///
/// A part of a token is in one of them.
fn redact_headers(headers: &mut HeaderMap, scanner: &Scanner) -> Result<bool, TokenFragment> {
    let mut found = false;
    for value in headers.values_mut() {
        let inspected = scanner.inspect(value.as_bytes());
        if inspected.has_fragment {
            return Err(TokenFragment);
        }
        if let Some(redacted) = inspected.redacted {
            *value = HeaderValue::from_bytes(&redacted)
                .unwrap_or_else(|_| HeaderValue::from_static("*"));
            found = true;
        }
    }
    // A name is in lower case, and a token in lower case is not valid any more. It is removed all
    // the same.
    let odd: Vec<HeaderName> =
        headers.keys().filter(|name| scanner.has_ignoring_case(name.as_str())).cloned().collect();
    for name in odd {
        headers.remove(name);
        found = true;
    }
    Ok(found)
}

/// Why a response must not go on.
enum Stop {
    /// A part of a token's signature is in it.
    Fragment,
    /// It is compressed, and cannot be searched or contains a token.
    Coding(CodingError),
}

impl From<TokenFragment> for Stop {
    fn from(_: TokenFragment) -> Self {
        Self::Fragment
    }
}

impl From<CodingError> for Stop {
    fn from(error: CodingError) -> Self {
        Self::Coding(error)
    }
}

/// Ends the call over a response that must not go on.
fn stopped(call: &Call, stop: Stop) -> Error {
    let mount = call.mount().name.clone();
    if matches!(stop, Stop::Fragment | Stop::Coding(CodingError::Token)) {
        call.note_redacted();
    }
    call.fail(match stop {
        Stop::Fragment => CallError::TokenEchoed { mount },
        Stop::Coding(error) => CallError::Unsearchable { mount, why: error.to_string() },
    });
    Error::HttpResponseContentCoding(None)
}

/// How the body of a response is searched for credentials.
enum Search {
    /// Whole credentials are redacted. The body ends where a part of a token is found.
    Plain(Scanner),
    /// A compressed body, which ends where one is found.
    Coded(CodedScanner),
}

impl Search {
    /// Takes the next bytes. Returns those that may go on, and whether a credential was redacted.
    fn push(&mut self, data: Bytes) -> Result<(Bytes, bool), Stop> {
        match self {
            Self::Plain(scanner) => {
                let scanned = scanner.push(data)?;
                Ok((scanned.bytes, scanned.found))
            }
            Self::Coded(scanner) => Ok((scanner.push(data)?, false)),
        }
    }

    fn finish(&mut self) -> Result<Bytes, Stop> {
        match self {
            Self::Plain(scanner) => Ok(scanner.finish()?),
            Self::Coded(scanner) => Ok(scanner.finish()?),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Plain(scanner) => scanner.held(),
            Self::Coded(scanner) => scanner.held(),
        }
    }
}

/// The body of a service's response, without the credentials in it.
struct ResponseBody {
    inner: Incoming,
    search: Search,
    call: Arc<Call>,
    note: UpstreamNote,
    /// What the call holds for the request and its response.
    _memory: HeldMemory,
    bytes: u64,
    ended: bool,
}

impl ResponseBody {
    fn new(
        inner: Incoming,
        search: Search,
        call: Arc<Call>,
        note: UpstreamNote,
        memory: HeldMemory,
    ) -> Self {
        Self { inner, search, call, note, _memory: memory, bytes: 0, ended: false }
    }

    fn stop(&self, stop: Stop) -> Error {
        let error = stopped(&self.call, stop);
        self.note.update(|upstream: &mut Upstream| upstream.error = Some(error.to_string()));
        error
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
                this.ended = true;
                return Poll::Ready(match this.search.finish() {
                    Ok(rest) => rest.has_remaining().then(|| Ok(Frame::data(rest))),
                    Err(stop) => Some(Err(this.stop(stop))),
                });
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    this.ended = true;
                    let error = if error.is_incomplete_message() || error.is_body_write_aborted() {
                        Error::HttpResponseIncomplete
                    } else {
                        Error::InternalError(Some(innermost(&error).to_string()))
                    };
                    this.note
                        .update(|upstream: &mut Upstream| upstream.error = Some(error.to_string()));
                    return Poll::Ready(Some(Err(error)));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            this.call.progress();
            this.bytes += data.len() as u64;
            match this.search.push(data) {
                Ok((bytes, found)) => {
                    if found {
                        this.call.note_redacted();
                    }
                    if bytes.has_remaining() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Err(stop) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(this.stop(stop))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.inner.is_end_stream() && self.search.held() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        size_hint_after(self.search.held() as u64, &self.inner.size_hint())
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.note.update(|upstream: &mut Upstream| upstream.bytes = bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::SecretIndex;

    #[test]
    fn a_token_that_comes_back_in_a_header_is_redacted() {
        let secret = Bytes::from_static(b"eyJ.Secret");
        let scanner = Scanner::new([Arc::new(SecretIndex::of_secrets([&secret]))]);
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer eyJ.Secret."));
        headers.insert("x-eyj.secret", HeaderValue::from_static("a name"));
        headers.insert("x-other", HeaderValue::from_static("stays"));
        assert_eq!(redact_headers(&mut headers, &scanner), Ok(true));
        assert_eq!(headers.get("x-echo").unwrap(), "Bearer **********.");
        assert_eq!(headers.get("x-other").unwrap(), "stays");
        assert_eq!(headers.len(), 2);
        assert_eq!(redact_headers(&mut headers, &scanner), Ok(false));
    }
}
