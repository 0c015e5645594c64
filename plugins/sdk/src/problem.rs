//! Errors for the caller: problem details for HTTP APIs, RFC 9457.

use std::fmt;

use serde_json::{Map, Value};

use crate::body::Body;
use crate::body_error::BodyError;
use crate::headers::HeaderError;
use crate::outgoing::SendError;
use crate::response::Response;

/// An error for the caller, sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: u16,
    kind: &'static str,
    title: String,
    detail: String,
    retry_after: Option<u32>,
    extensions: Map<String, Value>,
}

impl Problem {
    /// Creates a problem. `kind` names its type, `urn:keyward:problem:<kind>`. `title` describes
    /// the type in a few words, always the same. `detail` describes this occurrence and how to fix
    /// it.
    #[must_use]
    pub fn new(
        status: u16,
        kind: &'static str,
        title: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let extensions = Map::new();
        Self {
            status,
            kind,
            title: title.into(),
            detail: detail.into(),
            retry_after: None,
            extensions,
        }
    }

    /// An invalid request of the caller (400).
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", "The request is invalid for this mount", detail)
    }

    /// An error of the plugin or its mount (500).
    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(500, "plugin-error", "The plugin failed", detail)
    }

    /// The manifest does not declare the audience (500).
    pub(crate) fn not_declared(audience: &str) -> Self {
        Self::internal(format!(
            "the plugin requested audience {audience:?}, which its manifest does not declare"
        ))
    }

    /// The mount does not grant the audience (403).
    pub(crate) fn not_granted(audience: &str, reason: Option<String>) -> Self {
        let reason = reason.unwrap_or_else(|| {
            format!("the configuration of this mount does not grant audience {audience:?}")
        });
        Self::new(403, "not-granted", "The audience is not granted", reason)
    }

    /// The identity has no token (503).
    #[cfg(target_family = "wasm")]
    pub(crate) fn token_unavailable(reason: String) -> Self {
        Self::new(503, "token-unavailable", "No token is available", reason)
    }

    /// The identity endpoint is busy (503).
    #[cfg(target_family = "wasm")]
    pub(crate) fn token_throttled(seconds: u32) -> Self {
        let detail =
            format!("the identity endpoint requires a wait of {seconds} s before the next request");
        Self::new(503, "token-throttled", "The identity endpoint is busy", detail)
            .with_retry_after(seconds)
    }

    /// Adds a member to the standard ones.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the seconds to wait before a retry, sent as `retry-after`.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The description of this occurrence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The problem as a JSON object, to embed it in another response.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("type".to_owned(), format!("urn:keyward:problem:{}", self.kind).into());
        members.insert("title".to_owned(), self.title.clone().into());
        members.insert("status".to_owned(), self.status.into());
        members.insert("detail".to_owned(), self.detail.clone().into());
        members.extend(self.extensions.clone());
        Value::Object(members)
    }

    /// The problem as a response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response =
            Response::new(self.status).with_header("content-type", "application/problem+json");
        if let Some(seconds) = self.retry_after {
            response = response.with_header("retry-after", seconds.to_string());
        }
        response.with_body(Body::from(self.to_json().to_string()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        let (status, kind, title) = match &error {
            SendError::Denied => (403, "denied", "The broker denied the request"),
            SendError::TimedOut(_) => {
                (504, "upstream-timeout", "The service did not respond in time")
            }
            SendError::Failed(_) => (502, "upstream-failed", "The service could not be reached"),
        };
        Self::new(status, kind, title, error.to_string())
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong(_) => {
                Self::new(413, "too-large", "The body is too large", error.to_string())
            }
            BodyError::Broken(_) => {
                Self::new(502, "body-broken", "The body broke off", error.to_string())
            }
        }
    }
}

impl From<HeaderError> for Problem {
    fn from(error: HeaderError) -> Self {
        Self::internal(error.to_string())
    }
}
