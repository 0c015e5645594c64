//! The server: listeners that accept connections, and the threads that serve them.
//!
//! [`start`] binds the listeners of `[listen]`. Each accepts connections on the main thread, knows
//! who the caller is, and passes the connection to one of the [`workers`], where [`http`] reads its
//! requests and calls the broker. [`ServerHandle::shutdown`] stops accepting and drains.

#[cfg(unix)]
mod admission;
mod caller_token;
mod connection_shares;
mod control;
mod control_locks;
mod framing;
mod host_check;
mod http;
mod json_response;
mod linger;
mod min_rate;
mod prove;
mod site;
mod tcp;
mod tls;
#[cfg(unix)]
mod unix;
mod web_page;
mod workers;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keyward::{Broker, Caller};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection_shares::{ConnectionShares, Share};
#[cfg(unix)]
pub(crate) use control::may_control;
pub(crate) use control::{FORGET_TOKENS_PATH, LOCK_PATH, LOCKS_PATH, UNLOCK_PATH};
use http::Connection;
pub(crate) use json_response::json_response;
pub(crate) use prove::Wanted;
#[cfg(unix)]
pub(crate) use prove::unix_socket;
use site::Site;
#[cfg(unix)]
pub(crate) use unix::{SocketListener, adopt as adopt_socket, bind as bind_socket};
use workers::Workers;

use crate::config::Listen;
use crate::descriptors;
use crate::exit::Failure;
use crate::inherited::Inherited;
use crate::lock_store::LockStore;
use crate::log_limit::LogLimit;
use crate::service_account::{IssuerConfig, KeySource, MAX_FILE, Verifier};
use crate::trusted_file::{self, TrustedFileError};

/// How long calls may take to end, once they are aborted.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Delay after an error of `accept`, such as having no file descriptors left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A running server.
#[derive(Debug)]
pub(crate) struct ServerHandle {
    listeners: TaskTracker,
    workers: Arc<Workers>,
    shutdown: CancellationToken,
    /// The addresses it listens on, for the log.
    pub(crate) addresses: Vec<String>,
    /// What is read again at a reload.
    pub(crate) files: ListenerFiles,
}

/// The certificate and the authorities of the TLS listener, which are read again at a reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerFiles(Option<tls::TlsFiles>);

impl ListenerFiles {
    /// Reads them again. Nothing changes until the result is used.
    ///
    /// # Errors
    ///
    /// One of them is invalid.
    pub(crate) fn read(&self) -> Result<NewListenerFiles, Failure> {
        Ok(NewListenerFiles(match &self.0 {
            Some(files) => files.read()?,
            None => None,
        }))
    }
}

/// The files of the listeners as they are now.
pub(crate) struct NewListenerFiles(Option<tls::NewFiles>);

impl NewListenerFiles {
    /// Uses them for new connections.
    pub(crate) fn install(self) {
        if let Some(files) = self.0 {
            files.install();
        }
    }

    /// What was read.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.as_ref().map(tls::NewFiles::names).unwrap_or_default()
    }
}

/// What all listeners share.
#[derive(Clone)]
struct Server {
    broker: Broker,
    locks: LockStore,
    workers: Arc<Workers>,
    /// One permit for each open connection.
    connection_permits: Arc<Semaphore>,
    /// Further permits for connections of root and the daemon's own user.
    #[cfg(unix)]
    reserved_permits: Arc<Semaphore>,
    /// The connections of each caller.
    shares: ConnectionShares,
    /// Verifies the tokens of callers.
    verifier: Option<Arc<Verifier>>,
    /// How fast callers must send and read, in bytes per second; 0 for any rate.
    min_rate: u64,
    shutdown: CancellationToken,
}

/// Accepts connections of one kind.
///
/// A connection is returned as the standard library's type, because the runtime of the thread that
/// serves it is another one than the runtime that accepts it.
trait Listener: Send + Sync {
    /// An accepted connection.
    type Accepted: Send;
    /// The same, as the standard library's type.
    type Connection: Send;

    /// Accepts a connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Accepted>> + Send;

    /// Identifies the caller of a connection that was just accepted.
    ///
    /// # Errors
    ///
    /// The connection is unusable, because the caller has closed it for example.
    fn identify(&self, accepted: Self::Accepted) -> io::Result<(Self::Connection, Caller)>;

    /// Passes a connection to [`Server::serve_on_worker`].
    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: ConnectionPermit,
    );
}

/// Permission for a connection to be open, as one of all and as one of its caller's.
pub(crate) struct ConnectionPermit {
    _connection: OwnedSemaphorePermit,
    /// `None` for one that is reserved.
    share: Option<Share>,
}

