//! Bodies on their way to a service and back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::{Error, WasiBody};

use super::coding::{CodedScanner, CodingError};
use super::scan::Scanner;
use crate::audit::Upstream;
use crate::call::{Call, UpstreamNote};
use crate::egress::Misuse;
use crate::error::CallError;

/// The body of a plugin's request. It ends the call where a surrogate is in it, and never ends well where the plugin did
/// not end it itself.
pub(super) struct ToService {
    inner: WasiBody,
    call: Arc<Call>,
    scanner: Option<Scanner>,
    ended: bool,
}

impl ToService {
    pub(super) fn new(inner: WasiBody, call: Arc<Call>) -> Self {
        let surrogates = call.surrogates().all();
        let secrets = surrogates.iter().map(|surrogate| Bytes::copy_from_slice(surrogate.as_str().as_bytes()));
        // A body that is known to be empty needs no looking at.
        let scanner = (!surrogates.is_empty() && !inner.is_end_stream()).then(|| Scanner::new(secrets));
        Self { inner, call, scanner, ended: false }
    }
}

impl Body for ToService {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
                this.ended = true;
                // A guest that is gone leaves an end behind that looks like any other.
                if this.call.has_ended() {
                    return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
                }
                let rest = this.scanner.as_mut().map(Scanner::finish).filter(Buf::has_remaining);
                return Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))));
            };
            let data = match frame?.into_data() {
                Ok(data) => data,
                // Trailers are header fields that no rule has looked at.
                Err(_trailers) => continue,
            };
            this.call.progress();
            let Some(scanner) = &mut this.scanner else { return Poll::Ready(Some(Ok(Frame::data(data)))) };
            let scanned = scanner.push(data);
            if scanned.found {
                this.ended = true;
                this.call.fail(CallError::misuse(&this.call.mount().name, Misuse::SurrogateElsewhere("body")));
                return Poll::Ready(Some(Err(Error::HttpRequestDenied)));
            }
            if scanned.bytes.has_remaining() {
                return Poll::Ready(Some(Ok(Frame::data(scanned.bytes))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.inner.is_end_stream() && self.scanner.as_ref().is_none_or(|scanner| scanner.held() == 0))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// How the body of a response is searched for credentials that its request spent.
pub(super) enum Search {
    /// The request spent none.
    Off,
    /// What is found is blanked out.
    Plain(Scanner),
    /// A compressed body, which ends where one is found.
    Coded(CodedScanner),
}

impl Search {
    /// Takes the next bytes. Returns those that may go on, and whether a credential was blanked out.
    fn push(&mut self, data: Bytes) -> Result<(Bytes, bool), CodingError> {
        match self {
            Self::Off => Ok((data, false)),
            Self::Plain(scanner) => {
                let scanned = scanner.push(data);
                Ok((scanned.bytes, scanned.found))
            }
            Self::Coded(scanner) => Ok((scanner.push(data)?, false)),
        }
    }

    fn finish(&mut self) -> Bytes {
        match self {
            Self::Off => Bytes::new(),
            Self::Plain(scanner) => scanner.finish(),
            Self::Coded(scanner) => scanner.finish(),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Off => 0,
            Self::Plain(scanner) => scanner.held(),
            Self::Coded(scanner) => scanner.held(),
        }
    }
}

/// The body of a service's answer, without the tokens in it.
pub(super) struct FromService {
    inner: Incoming,
    search: Search,
    call: Arc<Call>,
    note: UpstreamNote,
    bytes: u64,
    ended: bool,
}

impl FromService {
    pub(super) fn new(inner: Incoming, search: Search, call: Arc<Call>, note: UpstreamNote) -> Self {
        Self { inner, search, call, note, bytes: 0, ended: false }
    }
}

impl Body for FromService {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
                this.ended = true;
                let rest = this.search.finish();
                return Poll::Ready(rest.has_remaining().then(|| Ok(Frame::data(rest))));
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    this.ended = true;
                    let error = if error.is_incomplete_message() || error.is_body_write_aborted() {
                        Error::HttpResponseIncomplete
                    } else {
                        Error::InternalError(Some(super::error::innermost(&error).to_string()))
                    };
                    this.note.update(|upstream: &mut Upstream| upstream.error = Some(error.to_string()));
                    return Poll::Ready(Some(Err(error)));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            this.call.progress();
            this.bytes += data.len() as u64;
            match this.search.push(data) {
                Ok((bytes, found)) => {
                    if found {
                        this.call.note_echo();
                    }
                    if bytes.has_remaining() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Err(error) => {
                    this.ended = true;
                    let error = super::send::unsearchable(&this.call, &error);
                    this.note.update(|upstream: &mut Upstream| upstream.error = Some(error.to_string()));
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.inner.is_end_stream() && self.search.held() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for FromService {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.note.update(|upstream: &mut Upstream| upstream.bytes = bytes);
    }
}
