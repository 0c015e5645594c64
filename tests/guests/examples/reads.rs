//! Requests a secret as a benign plugin would, reads the response into its memory, and returns
//! everything that it has.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let path = request.path_with_query().unwrap_or_default();
    let fields = request.headers().entries().into_iter();
    let fields: String = fields
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value)))
        .collect();
    let config = guests::bindings::wasi::config::store::get_all();
    let surrogate = surrogate();
    format!("{fields}\n{config:?}\n{}", Attempt::get(&path).authorized(&surrogate).send())
}
