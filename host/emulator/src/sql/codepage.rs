//! Code page 1252, the encoding of `char` and `varchar`.

/// The characters of 0x80 to 0x9f; the others are those of Latin-1.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

pub(super) fn decode(bytes: &[u8]) -> String {
    let high = |byte: u8| {
        HIGH.get(usize::from(byte.wrapping_sub(0x80))).copied().unwrap_or(char::from(byte))
    };
    bytes.iter().map(|byte| high(*byte)).collect()
}

/// Characters outside the code page become question marks, as in SQL Server.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let byte = |c: char| match HIGH
        .iter()
        .position(|high| *high == c)
        .map(|index| u8::try_from(index + 0x80))
    {
        Some(Ok(byte)) => byte,
        _ => u8::try_from(u32::from(c))
            .ok()
            .filter(|byte| !(0x80..0xa0).contains(byte))
            .unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn characters_of_the_code_page_round_trip() {
        assert_eq!(super::encode("5 € für Š"), b"5 \x80 f\xfcr \x8a");
        assert_eq!(super::decode(&super::encode("5 € für Š")), "5 € für Š");
        assert_eq!(super::encode("漢"), b"?");
    }
}
