//! A small Azure on loopback, for demos and tests.
//!
//! It is as strict as Azure: the metadata service requires its header and knows its identities;
//! tokens are signed JWTs; Key Vault, Resource Manager, Blob Storage and both Data Lakes use TLS,
//! verify a token's signature, exact audience and expiry, and respond with 401 and Azure's
//! challenge. A database server speaks TDS with real drivers, and verifies tokens in the same way.
//! With [`Faults`] a test makes a service fail.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use keyward_emulator::{Emulator, Options};
//!
//! let emulator = Emulator::start(Options::default()).await?;
//! println!("IMDS at {}, everything else at {}", emulator.imds_url(), emulator.tls_address());
//! println!("{}", emulator.config(&std::path::Path::new("ca.pem")));
//! # Ok(())
//! # }
//! ```

mod arm;
mod content;
mod directory;
mod fault_response;
mod faults;
mod http_server;
mod imds;
mod keyward_config;
mod messages;
mod request_body;
mod request_log;
mod sql;
mod state;
mod storage;
mod tls;
mod token_issuer;
mod vault;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use directory::{Directory, Identity, SUBSCRIPTION, TENANT};
pub use faults::{Fault, FaultKind, Faults};
pub use request_log::{LoggedRequest, RequestLog};
pub use sql::SqlOptions;
pub use state::State;
pub use storage::{InvalidSas, StorageOptions};
use token_issuer::TokenIssuer;

/// The clouds: the public one and the national ones that Keyward knows.
pub const CLOUDS: [&str; 3] = ["public", "china", "usgov"];

/// The options of an emulator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The address of the metadata service. Port 0 is any free port.
    pub imds: SocketAddr,
    /// The address of the services with TLS.
    pub tls: SocketAddr,
    /// The address of the database server.
    pub sql: SocketAddr,
    /// The identities of the machine and their roles.
    pub directory: Directory,
    /// The lifetime of tokens.
    pub token_lifetime: Duration,
    /// The storage account.
    pub storage: StorageOptions,
    /// The database server.
    pub sql_options: SqlOptions,
    /// The certificate authority of an earlier emulator.
    pub(crate) authority: Option<tls::CertificateAndKey>,
}

impl Default for Options {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let day = Duration::from_secs(24 * 3600);
        Self {
            imds: any,
            tls: any,
            sql: any,
            directory: Directory::contoso(),
            token_lifetime: day,
            storage: StorageOptions::default(),
            sql_options: SqlOptions::default(),
            authority: None,
        }
    }
}

/// Why an emulator cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is in use, or not an address of this machine.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The address could be reached from other machines.
    #[error("{0} is not a loopback address: the emulator gives its secrets to every client")]
    NotLoopback(SocketAddr),
    /// Keys or certificates could not be created.
    #[error("cannot create keys or certificates: {0}")]
    Keys(String),
    /// The database could not be created.
    #[error("cannot create the database in the directory for temporary files: {0}")]
    Database(String),
}

/// A running emulator. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    azure: Arc<Azure>,
    imds: SocketAddr,
    tls: SocketAddr,
    sql: SocketAddr,
    ca: tls::CertificateAndKey,
    chain_pem: String,
    key_pem: String,
    _tasks: JoinSet<()>,
}

/// The state of all services.
#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) token_issuer: TokenIssuer,
    pub(crate) directory: Directory,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) vaults: vault::Vaults,
    pub(crate) arm: arm::ResourceManager,
    pub(crate) storage: storage::Storage,
    pub(crate) sql: sql::Sql,
}

