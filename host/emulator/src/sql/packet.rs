//! Packets: eight bytes of header, then a piece of a message ([MS-TDS] 2.2.3).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::reader::Reader;

pub(super) const BATCH: u8 = 0x01;
pub(super) const RPC: u8 = 0x03;
pub(super) const RESULT: u8 = 0x04;
pub(super) const ATTENTION: u8 = 0x06;
pub(super) const FEDAUTH: u8 = 0x08;
pub(super) const TRANSACTION: u8 = 0x0e;
pub(super) const LOGIN7: u8 = 0x10;
pub(super) const PRELOGIN: u8 = 0x12;

pub(super) const HEADER: usize = 8;
/// The status of a message's last packet.
pub(super) const LAST: u8 = 0x01;
/// The client thought better of it: what came so far of the message is to be forgotten.
const IGNORE: u8 = 0x02;
const RESET: u8 = 0x08;
const RESET_BUT_TRANSACTION: u8 = 0x10;

/// The longest message that is taken.
const LONGEST: usize = 256 << 20;

/// A message: all packets up to the last one.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
    /// The session is to be as new before this message.
    pub(super) reset: bool,
    /// But its transaction is to go on.
    pub(super) keep_transaction: bool,
    pub(super) ignored: bool,
}

/// Puts messages together. A read that is cancelled loses nothing.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    buffer: BytesMut,
    message: Message,
}

impl Incoming {
    /// The next message; `None` where the client has gone between two.
    pub(super) async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Message>> {
        loop {
            while let Some((kind, status, body)) = self.packet()? {
                let message = &mut self.message;
                message.kind = kind;
                message.reset |= status & (RESET | RESET_BUT_TRANSACTION) != 0;
                message.keep_transaction |= status & RESET_BUT_TRANSACTION != 0;
                message.body.extend_from_slice(&body);
                if message.body.len() > LONGEST {
                    return Err(bad("the message is too long"));
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
        let mut header = Reader::new(&self.buffer);
        let (Some(kind), Some(status), Some(length)) = (header.u8(), header.u8(), header.u16_be()) else {
            return Ok(None);
        };
        let length = usize::from(length);
        if length < HEADER {
            return Err(bad("the packet is shorter than its header"));
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut packet = self.buffer.split_to(length);
        packet.advance(HEADER);
        Ok(Some((kind, status, packet)))
    }

    /// What was read beyond the last message.
    pub(super) fn is_clean(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// One packet.
pub(super) fn packet(kind: u8, last: bool, number: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = Vec::with_capacity(body.len() + HEADER);
    packet.extend_from_slice(&[kind, if last { LAST } else { 0 }]);
    packet.extend_from_slice(&length);
    packet.extend_from_slice(&[0, 0, number, 0]);
    packet.extend_from_slice(body);
    packet
}

pub(super) fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_put_together_from_its_packets() {
        let bytes =
            [packet(BATCH, false, 1, b"one "), packet(BATCH, true, 2, b"two"), packet(RPC, true, 1, b"x")].concat();
        let (mut incoming, mut stream) = (Incoming::default(), bytes.as_slice());
        assert_eq!(incoming.next(&mut stream).await.unwrap().unwrap().body, b"one two");
        assert_eq!(incoming.next(&mut stream).await.unwrap().unwrap().kind, RPC);
        assert!(incoming.next(&mut stream).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_packet_shorter_than_its_header_is_refused() {
        let mut stream: &[u8] = &[BATCH, LAST, 0, 7, 0, 0, 0, 0];
        assert!(Incoming::default().next(&mut stream).await.is_err());
    }
}
