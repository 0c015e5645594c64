//! Opens connections: TCP, TLS, the login, and redirects of gateways.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tiberius::{AuthMethod, EncryptionLevel};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::connection::{Client, Connection};
use crate::connector::Connect;
use crate::error::{ConnectError, DriverError, OpenError};
use crate::framed::Framed;
use crate::handshake;
use crate::hooks::SessionHooks;
use crate::login::Login;
use crate::quiet::quietly;
use crate::socket::Socket;
use crate::target::Target;
use crate::tds::prelogin::Prelogin;
use crate::wire::Wire;

/// How many logins are attempted while the server reports a transient error.
const ATTEMPTS: u32 = 5;

/// The pause after the first attempt. Each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How many redirects of gateways are followed.
const MAX_REDIRECTS: usize = 3;

/// Size of packets, in bytes. Larger ones are not faster, since TLS delivers 16 KiB at a time.
const PACKET_SIZE: u32 = 8000;

/// Opens connections to servers.
pub struct Opener<C> {
    connector: C,
    tls: TlsConnector,
    timeout: Duration,
}

/// An encrypted connection before its login.
struct Encrypted {
    socket: Socket,
    tls: TlsStream<Framed>,
    prelogin: Prelogin,
}

enum LoggedIn {
    Connection(Box<Connection>),
    Redirect { host: String, port: u16 },
}

impl<C: Connect> Opener<C> {
    /// Creates an opener. `timeout` limits each attempt to open a connection.
    ///
    /// Versions of TLS after 1.2 are not possible within TDS.
    #[must_use]
    pub fn new(connector: C, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        Self { connector, tls: TlsConnector::from(tls), timeout }
    }

    /// Checks that a server can be reached and trusted, without a login.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or is not trusted.
    pub async fn reach(&self, host: &str, port: u16) -> Result<(), ConnectError<C::Error>> {
        match tokio::time::timeout(self.timeout, self.encrypt(host, port, true)).await {
            Ok(encrypted) => encrypted.map(drop),
            Err(_) => Err(self.timed_out(host)),
        }
    }

    /// Opens a connection. Transient errors are retried: nothing was sent that could run twice.
    pub(crate) async fn open(
        &self,
        target: &Target,
        hooks: &dyn SessionHooks,
    ) -> Result<Box<Connection>, OpenError<C::Error>> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.open_in_time(target, hooks).await {
                Err(OpenError::Server(error)) if error.is_transient() => {
                    tracing::debug!(number = error.number, "transient error of a database server");
                    // Jitter keeps those that failed together from retrying together.
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
                    pause *= 2;
                }
                opened => return opened,
            }
        }
        self.open_in_time(target, hooks).await
    }

    async fn open_in_time(
        &self,
        target: &Target,
        hooks: &dyn SessionHooks,
    ) -> Result<Box<Connection>, OpenError<C::Error>> {
        match tokio::time::timeout(self.timeout, self.follow_redirects(target, hooks)).await {
            Ok(opened) => opened,
            Err(_) => Err(self.timed_out(&target.host).into()),
        }
    }

    async fn follow_redirects(
        &self,
        target: &Target,
        hooks: &dyn SessionHooks,
    ) -> Result<Box<Connection>, OpenError<C::Error>> {
        let (mut host, mut port) = (target.host.clone(), target.port);
        for _ in 0..=MAX_REDIRECTS {
            match self.log_in(target, &host, port, hooks).await? {
                LoggedIn::Connection(connection) => return Ok(connection),
                LoggedIn::Redirect { host: node, port: node_port } => {
                    let node = node.to_ascii_lowercase();
                    if !hooks.may_redirect(&node, node_port) {
                        return Err(OpenError::ForbiddenRedirect { host });
                    }
                    (host, port) = (node, node_port);
                }
            }
        }
        Err(OpenError::TooManyRedirects { host })
    }

    async fn log_in(
        &self,
        target: &Target,
        host: &str,
        port: u16,
        hooks: &dyn SessionHooks,
    ) -> Result<LoggedIn, OpenError<C::Error>> {
        let with_token = matches!(target.login, Login::Token { .. });
        let Encrypted { socket, tls, prelogin } = self.encrypt(host, port, with_token).await?;
        let (wire, state) = Wire::new(tls, &prelogin);
        let redactor = hooks.redactor();
        match quietly(Client::connect(driver_config(target, host, port), wire.compat())).await {
            Ok(client) => {
                let connection = Connection::new(client, state, redactor, socket, target.clone());
                Ok(LoggedIn::Connection(Box::new(connection)))
            }
            Err(error) => {
                let mut redacted = false;
                let error = DriverError::new(error, &*redactor, &mut redacted);
                if redacted {
                    hooks.redacted();
                }
                match error {
                    DriverError::Redirect { host, port } => Ok(LoggedIn::Redirect { host, port }),
                    DriverError::Server(error) => Err(OpenError::Server(error)),
                    DriverError::Protocol(source) => {
                        Err(OpenError::Login { host: host.to_owned(), source })
                    }
                }
            }
        }
    }

    async fn encrypt(
        &self,
        host: &str,
        port: u16,
        with_token: bool,
    ) -> Result<Encrypted, ConnectError<C::Error>> {
        let tcp = self.connector.connect(host, port).await.map_err(ConnectError::Connect)?;
        let socket = Socket::new(tcp);
        let encrypted = handshake::encrypt(socket.clone(), &self.tls, host, with_token).await;
        let no_tls = |source: io::Error| ConnectError::Tls { host: host.to_owned(), source };
        let (tls, prelogin) = encrypted.map_err(no_tls)?;
        Ok(Encrypted { socket, tls, prelogin })
    }

    fn timed_out(&self, host: &str) -> ConnectError<C::Error> {
        ConnectError::TimedOut { host: host.to_owned(), limit: self.timeout }
    }
}

fn driver_config(target: &Target, host: &str, port: u16) -> tiberius::Config {
    let mut config = tiberius::Config::new();
    config.host(host);
    config.port(port);
    config.database(&target.database);
    config.application_name("keyward");
    config.packet_size(PACKET_SIZE);
    // Those of `tiberius` have a thread of their own that wakes up for each request.
    config.handshake_timeout(None);
    config.command_timeout(None);
    // Text that was truncated within a surrogate pair ends with U+FFFD, without an error.
    config.lossy_utf16_decoding(true);
    // The stream is encrypted already.
    config.encryption(EncryptionLevel::NotSupported);
    config.authentication(match &target.login {
        Login::Password { user, password } => {
            AuthMethod::sql_server(user, String::from_utf8_lossy(password.expose()))
        }
        Login::Token { token, .. } => {
            AuthMethod::aad_token(String::from_utf8_lossy(token.expose()))
        }
    });
    config
}
