//! Creates resources of the host, and never drops them.

use guests::bindings::wasi::http::types::Fields;

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let mut count = 0_u64;
    loop {
        std::mem::forget(Fields::new());
        count += 1;
        if count == u64::MAX {
            return count.to_string();
        }
    }
}
