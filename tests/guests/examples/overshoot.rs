//! Sends more of a body than it announced, with a second request in it.

use guests::bindings::wasi::http::types::Method;
use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let smuggled = b"{\"value\":\"x\"}GET /secrets/db?api-version=7.4 HTTP/1.1\r\nhost: \
                     contoso.vault.azure.net\r\n\r\n";
    let attempt = Attempt {
        method: Method::Put,
        body: Some(smuggled),
        ..Attempt::get("/secrets/long?api-version=7.4")
    };
    attempt.authorized(&surrogate()).header("content-length", "13").send()
}
