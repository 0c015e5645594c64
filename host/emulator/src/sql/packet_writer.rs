//! Writes messages in packets, and applies faults.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::packet::{RESULT, packet};

/// A fault after so many bytes of a message.
#[derive(Clone, Debug, Default)]
pub(super) enum WriteFault {
    #[default]
    None,
    /// Stops until the faults change.
    Stall(usize, watch::Receiver<u64>),
    /// Closes the connection.
    Truncate(usize),
}

/// Writes to a client.
#[derive(Debug)]
pub(super) struct PacketWriter<W> {
    stream: W,
    /// The maximum size of the body of a packet.
    pub(super) max_body: usize,
    number: u8,
    pub(super) fault: WriteFault,
}

impl<W: AsyncWrite + Unpin> PacketWriter<W> {
    pub(super) fn new(stream: W, max_body: usize) -> Self {
        Self { stream, max_body, number: 0, fault: WriteFault::None }
    }

    /// Writes a message.
    pub(super) async fn write_message(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut bodies = bytes.chunks(self.max_body).peekable();
        while let Some(body) = bodies.next() {
            self.write_packet(body, bodies.peek().is_none()).await?;
        }
        Ok(())
    }

    /// Writes a packet of a message.
    pub(super) async fn write_packet(&mut self, body: &[u8], last: bool) -> io::Result<()> {
        self.number = if last { 0 } else { self.number.wrapping_add(1) };
        let packet = packet(RESULT, last, self.number, body);
        match std::mem::take(&mut self.fault) {
            WriteFault::None => self.write_raw(&packet).await?,
            WriteFault::Truncate(remaining) => {
                self.write_raw(packet.get(..remaining).unwrap_or(&packet)).await?;
                if remaining <= packet.len() {
                    self.stream.shutdown().await?;
                    return Err(io::Error::other("truncated on purpose"));
                }
                self.fault = WriteFault::Truncate(remaining - packet.len());
            }
            WriteFault::Stall(remaining, mut changes) => {
                let (now, later) = packet.split_at_checked(remaining).unwrap_or((&packet, &[]));
                self.write_raw(now).await?;
                if remaining <= packet.len() {
                    drop(changes.changed().await);
                    self.write_raw(later).await?;
                } else {
                    self.fault = WriteFault::Stall(remaining - packet.len(), changes);
                }
            }
        }
        Ok(())
    }

    /// Writes bytes that are not a packet.
    pub(super) async fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
