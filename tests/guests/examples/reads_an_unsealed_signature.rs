//! Asks for a shared access signature, with a manifest that leaves out the seal, and spends what it
//! gets.

use guests::Wanted;
use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::sas::{BLOBS, ask, sas};

guests::attack!(attack, "../unsealed.toml");

fn attack(request: &IncomingRequest) -> String {
    let answer = ask(request, &[]);
    let path = format!("/hello/world.txt?{}", sas(&answer));
    let read = Wanted { authority: BLOBS, ..Wanted::get(&path) }.send();
    format!("{answer}\n--- spent ---\n{read}")
}
