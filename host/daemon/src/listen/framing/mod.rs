//! Checks how requests are delimited before hyper reads them.
//!
//! hyper repairs what can be read in more than one way: a `content-length` beside
//! `transfer-encoding`, two of them, lines that end with a line feed alone. And it answers what it
//! cannot parse itself, without a body. So [`StrictFraming`] examines each head, and follows each
//! body to its end. In place of a head that is rejected, hyper gets one that is valid, and the
//! service, which is called for it, takes the [`RejectionSlot`] and responds with the rejection: in its
//! turn, after the responses to the requests before.

mod chunks;
mod head;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use keyward::Rejection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::io::poll_read_buf;

use chunks::{Chunks, Malformed};
use head::{Delimiter, Examined, RejectedHead};

/// How long a caller may take to send the head of a request, from its first byte.
pub(super) const MAX_HEAD_TIME: Duration = Duration::from_secs(30);

/// The most empty lines before a head. A server should skip one (RFC 9112, 2.2).
const MAX_EMPTY_LINES: u8 = 8;

/// Room for the next read of a head that came in pieces.
const READ_SIZE: usize = 4 << 10;

/// The rejection of the request that hyper passes to the service next. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct RejectionSlot(Arc<Mutex<Option<Rejection>>>);

impl RejectionSlot {
    /// Takes the rejection. To be called as hyper calls the service, and not later: hyper may read
    /// the next head while a response is on its way.
    pub(super) fn take(&self) -> Option<Rejection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, rejection: Rejection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rejection);
    }
}

/// A stream of requests, of which the reader sees only well-delimited ones.
pub(super) struct StrictFraming<S> {
    stream: S,
    position: Position,
    /// Bytes that arrived and were not read yet.
    arrived: BytesMut,
    /// How many of these the reader may have.
    released: usize,
    rejection: RejectionSlot,
    /// Empty lines since the last request.
    empty_lines: u8,
    /// How long the caller may take to send a head.
    max_head_time: Duration,
    /// Runs while a part of a head has arrived.
    head_timeout: Option<Pin<Box<Sleep>>>,
}

/// What the next byte belongs to.
enum Position {
    /// A head, of which so many bytes have been examined.
    Head(usize),
    /// A body with so many bytes left.
    Length(u64),
    Chunked(Chunks),
    /// Nothing any more: a head was rejected.
    End,
}

/// Why bytes are not passed on.
enum Stopped {
    Rejected(Box<RejectedHead>),
    MalformedBody,
}

impl Position {
    /// Advances over bytes of at most one request. Returns how many; none if a head is not complete.
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, Stopped> {
        let mut passed = 0;
        if let Self::Head(seen) = self {
            match head::examine(bytes, seen) {
                Examined::Partial => return Ok(0),
                Examined::Rejected(rejected) => return Err(Stopped::Rejected(rejected)),
                Examined::Complete(length, delimiter) => {
                    passed = length;
                    *self = match delimiter {
                        Delimiter::Length(0) => return Ok(passed),
                        Delimiter::Length(length) => Self::Length(length),
                        Delimiter::Chunked => Self::Chunked(Chunks::default()),
                    };
                }
            }
        }
        let body = bytes.get(passed..).unwrap_or_default();
        let (length, ended) = match self {
            Self::Length(remaining) => {
                let length = usize::try_from(*remaining).map_or(body.len(), |n| n.min(body.len()));
                *remaining -= length as u64;
                (length, *remaining == 0)
            }
            Self::Chunked(chunks) => match chunks.advance(body) {
                Ok(Some(length)) => (length, true),
                Ok(None) => (body.len(), false),
                Err(Malformed) if passed > 0 => {
                    // The head goes first, so that there is a request to respond to.
                    *chunks = Chunks::default();
                    (0, false)
                }
                Err(Malformed) => return Err(Stopped::MalformedBody),
            },
            Self::Head(_) | Self::End => (0, false),
        };
        if ended {
            *self = Self::Head(0);
        }
        Ok(passed + length)
    }
}

impl<S> StrictFraming<S> {
    pub(super) fn new(stream: S, rejection: RejectionSlot) -> Self {
        Self {
            stream,
            position: Position::Head(0),
            arrived: BytesMut::new(),
            released: 0,
            rejection,
            empty_lines: 0,
            max_head_time: MAX_HEAD_TIME,
            head_timeout: None,
        }
    }

