//! A request to the mount's endpoint.

use std::fmt;

use crate::body::Body;
use crate::endpoint::Endpoint;
use crate::headers::{HeaderError, Headers};
use crate::method::Method;
use crate::request::Request;
use crate::token::Token;

/// A request that the plugin sends. The host lets it out only to an endpoint that the mount was
/// granted.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Host, and port where there is one.
    pub authority: String,
    /// The path and query, the endpoint's prefix included.
    pub path_and_query: String,
    /// The header fields. `host` and those of the connection are the host's.
    pub headers: Headers,
    /// The body. It is sent with `content-length` where the headers have it, else in chunks.
    pub body: Body,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The host refused to send it: it is not covered by a grant. The broker tells the caller why.
    Denied,
    /// No connection or no answer in time.
    TimedOut(String),
    /// No connection, no TLS, or no HTTP.
    Failed(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("the request is not covered by a grant of this mount"),
            Self::TimedOut(what) => write!(f, "no answer in time: {what}"),
            Self::Failed(what) => write!(f, "no answer: {what}"),
        }
    }
}

impl std::error::Error for SendError {}

impl Outgoing {
    /// A request to a path behind an endpoint.
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

    /// The caller's request as it is: method, path, query, header fields and body.
    #[must_use]
    pub fn forward(request: Request, endpoint: &Endpoint) -> Self {
        let mut outgoing = Self::new(request.method, endpoint, &request.path_and_query);
        outgoing.headers = request.headers;
        outgoing.body = request.body;
        outgoing
    }

    /// Adds a query parameter where the query has none of that name, percent-encoded or not. Name
    /// and value are written as they are.
    pub fn default_query(&mut self, name: &str, value: &str) {
        let query = self.path_and_query.split_once('?').map(|(_, query)| query);
        let is_there =
            |pair: &str| pair.split('=').next().is_some_and(|found| is_name(found, name));
        let separator = match query {
            Some(query) if query.split('&').any(is_there) => return,
            Some("") => "",
            Some(query) if query.ends_with('&') => "",
            Some(_) => "&",
            None => "?",
        };
        self.path_and_query.push_str(&format!("{separator}{name}={value}"));
    }

    /// Puts the surrogate where the token belongs: `authorization: Bearer ...`.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] where the host refuses the field.
    pub fn authorize(&mut self, token: &Token) -> Result<(), HeaderError> {
        self.headers.set("authorization", format!("Bearer {}", token.bearer))
    }
}

/// Whether a parameter's name, decoded, is this one. Names have no case.
fn is_name(found: &str, name: &str) -> bool {
    let mut rest = found.as_bytes();
    let mut expected = name.bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, behind @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => (high * 16 + low, behind),
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
