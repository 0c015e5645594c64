//! Packets, in which both sides send their messages ([MS-TDS] 2.2.3).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

/// Length of a packet's header: type, status, length, SPID, packet ID, window.
pub(crate) const HEADER_LENGTH: usize = 8;

/// Packet type of a batch of statements.
pub(crate) const SQL_BATCH: u8 = 0x01;
/// Packet type of a remote procedure call.
pub(crate) const RPC: u8 = 0x03;
/// Packet type of a response.
pub(crate) const TABULAR_RESULT: u8 = 0x04;
/// Packet type of a PRELOGIN message, and of TLS records before the login.
pub(crate) const PRELOGIN: u8 = 0x12;

/// Status bit of a message's last packet.
pub(crate) const END_OF_MESSAGE: u8 = 0x01;
/// Status bit of a request: the server first resets the connection to the state of a new one. It
/// rolls back an open transaction, drops temporary tables, and forgets settings and contexts.
pub(crate) const RESET_CONNECTION: u8 = 0x08;

/// The header of a message's only packet.
pub(crate) fn header(kind: u8, body_length: usize) -> [u8; HEADER_LENGTH] {
    let length = u16::try_from(body_length + HEADER_LENGTH).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    [kind, END_OF_MESSAGE, high, low, 0, 0, 0, 0]
}

/// The length of a packet's body. `None` if the header is invalid.
pub(crate) fn body_length(header: &[u8; HEADER_LENGTH]) -> Option<usize> {
    let [_, _, high, low, ..] = *header;
    usize::from(u16::from_be_bytes([high, low])).checked_sub(HEADER_LENGTH)
}

/// Position within a stream of packets that may be cut anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketPosition {
    header: [u8; HEADER_LENGTH],
    /// How many bytes of the header have passed.
    header_passed: usize,
    /// How many bytes of the body are still to come.
    body_left: usize,
}

/// How many of the next bytes belong to the part of a packet that they begin in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Header(usize),
    Body(usize),
}

impl PacketPosition {
    /// Advances over the next part. At least one byte passes unless there is none.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Part {
        if self.body_left > 0 {
            let length = self.body_left.min(bytes.len());
            self.body_left -= length;
            return Part::Body(length);
        }
        let missing = self.header.get_mut(self.header_passed..).unwrap_or_default();
        let length = missing.len().min(bytes.len());
        for (slot, byte) in missing.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        self.header_passed += length;
        if self.header_passed == HEADER_LENGTH {
            self.header_passed = 0;
            self.body_left = body_length(&self.header).unwrap_or_default();
        }
        Part::Header(length)
    }

    /// Advances over all of these bytes.
    pub(crate) fn advance_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (Part::Header(length) | Part::Body(length)) = self.advance(bytes);
            bytes = bytes.get(length..).unwrap_or_default();
        }
    }

    /// The type of the packet that the next bytes belong to. `None` if they are empty and a packet
    /// begins.
    pub(crate) fn packet_type(&self, next: &[u8]) -> Option<u8> {
        if self.is_between_packets() { next.first().copied() } else { self.header.first().copied() }
    }

    /// The index of the packet's status in the next bytes, if it is among them.
    pub(crate) fn status_index(&self, next: &[u8]) -> Option<usize> {
        if self.body_left > 0 {
            return None;
        }
        1_usize.checked_sub(self.header_passed).filter(|index| *index < next.len())
    }

    /// How many of the next bytes belong to the current packet, or to the one that begins.
    pub(crate) fn rest_of_packet(&self, next: &[u8]) -> usize {
        let mut position = *self;
        let mut passed = 0;
        while let Some(rest) = next.get(passed..).filter(|rest| !rest.is_empty()) {
            let (Part::Header(length) | Part::Body(length)) = position.advance(rest);
            passed += length;
            if position.is_between_packets() {
                break;
            }
        }
        passed
    }

    fn is_between_packets(&self) -> bool {
        self.header_passed == 0 && self.body_left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH_THEN_EMPTY_RPC: [u8; 19] =
        [SQL_BATCH, 1, 0, 11, 0, 0, 0, 0, 9, 9, 9, RPC, 1, 0, 8, 0, 0, 0, 0];

    #[test]
    fn packets_are_followed_wherever_the_stream_is_cut() {
        for cut in 0..BATCH_THEN_EMPTY_RPC.len() {
            let (before, after) = BATCH_THEN_EMPTY_RPC.split_at(cut);
            let mut position = PacketPosition::default();
            position.advance_all(before);
            let status = match cut {
                0 | 11 => Some(1),
                1 | 12 => Some(0),
                _ => None,
            };
            assert_eq!(position.status_index(after), status, "{cut}");
            let packet_type = if cut < 11 { SQL_BATCH } else { RPC };
            assert_eq!(position.packet_type(after), Some(packet_type), "{cut}");
            let rest = if cut < 11 { 11 - cut } else { 19 - cut };
            assert_eq!(position.rest_of_packet(after), rest, "{cut}");
            position.advance_all(after);
            assert!(position.is_between_packets(), "{cut}");
        }
    }

    #[test]
    fn a_length_shorter_than_the_header_is_invalid() {
        assert_eq!(body_length(&header(TABULAR_RESULT, 0)), Some(0));
        assert_eq!(body_length(&[TABULAR_RESULT, 1, 0, 7, 0, 0, 0, 0]), None);
    }
}
