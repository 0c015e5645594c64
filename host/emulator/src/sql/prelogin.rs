//! PRELOGIN: encryption and the use of tokens are negotiated ([MS-TDS] 2.2.6.5).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::field_reader::FieldReader;

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const THREAD: u8 = 3;
const MARS: u8 = 4;
const FEDAUTH_REQUIRED: u8 = 6;
const END: u8 = 0xff;

const ENCRYPT_OFF: u8 = 0;
const ENCRYPT_ON: u8 = 1;
const ENCRYPT_NOT_SUPPORTED: u8 = 2;
const ENCRYPT_REQUIRED: u8 = 3;

/// The version of the server, that of Azure: 12.0.2000.
pub(super) const SERVER_VERSION: [u8; 4] = [12, 0, 0x07, 0xd0];

/// The offer of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prelogin {
    encryption: u8,
    fedauth: Option<u8>,
}

impl Prelogin {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut options = FieldReader::new(message);
        let mut prelogin = Self { encryption: ENCRYPT_NOT_SUPPORTED, fedauth: None };
        loop {
            let option = options.u8()?;
            if option == END {
                return Some(prelogin);
            }
            let (offset, length) = (options.u16_be()?, options.u16_be()?);
            let value = FieldReader::at(message, usize::from(offset))?.take(usize::from(length))?;
            match option {
                ENCRYPTION => prelogin.encryption = *value.first()?,
                FEDAUTH_REQUIRED => prelogin.fedauth = Some(*value.first()?),
                _ => {}
            }
        }
    }

    /// Whether the client supports encryption. The server closes the connection if it does not.
    pub(super) fn can_encrypt(self) -> bool {
        self.encryption != ENCRYPT_NOT_SUPPORTED
    }

    /// Whether the client offered a token. The login has to repeat it.
    pub(super) fn offers_fedauth(self) -> bool {
        self.fedauth == Some(1)
    }

    /// The response: encryption is required, unless the connection `is_encrypted` already.
    pub(super) fn response(self, is_encrypted: bool) -> Vec<u8> {
        let encryption = match self.encryption {
            _ if is_encrypted => ENCRYPT_NOT_SUPPORTED,
            ENCRYPT_OFF | ENCRYPT_NOT_SUPPORTED => ENCRYPT_REQUIRED,
            _ => ENCRYPT_ON,
        };
        let [major, minor, build_high, build_low] = SERVER_VERSION;
        let version = vec![major, minor, build_high, build_low, 0, 0];
        let mut options =
            vec![(VERSION, version), (ENCRYPTION, vec![encryption]), (INSTANCE, vec![0])];
        options.extend([(THREAD, Vec::new()), (MARS, vec![0])]);
        options.extend(self.fedauth.map(|required| (FEDAUTH_REQUIRED, vec![required])));

        let mut offset = options.len() * 5 + 1;
        let mut message = Vec::new();
        for (option, value) in &options {
            message.push(*option);
            for field in [offset, value.len()] {
                message.extend_from_slice(&u16::try_from(field).unwrap_or_default().to_be_bytes());
            }
            offset += value.len();
        }
        message.push(END);
        message.extend(options.into_iter().flat_map(|(_, value)| value));
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_required() {
        for (offered, expected) in [
            (ENCRYPT_OFF, ENCRYPT_REQUIRED),
            (ENCRYPT_ON, ENCRYPT_ON),
            (ENCRYPT_REQUIRED, ENCRYPT_ON),
        ] {
            let offer = Prelogin { encryption: offered, fedauth: Some(1) };
            let response = Prelogin::parse(&offer.response(false)).unwrap();
            assert_eq!(response, Prelogin { encryption: expected, fedauth: Some(1) });
        }
        assert!(!Prelogin::parse(&[END]).unwrap().can_encrypt());
        assert!(Prelogin::parse(&[ENCRYPTION, 0, 200, 0, 1, END]).is_none());
    }
}
