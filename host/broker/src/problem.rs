//! Errors as the caller sees them: problem details for HTTP APIs, [RFC
//! 9457](https://www.rfc-editor.org/rfc/rfc9457).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::body::Body;
use crate::error::CallError;

impl CallError {
    /// The response for the caller: `detail` is the message with its help.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let mut response = problem(self.status(), self.kind(), self.title(), &self.detail());
        if let Some(after) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, after.as_secs().into());
        }
        response
    }
}

/// A response of `application/problem+json`. `kind` names the problem's type.
#[must_use]
pub fn problem(status: StatusCode, kind: &str, title: &str, detail: &str) -> Response<Body> {
    let problem = json!({
        "type": format!("urn:keyward:problem:{kind}"),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    let bytes = Bytes::from(problem.to_string());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, bytes.len().into());
    *response.body_mut() = Body::whole(bytes);
    response
}
