//! Tests of a plugin's logic with plain `cargo test`: no sandbox, no network, no wasm target.
//!
//! [`Mount`] mocks the host. It provides endpoints, settings and surrogates, and responds to the
//! plugin's requests.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::sql_data::{Column, Credential, Item, SqlError, Value};
use crate::{
    Body, BodyError, Context, Method, Plugin, Problem, Request, Response, SendError, platform,
};

/// A request that a plugin sent, with the surrogate in place of the token.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The header fields, with names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Sent {
    /// The first value of a header field, if it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// A statement that a plugin sent to a database. Beginning and ending a transaction are statements
/// too: `begin transaction`, `commit transaction`, `rollback transaction`.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseRequest {
    /// The database's name.
    pub database: String,
    /// The credential that the plugin logged in with.
    pub credential: Credential,
    /// The statement.
    pub statement: String,
    /// Its parameters, `@P1` first.
    pub parameters: Vec<Value>,
    /// The timeout, if any.
    pub timeout: Option<Duration>,
}

/// A database's reply to a statement.
pub struct Reply(platform::Reply);

impl Reply {
    /// A single result set.
    #[must_use]
    pub fn rows(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Self {
        Self::items([Ok(Item::Columns(columns)), Ok(Item::Rows(rows))])
    }

    /// The items of a query's results. An error ends them.
    #[must_use]
    pub fn items<I: IntoIterator<Item = Result<Item, SqlError>>>(items: I) -> Self
    where
        I::IntoIter: 'static,
    {
        Self(platform::Reply::Items(Box::new(items.into_iter())))
    }

    /// The number of rows that each statement affected.
    #[must_use]
    pub fn counts(counts: &[u64]) -> Self {
        Self(platform::Reply::Counts(counts.to_vec()))
    }
}

/// A mount with a mocked host.
pub struct Mount(platform::Mount);

impl Default for Mount {
    fn default() -> Self {
        Self::new()
    }
}

impl Mount {
    /// Creates a mount without endpoints, whose requests all fail.
    #[must_use]
    pub fn new() -> Self {
        let no_service = |_| Err(SendError::Failed("this test has no service".to_owned()));
        let no_database = |_: &str, _: &Credential| {
            Err(SqlError::Unreachable("this test has no database".to_owned()))
        };
        Self(platform::Mount {
            config: BTreeMap::new(),
            token_errors: BTreeMap::new(),
            responder: Box::new(no_service),
            login: Box::new(no_database),
            database: Rc::new(|_| Ok(platform::Reply::Counts(Vec::new()))),
        })
    }

    /// Grants an audience with this endpoint. Its surrogate is `surrogate-for-<audience>`.
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

    /// Makes requests for a token for this audience fail.
    #[must_use]
    pub fn token_error(mut self, audience: &str, problem: Problem) -> Self {
        self.0.token_errors.insert(audience.to_owned(), problem);
        self
    }

    /// Sets the services' response to each request.
    #[must_use]
    pub fn respond_with(self, respond: impl Fn(Sent) -> Response + 'static) -> Self {
        self.try_respond_with(move |sent| Ok(respond(sent)))
    }

    /// Sets the services' response or error for each request.
    #[must_use]
    pub fn try_respond_with(
        mut self,
        respond: impl Fn(Sent) -> Result<Response, SendError> + 'static,
    ) -> Self {
        self.0.responder = Box::new(move |sent| {
            let platform::Sent { method, url, headers, body } = sent;
            respond(Sent { method, url, headers, body })
        });
        self
    }

    /// Sets the databases' reply to each statement. All logins succeed.
    #[must_use]
    pub fn database(
        mut self,
        reply: impl Fn(DatabaseRequest) -> Result<Reply, SqlError> + 'static,
    ) -> Self {
        self.0.login = Box::new(|_, _| Ok(()));
        self.0.database = Rc::new(move |request| {
            let platform::DatabaseRequest { database, credential, statement, parameters, timeout } =
                request;
            reply(DatabaseRequest { database, credential, statement, parameters, timeout })
                .map(|reply| reply.0)
        });
        self
    }

    /// Sets the result of logins, by the database's name and the credential. Call it after
    /// [`Mount::database`].
    #[must_use]
    pub fn login(
        mut self,
        login: impl Fn(&str, &Credential) -> Result<(), SqlError> + 'static,
    ) -> Self {
        self.0.login = Box::new(login);
        self
    }

    /// Calls the plugin as a program would at `http://localhost/mount`.
    #[must_use]
    pub fn call<P: Plugin>(self, request: Request) -> Response {
        P::handle(request, &Context { mount: self.0 }).unwrap_or_else(Problem::into_response)
    }
}

/// A body that is received in these chunks.
#[must_use]
pub fn stream<const N: usize>(chunks: [&str; N]) -> Body {
    platform::stream(chunks.iter().map(|chunk| Ok(chunk.as_bytes().to_vec())).collect())
}

/// A body that is received in these chunks and then aborted.
#[must_use]
pub fn broken_stream<const N: usize>(chunks: [&str; N]) -> Body {
    let whole = chunks.iter().map(|chunk| Ok(chunk.as_bytes().to_vec()));
    let broken = Err(BodyError::Broken("the peer disconnected".to_owned()));
    platform::stream(whole.chain([broken]).collect())
}

/// The whole body of a response as text, or its error in angle brackets.
#[must_use]
pub fn text(response: Response) -> String {
    match response.body.into_bytes(usize::MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("<{error}>"),
    }
}
