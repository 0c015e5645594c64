//! Code page 1252, in which `char` and `varchar` travel.

/// The characters of 0x80 to 0x9f; the others are those of Latin 1.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

pub(super) fn decode(bytes: &[u8]) -> String {
    let high = |byte: u8| HIGH.get(usize::from(byte.wrapping_sub(0x80))).copied().unwrap_or(char::from(byte));
    bytes.iter().map(|byte| high(*byte)).collect()
}

/// What the code page has not becomes a question mark, as it does in SQL Server.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let byte = |c: char| match HIGH.iter().position(|high| *high == c).map(|at| u8::try_from(at + 0x80)) {
        Some(Ok(byte)) => byte,
        _ => u8::try_from(u32::from(c)).ok().filter(|byte| !(0x80..0xa0).contains(byte)).unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_page_has_comes_back() {
        assert_eq!(super::encode("5 € für Š"), b"5 \x80 f\xfcr \x8a");
        assert_eq!(super::decode(&super::encode("5 € für Š")), "5 € für Š");
        assert_eq!(super::encode("漢"), b"?");
    }
}
