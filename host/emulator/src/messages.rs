//! HTTP requests and responses as the services see them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::content::Content;

/// The body of a response.
pub(crate) type ResponseBody = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

/// A request. `body` is empty for the storage services, which read it from the connection.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The host without the port.
    pub(crate) host: String,
    pub(crate) path: String,
    /// The decoded query parameters; names are in lower case.
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(
        method: Method,
        host: String,
        path: &str,
        raw_query: &str,
        headers: HeaderMap,
    ) -> Self {
        let pairs = form_urlencoded::parse(raw_query.as_bytes());
        let query =
            pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned())).collect();
        Self {
            method,
            host,
            path: path.to_owned(),
            query,
            raw_query: raw_query.to_owned(),
            headers,
            body: Bytes::new(),
        }
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The decoded segments of the path, without empty ones.
    pub(crate) fn segments(&self) -> Vec<String> {
        let segments = self.path.split('/').filter(|segment| !segment.is_empty());
        segments
            .map(|segment| {
                percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
            })
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Content,
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: HeaderMap::new(), body: Content::default() }
    }

    pub(crate) fn json(status: u16, value: &Value) -> Self {
        let mut response =
            Self::new(status).header("content-type", "application/json; charset=utf-8");
        response.body = value.to_string().into();
        response
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Adds a header field whose name comes from a request. An invalid one is left out.
    pub(crate) fn untrusted_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            self.headers.insert(name, value);
        }
        self
    }

    /// An error in the JSON form of Resource Manager and Key Vault.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message } }))
    }

    pub(crate) fn into_http(self) -> http::Response<ResponseBody> {
        let mut response = http::Response::new(chunks(self.body.clone().into_chunks()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        // A response to HEAD has the length that the body would have.
        let has_length =
            self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED;
        if has_length && !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        if !self.body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        response
    }
}

/// A body of these chunks, one frame each.
pub(crate) fn chunks(chunks: Vec<Bytes>) -> ResponseBody {
    Chunks(chunks.into_iter()).boxed_unsync()
}

struct Chunks(std::vec::IntoIter<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(self.0.next().map(|chunk| Ok(Frame::data(chunk))))
    }
}
