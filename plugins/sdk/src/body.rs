//! Bodies: bytes at hand, or a stream that the host carries.

use std::fmt;

use crate::body_error::BodyError;
use crate::host::Incoming;

/// The body of a request or a response.
#[derive(Default)]
pub struct Body(pub(crate) Content);

#[derive(Default)]
pub(crate) enum Content {
    /// There is none.
    #[default]
    Empty,
    /// Bytes that the plugin holds.
    Bytes(Vec<u8>),
    /// A stream from outside. It is passed on by the host, without touching the plugin's memory.
    Stream(Incoming),
    /// A stream from outside whose bytes go through the plugin.
    Filtered(Incoming, Box<dyn Filter>),
    /// Bytes that the plugin makes bit by bit.
    Chunks(Chunks),
}

pub(crate) type Chunks = Box<dyn Iterator<Item = Result<Vec<u8>, BodyError>>>;

/// Changes a body while it passes.
pub trait Filter {
    /// Takes the next bytes, and appends to `out` what shall be sent for them. They may end
    /// anywhere.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// The body has ended: appends what was held back.
    fn finish(&mut self, out: &mut Vec<u8>);
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether it is known to have no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Content::Empty => true,
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Stream(_) | Content::Filtered(..) | Content::Chunks(_) => false,
        }
    }

    /// A body that the plugin makes bit by bit. The next chunk is asked for when the one before is
    /// on its way, so that no more than one is in memory; a chunk may have any length. Where an
    /// error comes, the body is broken off: whoever reads it sees that it is not whole. After an
    /// error, or when nobody reads any more, no other chunk is asked for.
    #[must_use]
    pub fn from_chunks<I: IntoIterator<Item = Result<Vec<u8>, BodyError>>>(chunks: I) -> Self
    where
        I::IntoIter: 'static,
    {
        Self(Content::Chunks(Box::new(chunks.into_iter())))
    }

    /// Sends this body through a filter on its way. Its length may change: take `content-length`
    /// out of the headers.
    #[must_use]
    pub fn filtered(self, mut filter: impl Filter + 'static) -> Self {
        match self.0 {
            Content::Stream(stream) => Self(Content::Filtered(stream, Box::new(filter))),
            Content::Filtered(stream, first) => {
                Self(Content::Filtered(stream, Box::new(Both(first, Box::new(filter)))))
            }
            Content::Chunks(chunks) => {
                Self::from_chunks(FilteredChunks { chunks: Some(chunks), filter })
            }
            Content::Empty => Self(Content::Empty),
            Content::Bytes(bytes) => {
                let mut out = Vec::with_capacity(bytes.len());
                filter.push(&bytes, &mut out);
                filter.finish(&mut out);
                Self(Content::Bytes(out))
            }
        }
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLong`] where there are more than `limit` bytes, [`BodyError::Broken`] where
    /// the peer broke off.
    pub fn into_bytes(self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let (stream, mut filter) = match self.0 {
            Content::Chunks(chunks) => return collect(chunks, limit),
            Content::Empty => return Ok(Vec::new()),
            Content::Bytes(bytes) if bytes.len() > limit => return Err(BodyError::TooLong(limit)),
            Content::Bytes(bytes) => return Ok(bytes),
            Content::Stream(stream) => (stream, None),
            Content::Filtered(stream, filter) => (stream, Some(filter)),
        };
        let mut all = Vec::new();
        while let Some(chunk) = stream.read()? {
            match &mut filter {
                Some(filter) => filter.push(&chunk, &mut all),
                None => all.extend_from_slice(&chunk),
            }
            if all.len() > limit {
                return Err(BodyError::TooLong(limit));
            }
        }
        if let Some(filter) = &mut filter {
            filter.finish(&mut all);
        }
        if all.len() > limit { Err(BodyError::TooLong(limit)) } else { Ok(all) }
    }
}

fn collect(chunks: Chunks, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend_from_slice(&chunk?);
        if all.len() > limit {
            return Err(BodyError::TooLong(limit));
        }
    }
    Ok(all)
}

/// Chunks that go through a filter. `chunks` is none at the end.
struct FilteredChunks<F> {
    chunks: Option<Chunks>,
    filter: F,
}

impl<F: Filter> Iterator for FilteredChunks<F> {
    type Item = Result<Vec<u8>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut out = Vec::new();
        match self.chunks.as_mut()?.next() {
            Some(Ok(chunk)) => self.filter.push(&chunk, &mut out),
            Some(Err(error)) => {
                self.chunks = None;
                return Some(Err(error));
            }
            None => {
                self.chunks = None;
                self.filter.finish(&mut out);
            }
        }
        Some(Ok(out))
    }
}

/// One filter behind another.
struct Both(Box<dyn Filter>, Box<dyn Filter>);

impl Filter for Both {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut between = Vec::new();
        self.0.push(bytes, &mut between);
        self.1.push(&between, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let mut between = Vec::new();
        self.0.finish(&mut between);
        self.1.push(&between, out);
        self.1.finish(out);
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Bytes(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Content::Bytes(text.into_bytes()))
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(Content::Bytes(text.as_bytes().to_vec()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Empty => f.write_str("Body(empty)"),
            Content::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::Stream(_) => f.write_str("Body(stream)"),
            Content::Filtered(..) => f.write_str("Body(filtered stream)"),
            Content::Chunks(_) => f.write_str("Body(chunks)"),
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    fn chunks<const N: usize>(
        chunks: [&'static str; N],
    ) -> impl Iterator<Item = Result<Vec<u8>, BodyError>> {
        chunks.into_iter().map(|chunk| {
            if chunk == "!" { Err(BodyError::Broken(chunk.into())) } else { Ok(chunk.into()) }
        })
    }

    struct Doubled;

    impl Filter for Doubled {
        fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
            out.extend(bytes.iter().flat_map(|byte| [*byte, *byte]));
        }

        fn finish(&mut self, out: &mut Vec<u8>) {
            out.push(b'.');
        }
    }

    #[test]
    fn chunks_are_one_body() {
        let body = Body::from_chunks(chunks(["a", "", "bc"]));
        assert!(!body.is_empty());
        assert_eq!(body.into_bytes(3).unwrap(), b"abc");
        assert_eq!(
            Body::from_chunks(chunks(["a", "bc"])).into_bytes(2),
            Err(BodyError::TooLong(2))
        );
        assert_eq!(
            Body::from_chunks(chunks(["a", "bc"])).filtered(Doubled).into_bytes(9).unwrap(),
            b"aabbcc."
        );
    }

    #[test]
    fn chunks_that_break_off_are_no_body() {
        let broken = Err(BodyError::Broken("!".into()));
        assert_eq!(Body::from_chunks(chunks(["a", "!", "b"])).into_bytes(9), broken);
        assert_eq!(
            Body::from_chunks(chunks(["a", "!", "b"])).filtered(Doubled).into_bytes(9),
            broken
        );
    }
}
