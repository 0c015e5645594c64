//! Requests for shared access signatures.

use crate::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use crate::bindings::keyward::broker::identity;
use crate::bindings::wasi::http::types::Method;
use crate::{Attempt, header};

/// The storage that the tests mount.
pub const BLOBS: &str = "contoso.blob.core.windows.net";

/// Sends the request in the caller's fields `x-path` and `x-body` to Resource Manager.
pub fn request_from_arm(request: &IncomingRequest, fields: &[(&str, &str)]) -> String {
    let (path, body) = (
        header(request, "x-path").unwrap_or_default(),
        header(request, "x-body").unwrap_or_default(),
    );
    let mut attempt = Attempt {
        method: Method::Post,
        authority: "management.azure.com",
        body: Some(body.as_bytes()),
        ..Attempt::get(&path)
    };
    attempt = attempt.authorized(&surrogate("arm")).header("content-type", "application/json");
    for (name, value) in fields {
        attempt = attempt.header(name, *value);
    }
    attempt.send()
}

/// The surrogate of a token.
pub fn surrogate(audience: &str) -> String {
    identity::get_token(audience)
        .map_or_else(|error| format!("no-surrogate-{error:?}"), |token| token.bearer)
}

/// The surrogate in an answer of Resource Manager's.
pub fn sas(answer: &str) -> String {
    let value = answer.split("\"serviceSasToken\":\"").nth(1).unwrap_or_default();
    value.split('"').next().unwrap_or_default().to_owned()
}
