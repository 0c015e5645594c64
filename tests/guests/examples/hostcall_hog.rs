//! Passes too much data to the host at once.

use guests::bindings::wasi::http::types::Fields;

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let value = vec![b'x'; 16 << 20];
    format!("{:?}", Fields::new().append("x-long", &value))
}
