//! Database sessions of calls.

use std::sync::Arc;
use std::time::Duration;

use keyward_policy::authorize::{
    self, AuthorizedLogin, Denied, LoginCredentials, Violation, authorize_login,
};
use keyward_policy::config::caller::mount_caller_header;
use keyward_policy::surrogate;
use keyward_policy::text::toml_key;
use keyward_sql::{
    Isolation, Item, Login, OpenError, Results, Secret, Session, SessionError, Target, Value,
};

use tokio::sync::OwnedSemaphorePermit;

use super::database_error::DatabaseError;
use super::session_hooks::CallHooks;
use crate::call::{Call, UpstreamNote};
use crate::error::{CallError, Limit};
use crate::mount::Mount;
use crate::redact::SecretIndex;
use crate::running_grant::RunningGrant;
use crate::served_caller::ConnectionsTaken;
use crate::upstream::ConnectError;

/// A database session of a call.
pub(crate) struct DatabaseSession {
    call: Arc<Call>,
    grant: RunningGrant,
    /// The database, as a path.
    path: String,
    /// The audit note of the login, which has the session's last error too.
    note: UpstreamNote,
    session: Session,
    _count: ConnectionCount,
    /// One of the connections that the caller may have.
    _of_caller: Option<OwnedSemaphorePermit>,
}

impl DatabaseSession {
    /// Opens a session.
    pub(crate) async fn open(
        call: &Arc<Call>,
        database: String,
        credentials: LoginCredentials,
    ) -> Result<Self, DatabaseError> {
        let mount = Arc::clone(call.mount());
        let authorized = authorize_login(&database, &credentials, call.grants(), call.surrogates());
        let AuthorizedLogin { grant, path, login } =
            authorized.map_err(|denied| deny(call, denied))?;
        let Some(pool) = &mount.databases else {
            return Err(deny(call, Violation::ForeignLogin.into()));
        };
        count_request(call)?;
        let count = ConnectionCount::add(call)?;
        let sealed = matches!(login, authorize::Login::Password { .. });
        let note = call.note_sql(&grant, "CONNECT", path.as_str(), sealed);

        let (server_login, secrets) = match &login {
            authorize::Login::Token => match token_login(&mount, &grant).await {
                Ok(login) => login,
                Err(error) => return Err(noted(&note, error)),
            },
            authorize::Login::Password { user, password } => {
                let secret = Secret::copied(password.expose_secret());
                let login = Login::Password { user: user.clone(), password: secret };
                (login, password.index())
            }
        };
        call.progress();
        let hooks = CallHooks { call: Arc::clone(call), grant: grant.clone(), secrets };
        let target = Target {
            host: grant.endpoint.host.clone(),
            port: grant.endpoint.port,
            database,
            login: server_login,
        };
        check_lock(call)?;
        let of_caller = match call.served() {
            Ok(served) => served.acquire_connection(mount.database_wait).await,
            // Only a call that is served runs.
            Err(_) => return Err(DatabaseError::Denied),
        };
        let of_caller = of_caller.map_err(|taken| noted(&note, taken_by_caller(call, &taken)))?;
        check_lock(call)?;
        let opened = pool.open(target, Arc::new(hooks)).await;
        call.progress();
        let session = opened.map_err(|error| {
            if let OpenError::Server(error) = &error
                && let authorize::Login::Password { password, .. } = &login
                && error.is_rejected_login()
            {
                // The password may have been changed.
                mount.sealed_responses.forget(password);
            }
            noted(&note, not_opened(call, error))
        })?;
        note.update(|upstream| upstream.cached = session.is_reused());
        let path = path.to_string();
        Ok(Self {
            call: Arc::clone(call),
            grant,
            path,
            note,
            session,
            _count: count,
            _of_caller: of_caller,
        })
    }

