//! LOGIN7: user, credentials and database ([MS-TDS] 2.2.6.4).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::field_reader::{FieldReader, utf16};

/// The bit in the third byte of flags for feature extensions.
const EXTENSION: u8 = 0x10;
const FEATURE_FEDAUTH: u8 = 0x02;
const FEATURES_END: u8 = 0xff;

const LIBRARY_TOKEN: u8 = 0x01;
const LIBRARY_ADAL: u8 = 0x02;

/// The credentials of a login.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A user's name and password.
    Password(String, String),
    /// A token in the login, and its nonce.
    Token { token: String, nonce: Option<Vec<u8>>, echo: bool },
    /// A token that the client sends after the server has named the authority.
    TokenRequested { echo: bool },
}

/// A login.
#[derive(Clone)]
pub(super) struct Login {
    /// The protocol version of the client.
    pub(super) version: u32,
    pub(super) packet_size: u32,
    pub(super) host: String,
    pub(super) application: String,
    pub(super) server: String,
    pub(super) database: String,
    pub(super) credentials: Credentials,
}

impl Login {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut head = FieldReader::new(message);
        let length = usize::try_from(head.u32()?).ok()?;
        let message = message.get(..length)?;
        let (version, packet_size) = (head.u32()?, head.u32()?);
        let text = |position: usize| {
            let mut field = FieldReader::at(message, position)?;
            let (offset, length) = (field.u16()?, field.u16()?);
            FieldReader::at(message, usize::from(offset))?.utf16(usize::from(length))
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
            credentials: match fedauth {
                Some(credentials) => credentials,
                None => Credentials::Password(text(40)?, password(message)?),
            },
        })
    }
}

/// Decodes the password: nibbles swapped and XORed.
fn password(message: &[u8]) -> Option<String> {
    let mut field = FieldReader::at(message, 44)?;
    let (offset, length) = (field.u16()?, field.u16()?);
    let bytes = FieldReader::at(message, usize::from(offset))?.take(usize::from(length) * 2)?;
    Some(utf16(&bytes.iter().map(|byte| (byte ^ 0xa5).rotate_left(4)).collect::<Vec<_>>()))
}

/// The feature FEDAUTH, if the login has it.
#[allow(clippy::option_option, reason = "an invalid login, or one without the feature")]
fn fedauth(message: &[u8]) -> Option<Option<Credentials>> {
    let offset = FieldReader::at(message, 56)?.u16()?;
    let features = FieldReader::at(message, usize::from(offset))?.u32()?;
    let mut features = FieldReader::at(message, usize::try_from(features).ok()?)?;
    loop {
        let feature = features.u8()?;
        if feature == FEATURES_END {
            return Some(None);
        }
        let data = features.l_varbyte()?;
        if feature == FEATURE_FEDAUTH {
            return parse_fedauth(data).map(Some);
        }
    }
}

fn parse_fedauth(data: &[u8]) -> Option<Credentials> {
    let mut data = FieldReader::new(data);
    let options = data.u8()?;
    let echo = options & 1 != 0;
    match options >> 1 {
        LIBRARY_TOKEN => {
            let token = utf16(data.l_varbyte()?);
            let nonce =
                (!data.is_empty()).then(|| data.take(32)).map(|nonce| nonce.map(<[u8]>::to_vec));
            let nonce = match nonce {
                Some(nonce) => Some(nonce?),
                None => None,
            };
            Some(Credentials::Token { token, nonce, echo })
        }
        LIBRARY_ADAL => Some(Credentials::TokenRequested { echo }),
        _ => None,
    }
}

/// The token in a message of type FEDAUTH, which follows FEDAUTHINFO.
pub(super) fn token_message(message: &[u8]) -> Option<String> {
    let mut message = FieldReader::new(message);
    let mut data = FieldReader::new(message.l_varbyte()?);
    data.l_varbyte().map(utf16)
}
