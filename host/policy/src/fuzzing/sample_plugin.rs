//! Components that consist of a manifest only.

/// The preamble of a component.
const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

/// The name of the manifest's custom section.
const SECTION: &str = "keyward:manifest";

/// A component with this manifest.
pub(super) fn component(manifest: &str) -> Vec<u8> {
    let mut section = leb128(SECTION.len());
    section.extend(SECTION.bytes());
    section.extend(manifest.bytes());
    let custom = 0;
    [PREAMBLE, &[custom], &leb128(section.len()), &section].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7F).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
