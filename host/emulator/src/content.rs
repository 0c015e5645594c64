//! Bytes in chunks, as they came from the network. A blob of gigabytes is stored and sent without
//! copying it into one buffer.

use bytes::{Bytes, BytesMut};

/// Bytes in chunks. Cloning it does not copy the bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    chunks: Vec<Bytes>,
    length: u64,
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.length += chunk.len() as u64;
            self.chunks.push(chunk);
        }
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.length += other.length;
        self.chunks.extend_from_slice(&other.chunks);
    }

    /// The bytes from one position to another, clamped to the length.
    pub(crate) fn slice(&self, from: u64, to: u64) -> Self {
        let (mut part, mut start) = (Self::default(), 0);
        for chunk in &self.chunks {
            let end = start + chunk.len() as u64;
            let (first, last) = (from.clamp(start, end) - start, to.clamp(start, end) - start);
            if first < last {
                // Both are at most the length of the chunk.
                let (first, last) =
                    (usize::try_from(first).unwrap_or(0), usize::try_from(last).unwrap_or(0));
                part.push(chunk.slice(first..last));
            }
            start = end;
        }
        part
    }

    /// Copies everything into one buffer. For short content.
    pub(crate) fn to_bytes(&self) -> Bytes {
        if let [only] = self.chunks.as_slice() {
            return only.clone();
        }
        let mut all = BytesMut::new();
        for chunk in &self.chunks {
            all.extend_from_slice(chunk);
        }
        all.freeze()
    }

    pub(crate) fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        let mut content = Self::default();
        content.push(bytes.into());
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_spans_chunks_and_stops_at_the_end() {
        let mut content = Content::from("abc");
        content.append(&Content::from("defg"));
        for (from, to, expected) in
            [(0, 7, "abcdefg"), (2, 4, "cd"), (3, 100, "defg"), (7, 9, ""), (5, 2, "")]
        {
            let slice = content.slice(from, to);
            assert_eq!(
                (slice.to_bytes(), slice.len()),
                (Bytes::from(expected), expected.len() as u64),
                "{from}..{to}"
            );
        }
    }
}
