//! TLS within TDS 7: during the handshake its bytes are in packets of type PRELOGIN.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::packet::{HEADER, PRELOGIN, invalid_data, packet};

/// The maximum size of the body of a packet.
const MAX_BODY: usize = 4096 - HEADER;

/// A connection that wraps bytes in packets until the handshake has ended.
#[derive(Debug)]
pub(super) struct PreloginStream<S> {
    stream: S,
    in_handshake: bool,
    header: Vec<u8>,
    /// The rest of the current packet, in bytes.
    remaining: usize,
    written: BytesMut,
    ready: BytesMut,
}

impl<S> PreloginStream<S> {
    pub(super) fn new(stream: S, in_handshake: bool) -> Self {
        let (written, ready) = (BytesMut::new(), BytesMut::new());
        Self { stream, in_handshake, header: Vec::new(), remaining: 0, written, ready }
    }

    /// Stops wrapping.
    pub(super) fn end_handshake(&mut self) {
        self.in_handshake = false;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PreloginStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.in_handshake {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        while this.remaining == 0 {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut one))?;
            if one.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.header.extend_from_slice(one.filled());
            if let [kind, _, high, low, _, _, _, _] = *this.header.as_slice() {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if kind != PRELOGIN || length < HEADER {
                    return Poll::Ready(Err(invalid_data("expected a packet of the handshake")));
                }
                this.remaining = length - HEADER;
                this.header.clear();
            }
        }
        let mut body = [0; MAX_BODY];
        let limit = this.remaining.min(buffer.remaining()).min(MAX_BODY);
        let mut limited = ReadBuf::new(body.get_mut(..limit).unwrap_or_default());
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut limited))?;
        this.remaining -= limited.filled().len();
        buffer.put_slice(limited.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PreloginStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.in_handshake {
            this.written.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.written.is_empty() {
            let body = this.written.split_to(this.written.len().min(MAX_BODY));
            let packet = packet(PRELOGIN, this.written.is_empty(), 0, &body);
            this.ready.extend_from_slice(&packet);
        }
        while !this.ready.is_empty() {
            let count = ready!(Pin::new(&mut this.stream).poll_write(context, &this.ready))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.ready.advance(count);
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
