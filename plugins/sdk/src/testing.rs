//! Test a plugin's logic with plain `cargo test`: no sandbox, no network, no wasm target.
//!
//! [`Mount`] stands in for the host. It hands out endpoints, settings and surrogates, and answers
//! what the plugin sends.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::sql_data::{Column, Credential, Item, SqlError, Value};
use crate::{
    Body, BodyError, Context, Method, Plugin, Problem, Request, Response, SendError, platform,
};

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

/// What a plugin asked of a database. A transaction's begin and end come as statements: `begin
/// transaction`, `commit transaction`, `rollback transaction`.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The database's name.
    pub database: String,
    /// What the plugin logged in with.
    pub credential: Credential,
    /// The statement.
    pub statement: String,
    /// Its parameters, `@P1` first.
    pub parameters: Vec<Value>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// What a database answers.
pub struct Reply(platform::Reply);

impl Reply {
    /// One result set.
    #[must_use]
    pub fn rows(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Self {
        Self::items([Ok(Item::Columns(columns)), Ok(Item::Rows(rows))])
    }

    /// What a query gives, bit by bit. An error ends it.
    #[must_use]
    pub fn items<I: IntoIterator<Item = Result<Item, SqlError>>>(items: I) -> Self
    where
        I::IntoIter: 'static,
    {
        Self(platform::Reply::Items(Box::new(items.into_iter())))
    }

    /// How many rows each statement affected.
    #[must_use]
    pub fn counts(counts: &[u64]) -> Self {
        Self(platform::Reply::Counts(counts.to_vec()))
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
        let nowhere = |_: &str, _: &Credential| {
            Err(SqlError::Unreachable("this test has no database".to_owned()))
        };
        let (door, database) =
            (Box::new(nowhere), Rc::new(|_| Ok(platform::Reply::Counts(Vec::new()))));
        Self(platform::Mount {
            config: BTreeMap::new(),
            refused: BTreeMap::new(),
            answer,
            door,
            database,
        })
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
    pub fn try_answer(
        mut self,
        answer: impl Fn(Sent) -> Result<Response, SendError> + 'static,
    ) -> Self {
        self.0.answer = Box::new(move |sent| {
            let platform::Sent { method, url, headers, body } = sent;
            answer(Sent { method, url, headers, body })
        });
        self
    }

    /// What the databases behind the mount answer. All logins succeed.
    #[must_use]
    pub fn database(mut self, answer: impl Fn(Asked) -> Result<Reply, SqlError> + 'static) -> Self {
        self.0.door = Box::new(|_, _| Ok(()));
        self.0.database = Rc::new(move |asked| {
            let platform::Asked { database, credential, statement, parameters, timeout } = asked;
            answer(Asked { database, credential, statement, parameters, timeout })
                .map(|reply| reply.0)
        });
        self
    }

    /// Whether a login succeeds, by the name of the database and the credential. Comes after
    /// [`Mount::database`].
    #[must_use]
    pub fn login(
        mut self,
        door: impl Fn(&str, &Credential) -> Result<(), SqlError> + 'static,
    ) -> Self {
        self.0.door = Box::new(door);
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
