//! The PRELOGIN message, with which both sides agree on encryption ([MS-TDS] 2.2.6.5).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::packet::{self, END_OF_MESSAGE, HEADER_LENGTH, TABULAR_RESULT};

const VERSION: u8 = 0x00;
const ENCRYPTION: u8 = 0x01;
const INSTOPT: u8 = 0x02;
const THREADID: u8 = 0x03;
const MARS: u8 = 0x04;
const FEDAUTHREQUIRED: u8 = 0x06;
const NONCEOPT: u8 = 0x07;
const TERMINATOR: u8 = 0xff;

const ENCRYPT_ON: u8 = 0x01;
const ENCRYPT_NOT_SUP: u8 = 0x02;
const ENCRYPT_REQ: u8 = 0x03;

const VERSION_LENGTH: usize = 6;
const NONCE_LENGTH: usize = 32;

/// Length of an option's entry in the list: its token, its offset and its length.
const ENTRY_LENGTH: usize = 5;

/// The client's message, which asks for encryption. `with_token` announces a login with an access
/// token.
pub(crate) fn request(with_token: bool) -> Vec<u8> {
    let mut options: Vec<(u8, &[u8])> = vec![
        (VERSION, &[0; VERSION_LENGTH]),
        (ENCRYPTION, &[ENCRYPT_ON]),
        (INSTOPT, &[0]),
        (THREADID, &[0; 4]),
        (MARS, &[0]),
    ];
    if with_token {
        options.push((FEDAUTHREQUIRED, &[1]));
    }
    message(packet::PRELOGIN, &options)
}

fn message(packet_type: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut offset = options.len() * ENTRY_LENGTH + 1;
    let mut body = Vec::new();
    for (option, value) in options {
        body.push(*option);
        body.extend(u16::try_from(offset).unwrap_or_default().to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        offset += value.len();
    }
    body.push(TERMINATOR);
    for (_, value) in options {
        body.extend_from_slice(value);
    }
    [packet::header(packet_type, body.len()).as_slice(), &body].concat()
}

/// The server's message, as far as it matters to a client.
pub(crate) struct Prelogin {
    version: Vec<u8>,
    encryption: Option<u8>,
    fedauth_required: Option<u8>,
    nonce: Option<Vec<u8>>,
}

impl Prelogin {
    /// Reads the server's response.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let not_tds =
            || io::Error::new(io::ErrorKind::InvalidData, "the response is not SQL Server's");
        let mut header = [0; HEADER_LENGTH];
        stream.read_exact(&mut header).await?;
        let whole = matches!(header, [TABULAR_RESULT, status, ..] if status & END_OF_MESSAGE != 0);
        let length = packet::body_length(&header).filter(|_| whole).ok_or_else(not_tds)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        Self::parse(&body).ok_or_else(not_tds)
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let version = vec![0; VERSION_LENGTH];
        let mut parsed = Self { version, encryption: None, fedauth_required: None, nonce: None };
        for entry in body.chunks(ENTRY_LENGTH) {
            if entry.first() == Some(&TERMINATOR) {
                return Some(parsed);
            }
            let [option, offset_high, offset_low, length_high, length_low] = *entry else {
                return None;
            };
            let offset = usize::from(u16::from_be_bytes([offset_high, offset_low]));
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let value = body.get(offset..offset.checked_add(length)?)?;
            match option {
                VERSION if length == VERSION_LENGTH => parsed.version = value.to_vec(),
                ENCRYPTION => parsed.encryption = value.first().copied(),
                FEDAUTHREQUIRED => parsed.fedauth_required = value.first().copied(),
                NONCEOPT if length == NONCE_LENGTH => parsed.nonce = Some(value.to_vec()),
                _ => {}
            }
        }
        None
    }

    /// Whether the server encrypts the whole connection.
    pub(crate) fn offers_encryption(&self) -> bool {
        matches!(self.encryption, Some(ENCRYPT_ON | ENCRYPT_REQ))
    }

    /// The same response without encryption, as a packet.
    pub(crate) fn without_encryption(&self) -> Vec<u8> {
        let fedauth_required = self.fedauth_required.map(|required| [required]);
        let mut options: Vec<(u8, &[u8])> = vec![
            (VERSION, &self.version),
            (ENCRYPTION, &[ENCRYPT_NOT_SUP]),
            (INSTOPT, &[0]),
            (MARS, &[0]),
        ];
        if let Some(fedauth_required) = &fedauth_required {
            options.push((FEDAUTHREQUIRED, fedauth_required));
        }
        if let Some(nonce) = &self.nonce {
            options.push((NONCEOPT, nonce));
        }
        message(TABULAR_RESULT, &options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_keeps_everything_but_its_encryption() {
        let nonce = [7; NONCE_LENGTH];
        let options: [(u8, &[u8]); 4] = [
            (VERSION, &[16, 0, 0, 0, 0, 0]),
            (ENCRYPTION, &[ENCRYPT_REQ]),
            (FEDAUTHREQUIRED, &[1]),
            (NONCEOPT, &nonce),
        ];
        let packet = message(TABULAR_RESULT, &options);
        let parsed = Prelogin::parse(&packet[HEADER_LENGTH..]).unwrap();
        assert!(parsed.offers_encryption());
        assert_eq!(parsed.fedauth_required, Some(1));
        assert_eq!(parsed.nonce.as_deref(), Some(&nonce[..]));
        let rewritten = Prelogin::parse(&parsed.without_encryption()[HEADER_LENGTH..]).unwrap();
        assert!(!rewritten.offers_encryption());
        assert_eq!(rewritten.version, parsed.version);
        assert_eq!(rewritten.fedauth_required, parsed.fedauth_required);
        assert_eq!(rewritten.nonce, parsed.nonce);
    }

    #[test]
    fn a_request_announces_a_token_only_if_there_is_one() {
        for with_token in [true, false] {
            let parsed = Prelogin::parse(&request(with_token)[HEADER_LENGTH..]).unwrap();
            assert_eq!(parsed.fedauth_required, with_token.then_some(1));
            assert_eq!(parsed.encryption, Some(ENCRYPT_ON));
        }
    }

    #[test]
    fn a_malformed_list_of_options_is_rejected() {
        let malformed = [
            &b""[..],
            &[0],
            &[1, 0, 99, 0, 1, 0xff],
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[1, 0, 6, 0, 1],
        ];
        for body in malformed {
            assert!(Prelogin::parse(body).is_none(), "{body:?}");
        }
        assert!(Prelogin::parse(&[TERMINATOR]).is_some());
    }
}
