//! The body of a request, read on demand.

use std::io;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::content::Content;

/// An incoming body, and how much of it was read. Until the first read, a client that sent
/// `expect: 100-continue` gets no 100.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    bytes_read: usize,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { incoming, bytes_read: 0 }
    }

    /// The number of bytes read so far.
    pub(crate) fn bytes_read(&self) -> usize {
        self.bytes_read
    }

    /// Whether there is more to read.
    pub(crate) fn is_unread(&self) -> bool {
        !self.incoming.is_end_stream()
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(frame) = self.incoming.frame().await {
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                self.bytes_read += data.len();
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads the whole body, in chunks.
    pub(crate) async fn content(&mut self) -> io::Result<Content> {
        let mut content = Content::default();
        while let Some(data) = self.next().await? {
            content.push(data);
        }
        Ok(content)
    }

    /// Reads the whole body into one buffer. A longer body than `limit` is an error.
    pub(crate) async fn bytes(&mut self, limit: usize) -> io::Result<Bytes> {
        let mut content = Content::default();
        while let Some(data) = self.next().await? {
            content.push(data);
            if self.bytes_read > limit {
                return Err(io::Error::other("the body is too long"));
            }
        }
        Ok(content.to_bytes())
    }

    /// Reads the whole body and drops it.
    pub(crate) async fn discard(&mut self) -> io::Result<()> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// Reads and drops chunks until at least so many bytes were read.
    pub(crate) async fn discard_first(&mut self, bytes: usize) -> io::Result<()> {
        while self.bytes_read < bytes && self.next().await?.is_some() {}
        Ok(())
    }
}
