//! What goes back to the caller, and what a service answered.

use crate::body::Body;
use crate::headers::Headers;

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response without header fields and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Body::empty() }
    }

    /// The same with a header field. One that the host refuses is left out.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        drop(self.headers.set(name, value));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the body is JSON, by its `content-type`: `application/json` or anything that ends in
    /// `+json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let Some(content_type) = self.headers.get("content-type") else { return false };
        let media_type =
            content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media_type == "application/json"
            || media_type == "text/json"
            || media_type.ends_with("+json")
    }
}