/// The caller at the other end of a connection.
#[derive(Clone)]
struct Identified {
    caller: Caller,
    /// Until when its certificate is valid; `None` without one.
    expires: Option<SystemTime>,
}

impl Identified {
    /// A caller that proved itself without a certificate.
    fn now(caller: Caller) -> Self {
        Self { caller, expires: None }
    }

    /// Whether its certificate is not valid any more.
    fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires < now)
    }
}

/// Lines about connections that are closed because of their caller's share.
static CLOSED: LogLimit = LogLimit::new();

/// Lines about connections that cannot be accepted.
static NOT_ACCEPTED: LogLimit = LogLimit::new();

/// Creates the directories of the sockets and of a generated certificate if they do not exist.
/// [`start`] does so, too, but cannot once the process is confined.
pub(crate) fn create_directories(listen: &Listen, admin: Option<&Path>) -> Result<(), Failure> {
    #[cfg(unix)]
    for socket in listen.socket.as_deref().into_iter().chain(admin) {
        unix::create_directory(socket)?;
    }
    #[cfg(not(unix))]
    let _ = admin;
    match &listen.tls {
        Some(tls) => tls::create_directory(&tls.pair),
        None => Ok(()),
    }
}

/// Binds all listeners, and starts to accept connections.
pub(crate) async fn start(
    listen: &Listen,
    wanted: Wanted,
    (broker, locks): (Broker, LockStore),
    inherited: &mut Inherited,
) -> Result<ServerHandle, Failure> {
    let shutdown = CancellationToken::new();
    let verifier = match &listen.kubernetes {
        Some(issuer) => Some(verifier(issuer).await?),
        None => None,
    };
    let workers = Arc::new(Workers::start().map_err(Failure::system)?);
    let connections = descriptors::enough_for(listen.connections);
    let server = Server {
        broker,
        locks,
        workers: Arc::clone(&workers),
        connection_permits: Arc::new(Semaphore::new(connections as usize)),
        #[cfg(unix)]
        reserved_permits: Arc::new(Semaphore::new(admission::RESERVED)),
        shares: ConnectionShares::new(connections, wanted.callers),
        verifier,
        min_rate: listen.min_rate,
        shutdown: shutdown.clone(),
    };
    let listeners = TaskTracker::new();
    let mut addresses = Vec::new();
    let mut files = ListenerFiles::default();
    if let Some(socket) = &listen.socket {
        #[cfg(unix)]
        {
            let listener = match inherited.unix("socket", socket)? {
                Some(listener) => unix::adopt(listener, socket, wanted)?,
                None => unix::bind(socket, listen.mode, wanted)?,
            };
            addresses.push(format!("unix socket {}", socket.display()));
            listeners.spawn(server.clone().accept_at_socket(listener));
        }
        #[cfg(not(unix))]
        return Err(Failure::config(format!(
            "[listen] socket = {:?}: this system has no Unix sockets. Use `tcp`",
            socket.display()
        )));
    }
    if let Some(address) = listen.tcp {
        let tcp = tcp::open(address, inherited.tcp("tcp", address)?).await?;
        let listener = tcp::bind(tcp, &listen.origins, wanted)?;
        addresses.push(format!("http://{}", listener.address));
        listeners.spawn(server.clone().accept_loop(listener));
    }
    let has_tokens = listen.kubernetes.is_some();
    if let Some(listen) = &listen.tls {
        let tcp = inherited.tcp("tls", listen.address)?;
        let mut listener = tls::bind(listen, has_tokens, wanted, tcp).await?;
        let address = listener.address;
        files = ListenerFiles(Some(listener.files.clone()));
        addresses.push(match listener.renewal.take() {
            Some(renewal) => {
                let ca = renewal.ca.display().to_string();
                listeners.spawn(shutdown.clone().run_until_cancelled_owned(renewal.run()));
                format!("https://{address} (clients must trust {ca})")
            }
            None => format!("https://{address}"),
        });
        if let Some(authorities) = listener.authorities.take() {
            listeners.spawn(shutdown.clone().run_until_cancelled_owned(authorities.run()));
        }
        listeners.spawn(server.clone().accept_loop(listener));
    }
    listeners.close();
    Ok(ServerHandle { listeners, workers, shutdown, addresses, files })
}

/// Makes the verifier of callers' tokens, and fetches its keys. Without them it starts all the same:
/// calls with tokens try again.
async fn verifier(issuer: &IssuerConfig) -> Result<Arc<Verifier>, Failure> {
    check_files(&issuer.keys)?;
    let verifier = Verifier::new(issuer.clone())
        .map_err(|error| Failure::config(format!("[listen.kubernetes]: {error}")))?;
    match verifier.load_keys().await {
        Ok(keys) => tracing::info!(keys, issuer = issuer.issuer, "keys of callers' tokens"),
        Err(error) => tracing::warn!(%error, "no keys of callers' tokens yet. {}", error.help()),
    }
    Ok(Arc::new(verifier))
}

