//! Bodies of `wasi:http` that the host makes, and their lengths.

use std::convert::Infallible;

use bytes::Bytes;
use http_body::SizeHint;
use http_body_util::{BodyExt, Empty, Full};
use wasmtime_wasi_http::WasiBody;

/// No bytes.
pub(crate) fn empty() -> WasiBody {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// These bytes.
pub(crate) fn whole(bytes: Bytes) -> WasiBody {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The length of a body with so many bytes before it.
pub(crate) fn size_hint_after(bytes: u64, rest: &SizeHint) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower() + bytes);
    if let Some(upper) = rest.upper() {
        hint.set_upper(upper + bytes);
    }
    hint
}
