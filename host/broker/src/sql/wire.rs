//! What `tiberius` reads from and writes to: the encrypted connection, with a watch on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::follow::{Follower, Source};
use super::handshake::{Framed, HEADER, PRELOGIN, body_length};

/// The status bit of a request with which the server first brings the connection into the state of a new one: it undoes an
/// open transaction, drops temporary tables, forgets settings and contexts ([MS-TDS], 2.2.3.1.2). `tiberius` does not set it.
///
/// [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds
const RESET: u8 = 0x08;

/// Requests that the bit may stand in: a batch, and a call.
const REQUESTS: [u8; 2] = [0x01, 0x03];

/// What is known of a connection while `tiberius` holds it.
#[derive(Default)]
pub(super) struct Watch {
    /// What the server's tokens say.
    pub(super) tokens: Source,
    /// Whether the next request begins anew.
    pub(super) reset: AtomicBool,
    /// Bytes that came since the last row, or other token, began.
    since_row: AtomicU64,
    /// The most that a row may have; 0 for any.
    longest_row: AtomicU64,
}

impl Watch {
    /// A row begins, or a request.
    pub(super) fn row(&self) {
        self.since_row.store(0, Ordering::Relaxed);
    }

    /// The most bytes that a row may have from now on. What is read ahead counts too.
    pub(super) fn limit_rows(&self, bytes: u64) {
        self.longest_row.store(bytes, Ordering::Relaxed);
        self.row();
    }

    pub(super) fn row_is_too_long(&self) -> bool {
        let longest = self.longest_row.load(Ordering::Relaxed);
        longest > 0 && self.since_row.load(Ordering::Relaxed) > longest
    }
}

/// The stream.
pub(super) struct Wire {
    tls: TlsStream<Framed>,
    /// The answer to the PRELOGIN that never reaches the server, as far as it is not read.
    prelogin: Vec<u8>,
    packet: Packet,
    follower: Follower,
    watch: Arc<Watch>,
}

/// Where in a packet the writer is.
#[derive(Default)]
struct Packet {
    header: [u8; HEADER],
    have: usize,
    left: usize,
}

impl Packet {
    /// Goes on over bytes that were written.
    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            if let (Some(slot), Some(byte)) = (self.header.get_mut(self.have), bytes.first()) {
                *slot = *byte;
            }
            self.have += 1;
            bytes = bytes.get(1..).unwrap_or_default();
            if self.have == HEADER {
                self.have = 0;
                self.left = body_length(&self.header).unwrap_or_default();
            }
        }
    }

    /// Where the status of a request stands in the bytes that come next, if it does.
    fn status_of_request(&self, bytes: &[u8]) -> Option<usize> {
        if self.left > 0 {
            return None;
        }
        let (kind, at) = match self.have {
            0 => (bytes.first()?, 1),
            1 => (self.header.first()?, 0),
            _ => return None,
        };
        (REQUESTS.contains(kind) && at < bytes.len()).then_some(at)
    }
}

impl Wire {
    /// The stream, and what watches it.
    pub(super) fn new(tls: TlsStream<Framed>, prelogin: Vec<u8>) -> (Self, Arc<Watch>) {
        let follower = Follower::default();
        let watch = Arc::new(Watch { tokens: follower.source(), ..Watch::default() });
        (Self { tls, prelogin, packet: Packet::default(), follower, watch: Arc::clone(&watch) }, watch)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.prelogin.is_empty() {
            let part = this.prelogin.len().min(buffer.remaining());
            buffer.put_slice(this.prelogin.get(..part).unwrap_or_default());
            this.prelogin.drain(..part);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.tls).poll_read(cx, buffer))?;
        let came = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        let read = came.len();
        this.follower.pass(came);
        if this.follower.token_began() {
            this.watch.row();
        }
        this.watch.since_row.fetch_add(read as u64, Ordering::Relaxed);
        if this.watch.row_is_too_long() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a row is too long")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // The PRELOGIN was sent already. It is the first packet, and the only one of its type.
        let begins = this.packet.have == 0 && this.packet.left == 0;
        let kind = if begins { bytes.first() } else { this.packet.header.first() };
        if kind == Some(&PRELOGIN) {
            let of_prelogin = rest_of_packet(&this.packet, bytes);
            this.packet.advance(bytes.get(..of_prelogin).unwrap_or_default());
            return Poll::Ready(Ok(of_prelogin));
        }
        let status = this.packet.status_of_request(bytes).filter(|_| this.watch.reset.load(Ordering::Relaxed));
        let written = match status {
            None => ready!(Pin::new(&mut this.tls).poll_write(cx, bytes))?,
            Some(at) => {
                let mut changed = bytes.to_vec();
                if let Some(status) = changed.get_mut(at) {
                    *status |= RESET;
                }
                let written = ready!(Pin::new(&mut this.tls).poll_write(cx, &changed))?;
                if written > at {
                    this.watch.reset.store(false, Ordering::Relaxed);
                }
                written
            }
        };
        this.packet.advance(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

/// How many of these bytes belong to the packet that the writer is in, or begins.
fn rest_of_packet(packet: &Packet, bytes: &[u8]) -> usize {
    if packet.left > 0 {
        return packet.left.min(bytes.len());
    }
    let mut header = packet.header;
    let missing = HEADER - packet.have;
    for (slot, byte) in header.iter_mut().skip(packet.have).zip(bytes) {
        *slot = *byte;
    }
    if bytes.len() < missing {
        return bytes.len();
    }
    missing.saturating_add(body_length(&header).unwrap_or_default()).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_followed_wherever_the_writer_cuts_them() {
        let stream = [&[1, 1, 0, 11, 0, 0, 0, 0, 9, 9, 9][..], &[3, 1, 0, 8, 0, 0, 0, 0]].concat();
        for cut in 0..stream.len() {
            let (before, after) = stream.split_at(cut);
            let mut packet = Packet::default();
            packet.advance(before);
            let expected = match cut {
                0 | 11 => Some(1),
                1 | 12 => Some(0),
                _ => None,
            };
            assert_eq!(packet.status_of_request(after), expected, "{cut}");
            packet.advance(after);
            assert_eq!((packet.have, packet.left), (0, 0));
        }
        assert_eq!(rest_of_packet(&Packet::default(), &stream), 11);
        assert_eq!(Packet::default().status_of_request(&[16, 1]), None, "a login is not a request");
    }

    #[test]
    fn a_row_has_its_limit() {
        let watch = Watch::default();
        watch.since_row.store(100, Ordering::Relaxed);
        assert!(!watch.row_is_too_long());
        watch.limit_rows(10);
        assert!(!watch.row_is_too_long());
        watch.since_row.store(11, Ordering::Relaxed);
        assert!(watch.row_is_too_long());
        watch.row();
        assert!(!watch.row_is_too_long());
    }
}
