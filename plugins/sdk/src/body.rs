//! Bodies: bytes in memory, or a stream that the host carries.

use std::fmt;

use crate::body_error::BodyError;
use crate::host::Incoming;

/// The body of a request or a response.
#[derive(Default)]
pub struct Body(pub(crate) Content);

#[derive(Default)]
pub(crate) enum Content {
    /// No body.
    #[default]
    Empty,
    /// Bytes that the plugin holds.
    Bytes(Vec<u8>),
    /// An incoming stream, forwarded by the host without touching the plugin's memory.
    Stream(Incoming),
    /// An incoming stream whose bytes pass through the plugin.
    Filtered(Incoming, Box<dyn Filter>),
    /// Chunks that the plugin generates.
    Chunks(Chunks),
}

pub(crate) type Chunks = Box<dyn Iterator<Item = Result<Vec<u8>, BodyError>>>;

/// Transforms a body while it is streamed.
pub trait Filter {
    /// Takes the next bytes, and appends their replacement to `out`. Input may be split anywhere.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// Appends buffered bytes at the end of the body.
    fn finish(&mut self, out: &mut Vec<u8>);
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether the body is known to be empty. A stream may turn out to have no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Content::Empty => true,
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Stream(_) | Content::Filtered(..) | Content::Chunks(_) => false,
        }
    }

    /// A body that the plugin generates in chunks of any length. A chunk is requested once the
    /// previous one is sent, so that at most one is in memory. An error aborts the body, and the
    /// reader sees that it is incomplete. After an error, or once the reader is gone, no further
    /// chunk is requested.
    #[must_use]
    pub fn from_chunks<I: IntoIterator<Item = Result<Vec<u8>, BodyError>>>(chunks: I) -> Self
    where
        I::IntoIter: 'static,
    {
        Self(Content::Chunks(Box::new(chunks.into_iter())))
    }

    /// Applies a filter to this body. Remove `content-length` from the headers, since the length
    /// may change.
    #[must_use]
    pub fn filtered(self, mut filter: impl Filter + 'static) -> Self {
        match self.0 {
            Content::Stream(stream) => Self(Content::Filtered(stream, Box::new(filter))),
            Content::Filtered(stream, first) => {
                Self(Content::Filtered(stream, Box::new(Chained(first, Box::new(filter)))))
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

    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLong`] if there are more than `limit` bytes, [`BodyError::Broken`] if the
    /// peer aborted the body.
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

/// Chunks that pass through a filter. `chunks` is `None` at the end.
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

/// Two filters in sequence.
struct Chained(Box<dyn Filter>, Box<dyn Filter>);

impl Filter for Chained {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut intermediate = Vec::new();
        self.0.push(bytes, &mut intermediate);
        self.1.push(&intermediate, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let mut intermediate = Vec::new();
        self.0.finish(&mut intermediate);
        self.1.push(&intermediate, out);
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
    fn chunks_are_concatenated() {
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
    fn an_error_among_the_chunks_is_returned() {
        let broken = Err(BodyError::Broken("!".into()));
        assert_eq!(Body::from_chunks(chunks(["a", "!", "b"])).into_bytes(9), broken);
        assert_eq!(
            Body::from_chunks(chunks(["a", "!", "b"])).filtered(Doubled).into_bytes(9),
            broken
        );
    }
}
