//! The stream that `tiberius` uses: an encrypted connection, and what is known of it meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::framed::Framed;
use crate::tds::packet::{self, PacketPosition};
use crate::tds::prelogin::Prelogin;
use crate::tds::{TokenSource, TokenStream};

/// Requests that may reset the connection.
const RESETTING: [u8; 2] = [packet::SQL_BATCH, packet::RPC];

/// What is known of a connection while `tiberius` has its stream.
pub(crate) struct WireState {
    /// What the server's tokens say.
    pub(crate) tokens: TokenSource,
    /// Whether the next request resets the connection.
    reset: AtomicBool,
    /// Bytes that arrived since the last row, or other token, began.
    row_bytes: AtomicU64,
    /// How many bytes a row may have.
    row_limit: AtomicU64,
}

impl Default for WireState {
    fn default() -> Self {
        Self {
            tokens: TokenSource::default(),
            reset: AtomicBool::default(),
            row_bytes: AtomicU64::default(),
            row_limit: AtomicU64::new(u64::MAX),
        }
    }
}

impl WireState {
    /// Lets the next request reset the connection to the state of a new one. `tiberius` cannot.
    pub(crate) fn reset_with_next_request(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// A row or a request begins.
    pub(crate) fn begin_row(&self) {
        self.row_bytes.store(0, Ordering::Relaxed);
    }

    /// Limits the length of rows, in bytes. Bytes that are read ahead count too.
    pub(crate) fn limit_rows(&self, bytes: Option<u64>) {
        self.row_limit.store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many bytes of the current row have arrived.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_bytes.load(Ordering::Relaxed)
    }

    /// The limit that the current row exceeds, if it does.
    pub(crate) fn exceeded_row_limit(&self) -> Option<u64> {
        let limit = self.row_limit.load(Ordering::Relaxed);
        (self.row_bytes.load(Ordering::Relaxed) > limit).then_some(limit)
    }
}

/// The stream.
pub(crate) struct Wire {
    tls: TlsStream<Framed>,
    /// The rest of the response to a PRELOGIN that is not sent, for `tiberius` to read.
    prelogin_response: Vec<u8>,
    written: PacketPosition,
    tokens: TokenStream,
    state: Arc<WireState>,
}

impl Wire {
    /// A stream on an encrypted connection, and its state.
    pub(crate) fn new(tls: TlsStream<Framed>, prelogin: &Prelogin) -> (Self, Arc<WireState>) {
        let tokens = TokenStream::default();
        let state = Arc::new(WireState { tokens: tokens.source(), ..WireState::default() });
        let wire = Self {
            tls,
            prelogin_response: prelogin.without_encryption(),
            written: PacketPosition::default(),
            tokens,
            state: Arc::clone(&state),
        };
        (wire, state)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.prelogin_response.is_empty() {
            let length = this.prelogin_response.len().min(buffer.remaining());
            buffer.put_slice(this.prelogin_response.get(..length).unwrap_or_default());
            this.prelogin_response.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.tls).poll_read(cx, buffer))?;
        let arrived = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        let length = arrived.len() as u64;
        this.tokens.read(arrived);
        if this.tokens.take_token_began() {
            this.state.begin_row();
        }
        this.state.row_bytes.fetch_add(length, Ordering::Relaxed);
        if this.state.exceeded_row_limit().is_some() {
            let error = io::Error::new(io::ErrorKind::InvalidData, "a row is too long");
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let packet_type = this.written.packet_type(bytes);
        // The PRELOGIN was sent before the handshake. It is the only packet of its type.
        if packet_type == Some(packet::PRELOGIN) {
            let length = this.written.rest_of_packet(bytes);
            this.written.advance_all(bytes.get(..length).unwrap_or_default());
            return Poll::Ready(Ok(length));
        }
        let resets = packet_type.is_some_and(|packet_type| RESETTING.contains(&packet_type))
            && this.state.reset.load(Ordering::Relaxed);
        let length = match this.written.status_index(bytes).filter(|_| resets) {
            None => ready!(Pin::new(&mut this.tls).poll_write(cx, bytes))?,
            Some(index) => {
                let mut changed = bytes.to_vec();
                if let Some(status) = changed.get_mut(index) {
                    *status |= packet::RESET_CONNECTION;
                }
                let length = ready!(Pin::new(&mut this.tls).poll_write(cx, &changed))?;
                if length > index {
                    this.state.reset.store(false, Ordering::Relaxed);
                }
                length
            }
        };
        this.written.advance_all(bytes.get(..length).unwrap_or_default());
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_limited_from_its_beginning() {
        let state = WireState::default();
        state.row_bytes.store(100, Ordering::Relaxed);
        assert_eq!(state.exceeded_row_limit(), None);
        state.limit_rows(Some(100));
        assert_eq!(state.exceeded_row_limit(), None);
        state.limit_rows(Some(10));
        state.row_bytes.store(11, Ordering::Relaxed);
        assert_eq!(state.exceeded_row_limit(), Some(10));
        state.begin_row();
        assert_eq!(state.exceeded_row_limit(), None);
    }
}
