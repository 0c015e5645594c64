//! Test a plugin's logic with plain `cargo test`: no sandbox, no network, no wasm target.
//!
//! [`Mount`] stands in for the host. It hands out endpoints, settings and surrogates, and answers what the plugin sends.

use std::collections::BTreeMap;

use crate::{Body, BodyError, Context, Method, Plugin, Problem, Request, Response, SendError, platform};

/// What a plugin sent, as the host would have put it on the wire but for the surrogate.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Sent {
    /// The first value of a header field, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// A mount for a test.
pub struct Mount(platform::Mount);

impl Default for Mount {
    fn default() -> Self {
        Self::new()
    }
}

impl Mount {
    /// A mount without endpoints, behind which nobody answers.
    #[must_use]
    pub fn new() -> Self {
        let nobody = |_| Err(SendError::Failed("nobody answers in this test".to_owned()));
        let answer = Box::new(nobody);
        Self(platform::Mount { config: BTreeMap::new(), refused: BTreeMap::new(), answer })
    }

    /// Grants an audience, at this endpoint. Its surrogate is `surrogate-for-<audience>`.
    #[must_use]
    pub fn endpoint(mut self, audience: &str, url: &str) -> Self {
        self.0.config.insert(format!("endpoint.{audience}"), url.to_owned());
        self
    }

    /// Sets a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.0.config.insert(format!("setting.{name}"), value.to_owned());
        self
    }

    /// Has the identity refuse a token for this audience.
    #[must_use]
    pub fn refuse(mut self, audience: &str, problem: Problem) -> Self {
        self.0.refused.insert(audience.to_owned(), problem);
        self
    }

    /// What the services behind the mount answer.
    #[must_use]
    pub fn answer(self, answer: impl Fn(Sent) -> Response + 'static) -> Self {
        self.try_answer(move |sent| Ok(answer(sent)))
    }

    /// What the services behind the mount answer, or how they fail to.
    #[must_use]
    pub fn try_answer(mut self, answer: impl Fn(Sent) -> Result<Response, SendError> + 'static) -> Self {
        self.0.answer = Box::new(move |sent| {
            let platform::Sent { method, url, headers, body } = sent;
            answer(Sent { method, url, headers, body })
        });
        self
    }

    /// Calls the plugin, as a program that reaches it at `http://localhost/mount` would.
    #[must_use]
    pub fn call<P: Plugin>(self, request: Request) -> Response {
        P::handle(request, &Context { mount: self.0 }).unwrap_or_else(Problem::into_response)
    }
}

/// A body that arrives in these chunks.
#[must_use]
pub fn stream<const N: usize>(chunks: [&str; N]) -> Body {
    platform::stream(chunks.iter().map(|chunk| Ok(chunk.as_bytes().to_vec())).collect())
}

/// A body that arrives in these chunks and then breaks off.
#[must_use]
pub fn broken_stream<const N: usize>(chunks: [&str; N]) -> Body {
    let whole = chunks.iter().map(|chunk| Ok(chunk.as_bytes().to_vec()));
    let broken = Err(BodyError::Broken("the peer went away".to_owned()));
    platform::stream(whole.chain([broken]).collect())
}

/// All of a response's body as text, whatever it takes.
#[must_use]
pub fn text(response: Response) -> String {
    match response.body.into_bytes(usize::MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("<{error}>"),
    }
}
