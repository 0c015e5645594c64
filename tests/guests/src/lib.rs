//! Utilities of hostile guests: direct use of the host's interfaces, since the sdk prevents these
//! attacks.

use bindings::exports::wasi::http::incoming_handler::{IncomingRequest, ResponseOutparam};
use bindings::keyward::broker::identity;
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, Scheme,
};
use bindings::wasi::io::streams::StreamError;
pub use keyward_plugin::bindings;

pub mod sas;

/// Exports a function from a request to a report as the component's handler, by default with the
/// common manifest. The response's body is the report, followed by the guest's whole memory for a
/// test to search.
#[macro_export]
macro_rules! attack {
    ($attack:path) => {
        $crate::attack!($attack, "../manifest.toml");
    };
    ($attack:path, $manifest:literal) => {
        $crate::handler!($manifest, |request, out| {
            let report = $attack(&request);
            $crate::respond(out, &report);
        });
    };
}

/// Exports a function from the raw request and response to nothing as the component's handler.
#[macro_export]
macro_rules! handler {
    (|$request:ident, $out:ident| $body:block) => {
        $crate::handler!("../manifest.toml", |$request, $out| $body);
    };
    ($manifest:literal, |$request:ident, $out:ident| $body:block) => {
        keyward_plugin::manifest!($manifest);

        struct Handler;

        impl $crate::bindings::exports::wasi::http::incoming_handler::Guest for Handler {
            fn handle(
                $request: $crate::bindings::exports::wasi::http::incoming_handler::IncomingRequest,
                $out: $crate::bindings::exports::wasi::http::incoming_handler::ResponseOutparam,
            ) {
                $body
            }
        }

        #[allow(unsafe_code)]
        mod export {
            use super::Handler;
            $crate::bindings::export!(Handler with_types_in $crate::bindings);
        }
    };
}

/// The value of a header field, with which a test selects the attack.
pub fn header(request: &IncomingRequest, name: &str) -> Option<String> {
    String::from_utf8(request.headers().get(name).into_iter().next()?).ok()
}

/// A surrogate for the vault.
pub fn surrogate() -> String {
    match identity::get_token("vault") {
        Ok(token) => token.bearer,
        Err(error) => format!("no-surrogate-{error:?}"),
    }
}

/// A request that a guest attempts to send.
pub struct Attempt<'a> {
    pub method: Method,
    pub scheme: Scheme,
    pub authority: &'a str,
    pub path: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: Option<&'a [u8]>,
}

/// The vault that the tests mount.
pub const VAULT: &str = "contoso.vault.azure.net";

impl<'a> Attempt<'a> {
    /// A `GET` of a path of the vault.
    pub fn get(path: &'a str) -> Self {
        Self {
            method: Method::Get,
            scheme: Scheme::Https,
            authority: VAULT,
            path,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Sets the surrogate in the `authorization` field.
    pub fn authorized(self, surrogate: &str) -> Self {
        self.header("authorization", format!("Bearer {surrogate}"))
    }

    /// Adds a header field.
    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends the request and describes the result.
    pub fn send(self) -> String {
        match self.start() {
            Ok(answer) => describe(&answer),
            Err(error) => error,
        }
    }

    /// Sends the head of the request and returns the body to write.
    pub fn start_upload(self) -> Result<(FutureIncomingResponse, OutgoingBody), String> {
        let request = self.request()?;
        let body = request.body().map_err(|()| "no body".to_owned())?;
        let answer =
            outgoing_handler::handle(request, None).map_err(|code| format!("error {code:?}"))?;
        Ok((answer, body))
    }

    fn request(&self) -> Result<OutgoingRequest, String> {
        let fields = Fields::new();
        for (name, value) in &self.headers {
            fields
                .append(name, value.as_bytes())
                .map_err(|error| format!("field {name} refused: {error:?}"))?;
        }
        let request = OutgoingRequest::new(fields);
        request.set_method(&self.method).map_err(|()| "method refused".to_owned())?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| "scheme refused".to_owned())?;
        request.set_authority(Some(self.authority)).map_err(|()| "authority refused".to_owned())?;
        request.set_path_with_query(Some(self.path)).map_err(|()| "path refused".to_owned())?;
        Ok(request)
    }

    /// Sends the request.
    pub fn start(self) -> Result<FutureIncomingResponse, String> {
        let request = self.request()?;
        let Some(bytes) = self.body else {
            return outgoing_handler::handle(request, None)
                .map_err(|code| format!("error {code:?}"));
        };
        let body = request.body().map_err(|()| "no body".to_owned())?;
        let answer =
            outgoing_handler::handle(request, None).map_err(|code| format!("error {code:?}"))?;
        let written = write(&body, bytes);
        match OutgoingBody::finish(body, None) {
            Ok(()) if written.is_ok() => Ok(answer),
            Ok(()) => Err("the body could not be written".to_owned()),
            Err(code) => Err(format!("body refused: {code:?}")),
        }
    }
}

/// Writes bytes to a body, as many at once as the host takes.
pub fn write(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), StreamError> {
    let Ok(stream) = body.write() else { return Err(StreamError::Closed) };
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()).min(256 << 10));
        stream.write(now)?;
        bytes = later;
    }
    // Whether the host took it all is known when it has.
    stream.blocking_flush()
}

