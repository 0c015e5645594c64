//! The stream and the bodies of a connection, which watch over a caller that is too slow, and close
//! only when it has the last response.
//!
//! Lingering close, like nginx's `lingering_close`: delivers the last response of a connection.
//!
//! A response may be complete while the caller still sends the request's body. Closing the
//! connection then would make the kernel reset it: the caller's next write fails, and the response
//! may be lost before the caller reads it. So the write side is shut down first, and the rest of
//! the body is read and discarded, within limits of time and size.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use keyward::SlowBody;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::min_rate::MinRate;

/// The longest time that a connection lingers.
const LINGER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it lingers while the caller sends nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes that are discarded: more than the 256 MiB that Azure's clients for Node and .NET
/// send in one request.
const MAX_DISCARDED_BYTES: u64 = 257 << 20;

/// The most bytes that are read at once.
const READ_SIZE: usize = 64 << 10;

/// Whether the body of a connection's current request has not been read to its end. Clones share
/// it.
#[derive(Clone, Debug, Default)]
pub(super) struct UnreadBody(Arc<AtomicBool>);

impl UnreadBody {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Tracks whether the body of the current request is read to its end. `min_rate` is how fast the
    /// caller must send it, in bytes per second; 0 for any rate.
    pub(super) fn track<B: Body>(&self, body: B, min_rate: u64) -> TrackedBody<B> {
        self.set(!body.is_end_stream());
        TrackedBody { body, unread: self.clone(), rate: MinRate::new(min_rate), min_rate }
    }

    pub(super) fn set(&self, unread: bool) {
        self.0.store(unread, Ordering::Relaxed);
    }
}

/// A request's body that clears [`UnreadBody`] when it has been read to its end, and ends with
/// [`SlowBody`] if it comes too slowly.
pub(super) struct TrackedBody<B = Incoming> {
    body: B,
    unread: UnreadBody,
    rate: MinRate,
    min_rate: u64,
}

impl<B> Body for TrackedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.rate.poll_too_slow(cx));
            return Poll::Ready(Some(Err(SlowBody { min_rate: self.min_rate }.into())));
        };
        if let Some(Ok(frame)) = &frame {
            self.rate.moved(frame.data_ref().map_or(0, Bytes::len));
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.set(false);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that lingers when it is shut down while a request's body is unread, and whose writes
/// fail when the caller reads too slowly.
pub(super) struct LingeringStream<S> {
    stream: S,
    rate: MinRate,
    unread: UnreadBody,
    state: State,
}

enum State {
    Open,
    /// The write side is shut down.
    Lingering(Box<Discard>),
    Closed,
}

/// Reads and discards the rest of a body.
struct Discard {
    timeout: Pin<Box<Sleep>>,
    idle_timeout: Pin<Box<Sleep>>,
    remaining: u64,
    buffer: Vec<u8>,
}

impl<S> LingeringStream<S> {
    /// `min_rate` is how fast the caller must read, in bytes per second; 0 for any rate.
    pub(super) fn new(stream: S, unread: UnreadBody, min_rate: u64) -> Self {
        Self { stream, rate: MinRate::new(min_rate), unread, state: State::Open }
    }
}

impl Discard {
    fn new() -> Self {
        Self {
            timeout: Box::pin(sleep(LINGER_TIMEOUT)),
            idle_timeout: Box::pin(sleep(IDLE_TIMEOUT)),
            remaining: MAX_DISCARDED_BYTES,
            buffer: vec![0; READ_SIZE],
        }
    }

    /// Reads until the caller shuts down its write side, or a limit is reached.
    fn poll(&mut self, mut stream: Pin<&mut impl AsyncRead>, cx: &mut Context<'_>) -> Poll<()> {
        while self.remaining > 0
            && self.timeout.as_mut().poll(cx).is_pending()
            && self.idle_timeout.as_mut().poll(cx).is_pending()
        {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let read = ready!(stream.as_mut().poll_read(cx, &mut buffer));
            let count = read.map_or(0, |()| buffer.filled().len());
            if count == 0 {
                break;
            }
            self.remaining = self.remaining.saturating_sub(count as u64);
            self.idle_timeout.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LingeringStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LingeringStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.rate.written(cx, written, |length| *length)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.rate.written(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Open => {
                    let shut_down = Pin::new(&mut this.stream).poll_shutdown(cx);
                    ready!(this.rate.written(cx, shut_down, |()| 0))?;
                    this.state = if this.unread.get() {
                        State::Lingering(Box::new(Discard::new()))
                    } else {
                        State::Closed
                    };
                }
                State::Lingering(discard) => {
                    ready!(discard.poll(Pin::new(&mut this.stream), cx));
                    this.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.rate.written(cx, written, |length| *length)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const RATE: u64 = 240;
    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_caller_that_does_not_read_is_disconnected() {
        let (stream, mut caller) = duplex(1024);
        let mut stream = LingeringStream::new(stream, UnreadBody::default(), RATE);
        stream.rate = MinRate::with_grace(RATE, SHORT);
        stream.write_all(&[0; 512]).await.unwrap();
        stream.rate = MinRate::with_grace(RATE, SHORT);
        let error = stream.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        caller.read_exact(&mut [0; 512]).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_body_that_does_not_come_ends_as_too_slow() {
        let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
        let unread = UnreadBody::default();
        let mut body = unread.track(body, RATE);
        body.rate = MinRate::with_grace(RATE, SHORT);
        sender.send_data(Bytes::from_static(b"x")).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&SlowBody { min_rate: RATE }));
        assert!(unread.get(), "its rest is discarded, and the connection closed");
    }
}
