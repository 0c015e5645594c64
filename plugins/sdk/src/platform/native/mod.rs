//! The stand-in for the host in plain `cargo test`: see [`crate::testing`].

mod sql;

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::body::Content;
use crate::context::{not_declared, not_granted};
use crate::{Body, BodyError, Method, Outgoing, Problem, Response, SendError, Token};

pub(crate) use sql::{Asked, Connection, Database, Door, Reply, Results};

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}

/// Header fields, as a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    pub(crate) fn copy(&self) -> Self {
        self.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone()).collect()
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        self.remove(name);
        self.append(name, value)
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        if name.is_empty() || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(());
        }
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.0.clone()
    }
}

/// A stream is a list of chunks, the last of which may be an error.
pub(crate) struct Incoming(RefCell<std::vec::IntoIter<Result<Vec<u8>, BodyError>>>);

impl Incoming {
    pub(crate) fn new(chunks: Vec<Result<Vec<u8>, BodyError>>) -> Self {
        Self(RefCell::new(chunks.into_iter()))
    }

    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, BodyError> {
        self.0.borrow_mut().next().transpose()
    }
}

/// What a plugin sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) type Answer = Box<dyn Fn(Sent) -> Result<Response, SendError>>;

pub(crate) struct Mount {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) refused: BTreeMap<String, Problem>,
    pub(crate) answer: Answer,
    pub(crate) door: Door,
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
        if let Some(problem) = self.refused.get(audience) {
            return Err(problem.clone());
        }
        match self.config.get(&format!("endpoint.{audience}")) {
            Some(_) => Ok(Token { bearer: format!("surrogate-for-{audience}"), expires_on: 4_102_444_800 }),
            None if self.config.keys().any(|key| key.starts_with("endpoint.")) => Err(not_granted(audience, None)),
            None => Err(not_declared(audience)),
        }
    }

    /// No encryption: a test sees that it is not the state itself.
    #[allow(clippy::unnecessary_wraps, reason = "the host may fail to")]
    pub(crate) fn seal(&self, state: &str) -> Option<String> {
        Some(format!("sealed-{}", state.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    pub(crate) fn open(&self, sealed: &str) -> Option<String> {
        let digits = sealed.strip_prefix("sealed-")?.as_bytes();
        let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        String::from_utf8(pairs.collect::<Option<_>>()?).ok()
    }

    pub(crate) fn send(&self, outgoing: Outgoing) -> Result<Response, SendError> {
        let body = outgoing.body.into_bytes(usize::MAX).map_err(|error| SendError::Failed(error.to_string()))?;
        (self.answer)(Sent {
            method: outgoing.method,
            url: format!("https://{}{}", outgoing.authority, outgoing.path_and_query),
            headers: outgoing.headers.entries(),
            body,
        })
    }
}

#[allow(clippy::print_stderr)]
pub(crate) fn log(line: &str) {
    eprintln!("{line}");
}

/// A body that arrives in these chunks.
pub(crate) fn stream(chunks: Vec<Result<Vec<u8>, BodyError>>) -> Body {
    Body(Content::Stream(Incoming::new(chunks)))
}