    /// Puts a head in the place of one that is rejected. Nothing that follows is read.
    fn reject(&mut self, rejected: RejectedHead) {
        // hyper reads the response to CONNECT in a way of its own.
        let line = rejected
            .line
            .filter(|(method, path)| *method != Method::CONNECT && path.starts_with('/'));
        // Without them the audit has a dash.
        let (method, path) =
            line.as_ref().map_or(("-", "/"), |(method, path)| (method.as_str(), path.as_str()));
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        self.arrived = BytesMut::from(head.as_bytes());
        self.released = head.len();
        self.position = Position::End;
        self.head_timeout = None;
        self.rejection.set(rejected.rejection);
    }

    /// Releases more of what arrived. Returns whether there is something for the reader now.
    fn release(&mut self) -> io::Result<bool> {
        if let Position::Head(seen) = &mut self.position {
            // Some clients end a body with a line too much, and are idle then.
            while self.arrived.starts_with(b"\r\n") {
                self.arrived.advance(2);
                *seen = 0;
                self.head_timeout = None;
                self.empty_lines += 1;
                if self.empty_lines > MAX_EMPTY_LINES {
                    let detail = "there are too many empty lines before the request";
                    self.reject_head(StatusCode::BAD_REQUEST, detail);
                    return Ok(true);
                }
            }
            if matches!(&*self.arrived, b"" | b"\r") {
                return Ok(false);
            }
        }
        match self.position.advance(&self.arrived) {
            Ok(length) => self.released = length,
            Err(Stopped::Rejected(rejected)) => self.reject(*rejected),
            Err(Stopped::MalformedBody) => {
                self.position = Position::End;
                return Err(malformed_body());
            }
        }
        if self.released > 0 {
            self.head_timeout = None;
            self.empty_lines = 0;
        }
        Ok(self.released > 0)
    }

    fn reject_head(&mut self, status: StatusCode, detail: &str) {
        let rejection = Rejection::malformed(detail).with_status(status);
        self.reject(RejectedHead { line: None, rejection });
    }
}

fn malformed_body() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the chunks of the body are malformed")
}

