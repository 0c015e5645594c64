//! Requests to the mount's endpoints.

use std::fmt;

use crate::body::Body;
use crate::endpoint::Endpoint;
use crate::headers::{HeaderError, Headers};
use crate::method::Method;
use crate::request::Request;
use crate::token::Token;

/// A request that the plugin sends. The host sends it only to an endpoint that is granted to the
/// mount.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Host with an optional port.
    pub authority: String,
    /// The path and query, including the endpoint's prefix.
    pub path_and_query: String,
    /// The header fields. The host sets `host` and the fields of the connection.
    pub headers: Headers,
    /// The body. It is sent in chunks unless the headers have a `content-length`.
    pub body: Body,
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The host denied the request, since no grant covers it. The broker reports the reason to the
    /// caller.
    Denied,
    /// No connection or no response in time.
    TimedOut(String),
    /// The connection, TLS or HTTP failed.
    Failed(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("the request is not covered by a grant of this mount"),
            Self::TimedOut(what) => write!(f, "no response in time: {what}"),
            Self::Failed(what) => write!(f, "no response: {what}"),
        }
    }
}

impl std::error::Error for SendError {}

impl Outgoing {
    /// A request for a path below an endpoint.
    #[must_use]
    pub fn new(method: Method, endpoint: &Endpoint, path_and_query: &str) -> Self {
        Self {
            method,
            authority: endpoint.authority.clone(),
            path_and_query: format!("{}{path_and_query}", endpoint.prefix),
            headers: Headers::new(),
            body: Body::empty(),
        }
    }

    /// The caller's request unchanged: method, path, query, header fields and body.
    #[must_use]
    pub fn forward(request: Request, endpoint: &Endpoint) -> Self {
        let mut outgoing = Self::new(request.method, endpoint, &request.path_and_query);
        outgoing.headers = request.headers;
        outgoing.body = request.body;
        outgoing
    }

    /// Adds a query parameter unless the query has one of that name, percent-encoded or not. Name
    /// and value are not encoded.
    pub fn default_query(&mut self, name: &str, value: &str) {
        let query = self.path_and_query.split_once('?').map(|(_, query)| query);
        let is_present =
            |pair: &str| pair.split('=').next().is_some_and(|found| is_name(found, name));
        let separator = match query {
            Some(query) if query.split('&').any(is_present) => return,
            Some("") => "",
            Some(query) if query.ends_with('&') => "",
            Some(_) => "&",
            None => "?",
        };
        self.path_and_query.push_str(&format!("{separator}{name}={value}"));
    }

    /// Sets `authorization: Bearer ...` to a token's surrogate.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if the host rejects the field.
    pub fn authorize(&mut self, token: &Token) -> Result<(), HeaderError> {
        self.headers.set("authorization", format!("Bearer {}", token.bearer))
    }
}

/// Whether a parameter's name, percent-decoded, equals `name`, ignoring case.
fn is_name(found: &str, name: &str) -> bool {
    let mut rest = found.as_bytes();
    let mut expected = name.bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, rest @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => (high * 16 + low, rest),
                None => (byte, after),
            },
            _ => (byte, after),
        };
        if !expected.next().is_some_and(|expected| expected.eq_ignore_ascii_case(&byte)) {
            return false;
        }
        rest = after;
    }
    expected.next().is_none()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
