//! Responses of JSON to control requests.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use keyward::Body;
use serde_json::Value;

/// A response of JSON.
pub(crate) fn json_response(body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::from(body.to_string())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
