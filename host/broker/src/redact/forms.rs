//! The forms in which a service may write a secret that it received.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

/// What is percent-encoded in a query's value ([RFC 3986,
/// 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Characters that some JSON writers escape although they need not: .NET's, and Go's.
const DOTNET_ESCAPES: &[u8] = b"\"&'+<>`\\";
const GO_ESCAPES: &[u8] = b"\"&<>\\";

/// A secret as it is, and percent-encoded, escaped in JSON and XML, and in base64. Each form occurs
/// once.
pub(super) fn forms(secret: &[u8]) -> Vec<Bytes> {
    let mut forms = vec![Zeroizing::new(secret.to_vec())];
    let percent = Zeroizing::new(percent_encode(secret, &RESERVED).to_string());
    forms.push(Zeroizing::new(lower_hexadecimal(percent.as_bytes())));
    forms.push(Zeroizing::new(percent.as_bytes().to_vec()));
    forms.push(escaped(secret, b"/", |_| b"\\/".to_vec()));
    forms.push(escaped(secret, DOTNET_ESCAPES, |byte| format!("\\u{byte:04X}").into_bytes()));
    forms.push(escaped(secret, GO_ESCAPES, |byte| format!("\\u{byte:04x}").into_bytes()));
    forms.push(escaped(secret, b"&", |_| b"&amp;".to_vec()));
    for before in 0..3 {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.push(base64(secret, before, &engine));
        }
    }
    forms.sort_unstable_by(|one, other| one.as_slice().cmp(other));
    forms.dedup();
    forms.into_iter().filter(|form| !form.is_empty()).map(Bytes::from_owner).collect()
}

/// The digits of percent-encodings in lower case, as some writers have them.
fn lower_hexadecimal(encoded: &[u8]) -> Vec<u8> {
    let mut digits = 0;
    let lower = |byte: &u8| {
        if *byte == b'%' {
            digits = 2;
            return *byte;
        }
        let is_digit = digits > 0;
        digits = usize::saturating_sub(digits, 1);
        if is_digit { byte.to_ascii_lowercase() } else { *byte }
    };
    encoded.iter().map(lower).collect()
}

fn escaped(secret: &[u8], which: &[u8], escape: impl Fn(u8) -> Vec<u8>) -> Zeroizing<Vec<u8>> {
    let mut escaped = Zeroizing::new(Vec::with_capacity(6 * secret.len()));
    for byte in secret {
        if which.contains(byte) {
            escaped.extend_from_slice(&escape(*byte));
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

/// The part of the base64 of a longer text that depends on the secret in it alone. `before` is the
/// number of bytes in front of it, modulo three.
fn base64(secret: &[u8], before: usize, engine: &impl Engine) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(vec![0; before]);
    text.extend_from_slice(secret);
    let encoded = Zeroizing::new(engine.encode(&*text));
    // A character has 6 bits. The first and the last may have bits of what is around.
    let start = (8 * before).div_ceil(6);
    let end = 8 * text.len() / 6;
    Zeroizing::new(encoded.as_bytes().get(start..end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_the_base64_of_any_text_around_it() {
        let secret = b"eyJhbGciOiJSUzI1NiJ9.claims.sign_ature-";
        let forms = forms(secret);
        for before in ["", "a", "ab", "abc", "{\"t\":\""] {
            for after in ["", "x", "xy", "\"}"] {
                let text = [before.as_bytes(), secret, after.as_bytes()].concat();
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(&text);
                    let is_in = |form: &Bytes| {
                        form.len() > secret.len()
                            && encoded.as_bytes().windows(form.len()).any(|window| window == form)
                    };
                    assert!(forms.iter().any(is_in), "{before:?} {after:?}");
                }
            }
        }
    }

    #[test]
    fn the_escapes_of_common_writers_are_forms() {
        let forms = forms(b"sv=1&sig=a+b/c%3D");
        for form in [
            "sv=1&sig=a+b/c%3D",
            "sv%3D1%26sig%3Da%2Bb%2Fc%253D",
            "sv%3d1%26sig%3da%2bb%2fc%253D",
            "sv=1&sig=a+b\\/c%3D",
            "sv=1\\u0026sig=a\\u002Bb/c%3D",
            "sv=1\\u0026sig=a+b/c%3D",
            "sv=1&amp;sig=a+b/c%3D",
        ] {
            assert!(forms.iter().any(|one| *one == form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn a_token_of_plain_characters_has_its_own_form_and_base64s() {
        assert_eq!(forms(b"aaaaaaaaaaaaaaaaaaaaaaaa").len(), 4);
    }
}
