//! TLS records in TDS packets, until the handshake is over ([MS-TDS] 3.2.5.2).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Socket;
use crate::tds::packet::{self, HEADER_LENGTH};

/// A socket that packs what is written to it into packets, and unpacks what it reads, until its
/// [`Framing`] is ended.
pub(crate) struct Framed {
    socket: Socket,
    framing: Framing,
    header: [u8; HEADER_LENGTH],
    /// How many bytes of the header have been read.
    header_read: usize,
    /// How many bytes of the packet's body are still to be read.
    body_left: usize,
    /// What was written since the last flush.
    flight: Vec<u8>,
    /// The rest of the packet that is being sent.
    outgoing: Vec<u8>,
}

/// Whether a [`Framed`] socket uses packets. Clones share the state.
#[derive(Clone)]
pub(crate) struct Framing(Arc<AtomicBool>);

impl Framing {
    fn is_active(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Passes bytes through unchanged from now on.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Framed {
    pub(crate) fn new(socket: Socket) -> (Self, Framing) {
        let framing = Framing(Arc::new(AtomicBool::new(true)));
        let framed = Self {
            socket,
            framing: framing.clone(),
            header: [0; HEADER_LENGTH],
            header_read: 0,
            body_left: 0,
            flight: Vec::new(),
            outgoing: Vec::new(),
        };
        (framed, framing)
    }

    /// Reads a packet's header, unless a body is being read.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.body_left == 0 {
            let missing = self.header.get_mut(self.header_read..).unwrap_or_default();
            let mut buffer = ReadBuf::new(missing);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.header_read += read;
            if self.header_read == HEADER_LENGTH {
                self.header_read = 0;
                let has_tls = self.header.first() == Some(&packet::PRELOGIN);
                let length = packet::body_length(&self.header).filter(|_| has_tls);
                self.body_left = length.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "the server sends no TLS")
                })?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Framed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.framing.is_active() {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        ready!(self.poll_header(cx))?;
        let this = &mut *self;
        let mut body = buffer.take(this.body_left);
        ready!(Pin::new(&mut this.socket).poll_read(cx, &mut body))?;
        let read = body.filled().len();
        this.body_left -= read;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Framed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.framing.is_active() {
            return Pin::new(&mut self.socket).poll_write(cx, bytes);
        }
        // All until the next flush is one message: servers expect a whole flight in each.
        let room = (usize::from(u16::MAX) - HEADER_LENGTH).saturating_sub(self.flight.len());
        if room == 0 {
            ready!(self.as_mut().poll_flush(cx))?;
            return self.poll_write(cx, bytes);
        }
        let part = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.flight.extend_from_slice(part);
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_outgoing(cx))?;
        if !self.flight.is_empty() {
            let flight = std::mem::take(&mut self.flight);
            let header = packet::header(packet::PRELOGIN, flight.len());
            self.outgoing = [header.as_slice(), &flight].concat();
            ready!(self.poll_outgoing(cx))?;
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_outgoing(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
