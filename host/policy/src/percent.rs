//! Percent-decoding, for servers that decode more than once.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Percent-decodes `text` until nothing is left to decode.
pub(crate) fn fully_decoded(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    // Each round that changes the text makes it shorter, so the loop ends.
    while text.contains('%') {
        let once = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if once == *text {
            break;
        }
        text = Cow::Owned(once);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decoded_until_nothing_is_left_to_decode() {
        for (text, decoded) in [
            ("a", "a"),
            ("a%2fb", "a/b"),
            ("%25%32%66", "/"),
            ("100%", "100%"),
            ("%zz%41", "%zzA"),
            ("%2525", "%"),
        ] {
            assert_eq!(fully_decoded(text), decoded);
        }
    }
}
