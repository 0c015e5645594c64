//! TLS within TDS: until the handshake is done its bytes travel in packets of type PRELOGIN, then as they are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::packet::{HEADER, PRELOGIN, bad, packet};

/// The body of the longest packet of a handshake.
const PIECE: usize = 4096 - HEADER;

/// A connection whose bytes are wrapped until it is told otherwise.
#[derive(Debug)]
pub(super) struct Wrapped<S> {
    stream: S,
    is_wrapped: bool,
    header: Vec<u8>,
    /// How much of the packet is still to come.
    left: usize,
    written: BytesMut,
    ready: BytesMut,
}

impl<S> Wrapped<S> {
    pub(super) fn new(stream: S, is_wrapped: bool) -> Self {
        let (written, ready) = (BytesMut::new(), BytesMut::new());
        Self { stream, is_wrapped, header: Vec::new(), left: 0, written, ready }
    }

    /// From now on bytes travel as they are.
    pub(super) fn unwrap_now(&mut self) {
        self.is_wrapped = false;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_wrapped {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        while this.left == 0 {
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
                    return Poll::Ready(Err(bad("no packet of a handshake")));
                }
                this.left = length - HEADER;
                this.header.clear();
            }
        }
        let mut piece = [0; PIECE];
        let limit = this.left.min(buffer.remaining()).min(PIECE);
        let mut limited = ReadBuf::new(piece.get_mut(..limit).unwrap_or_default());
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut limited))?;
        this.left -= limited.filled().len();
        buffer.put_slice(limited.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_wrapped {
            this.written.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.written.is_empty() {
            let piece = this.written.split_to(this.written.len().min(PIECE));
            let packet = packet(PRELOGIN, this.written.is_empty(), 0, &piece);
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