impl Emulator {
    /// Starts an emulator.
    ///
    /// # Errors
    ///
    /// An address is in use or not a loopback address, or keys or the database cannot be created.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            imds,
            tls,
            sql,
            directory,
            token_lifetime,
            storage,
            sql_options,
            authority: ca,
        } = options;
        let token_issuer = TokenIssuer::new(token_lifetime).map_err(StartError::Keys)?;
        let certificates =
            tls::Certificates::new(ca).map_err(|error| StartError::Keys(error.to_string()))?;
        let azure = Arc::new(Azure {
            token_issuer,
            directory,
            faults: Faults::default(),
            log: RequestLog::default(),
            vaults: vault::Vaults::contoso().map_err(StartError::Keys)?,
            arm: arm::ResourceManager::contoso(),
            storage: storage::Storage::new(storage).map_err(StartError::Keys)?,
            sql: sql::Sql::new(sql_options).map_err(StartError::Database)?,
        });

        let (imds_listener, imds) = listen(imds).await?;
        let (tls_listener, tls) = listen(tls).await?;
        let (sql_listener, sql) = listen(sql).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(http_server::serve_imds(imds_listener, Arc::clone(&azure)));
        tasks.spawn(http_server::serve_tls(
            tls_listener,
            Arc::clone(&certificates.server),
            Arc::clone(&azure),
        ));
        tasks.spawn(sql::serve(sql_listener, certificates.sql.clone(), Arc::clone(&azure)));
        let tls::Certificates { ca, chain_pem, key_pem, .. } = certificates;
        Ok(Self { azure, imds, tls, sql, ca, chain_pem, key_pem, _tasks: tasks })
    }

    /// The URL of the metadata service: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn imds_url(&self) -> String {
        format!("http://{}", self.imds)
    }

    /// The address of the services with TLS.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.tls
    }

    /// The address of the database server. It speaks TDS 7.4, and TDS 8.0 if the client starts with
    /// TLS.
    #[must_use]
    pub fn sql_address(&self) -> SocketAddr {
        self.sql
    }

    /// The certificate of its certificate authority, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca.certificate_pem
    }

    /// The certificate chain of its server, in PEM, for another server that replaces one of
    /// Azure's.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key of its certificate, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The state for [`Options::resuming`].
    #[must_use]
    pub fn state(&self) -> State {
        State { imds: self.imds, tls: self.tls, sql: self.sql, authority: self.ca.clone() }
    }

    /// Connects to the services with TLS, as a program without Keyward does.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn connect(
        &self,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
        tls::connect(self.tls, self.ca_pem()).await
    }

    /// The faults that are set.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.azure.faults
    }

    /// The requests that it received.
    #[must_use]
    pub fn log(&self) -> &RequestLog {
        &self.azure.log
    }

    /// All tokens that it has issued, so that a test can check where they are not.
    #[must_use]
    pub fn issued_tokens(&self) -> Vec<String> {
        self.azure.token_issuer.issued()
    }

    /// All shared access signatures that it has issued, so that a test can check where they are
    /// not.
    #[must_use]
    pub fn issued_sas(&self) -> Vec<String> {
        self.azure.storage.issued()
    }

    /// Verifies a shared access signature of its account as Blob does, for a container or blob
    /// (`/container/name`, not percent-encoded) and the letter of a permission (`r`, `w`, ...).
    ///
    /// # Errors
    ///
    /// The signature is invalid or does not include the permission.
    pub fn verify_sas(&self, sas: &str, path: &str, permission: char) -> Result<(), InvalidSas> {
        self.azure.storage.verify_sas(sas, path, permission)
    }

    /// Sets the lifetime of the next tokens.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.azure.token_issuer.set_lifetime(lifetime);
    }

    /// A configuration of Keyward that uses this emulator as the public cloud, with its certificate
    /// authority in this file.
    #[must_use]
    pub fn config(&self, ca_file: &std::path::Path) -> String {
        keyward_config::config(self, ca_file)
    }

    /// The host names of its services with TLS in all clouds, as `host:port` for
    /// `[egress.resolve]`.
    #[must_use]
    pub fn host_names(&self) -> Vec<String> {
        keyward_config::host_names()
    }

    /// The host names of the database server in all clouds, as `host:port`. They resolve to
    /// [`sql_address`](Self::sql_address).
    #[must_use]
    pub fn sql_host_names(&self) -> Vec<String> {
        sql::HOST_NAMES.map(str::to_owned).to_vec()
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
