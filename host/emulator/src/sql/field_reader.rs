//! Reads the fields of a message.

/// The rest of a message. A read beyond the end is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The rest of a message from an offset.
    pub(super) fn at(bytes: &'a [u8], offset: usize) -> Option<Self> {
        bytes.get(offset..).map(Self)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u16_be(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string of so many UTF-16 code units.
    pub(super) fn utf16(&mut self, characters: usize) -> Option<String> {
        self.take(characters.checked_mul(2)?).map(utf16)
    }

    /// A string with its length in code units, in one byte (B_VARCHAR).
    pub(super) fn b_varchar(&mut self) -> Option<String> {
        let length = self.u8()?;
        self.utf16(usize::from(length))
    }

    /// Bytes with their length in four bytes (L_VARBYTE).
    pub(super) fn l_varbyte(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Skips the headers of batches and calls (ALL_HEADERS).
    pub(super) fn skip_headers(&mut self) -> Option<()> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length.checked_sub(4)?).map(drop)
    }
}

/// Decodes little-endian UTF-16. An unpaired surrogate becomes U+FFFD.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units =
        bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
