//! Reads on where a write has failed: a service may answer before it has the whole request, and
//! close its end.
//!
//! hyper gives up a connection whose write fails, with a response that may already be in the
//! socket's buffer. Here such a write, and every one after it, discards its bytes and succeeds, so
//! hyper goes on reading: it finds the response, or the end of the stream, which is an error.
//!
//! Reading on needs no timeout. A write fails when the socket is dead in both directions: what
//! arrived before is read, and then comes the end, at once. That is also why the connection is not
//! used again: hyper reads before it writes, and finds the end. The time that a plugin takes to
//! discard a body is bounded by its mount's limits.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// A connection that is read to its end after a failed write.
pub(crate) struct ReadOn<S> {
    stream: S,
    /// A write has failed. Later ones discard their bytes.
    is_broken: bool,
}

impl<S> ReadOn<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, is_broken: false }
    }

    /// What a write comes to: `discarded` where the peer has closed the connection.
    fn written<T>(&mut self, result: Poll<io::Result<T>>, discarded: T) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) if is_closed_by_peer(&error) => {
                tracing::debug!(%error, "the service closed the connection; reading on");
                self.is_broken = true;
                Poll::Ready(Ok(discarded))
            }
            other => other,
        }
    }
}

fn is_closed_by_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

impl<S: Connection> Connection for ReadOn<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl<S: Read + Unpin> Read for ReadOn<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Write + Unpin> Write for ReadOn<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_broken {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(result, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_broken {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(result, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_broken {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(result, ())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let discarded = || slices.iter().map(|slice| slice.len()).sum();
        if self.is_broken {
            return Poll::Ready(Ok(discarded()));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(result, discarded())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http::Request;
    use http_body_util::{BodyExt, Full};
    use hyper::client::conn::http1::handshake;

    use super::*;

    /// A service that has said all that it will say, and takes nothing.
    struct Closed {
        says: &'static [u8],
        error: ErrorKind,
        /// It answers what it is asked, not sooner.
        is_asked: bool,
        reader: Option<Waker>,
    }

    impl Closed {
        fn refuse<T>(&mut self) -> Poll<io::Result<T>> {
            self.is_asked = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            Poll::Ready(Err(self.error.into()))
        }
    }

    impl Read for Closed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut buffer: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.is_asked {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let (now, later) = self.says.split_at(self.says.len().min(buffer.remaining()).min(7));
            buffer.put_slice(now);
            self.says = later;
            Poll::Ready(Ok(()))
        }
    }

    impl Write for Closed {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.refuse()
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.refuse()
        }
    }

    /// Uploads a mebibyte to such a service. Gives the response's status and body, and whether the
    /// connection can be used again.
    async fn upload(
        says: &'static [u8],
        error: ErrorKind,
    ) -> Result<(u16, Vec<u8>, bool), hyper::Error> {
        let service = Closed { says, error, is_asked: false, reader: None };
        let (mut sender, connection) = handshake(ReadOn::new(service)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::put("/").body(Full::<bytes::Bytes>::from(vec![7; 1 << 20])).unwrap();
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes().to_vec();
        drop(driver.await);
        Ok((status, body, sender.is_ready()))
    }

    #[tokio::test]
    async fn an_answer_that_has_arrived_outlives_a_failed_write() {
        for error in
            [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted]
        {
            let says = b"HTTP/1.1 404 Not Found\r\ncontent-length: 11\r\n\r\nnot so fast";
            let answer = upload(says, error).await.unwrap();
            assert_eq!(answer, (404, b"not so fast".to_vec(), false), "{error}");
        }
    }

    #[tokio::test]
    async fn a_service_that_closes_without_a_whole_answer_is_an_error() {
        for says in [
            &b""[..],
            b"HTTP/1.1 201 Created\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhalf",
            b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ] {
            let answer = upload(says, ErrorKind::BrokenPipe).await;
            assert!(answer.is_err(), "{}: {answer:?}", String::from_utf8_lossy(says));
        }
    }

    #[tokio::test]
    async fn another_error_of_a_write_stays_one() {
        let says = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        assert!(upload(says, ErrorKind::InvalidData).await.is_err());
    }
}