impl<S: AsyncRead + Unpin> StrictFraming<S> {
    /// Reads directly into the reader's buffer, as long as whole heads and bodies arrive. Returns
    /// false if it has to wait for the rest of a head.
    fn poll_direct(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, out))?;
        let bytes = out.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if matches!(self.position, Position::Head(_)) && bytes.starts_with(b"\r") {
            self.arrived.extend_from_slice(bytes);
            out.set_filled(before);
            return Poll::Ready(Ok(false));
        }
        let passed = match self.position.advance(bytes) {
            Ok(passed) => passed,
            Err(Stopped::Rejected(rejected)) => {
                out.set_filled(before);
                self.reject(*rejected);
                return Poll::Ready(Ok(false));
            }
            Err(Stopped::MalformedBody) => {
                out.set_filled(before);
                self.position = Position::End;
                return Poll::Ready(Err(malformed_body()));
            }
        };
        self.arrived.extend_from_slice(bytes.get(passed..).unwrap_or_default());
        out.set_filled(before + passed);
        if passed > 0 {
            self.empty_lines = 0;
        }
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads on in a head of which a part has arrived.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.arrived.reserve(READ_SIZE);
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.arrived);
        match read {
            Poll::Ready(Ok(0)) => {
                let detail = "the head of the request ended before it was complete";
                self.reject_head(StatusCode::BAD_REQUEST, detail);
            }
            Poll::Ready(read) => {
                read?;
            }
            Poll::Pending => {
                let time = self.max_head_time;
                let timeout = self.head_timeout.get_or_insert_with(|| Box::pin(sleep(time)));
                ready!(timeout.as_mut().poll(cx));
                let detail =
                    format!("the head of the request took more than {} seconds", time.as_secs());
                self.reject_head(StatusCode::REQUEST_TIMEOUT, &detail);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictFraming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.released > 0 {
                let length = this.released.min(out.remaining());
                out.put_slice(this.arrived.get(..length).unwrap_or_default());
                this.arrived.advance(length);
                this.released -= length;
                return Poll::Ready(Ok(()));
            }
            if matches!(this.position, Position::End) {
                return Poll::Pending;
            }
            if this.arrived.is_empty() {
                if ready!(this.poll_direct(cx, out))? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            if !this.release()? && !this.arrived.is_empty() {
                ready!(this.poll_head(cx))?;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StrictFraming<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::unconstrained;

    use super::*;

    fn pair() -> (DuplexStream, StrictFraming<DuplexStream>, RejectionSlot) {
        let (caller, daemon) = tokio::io::duplex(1 << 20);
        let slot = RejectionSlot::default();
        (caller, StrictFraming::new(daemon, slot.clone()), slot)
    }

    /// What the reader gets without waiting, in reads of at most so many bytes.
    fn available(stream: &mut StrictFraming<DuplexStream>, size: usize) -> String {
        let mut text = Vec::new();
        let mut buffer = vec![0; size];
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let read = pin!(unconstrained(stream.read(&mut buffer)));
            let Poll::Ready(count) = read.poll(&mut cx) else { break };
            text.extend_from_slice(&buffer[..count.unwrap()]);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn requests_pass_unchanged_however_they_are_read() {
        let requests = "GET /a HTTP/1.1\r\nhost: x\r\n\r\nPUT /b HTTP/1.1\r\nhost: x\r\n\
                        content-length: 5\r\n\r\nhelloPUT /c HTTP/1.1\r\nhost: x\r\n\
                        transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /d \
                        HTTP/1.1\r\nhost: x\r\n\r\n";
        for size in [1, 7, 50, 4096] {
            let (mut caller, mut stream, slot) = pair();
            caller.write_all(requests.as_bytes()).await.unwrap();
            assert_eq!(available(&mut stream, size), requests, "{size}");
            assert_eq!(slot.take(), None);
        }
    }

    #[tokio::test]
    async fn one_read_has_bytes_of_one_request() {
        let (mut caller, mut stream, _) = pair();
        let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        caller.write_all(request.repeat(2).as_bytes()).await.unwrap();
        let mut buffer = [0; 4096];
        for _ in 0..2 {
            assert_eq!(stream.read(&mut buffer).await.unwrap(), request.len());
        }
    }

    #[tokio::test]
    async fn a_few_empty_lines_before_a_request_are_skipped() {
        let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let (mut caller, mut stream, slot) = pair();
        for _ in 0..2 {
            let lines = "\r\n".repeat(usize::from(MAX_EMPTY_LINES));
            caller.write_all((lines + request).as_bytes()).await.unwrap();
            assert_eq!(available(&mut stream, 4096), request);
        }
        assert_eq!(slot.take(), None);
        caller.write_all("\r\n".repeat(100_000).as_bytes()).await.unwrap();
        assert!(available(&mut stream, 4096).starts_with("- / HTTP/1.1\r\n"));
        assert!(slot.take().unwrap().detail.contains("empty lines"));
    }

    #[tokio::test]
    async fn another_head_takes_the_place_of_a_rejected_one() {
        let (mut caller, mut stream, slot) = pair();
        let rejected = "PUT /a/b?c HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n";
        caller.write_all(rejected.as_bytes()).await.unwrap();
        caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let text = available(&mut stream, 4096);
        let expected = "PUT /a/b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        assert_eq!(text, expected, "and nothing of what follows");
        assert!(slot.take().unwrap().detail.contains("`content-length`"));
    }

    #[tokio::test]
    async fn a_head_that_takes_too_long_is_rejected() {
        let (mut caller, mut stream, slot) = pair();
        stream.max_head_time = Duration::from_millis(20);
        // An idle connection is not a head that takes long, even after an empty line.
        caller.write_all(b"\r\n").await.unwrap();
        assert_eq!(available(&mut stream, 4096), "");
        assert!(stream.head_timeout.is_none());
        // Nor is one whose empty line came in two parts.
        for part in [b"\r", b"\n"] {
            caller.write_all(part).await.unwrap();
            assert_eq!(available(&mut stream, 4096), "");
        }
        assert!(stream.head_timeout.is_none());
        let drip = async {
            for byte in
                b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ".iter().chain(repeat_n(&b'a', 100_000))
            {
                caller.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let mut buffer = [0; 4096];
        tokio::select! {
            () = drip => panic!("the head was not rejected"),
            count = stream.read(&mut buffer) => assert!(count.unwrap() > 0),
        }
        assert_eq!(slot.take().unwrap().status, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_malformed_body_is_an_error_of_the_stream() {
        let head = "PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let (mut caller, mut stream, slot) = pair();
        caller.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(available(&mut stream, 4096), head);
        caller.write_all(b"5\nhello").await.unwrap();
        let error = stream.read(&mut [0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(slot.take(), None);
    }
}
