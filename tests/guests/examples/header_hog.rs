//! Creates header fields without end.

use guests::bindings::wasi::http::types::Fields;

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let fields = Fields::new();
    let value = vec![b'x'; 4096];
    let mut count = 0_u64;
    loop {
        let _ = fields.append("x-long", &value);
        count += 1;
        if count == u64::MAX {
            return count.to_string();
        }
    }
}
