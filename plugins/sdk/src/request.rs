//! Requests to the mount.

use crate::body::Body;
use crate::headers::Headers;
use crate::method::Method;

/// A request of a caller: the path after the mount's name, and the caller's header fields except
/// for credentials and those of the connection.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and query with a leading slash: `/secrets/db?api-version=7.4`.
    pub path_and_query: String,
    /// The header fields. The host adds `x-forwarded-proto`, `-host` and `-prefix`.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

impl Request {
    /// Creates a request without header fields and body.
    #[must_use]
    pub fn new(method: Method, path_and_query: impl Into<String>) -> Self {
        Self {
            method,
            path_and_query: path_and_query.into(),
            headers: Headers::new(),
            body: Body::empty(),
        }
    }

    /// Creates a `GET` request.
    #[must_use]
    pub fn get(path_and_query: impl Into<String>) -> Self {
        Self::new(Method::Get, path_and_query)
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.split_once('?').map_or(self.path_and_query.as_str(), |(path, _)| path)
    }

    /// The query without its question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }

    /// The non-empty segments of the path.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path().split('/').filter(|segment| !segment.is_empty())
    }
}