/// Writes to a body until the host takes no more.
pub fn write_without_end(body: &OutgoingBody) {
    let Ok(stream) = body.write() else { return };
    while let Ok(room) = stream.check_write() {
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(1024);
        if room == 0 {
            stream.subscribe().block();
        } else if stream.write(&vec![b'x'; room]).is_err() {
            return;
        }
    }
}

/// Waits for an answer and reads it whole: its status, fields and body.
pub fn describe(answer: &FutureIncomingResponse) -> String {
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return format!("error {code:?}"),
        other => return format!("no answer: {}", other.is_some()),
    };
    let mut text = format!("status {}\n", response.status());
    for (name, value) in response.headers().entries() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    let Ok(body) = response.consume() else { return text };
    let Ok(stream) = body.stream() else { return text };
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Err(StreamError::Closed) => return text,
            Err(StreamError::LastOperationFailed(error)) => {
                return format!("{text}\nbroken: {}", error.to_debug_string());
            }
        }
    }
}

/// The first error code of what came of a request, for guests that only want to know that.
pub fn refused(code: &ErrorCode) -> String {
    format!("error {code:?}")
}

/// Logs the number of tokens in the guest's memory.
pub fn log_tokens() {
    keyward_plugin::log(&format!(
        "memory: {} bytes, {} tokens",
        memory().len(),
        tokens_in_memory()
    ));
}

/// The number of JSON web tokens in memory, by their prefix. The prefix itself must not be in memory,
/// so it is computed for each search and wiped.
fn tokens_in_memory() -> usize {
    let mut needle = *b"dxI/dW@h";
    for byte in &mut needle {
        *byte = byte.wrapping_add(1);
    }
    let start = needle.as_ptr() as usize;
    let found = memory()
        .windows(needle.len())
        .enumerate()
        .filter(|(at, window)| *at + 1 != start && window.eq_ignore_ascii_case(&needle))
        .count();
    needle.fill(0);
    std::hint::black_box(needle);
    found
}

/// The guest's linear memory but for its first byte, to which no slice can point.
#[allow(unsafe_code)]
fn memory() -> &'static [u8] {
    #[cfg(target_family = "wasm")]
    {
        let size = core::arch::wasm32::memory_size(0) * 65536;
        // SAFETY: all of linear memory can be read. It changes under the slice's feet, which is
        // what is attempt here.
        unsafe { core::slice::from_raw_parts(std::hint::black_box(1_usize) as *const u8, size - 1) }
    }
    #[cfg(not(target_family = "wasm"))]
    &[]
}

/// Answers 200 with a report, and the guest's memory behind it.
pub fn respond(out: ResponseOutparam, report: &str) {
    log_tokens();
    let (body, out) = (OutgoingResponse::new(Fields::new()), out);
    let Ok(outgoing) = body.body() else { return };
    ResponseOutparam::set(out, Ok(body));
    let report = format!("{report}\n--- memory ---\n");
    if write_all(&outgoing, &[report.as_bytes(), memory()]).is_ok() {
        drop(OutgoingBody::finish(outgoing, None));
    }
}

fn write_all(body: &OutgoingBody, parts: &[&[u8]]) -> Result<(), StreamError> {
    let Ok(stream) = body.write() else { return Err(StreamError::Closed) };
    for part in parts {
        for chunk in part.chunks(64 << 10) {
            let mut left = chunk;
            while !left.is_empty() {
                let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
                if room == 0 {
                    stream.subscribe().block();
                    continue;
                }
                let (now, later) = left.split_at(room.min(left.len()));
                stream.write(now)?;
                left = later;
            }
        }
    }
    Ok(())
}
