//! Makes the host hold memory, in the way that the caller's `x-hold` names, without end.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::{Fields, Method, OutgoingBody, OutgoingRequest};
use guests::{Attempt, VAULT, header, surrogate, write};

guests::attack!(attack);

/// Less than the limit of one set of header fields, and of one request's path.
const SIZE: usize = 48 << 10;

/// More attempts than any budget of a test allows.
const ATTEMPTS: usize = 4000;

/// The call's memory, in bytes: the host must not hold more for it.
const LIMIT: usize = 8 << 20;

fn attack(request: &IncomingRequest) -> String {
    let way = header(request, "x-hold").unwrap_or_default();
    let surrogate = surrogate();
    let fields = large_fields();
    let mut held: Vec<Box<dyn std::any::Any>> = Vec::new();
    let mut bytes = 0;
    for _ in 0..ATTEMPTS {
        if bytes > LIMIT {
            return format!("the host holds {bytes} bytes");
        }
        match way.as_str() {
            "fields" => {
                held.push(Box::new(large_fields()));
                bytes += SIZE;
            }
            "clones" => {
                held.push(Box::new(fields.clone()));
                bytes += SIZE;
            }
            "paths" => {
                let request = OutgoingRequest::new(Fields::new());
                let path = format!("/{}", "x".repeat(SIZE));
                if request.set_authority(Some(VAULT)).is_err()
                    || request.set_path_with_query(Some(&path)).is_err()
                {
                    return "refused".to_owned();
                }
                held.push(Box::new(request));
                bytes += SIZE;
            }
            "bodies" | "ended-bodies" | "bodies-and-drop" => {
                let request = OutgoingRequest::new(Fields::new());
                let Ok(body) = request.body() else { return "no body".to_owned() };
                let written = fill(&body);
                match way.as_str() {
                    "bodies" => held.push(Box::new((request, body))),
                    "ended-bodies" => {
                        let _ = OutgoingBody::finish(body, None);
                        held.push(Box::new(request));
                    }
                    _ => continue,
                }
                bytes += written;
            }
            "trailers" => {
                let request = OutgoingRequest::new(Fields::new());
                let Ok(body) = request.body() else { return "no body".to_owned() };
                let _ = OutgoingBody::finish(body, Some(large_fields()));
                held.push(Box::new(request));
                bytes += SIZE;
            }
            "uploads" => {
                let attempt = Attempt { method: Method::Put, ..Attempt::get("/secrets/new") };
                match attempt.authorized(&surrogate).start_upload() {
                    Ok((answer, body)) => {
                        let _ = write(&body, b"a beginning");
                        held.push(Box::new((answer, body)));
                    }
                    Err(error) => return error,
                }
            }
            "responses" => {
                let attempt = Attempt::get("/secrets/db?api-version=7.4");
                let Ok(answer) = attempt.authorized(&surrogate).start() else {
                    return "not sent".to_owned();
                };
                answer.subscribe().block();
                match answer.get() {
                    Some(Ok(Ok(response))) => held.push(Box::new(response)),
                    other => return format!("no response: {other:?}"),
                }
            }
            "fields-and-drop" => drop(large_fields()),
            _ => return "unknown".to_owned(),
        }
    }
    format!("held {}", held.len())
}

/// Writes to a body until the host takes no more. Returns how many bytes that were.
fn fill(body: &OutgoingBody) -> usize {
    let Ok(stream) = body.write() else { return 0 };
    let mut written = 0;
    loop {
        let room = usize::try_from(stream.check_write().unwrap_or(0)).unwrap_or(0);
        if room == 0 || stream.write(&vec![b'x'; room]).is_err() {
            return written;
        }
        written += room;
    }
}

fn large_fields() -> Fields {
    let fields = Fields::new();
    for _ in 0..SIZE / 4096 {
        let _ = fields.append("x-long", &[b'x'; 4096]);
    }
    fields
}
