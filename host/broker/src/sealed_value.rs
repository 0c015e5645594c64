//! A value that is sealed.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use keyward_policy::authorize::SealedCredential;
use keyward_policy::manifest::SpendPlace;

use crate::redact::SecretIndex;

/// What is shorter than this is no secret worth looking for, and would be found everywhere.
const SHORTEST: usize = 16;

/// A password that is shorter than SQL Server lets one be would be found everywhere.
const SHORTEST_PASSWORD: usize = 8;

/// The longest password, in UTF-16 code units ([MS-TDS] 2.2.6.4).
const LONGEST_PASSWORD: usize = 128;

/// A credential that a service gave in a response. It is zeroed when nobody may spend it any more.
pub(crate) struct SealedValue {
    value: Bytes,
    place: SpendPlace,
    /// What responses are searched for: the value, and the parts of it that are the secret.
    index: Arc<SecretIndex>,
}

impl SealedValue {
    /// A shared access signature: parameters of a query, with or without the question mark. `None`
    /// where it cannot be a part of a query as it is.
    pub(crate) fn query(text: &str) -> Option<Self> {
        let text = text.strip_prefix('?').unwrap_or(text);
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*+,;=:@/?%&".contains(&byte);
        if text.is_empty() || !text.bytes().all(plain) {
            return None;
        }
        let value = zeroing(text.as_bytes());
        let mut forms = vec![value.clone()];
        let signature = text.split('&').find_map(|pair| pair.strip_prefix("sig="));
        if let Some(signature) = signature {
            let decoded = Zeroizing::new(percent_decode_str(signature).collect::<Vec<u8>>());
            forms.push(zeroing(signature.as_bytes()));
            forms.push(zeroing(&decoded));
        }
        forms.retain(|form| form.len() >= SHORTEST);
        Some(Self { value, place: SpendPlace::Query, index: index(&forms) })
    }

    /// A password, of at most the 128 characters that SQL Server takes.
    pub(crate) fn login_password(text: &str) -> Option<Self> {
        if text.is_empty() || text.encode_utf16().count() > LONGEST_PASSWORD {
            return None;
        }
        let value = zeroing(text.as_bytes());
        // Databases send text as UTF-16.
        let wide =
            Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        let mut forms = vec![value.clone(), zeroing(&wide)];
        if text.len() < SHORTEST_PASSWORD {
            forms.clear();
        }
        Some(Self { value, place: SpendPlace::LoginPassword, index: index(&forms) })
    }

    /// The value, for the wire.
    pub(crate) fn expose_secret(&self) -> &[u8] {
        &self.value
    }

    /// What to search responses for.
    pub(crate) fn index(&self) -> Arc<SecretIndex> {
        Arc::clone(&self.index)
    }
}

impl SealedCredential for SealedValue {
    fn place(&self) -> SpendPlace {
        self.place
    }

    fn expose_secret(&self) -> &[u8] {
        SealedValue::expose_secret(self)
    }
}

/// The credential that goes with a request.
pub(crate) type Spend = keyward_policy::authorize::Spend<std::sync::Arc<SealedValue>>;

fn index(secrets: &[Bytes]) -> Arc<SecretIndex> {
    Arc::new(SecretIndex::of_secrets(secrets))
}

/// Bytes that are zeroed when nobody holds them any more.
fn zeroing(bytes: &[u8]) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes.to_vec()))
}

impl fmt::Debug for SealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedValue(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Scanner;

    #[test]
    fn a_signature_is_known_in_all_its_forms() {
        let value = SealedValue::query("?sv=2022-11-02&sr=b&sig=abcdefghijklmnop%2Bq%3D").unwrap();
        assert_eq!(value.expose_secret(), b"sv=2022-11-02&sr=b&sig=abcdefghijklmnop%2Bq%3D");
        let scanner = Scanner::new([value.index()]);
        for text in
            ["sig=abcdefghijklmnop%2Bq%3D", "abcdefghijklmnop+q=", "YWJjZGVmZ2hpamtsbW5vcCtxPQ=="]
        {
            let redacted = scanner.inspect(format!("<{text}>").as_bytes()).redacted;
            assert!(redacted.is_some(), "{text}");
        }
        assert_eq!(SealedCredential::expose_secret(&value), value.expose_secret());
        assert_eq!(SealedCredential::place(&value), SpendPlace::Query);
        assert_eq!(format!("{value:?}"), "SealedValue(..)");
    }

    #[test]
    fn a_password_is_any_text_that_sql_server_takes() {
        let value = SealedValue::login_password("with a space, \u{e4} and more").unwrap();
        assert_eq!(value.place, SpendPlace::LoginPassword);
        let is_redacted = |password: &str| {
            let value = SealedValue::login_password(password).unwrap();
            Scanner::new([value.index()])
                .inspect(format!("x{password}y").as_bytes())
                .redacted
                .is_some()
        };
        assert!(is_redacted("with a space, \u{e4} and more"));
        assert!(is_redacted("8 of it!"));
        assert!(!is_redacted("short"));
        assert!(SealedValue::login_password("").is_none());
        assert!(SealedValue::login_password(&"x".repeat(128)).is_some());
        assert!(SealedValue::login_password(&"x".repeat(129)).is_none());
    }

    #[test]
    fn what_cannot_stand_in_a_query_is_not_sealed_for_one() {
        for text in ["", "?", "a b", "a#b", "a\r\nb", "a\"b", "ä"] {
            assert!(SealedValue::query(text).is_none(), "{text:?}");
        }
    }
}