/// Refuses files that others can change, rather than to fail at each call. They are checked again
/// whenever they are read.
fn check_files(keys: &KeySource) -> Result<(), Failure> {
    for (key, file) in keys.trusted_files() {
        let key = format!("`{key}` in [listen.kubernetes]");
        match trusted_file::read(file, MAX_FILE) {
            Ok(trusted) => trusted.log_warnings(&key),
            Err(TrustedFileError::Unprotected { found, help }) => {
                return Err(Failure::config(format!("{key}: {found}")).help(help));
            }
            // It may come later.
            Err(TrustedFileError::Unreadable(_) | TrustedFileError::TooLong(_)) => {}
        }
    }
    Ok(())
}

impl ServerHandle {
    /// Shuts down gracefully: closes the listeners, and waits until each connection has finished its
    /// current request.
    pub(crate) async fn shutdown(&self) {
        self.shutdown.cancel();
        self.listeners.wait().await;
        self.workers.shutdown().await;
    }

    /// Waits until every thread that serves connections has responded, which shows that none is
    /// stuck.
    pub(crate) async fn respond(&self) {
        self.workers.respond().await;
    }

    /// Shuts down, and ends active calls at once.
    pub(crate) async fn abort(&self) {
        self.shutdown.cancel();
        self.workers.abort();
        drop(tokio::time::timeout(ABORT_TIMEOUT, self.shutdown()).await);
    }
}

impl Server {
    /// Accepts connections until shutdown, each once a permit is available.
    async fn accept_loop(self, listener: impl Listener) {
        while let Some(permit) = self.connection_permit().await {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.cancelled() => break,
            };
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    cannot_accept(&error).await;
                    continue;
                }
            };
            let Some((connection, caller)) = identify(&listener, accepted) else { continue };
            match self.shares.begin(&caller) {
                Ok(share) => {
                    let permit = ConnectionPermit { _connection: permit, share: Some(share) };
                    listener.serve(connection, caller, &self, permit);
                }
                Err(taken) => warn_of_closed(&caller, taken),
            }
        }
    }

    /// Waits for a connection permit; `None` on shutdown.
    async fn connection_permit(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            permit = Arc::clone(&self.connection_permits).acquire_owned() => permit.ok(),
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Serves a connection on a worker thread until the caller closes it or the server shuts down.
    ///
    /// `open` makes the stream there, so that the worker's runtime polls it, and says who calls.
    fn serve_on_worker<S, F>(
        &self,
        open: impl FnOnce() -> F + Send + 'static,
        site: Site,
        permit: ConnectionPermit,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = io::Result<(S, Identified)>> + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        let (broker, locks) = (self.broker.clone(), self.locks.clone());
        let verifier = self.verifier.clone();
        let min_rate = self.min_rate;
        self.workers.spawn(async move {
            let ConnectionPermit { _connection: permit, share } = permit;
            match open().await {
                Ok((stream, identified)) => {
                    // A certificate may prove a caller that has its share already.
                    let proved = share.as_ref().map(|share| share.prove(&identified.caller));
                    if let Some(Err(taken)) = proved {
                        return warn_of_closed(&identified.caller, taken);
                    }
                    let share = share.map(Arc::new);
                    let connection =
                        Connection { broker, locks, identified, share, site, verifier };
                    http::serve(stream, connection, min_rate, shutdown).await;
                }
                Err(error) => tracing::debug!(%error, "cannot open a connection"),
            }
            drop(permit);
        });
    }
}

/// Identifies the caller of a connection that was just accepted; `None` if it is unusable.
fn identify<L: Listener>(listener: &L, accepted: L::Accepted) -> Option<(L::Connection, Caller)> {
    let identified = listener.identify(accepted);
    identified
        .inspect_err(|error| tracing::debug!(%error, "cannot identify the caller of a connection"))
        .ok()
}

async fn cannot_accept(error: &io::Error) {
    if let Some(left_out) = NOT_ACCEPTED.permit() {
        tracing::warn!(%error, left_out, "cannot accept a connection");
    }
    // With no file descriptors left, `accept` fails immediately each time.
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }
}

fn warn_of_closed(caller: &Caller, taken: impl fmt::Display) {
    if let Some(left_out) = CLOSED.permit() {
        tracing::warn!(%caller, left_out, "closed a connection: {taken}");
    }
}
