//! LOGIN7: who logs in, with what, into which database ([MS-TDS] 2.2.6.4).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::reader::{Reader, utf16};

/// The bit in the third byte of flags that says that there are features.
const EXTENSION: u8 = 0x10;
const FEATURE_FEDAUTH: u8 = 0x02;
const FEATURES_END: u8 = 0xff;

const LIBRARY_TOKEN: u8 = 0x01;
const LIBRARY_ADAL: u8 = 0x02;

/// With what somebody logs in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// A user's name and password.
    Password(String, String),
    /// A token that came with the login, and the nonce with it.
    Token { token: String, nonce: Option<Vec<u8>>, echo: bool },
    /// A token that comes once the client knows whom to ask for it.
    TokenToCome { echo: bool },
}

/// A login.
#[derive(Clone)]
pub(super) struct Login {
    /// The version of the protocol, as the client writes it.
    pub(super) version: u32,
    pub(super) packet_size: u32,
    pub(super) host: String,
    pub(super) application: String,
    pub(super) server: String,
    pub(super) database: String,
    pub(super) proof: Proof,
}

impl Login {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut head = Reader::new(message);
        let length = usize::try_from(head.u32()?).ok()?;
        let message = message.get(..length)?;
        let (version, packet_size) = (head.u32()?, head.u32()?);
        let text = |at: usize| {
            let mut field = Reader::at(message, at)?;
            let (offset, length) = (field.u16()?, field.u16()?);
            Reader::at(message, usize::from(offset))?.utf16(usize::from(length))
        };
        let flags = *message.get(27)?;
        let fedauth = if flags & EXTENSION == 0 { None } else { fedauth(message)? };
        Some(Self {
            version,
            packet_size,
            host: text(36)?,
            application: text(48)?,
            server: text(52)?,
            database: text(68)?,
            proof: match fedauth {
                Some(proof) => proof,
                None => Proof::Password(text(40)?, password(message)?),
            },
        })
    }
}

/// The password, whose bytes have their halves exchanged and are XORed.
fn password(message: &[u8]) -> Option<String> {
    let mut field = Reader::at(message, 44)?;
    let (offset, length) = (field.u16()?, field.u16()?);
    let bytes = Reader::at(message, usize::from(offset))?.take(usize::from(length) * 2)?;
    Some(utf16(&bytes.iter().map(|byte| (byte ^ 0xa5).rotate_left(4)).collect::<Vec<_>>()))
}

/// The feature of that name, where there is one.
#[allow(clippy::option_option, reason = "no login, or one without the feature")]
fn fedauth(message: &[u8]) -> Option<Option<Proof>> {
    let offset = Reader::at(message, 56)?.u16()?;
    let features = Reader::at(message, usize::from(offset))?.u32()?;
    let mut features = Reader::at(message, usize::try_from(features).ok()?)?;
    loop {
        let feature = features.u8()?;
        if feature == FEATURES_END {
            return Some(None);
        }
        let data = features.long()?;
        if feature == FEATURE_FEDAUTH {
            return parse_fedauth(data).map(Some);
        }
    }
}

fn parse_fedauth(data: &[u8]) -> Option<Proof> {
    let mut data = Reader::new(data);
    let options = data.u8()?;
    let echo = options & 1 != 0;
    match options >> 1 {
        LIBRARY_TOKEN => {
            let token = utf16(data.long()?);
            let nonce = (!data.is_empty()).then(|| data.take(32)).map(|nonce| nonce.map(<[u8]>::to_vec));
            let nonce = match nonce {
                Some(nonce) => Some(nonce?),
                None => None,
            };
            Some(Proof::Token { token, nonce, echo })
        }
        LIBRARY_ADAL => Some(Proof::TokenToCome { echo }),
        _ => None,
    }
}

/// The token of a message of type FEDAUTH, which follows the server's word on whom to ask for it.
pub(super) fn token_message(message: &[u8]) -> Option<String> {
    let mut message = Reader::new(message);
    let mut data = Reader::new(message.long()?);
    data.long().map(utf16)
}
