//! Packets: a header of eight bytes and a part of a message ([MS-TDS] 2.2.3).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::field_reader::FieldReader;

pub(super) const BATCH: u8 = 0x01;
pub(super) const RPC: u8 = 0x03;
pub(super) const RESULT: u8 = 0x04;
pub(super) const ATTENTION: u8 = 0x06;
pub(super) const FEDAUTH: u8 = 0x08;
pub(super) const TRANSACTION: u8 = 0x0e;
pub(super) const LOGIN7: u8 = 0x10;
pub(super) const PRELOGIN: u8 = 0x12;

pub(super) const HEADER: usize = 8;
/// The status of the last packet of a message.
pub(super) const LAST: u8 = 0x01;
/// The client has cancelled the message while sending it.
const IGNORE: u8 = 0x02;
const RESET: u8 = 0x08;
const RESET_KEEPING_TRANSACTION: u8 = 0x10;

/// Limit of a message, in bytes.
const MAX_MESSAGE: usize = 256 << 20;

/// A message: all packets up to one with the status [`LAST`].
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
    /// Whether the session is reset before the message.
    pub(super) reset: bool,
    /// Whether a reset keeps the transaction.
    pub(super) keep_transaction: bool,
    pub(super) ignored: bool,
}

/// Reads messages. A read that is cancelled loses nothing.
#[derive(Debug, Default)]
pub(super) struct PacketReader {
    buffer: BytesMut,
    message: Message,
}

impl PacketReader {
    /// Reads the next message; `None` if the client has closed the connection.
    pub(super) async fn next_message(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<Message>> {
        loop {
            while let Some((kind, status, body)) = self.packet()? {
                let message = &mut self.message;
                message.kind = kind;
                message.reset |= status & (RESET | RESET_KEEPING_TRANSACTION) != 0;
                message.keep_transaction |= status & RESET_KEEPING_TRANSACTION != 0;
                message.body.extend_from_slice(&body);
                if message.body.len() > MAX_MESSAGE {
                    return Err(invalid_data("the message is too long"));
                }
                if status & LAST != 0 {
                    message.ignored = status & IGNORE != 0;
                    return Ok(Some(std::mem::take(message)));
                }
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() && self.message.body.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    fn packet(&mut self) -> io::Result<Option<(u8, u8, BytesMut)>> {
        let mut header = FieldReader::new(&self.buffer);
        let (Some(kind), Some(status), Some(length)) = (header.u8(), header.u8(), header.u16_be())
        else {
            return Ok(None);
        };
        let length = usize::from(length);
        if length < HEADER {
            return Err(invalid_data("the packet is shorter than its header"));
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut packet = self.buffer.split_to(length);
        packet.advance(HEADER);
        Ok(Some((kind, status, packet)))
    }

    /// Whether nothing after the last message was read.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// Writes a packet.
pub(super) fn packet(kind: u8, last: bool, number: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = Vec::with_capacity(body.len() + HEADER);
    packet.extend_from_slice(&[kind, if last { LAST } else { 0 }]);
    packet.extend_from_slice(&length);
    packet.extend_from_slice(&[0, 0, number, 0]);
    packet.extend_from_slice(body);
    packet
}

pub(super) fn invalid_data(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_joined_from_packets() {
        let bytes = [
            packet(BATCH, false, 1, b"one "),
            packet(BATCH, true, 2, b"two"),
            packet(RPC, true, 1, b"x"),
        ]
        .concat();
        let (mut incoming, mut stream) = (PacketReader::default(), bytes.as_slice());
        assert_eq!(incoming.next_message(&mut stream).await.unwrap().unwrap().body, b"one two");
        assert_eq!(incoming.next_message(&mut stream).await.unwrap().unwrap().kind, RPC);
        assert!(incoming.next_message(&mut stream).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_packet_shorter_than_its_header_is_an_error() {
        let mut stream: &[u8] = &[BATCH, LAST, 0, 7, 0, 0, 0, 0];
        assert!(PacketReader::default().next_message(&mut stream).await.is_err());
    }
}
