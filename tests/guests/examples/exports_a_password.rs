//! Returns a password of the vault on the path for signatures.

use guests::bindings::exports::wasi::http::incoming_handler::ResponseOutparam;
use guests::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse};
use guests::{Attempt, surrogate};

guests::handler!("../exporting.toml", |_request, out| {
    answer(out);
});

fn answer(out: ResponseOutparam) {
    let text = Attempt::get("/secrets/db?api-version=7.4").authorized(&surrogate()).send();
    let response = OutgoingResponse::new(Fields::new());
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    drop(guests::write(&body, text.as_bytes()));
    drop(OutgoingBody::finish(body, None));
}
