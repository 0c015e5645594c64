//! A connection while a plugin has it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryStreamExt;
use keyward_identity::TokenError;
use tiberius::{Query, QueryItem};
use tokio::time::Instant;

use super::error::{ServerError, SqlError};
use super::open::{self, Client, NotOpened};
use super::parameter::{Parameter, has_surrogate};
use super::pool::{Connection, Key, Place, Pool};
use super::quietly;
use super::rules::{self, Credential, Login};
use super::value::{Column, DataType, Item, Value, blanked};
use crate::call::{Call, UpstreamNote};
use crate::egress::{Misuse, Refusal, Scanner};
use crate::error::{CallError, Limit};
use crate::surrogate;

/// About how many bytes of rows wait for the plugin.
const BATCH: usize = 64 << 10;

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Snapshot,
    Serializable,
}

impl Isolation {
    const fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Snapshot => "SNAPSHOT",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

/// A connection that a call has. When the last handle on it is dropped, it goes back to the pool if it may.
pub(crate) struct Session {
    call: Arc<Call>,
    _held: Held,
    pool: Pool,
    grant: usize,
    path: String,
    note: UpstreamNote,
    /// `None` while a query has it, and after it broke.
    connection: Mutex<Option<Connection>>,
    place: Mutex<Option<Place>>,
    transaction: AtomicBool,
    /// Whether its transactions see others otherwise than usual.
    isolated: AtomicBool,
    broken: AtomicBool,
}

impl Session {
    /// Opens a connection for a call.
    pub(crate) async fn open(call: &Arc<Call>, database: String, credential: Credential) -> Result<Self, SqlError> {
        let mount = Arc::clone(call.mount());
        let passed = rules::judge(&database, &credential, &mount.grants, call.surrogates());
        let rules::Passed { grant, path, login } = passed.map_err(|refusal| refuse(call, &refusal))?;
        let (Some(pool), Some(granted), Some(token)) =
            (mount.databases.clone(), mount.grants.get(grant), mount.tokens.get(grant))
        else {
            return Err(refuse(call, &Misuse::ForeignLogin.into()));
        };
        count(call)?;
        let held = Held(Arc::clone(call));
        if call.hold_connection() > mount.limits.connections {
            call.fail(CallError::limit(&mount.name, Limit::Connections(mount.limits.connections)));
            return Err(SqlError::Refused);
        }
        let sealed = matches!(login, Login::Password { .. });
        let note = call.note_sql(grant, "CONNECT", path.as_str(), sealed);
        let noted = |error: SqlError| {
            note.update(|upstream| upstream.error = Some(error.to_string()));
            error
        };
        let token = match login {
            Login::Password { .. } => None,
            Login::Token => Some(token.get().await.map_err(|error| noted(no_token(&error)))?),
        };
        call.progress();
        let place = pool.enter(&mount.name).await.map_err(noted)?;
        let key = Key { grant, database, login: login.clone() };
        let taken = pool.take(key, granted, token.as_ref()).await;
        call.progress();
        let (connection, kept) = match taken {
            Ok(taken) => taken,
            Err(NotOpened::Error(error)) => return Err(noted(error)),
            Err(NotOpened::Server(error)) => {
                if let Login::Password { password, .. } = &login
                    && error.is_refused_login()
                {
                    // Perhaps it is another one by now.
                    mount.kept.forget(password);
                }
                let secrets = open::secrets(&login, token.as_ref());
                return Err(noted(SqlError::Server(without(error, &secrets, call))));
            }
            Err(NotOpened::Forbidden(why)) => {
                call.fail(CallError::forbidden_address(&mount.name, why));
                return Err(noted(SqlError::Refused));
            }
        };
        note.update(|upstream| upstream.kept = kept);
        connection.opened.watch.limit_rows(mount.limits.memory);
        Ok(Self {
            call: Arc::clone(call),
            _held: held,
            pool,
            grant,
            path: path.to_string(),
            note,
            connection: Mutex::new(Some(connection)),
            place: Mutex::new(Some(place)),
            transaction: AtomicBool::new(false),
            isolated: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, SqlError> {
        match self.lock().take() {
            Some(connection) => {
                connection.opened.watch.row();
                Ok(connection)
            }
            None if self.broken.load(Ordering::Relaxed) => {
                Err(SqlError::Broken("something before this one broke it, or was cancelled".to_owned()))
            }
            None => {
                Err(SqlError::Invalid("the results of a query are not read to their end, and not dropped".to_owned()))
            }
        }
    }

    /// Puts the connection back, with what came of its use.
    fn settle(&self, connection: Connection, result: Result<(), &tiberius::error::Error>) -> Result<(), SqlError> {
        let too_long = connection.opened.watch.row_is_too_long();
        match result {
            Ok(()) => {
                *self.lock() = Some(connection);
                Ok(())
            }
            Err(tiberius::error::Error::Server(error)) => {
                let error = without(error.into(), &connection.opened.secrets, &self.call);
                // `tiberius` tells of an error when it has read the whole answer.
                if error.is_fatal() {
                    self.broken.store(true, Ordering::Relaxed);
                } else {
                    *self.lock() = Some(connection);
                }
                Err(self.noted(SqlError::Server(error)))
            }
            Err(error) => {
                self.broken.store(true, Ordering::Relaxed);
                if too_long {
                    let mount = self.call.mount();
                    self.call.fail(CallError::limit(&mount.name, Limit::RowBytes(mount.limits.memory)));
                    return Err(SqlError::Refused);
                }
                Err(self.noted(error.into()))
            }
        }
    }

    fn noted(&self, error: SqlError) -> SqlError {
        self.note.update(|upstream| upstream.error = Some(error.to_string()));
        error
    }

    /// What runs before every statement.
    fn begin_statement(&self, statement: &str, parameters: &[Value], method: &'static str) -> Result<(), SqlError> {
        count(&self.call)?;
        if surrogate::is_in(statement.as_bytes()) || parameters.iter().any(has_surrogate) {
            return Err(refuse(&self.call, &Misuse::SurrogateElsewhere("statement").into()));
        }
        self.call.note_sql(self.grant, method, &self.path, false);
        Ok(())
    }

    /// Runs statements. What is given back is polled by whoever reads it.
    pub(crate) async fn query(
        self: &Arc<Self>,
        statement: String,
        parameters: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Result<Running, SqlError> {
        self.begin_statement(&statement, &parameters, "QUERY")?;
        let parameters = bound(parameters)?;
        let connection = self.take()?;
        let queue = Arc::new(Queue::default());
        let future = Box::pin(quietly(run(connection, statement, parameters, Arc::clone(&queue))));
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut running = Running { session: Arc::clone(self), future: Some(future), queue, deadline, failed: None };
        running.first().await?;
        Ok(running)
    }

    /// Runs statements, and counts the rows that they affected.
    pub(crate) async fn execute(
        &self,
        statement: String,
        parameters: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Result<Vec<u64>, SqlError> {
        self.begin_statement(&statement, &parameters, "EXECUTE")?;
        let parameters = bound(parameters)?;
        let query = with(statement, parameters);
        let execute = async move |client: &mut Client| Ok(query.execute(client).await?.rows_affected().to_vec());
        self.exchange(timeout, execute).await
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self, isolation: Option<Isolation>) -> Result<(), SqlError> {
        if self.transaction.load(Ordering::Relaxed) {
            return Err(SqlError::Invalid("a transaction is open already".to_owned()));
        }
        // What a level is set to stays, and not every server sets it back with the rest of the state.
        let level = isolation.filter(|isolation| *isolation != Isolation::ReadCommitted).map(Isolation::name);
        self.isolated.store(level.is_some(), Ordering::Relaxed);
        let set = level.map_or_else(String::new, |level| format!("SET TRANSACTION ISOLATION LEVEL {level}; "));
        self.transact(format!("{set}BEGIN TRANSACTION"), "BEGIN").await?;
        self.transaction.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the transaction, with or without its changes.
    pub(crate) async fn end(&self, commit: bool) -> Result<(), SqlError> {
        if !self.transaction.load(Ordering::Relaxed) {
            return Err(SqlError::Invalid("no transaction is open".to_owned()));
        }
        let (statement, method) =
            if commit { ("COMMIT TRANSACTION", "COMMIT") } else { ("ROLLBACK TRANSACTION", "ROLLBACK") };
        let reset =
            if self.isolated.load(Ordering::Relaxed) { "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED" } else { "" };
        let ended = self.transact(format!("{statement}{reset}"), method).await;
        if ended.is_ok() {
            self.isolated.store(false, Ordering::Relaxed);
        }
        // A server that refuses to commit has no transaction, or one that is lost. The pool looks whether there is one.
        self.transaction.store(false, Ordering::Relaxed);
        ended
    }

    async fn transact(&self, batch: String, method: &'static str) -> Result<(), SqlError> {
        self.begin_statement(&batch, &[], method)?;
        let run = async move |client: &mut Client| {
            client.simple_query(batch).await?.into_results().await?;
            Ok(())
        };
        self.exchange(None, run).await
    }

    /// One request and its whole answer.
    async fn exchange<T>(
        &self,
        timeout: Option<Duration>,
        exchange: impl AsyncFnOnce(&mut Client) -> tiberius::Result<T>,
    ) -> Result<T, SqlError> {
        let mut connection = self.take()?;
        connection.opened.watch.tokens.want_money(false);
        // Where this is dropped, the connection is, and with it what it runs.
        self.broken.store(true, Ordering::Relaxed);
        let exchange = quietly(exchange(&mut connection.opened.client));
        let exchanged = match timeout {
            None => exchange.await,
            Some(timeout) => match tokio::time::timeout(timeout, exchange).await {
                Ok(exchanged) => exchanged,
                Err(_) => return Err(self.noted(SqlError::TimedOut)),
            },
        };
        self.call.progress();
        self.broken.store(false, Ordering::Relaxed);
        let settled = self.settle(connection, exchanged.as_ref().map(|_| ()));
        match (exchanged, settled) {
            (Ok(value), Ok(())) => Ok(value),
            (_, Err(error)) => Err(error),
            (Err(error), Ok(())) => Err((&error).into()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(connection), Some(_), false) = (connection, place, *self.isolated.get_mut()) {
            self.pool.give_back(connection);
        }
    }
}

/// A connection is counted among its call's, until this is dropped.
struct Held(Arc<Call>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release_connection();
    }
}

/// Counts a request of the plugin's.
fn count(call: &Arc<Call>) -> Result<(), SqlError> {
    let mount = call.mount();
    if call.count_request() > mount.limits.requests {
        call.fail(CallError::limit(&mount.name, Limit::Requests(mount.limits.requests)));
        return Err(SqlError::Refused);
    }
    Ok(())
}

/// A refusal fails the whole call.
fn refuse(call: &Arc<Call>, refusal: &Refusal) -> SqlError {
    let error = CallError::refused(call.mount(), refusal);
    call.note_refused_sql(error.rule());
    call.fail(error);
    SqlError::Refused
}

fn no_token(error: &TokenError) -> SqlError {
    if let TokenError::Throttled { retry_after } = error {
        return SqlError::Throttled(u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1));
    }
    SqlError::Unavailable(error.to_string())
}

/// An error of the server's, without what was logged in with.
fn without(mut error: ServerError, secrets: &Scanner, call: &Call) -> ServerError {
    let mut echo = false;
    error.message = blanked(error.message.into(), secrets, &mut echo);
    error.procedure = error.procedure.map(|name| blanked(name.into(), secrets, &mut echo));
    if echo {
        call.note_echo();
    }
    error
}

fn bound(parameters: Vec<Value>) -> Result<Vec<Parameter>, SqlError> {
    let numbered = parameters.into_iter().enumerate();
    let bound = numbered.map(|(index, value)| Parameter::of(index + 1, value)).collect::<Result<Vec<_>, _>>();
    bound.map_err(|error| SqlError::Invalid(error.to_string()))
}

fn with(statement: String, parameters: Vec<Parameter>) -> Query<'static> {
    let mut query = Query::new(statement);
    for parameter in parameters {
        query.bind(parameter);
    }
    query
}

/// What waits for the plugin.
#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    items: VecDeque<Waits>,
    bytes: usize,
    echo: bool,
}

enum Waits {
    Columns(Vec<Column>, usize),
    Row(Vec<Value>, usize),
}

/// What each item takes beside what is in it.
const ITEM: usize = 64;

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: Waits) {
        let (Waits::Columns(_, bytes) | Waits::Row(_, bytes)) = &item;
        let mut waiting = self.lock();
        waiting.bytes += bytes;
        waiting.items.push_back(item);
    }

    /// Waits until there is room. The reader takes something out before it polls again.
    async fn room(&self) {
        std::future::poll_fn(|_| if self.lock().bytes < BATCH { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// What comes next: columns, or up to so many rows.
    fn next(&self, most: usize) -> Option<Item> {
        let mut waiting = self.lock();
        if let Some(Waits::Columns(..)) = waiting.items.front() {
            let Some(Waits::Columns(columns, bytes)) = waiting.items.pop_front() else { return None };
            waiting.bytes -= bytes;
            return Some(Item::Columns(columns));
        }
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(Waits::Row(..)) = waiting.items.front()
            && let Some(Waits::Row(row, bytes)) = waiting.items.pop_front()
        {
            waiting.bytes -= bytes;
            rows.push(row);
        }
        (!rows.is_empty()).then_some(Item::Rows(rows))
    }
}

type Ran = (Connection, tiberius::Result<()>);

/// Runs statements, and puts what comes into the queue.
async fn run(mut connection: Connection, statement: String, parameters: Vec<Parameter>, queue: Arc<Queue>) -> Ran {
    let opened = &mut connection.opened;
    let result = read(&mut opened.client, &opened.secrets, &opened.watch, with(statement, parameters), &queue).await;
    (connection, result)
}

async fn read(
    client: &mut Client,
    secrets: &Scanner,
    watch: &super::wire::Watch,
    query: Query<'static>,
    queue: &Queue,
) -> tiberius::Result<()> {
    watch.tokens.want_money(true);
    let mut stream = query.query(client).await?;
    let mut types = Vec::new();
    while let Some(item) = stream.try_next().await? {
        let mut echo = false;
        match item {
            QueryItem::Metadata(metadata) => {
                let mut money = watch.tokens.next_money().into_iter();
                let columns = metadata.columns().iter().map(|column| Column {
                    name: blanked(column.name().into(), secrets, &mut echo),
                    data_type: money.next().flatten().unwrap_or_else(|| column.column_type().into()),
                });
                let columns: Vec<Column> = columns.collect();
                types = columns.iter().map(|column| column.data_type).collect();
                let names: usize = columns.iter().map(|column| column.name.len() + size_of::<Column>()).sum();
                queue.push(Waits::Columns(columns, ITEM + names));
            }
            QueryItem::Row(row) => {
                let row = values(row, &types, secrets, &mut echo)?;
                let values: usize = row.iter().map(Value::size).sum();
                queue.push(Waits::Row(row, ITEM + values));
            }
        }
        if echo {
            queue.lock().echo = true;
        }
        queue.room().await;
    }
    Ok(())
}

fn values(row: tiberius::Row, types: &[DataType], secrets: &Scanner, echo: &mut bool) -> tiberius::Result<Vec<Value>> {
    let cells = row.into_iter().zip(types);
    let told = cells.map(|(cell, kind)| Value::of(cell, *kind, secrets, echo));
    told.collect::<Result<_, _>>().map_err(|why| tiberius::error::Error::Conversion(why.to_string().into()))
}

/// A query that runs. Nobody but its reader drives it: who does not read, makes the server wait.
pub(crate) struct Running {
    session: Arc<Session>,
    future: Option<Pin<Box<dyn Future<Output = Ran> + Send>>>,
    queue: Arc<Queue>,
    deadline: Option<Instant>,
    /// How it ended, where that is not told yet.
    failed: Option<SqlError>,
}

impl Running {
    /// Waits until there is something to read, or nothing will come.
    async fn first(&mut self) -> Result<(), SqlError> {
        self.drive(1).await?;
        match self.failed.take() {
            Some(error) if self.queue.lock().items.is_empty() => Err(error),
            failed => {
                self.failed = failed;
                Ok(())
            }
        }
    }

    /// What comes next, or nothing at the end.
    pub(crate) async fn next(&mut self, most: u32) -> Result<Option<Item>, SqlError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        self.drive(most).await?;
        let next = self.queue.next(most);
        if std::mem::take(&mut self.queue.lock().echo) {
            self.session.call.note_echo();
        }
        self.session.call.progress();
        match (next, self.failed.take()) {
            (Some(item), failed) => {
                self.failed = failed;
                Ok(Some(item))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// Lets the query go on, until there is enough, or something and nothing more just now, or the end.
    async fn drive(&mut self, most: usize) -> Result<(), SqlError> {
        let deadline = self.deadline;
        // Rows that come faster than they are read must not hide that time is up.
        if self.future.is_some() && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.cancel();
            return Err(self.session.noted(SqlError::TimedOut));
        }
        let driving = std::future::poll_fn(|cx| self.poll(cx, most));
        let driven = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, driving).await.is_ok(),
            None => {
                driving.await;
                true
            }
        };
        if driven {
            return Ok(());
        }
        // The connection goes, and with it what it runs.
        self.cancel();
        Err(self.session.noted(SqlError::TimedOut))
    }

    fn poll(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<()> {
        let enough = {
            let waiting = self.queue.lock();
            waiting.items.len() >= most || waiting.bytes >= BATCH
        };
        let Some(future) = self.future.as_mut().filter(|_| !enough) else { return Poll::Ready(()) };
        match future.as_mut().poll(cx) {
            Poll::Ready((connection, result)) => {
                self.future = None;
                self.failed = self.session.settle(connection, result.as_ref().copied()).err();
                Poll::Ready(())
            }
            Poll::Pending if self.queue.lock().items.is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(()),
        }
    }

    fn cancel(&mut self) {
        if self.future.take().is_some() {
            self.session.broken.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel();
    }
}
