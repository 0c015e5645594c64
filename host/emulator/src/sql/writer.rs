//! Writes answers in packets, and goes wrong on demand.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::packet::{RESULT, packet};

/// What happens after so many bytes of an answer.
#[derive(Clone, Debug, Default)]
pub(super) enum Limit {
    #[default]
    None,
    /// Nothing more, until the faults change.
    Stall(usize, watch::Receiver<u64>),
    /// The end.
    Tear(usize),
}

/// The way to a client.
#[derive(Debug)]
pub(super) struct Writer<W> {
    stream: W,
    /// The longest body of a packet.
    pub(super) piece: usize,
    number: u8,
    pub(super) limit: Limit,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(stream: W, piece: usize) -> Self {
        Self { stream, piece, number: 0, limit: Limit::None }
    }

    /// Sends a whole answer.
    pub(super) async fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut pieces = bytes.chunks(self.piece).peekable();
        while let Some(piece) = pieces.next() {
            self.packet(piece, pieces.peek().is_none()).await?;
        }
        Ok(())
    }

    /// Sends a packet of an answer.
    pub(super) async fn packet(&mut self, body: &[u8], last: bool) -> io::Result<()> {
        self.number = if last { 0 } else { self.number.wrapping_add(1) };
        let packet = packet(RESULT, last, self.number, body);
        match std::mem::take(&mut self.limit) {
            Limit::None => self.raw(&packet).await?,
            Limit::Tear(left) => {
                self.raw(packet.get(..left).unwrap_or(&packet)).await?;
                if left <= packet.len() {
                    self.stream.shutdown().await?;
                    return Err(io::Error::other("torn on purpose"));
                }
                self.limit = Limit::Tear(left - packet.len());
            }
            Limit::Stall(left, mut changes) => {
                let (now, later) = packet.split_at_checked(left).unwrap_or((&packet, &[]));
                self.raw(now).await?;
                if left <= packet.len() {
                    drop(changes.changed().await);
                    self.raw(later).await?;
                } else {
                    self.limit = Limit::Stall(left - packet.len(), changes);
                }
            }
        }
        Ok(())
    }

    /// Sends what is no packet.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
