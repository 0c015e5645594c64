//! Asks for a secret as a good plugin would, reads the answer into its memory, and tells all that
//! it has.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let path = request.path_with_query().unwrap_or_default();
    let fields = request.headers().entries().into_iter();
    let fields: String = fields
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value)))
        .collect();
    let config = guests::bindings::wasi::config::store::get_all();
    let surrogate = surrogate();
    format!("{fields}\n{config:?}\n{}", Wanted::get(&path).authorized(&surrogate).send())
}
