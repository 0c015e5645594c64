//! Sends a request whose body never ends.

use guests::bindings::wasi::http::types::Method;
use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let wanted = Attempt { method: Method::Put, ..Attempt::get("/secrets/new?api-version=7.4") };
    let (_answer, body) = match wanted.authorized(&surrogate()).start_upload() {
        Ok(started) => started,
        Err(error) => return error,
    };
    guests::write_without_end(&body);
    "the host takes no more".to_owned()
}
