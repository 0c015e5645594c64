//! Closes a connection so that its last response arrives.
//!
//! A response may be complete while the caller still sends the body that it is an answer to. To
//! close the connection then has the kernel reset it: the caller's next write fails, and what it
//! has not read yet may be gone. So the write side is closed first, and what still comes is read
//! and discarded, for a bounded time, like nginx's `lingering_close`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a connection may linger.
const LONGEST: Duration = Duration::from_secs(30);

/// How long it lingers for a caller that sends nothing.
const IDLE: Duration = Duration::from_secs(5);

/// How many bytes are discarded: more than the 256 MiB that Azure's clients for Node and .NET send in one request.
const MOST: u64 = 257 << 20;

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;

/// Whether a connection's last request has a body that was not read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The body of a request, watched.
    pub(super) fn watch(&self, body: Incoming) -> Watched {
        self.set(!body.is_end_stream());
        Watched { body, unread: self.clone() }
    }

    fn set(&self, unread: bool) {
        self.0.store(unread, Ordering::Relaxed);
    }
}

/// A request's body that notes when it has been read to its end.
pub(super) struct Watched {
    body: Incoming,
    unread: Unread,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.set(false);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that lingers when it is shut down with a request's body unread.
pub(super) struct Lingering<S> {
    stream: S,
    unread: Unread,
    closing: Closing,
}

enum Closing {
    Open,
    Discarding(Box<Discarding>),
    Done,
}

struct Discarding {
    end: Pin<Box<Sleep>>,
    idle: Pin<Box<Sleep>>,
    left: u64,
    buffer: Vec<u8>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, unread: Unread) -> Self {
        Self { stream, unread, closing: Closing::Open }
    }
}

impl Discarding {
    fn begin() -> Box<Self> {
        let (end, idle) = (Box::pin(sleep(LONGEST)), Box::pin(sleep(IDLE)));
        Box::new(Self { end, idle, left: MOST, buffer: vec![0; CHUNK] })
    }

    /// Reads until the caller closes its side, or it has been long enough.
    fn poll(&mut self, mut stream: Pin<&mut impl AsyncRead>, cx: &mut Context<'_>) -> Poll<()> {
        while self.left > 0 && self.end.as_mut().poll(cx).is_pending() && self.idle.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let read = ready!(stream.as_mut().poll_read(cx, &mut buffer)).map(|()| buffer.filled().len());
            let count = read.unwrap_or(0);
            if count == 0 {
                break;
            }
            self.left = self.left.saturating_sub(count as u64);
            self.idle.as_mut().reset(Instant::now() + IDLE);
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::Open => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    this.closing =
                        if this.unread.get() { Closing::Discarding(Discarding::begin()) } else { Closing::Done };
                }
                Closing::Discarding(discarding) => {
                    ready!(discarding.poll(Pin::new(&mut this.stream), cx));
                    this.closing = Closing::Done;
                }
                Closing::Done => return Poll::Ready(Ok(())),
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
