//! Opens connections: to where the rules of egress allow, with TLS always, logged in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::AccessToken;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tiberius::error::Error;
use tiberius::{AuthMethod, EncryptionLevel};
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::error::{ServerError, SqlError};
use super::handshake;
use super::quietly;
use super::rules::Login;
use super::socket::Socket;
use super::wire::{Watch, Wire};
use crate::egress::{ConnectError, Connector, Scanner};
use crate::grant::{Endpoint, Grant};

/// What `tiberius` makes of a connection.
pub(super) type Client = tiberius::Client<Compat<Wire>>;

/// How often a login is tried where the server says that it is short of something just now, and how long it waits before
/// it tries again for the first time. Each wait is twice the one before.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// How often a gateway may send a client on.
const MOST_ROUTES: usize = 3;

/// The size of packets, in bytes. More is no faster, since TLS gives 16 KiB at a time.
const PACKET: u32 = 8000;

/// A connection that is logged in.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) socket: Socket,
    pub(super) watch: Arc<Watch>,
    /// What it was logged in with, to be blanked out of what comes.
    pub(super) secrets: Scanner,
    /// When its token expires, in seconds since 1970.
    pub(super) expires_on: Option<u64>,
}

/// Why there is no connection.
pub(super) enum NotOpened {
    Error(SqlError),
    /// The server refused the login, or said that it is short of something. What it says is as it came.
    Server(ServerError),
    /// The server's name leads to where no connection may go.
    Forbidden(String),
}

/// What opens connections of one mount.
pub(crate) struct Opener {
    connector: Connector,
    tls: TlsConnector,
    timeout: Duration,
}

/// What a login takes.
pub(super) struct Wanted<'a> {
    pub(super) grant: &'a Grant,
    pub(super) database: &'a str,
    pub(super) login: &'a Login,
    /// The token, where it is one.
    pub(super) token: Option<&'a AccessToken>,
}

impl Opener {
    pub(crate) fn new(connector: Connector, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        Self { connector, tls: TlsConnector::from(tls), timeout }
    }

