//! Requests a shared access signature, with a manifest that omits the seal, and spends it.

use guests::Attempt;
use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::sas::{BLOBS, request_from_arm, sas};

guests::attack!(attack, "../unsealed.toml");

fn attack(request: &IncomingRequest) -> String {
    let answer = request_from_arm(request, &[]);
    let path = format!("/hello/world.txt?{}", sas(&answer));
    let read = Attempt { authority: BLOBS, ..Attempt::get(&path) }.send();
    format!("{answer}\n--- spent ---\n{read}")
}
