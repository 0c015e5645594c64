//! Attempts to read a shared access signature from its response, with the header field that the
//! caller's `x-field` names.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::header;

guests::attack!(attack, "../sealed.toml");

fn attack(request: &IncomingRequest) -> String {
    let field = header(request, "x-field").unwrap_or_default();
    let fields: Vec<(&str, &str)> = field.split_once(": ").into_iter().collect();
    let (one, other) = (
        guests::sas::request_from_arm(request, &fields),
        guests::sas::request_from_arm(request, &[]),
    );
    format!("{one}\n--- again ---\n{other}")
}
