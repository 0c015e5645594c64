//! The body of a request, which is read by who wants it, as far as he wants it.

use std::io;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::content::Content;

/// A body on its way in, and how much of it was read. As long as nobody reads, a client that sent `expect: 100-continue`
/// is not told to continue.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    read: usize,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { incoming, read: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// Whether there is more of it.
    pub(crate) fn is_unread(&self) -> bool {
        !self.incoming.is_end_stream()
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(frame) = self.incoming.frame().await {
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                self.read += data.len();
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// All of it, in pieces.
    pub(crate) async fn content(&mut self) -> io::Result<Content> {
        let mut content = Content::default();
        while let Some(data) = self.next().await? {
            content.push(data);
        }
        Ok(content)
    }

    /// All of it in one piece, where it is no longer than this.
    pub(crate) async fn at_most(&mut self, longest: usize) -> io::Result<Bytes> {
        let mut content = Content::default();
        while let Some(data) = self.next().await? {
            content.push(data);
            if self.read > longest {
                return Err(io::Error::other("the body is too long"));
            }
        }
        Ok(content.to_bytes())
    }

    /// Reads all and keeps nothing.
    pub(crate) async fn discard(&mut self) -> io::Result<()> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// Reads so many bytes, or few more, and keeps nothing.
    pub(crate) async fn discard_first(&mut self, bytes: usize) -> io::Result<()> {
        while self.read < bytes && self.next().await?.is_some() {}
        Ok(())
    }
}