    /// Whether a server is there, and is who it says it is: as [`open`](Self::open), but nobody logs in.
    pub(crate) async fn reach(&self, host: &str, port: u16) -> Result<(), ConnectError> {
        let reached = async {
            let socket = Socket::new(self.connector.tcp(host, port).await?);
            let no_tls = |source| ConnectError::Tls { host: host.to_owned(), source };
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other).map_err(no_tls)?;
            handshake::secure(socket, &self.tls, name, true).await.map(drop).map_err(no_tls)
        };
        let timed_out = |_| Err(ConnectError::TimedOut { host: host.to_owned() });
        tokio::time::timeout(self.timeout, reached).await.unwrap_or_else(timed_out)
    }

    /// Opens a connection. What is transient is tried again; nothing was sent yet that could be run twice.
    pub(super) async fn open(&self, wanted: &Wanted<'_>) -> Result<Opened, NotOpened> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.in_time(wanted).await {
                Err(NotOpened::Server(error)) if error.is_transient() => {
                    tracing::debug!(number = error.number, "a database is not there just now");
                    // Those who failed together do not come again together.
                    tokio::time::sleep(wait.mul_f64(rand::random_range(0.75..1.25))).await;
                    wait *= 2;
                }
                opened => return opened,
            }
        }
        self.in_time(wanted).await
    }

    async fn in_time(&self, wanted: &Wanted<'_>) -> Result<Opened, NotOpened> {
        let host = &wanted.grant.endpoint.host;
        match tokio::time::timeout(self.timeout, self.follow(wanted)).await {
            Ok(opened) => opened,
            Err(_) => {
                let why =
                    format!("{host} did not let a connection in within {}", humantime::format_duration(self.timeout));
                Err(NotOpened::Error(SqlError::Unreachable(why)))
            }
        }
    }

    /// Opens a connection, and follows a gateway to the node that has the database.
    async fn follow(&self, wanted: &Wanted<'_>) -> Result<Opened, NotOpened> {
        let Endpoint { host, port, .. } = &wanted.grant.endpoint;
        let (mut host, mut port) = (host.clone(), *port);
        for _ in 0..=MOST_ROUTES {
            match self.connect(wanted, &host, port).await? {
                Connected::Opened(opened) => return Ok(*opened),
                Connected::Routed(node, node_port) => {
                    let node = node.to_ascii_lowercase();
                    if !wanted.grant.routes.as_ref().is_some_and(|routes| routes.cover(&node, node_port)) {
                        // What it calls it may be anything, what it was told in the login too.
                        let why = format!("{host} redirects to a server that is not a node of its service");
                        return Err(NotOpened::Error(SqlError::Unreachable(why)));
                    }
                    (host, port) = (node, node_port);
                }
            }
        }
        Err(NotOpened::Error(SqlError::Unreachable(format!("{host} sends on and on"))))
    }

    async fn connect(&self, wanted: &Wanted<'_>, host: &str, port: u16) -> Result<Connected, NotOpened> {
        let unreachable = |why: String| NotOpened::Error(SqlError::Unreachable(why));
        let tcp = self.connector.tcp(host, port).await.map_err(|error| match error {
            ConnectError::Forbidden { .. } => NotOpened::Forbidden(error.to_string()),
            ConnectError::Resolve { .. }
            | ConnectError::Connect { .. }
            | ConnectError::Tls { .. }
            | ConnectError::TimedOut { .. } => unreachable(error.to_string()),
        })?;
        let socket = Socket::new(tcp);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| unreachable(error.to_string()))?;
        let secured = handshake::secure(socket.clone(), &self.tls, name, wanted.token.is_some()).await;
        let (tls, prelogin) = secured.map_err(|error| unreachable(no_tls(host, &error)))?;

        let (wire, watch) = Wire::new(tls, prelogin);
        let client = match quietly(tiberius::Client::connect(config(wanted, host, port), wire.compat())).await {
            Ok(client) => client,
            Err(Error::Routing { host, port }) => return Ok(Connected::Routed(host, port)),
            Err(Error::Server(error)) => return Err(NotOpened::Server((&error).into())),
            Err(error) => return Err(unreachable(format!("{host} did not finish the login: {error}"))),
        };
        let secrets = secrets(wanted.login, wanted.token);
        let expires_on = wanted.token.map(AccessToken::expires_on);
        Ok(Connected::Opened(Box::new(Opened { client, socket, watch, secrets, expires_on })))
    }
}

/// What a login was made with, to be blanked out of what comes.
pub(super) fn secrets(login: &Login, token: Option<&AccessToken>) -> Scanner {
    match login {
        Login::Token => Scanner::new(token.map(AccessToken::expose_secret)),
        Login::Password { password, .. } => Scanner::new(password.forms()),
    }
}

enum Connected {
    Opened(Box<Opened>),
    Routed(String, u16),
}

fn no_tls(host: &str, error: &io::Error) -> String {
    format!("no TLS with {host}: {error}")
}

fn config(wanted: &Wanted<'_>, host: &str, port: u16) -> tiberius::Config {
    let mut config = tiberius::Config::new();
    config.host(host);
    config.port(port);
    config.database(wanted.database);
    config.application_name("keyward");
    config.packet_size(PACKET);
    // The host has its own limits; those of `tiberius` have a thread of their own wake up for each request.
    config.handshake_timeout(None);
    config.command_timeout(None);
    // A text cut in the middle of a character beyond the basic plane is told with U+FFFD there, and not refused.
    config.lossy_utf16_decoding(true);
    // It is encrypted already: what `tiberius` writes goes through TLS.
    config.encryption(EncryptionLevel::NotSupported);
    config.authentication(match (wanted.login, wanted.token) {
        (Login::Password { user, password }, _) => {
            AuthMethod::sql_server(user, String::from_utf8_lossy(password.expose_secret()))
        }
        (Login::Token, Some(token)) => AuthMethod::aad_token(String::from_utf8_lossy(&token.expose_secret())),
        (Login::Token, None) => AuthMethod::None,
    });
    config
}
