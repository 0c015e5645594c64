//! Mock of the host for native tests: see [`crate::testing`].

mod sql;

use std::collections::BTreeMap;

use crate::body::{Body, Content};
use crate::body_error::BodyError;
use crate::host::Incoming;
use crate::method::Method;
use crate::outgoing::{Outgoing, SendError};
use crate::problem::Problem;
use crate::response::Response;
use crate::token::Token;

pub(crate) use sql::{Connection, Database, DatabaseRequest, Login, Reply, Results};

/// A request that a plugin sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) type Responder = Box<dyn Fn(Sent) -> Result<Response, SendError>>;

pub(crate) struct Mount {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) token_errors: BTreeMap<String, Problem>,
    pub(crate) responder: Responder,
    pub(crate) login: Login,
    pub(crate) database: Database,
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Mount {
    pub(crate) fn config(&self, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    pub(crate) fn forwarded(&self, name: &str) -> &'static str {
        match name {
            "proto" => "http",
            "host" => "localhost",
            _ => "/mount",
        }
    }

    pub(crate) fn token(&self, audience: &str) -> Result<Token, Problem> {
        if let Some(problem) = self.token_errors.get(audience) {
            return Err(problem.clone());
        }
        match self.config.get(&format!("endpoint.{audience}")) {
            Some(_) => {
                Ok(Token { bearer: format!("surrogate-for-{audience}"), expires_on: 4_102_444_800 })
            }
            None if self.config.keys().any(|key| key.starts_with("endpoint.")) => {
                Err(Problem::not_granted(audience, None))
            }
            None => Err(Problem::not_declared(audience)),
        }
    }

    /// Encodes the state, without encryption.
    #[allow(clippy::unnecessary_wraps, reason = "sealing by the host can fail")]
    pub(crate) fn seal(&self, state: &str) -> Option<String> {
        Some(format!(
            "sealed-{}",
            state.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()
        ))
    }

    pub(crate) fn open(&self, sealed: &str) -> Option<String> {
        let digits = sealed.strip_prefix("sealed-")?.as_bytes();
        let pairs = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        String::from_utf8(pairs.collect::<Option<_>>()?).ok()
    }

    pub(crate) fn send(&self, outgoing: Outgoing) -> Result<Response, SendError> {
        let body = outgoing
            .body
            .into_bytes(usize::MAX)
            .map_err(|error| SendError::Failed(error.to_string()))?;
        (self.responder)(Sent {
            method: outgoing.method,
            url: format!("https://{}{}", outgoing.authority, outgoing.path_and_query),
            headers: outgoing.headers.entries(),
            body,
        })
    }
}

/// A body that is received in these chunks.
pub(crate) fn stream(chunks: Vec<Result<Vec<u8>, BodyError>>) -> Body {
    Body(Content::Stream(Incoming::new(chunks)))
}
