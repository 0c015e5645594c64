//! Responses to the caller and of services.

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
    /// Creates a response without header fields and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Body::empty() }
    }

    /// Sets a header field. One that the host rejects is omitted.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        drop(self.headers.set(name, value));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the `content-type` is JSON: `application/json`, `text/json` or a type that ends in
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