    /// Runs statements. Their results are read while they run.
    pub(crate) async fn query(
        self: &Arc<Self>,
        statement: String,
        parameters: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Result<DatabaseResults, DatabaseError> {
        self.begin_request("QUERY", &statement, &parameters)?;
        let results = self.session.query(statement, parameters, timeout).await;
        let results = results.map_err(|error| self.failed(error))?;
        Ok(DatabaseResults { session: Arc::clone(self), results })
    }

    /// Runs statements, and returns how many rows each of them affected.
    pub(crate) async fn execute(
        &self,
        statement: String,
        parameters: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Result<Vec<u64>, DatabaseError> {
        self.begin_request("EXECUTE", &statement, &parameters)?;
        let executed = self.session.execute(statement, parameters, timeout).await;
        executed.map_err(|error| self.failed(error))
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self, isolation: Option<Isolation>) -> Result<(), DatabaseError> {
        // Otherwise nothing is sent.
        if !self.session.is_transaction_open() {
            self.begin_request("BEGIN", "", &[])?;
        }
        self.session.begin(isolation).await.map_err(|error| self.failed(error))
    }

    /// Commits the transaction.
    pub(crate) async fn commit(&self) -> Result<(), DatabaseError> {
        if self.session.is_transaction_open() {
            self.begin_request("COMMIT", "", &[])?;
        }
        self.session.commit().await.map_err(|error| self.failed(error))
    }

    /// Rolls the transaction back.
    pub(crate) async fn rollback(&self) -> Result<(), DatabaseError> {
        if self.session.is_transaction_open() {
            self.begin_request("ROLLBACK", "", &[])?;
        }
        self.session.rollback().await.map_err(|error| self.failed(error))
    }

    /// Counts a request, checks what the plugin put into it, and notes it for the audit.
    fn begin_request(
        &self,
        method: &'static str,
        statement: &str,
        parameters: &[Value],
    ) -> Result<(), DatabaseError> {
        count_request(&self.call)?;
        let mut values = parameters.iter().filter_map(Value::as_bytes);
        if surrogate::is_in(statement.as_bytes()) || values.any(surrogate::is_in) {
            return Err(deny(&self.call, Violation::MisplacedSurrogate("statement").into()));
        }
        self.call.note_sql(&self.grant, method, &self.path, false);
        Ok(())
    }

    fn failed(&self, error: SessionError) -> DatabaseError {
        match error {
            SessionError::Server(error) => noted(&self.note, DatabaseError::Server(error)),
            SessionError::Broken(error) => {
                noted(&self.note, DatabaseError::Broken(error.to_string()))
            }
            SessionError::TimedOut => noted(&self.note, DatabaseError::TimedOut),
            SessionError::RowTooLong { limit } => {
                let mount = &self.call.mount().name;
                self.call.fail(CallError::limit(mount, Limit::RowBytes(limit)));
                DatabaseError::Denied
            }
            SessionError::Closed => DatabaseError::Broken(error.to_string()),
            SessionError::UnreadResults
            | SessionError::TransactionOpen
            | SessionError::NoTransaction
            | SessionError::InvalidParameter(_) => DatabaseError::Invalid(error.to_string()),
        }
    }
}

/// The results of a query, while it runs.
pub(crate) struct DatabaseResults {
    session: Arc<DatabaseSession>,
    results: Results,
}

impl DatabaseResults {
    /// Returns the columns of the next result set, or at most so many rows of the current one.
    /// `None` at the end.
    pub(crate) async fn next(&mut self, max_rows: u32) -> Result<Option<Item>, DatabaseError> {
        self.results.next(max_rows).await.map_err(|error| self.session.failed(error))
    }
}

/// A connection that counts towards its call's limit until this is dropped.
struct ConnectionCount(Arc<Call>);

impl ConnectionCount {
    /// Counts a connection. More than the limit end the call.
    fn add(call: &Arc<Call>) -> Result<Self, DatabaseError> {
        let mount = call.mount();
        let limit = mount.limits.connections;
        let count = Self(Arc::clone(call));
        if call.hold_connection() > limit {
            call.fail(CallError::limit(&mount.name, Limit::Connections(limit)));
            return Err(DatabaseError::Denied);
        }
        Ok(count)
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.release_connection();
    }
}

/// Counts a request. More than the limit end the call.
fn count_request(call: &Call) -> Result<(), DatabaseError> {
    check_lock(call)?;
    let mount = call.mount();
    let limit = mount.limits.requests;
    if call.count_request() > limit {
        call.fail(CallError::limit(&mount.name, Limit::Requests(limit)));
        return Err(DatabaseError::Denied);
    }
    Ok(())
}

/// Checks that no lock covers the call, which ends by it.
fn check_lock(call: &Call) -> Result<(), DatabaseError> {
    call.check_lock().map_err(|_| DatabaseError::Denied)
}

/// Ends the call.
fn deny(call: &Call, denied: Denied) -> DatabaseError {
    let error = call.denied(denied);
    call.note_denied_sql(error.rule());
    call.fail(error);
    DatabaseError::Denied
}

/// Notes an error for the audit.
fn noted(note: &UpstreamNote, error: DatabaseError) -> DatabaseError {
    note.update(|upstream| upstream.error = Some(error.to_string()));
    error
}

/// The login with a grant's token, and what finds that in responses.
async fn token_login(
    mount: &Mount,
    grant: &RunningGrant,
) -> Result<(Login, Arc<SecretIndex>), DatabaseError> {
    let token = grant.token().get().await?;
    mount.known_tokens.add(&grant.name, &token);
    let secret = token.expose_secret();
    let login = Login::Token {
        audience: grant.audience.as_str().into(),
        token: Secret::shared(secret),
        expires_on: token.expires_on(),
    };
    Ok((login, mount.known_tokens.index()))
}

fn taken_by_caller(call: &Call, taken: &ConnectionsTaken) -> DatabaseError {
    let (mount, ConnectionsTaken { name, most }) = (&call.mount().name, taken);
    DatabaseError::Busy(format!(
        "the caller `{name}` ({}) has {most} database connections of mount `{mount}` in use, which \
         is its share. To allow more, raise `concurrency` in {}, or `connections` in [mount.{}.pool]",
        call.caller(),
        mount_caller_header(mount, name),
        toml_key(mount)
    ))
}

fn not_opened(call: &Call, error: OpenError<ConnectError>) -> DatabaseError {
    let mount = &call.mount().name;
    match error {
        OpenError::Exhausted { connections } => DatabaseError::Busy(format!(
            "all {connections} database connections of mount `{mount}` are in use. To allow more, \
             raise `connections` in [mount.{}.pool]",
            toml_key(mount)
        )),
        OpenError::Server(error) => DatabaseError::Server(error),
        OpenError::Connect(keyward_sql::ConnectError::Connect(error)) => match error {
            ConnectError::Forbidden { .. } => {
                call.fail(CallError::forbidden_address(mount, error.to_string()));
                DatabaseError::Denied
            }
            ConnectError::Resolve { .. }
            | ConnectError::Connect { .. }
            | ConnectError::Tls { .. }
            | ConnectError::TimedOut { .. } => DatabaseError::Unreachable(error.to_string()),
        },
        OpenError::Connect(
            keyward_sql::ConnectError::Tls { .. } | keyward_sql::ConnectError::TimedOut { .. },
        )
        | OpenError::Login { .. }
        | OpenError::ForbiddenRedirect { .. }
        | OpenError::TooManyRedirects { .. } => DatabaseError::Unreachable(error.to_string()),
    }
}
