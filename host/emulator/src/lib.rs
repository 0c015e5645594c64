//! A small Azure on loopback, for demos and tests.
//!
//! It is strict where Azure is strict: the metadata service wants its header and knows its identities; tokens are signed
//! JWTs; Key Vault, Resource Manager, Blob Storage and both Data Lakes speak TLS, verify a token's signature, exact
//! audience and expiry, and answer 401 with the challenge that Azure sends. A database server speaks TDS to real drivers, and
//! verifies tokens likewise. [`Faults`] make it misbehave on demand.
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
mod authority;
mod body;
mod config;
mod content;
mod directory;
mod exchange;
mod faults;
mod imds;
mod log;
mod serve;
mod sql;
mod state;
mod storage;
mod tls;
mod vault;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use authority::Authority;
pub use directory::{Directory, Identity, SUBSCRIPTION, TENANT};
pub use faults::{Fault, Faults, Misbehaviour};
pub use log::{Seen, SeenLog};
pub use sql::SqlOptions;
pub use state::State;
pub use storage::{SasRefused, StorageOptions};

/// The public cloud, and the others that Keyward knows.
pub const CLOUDS: [&str; 3] = ["public", "china", "usgov"];

/// What an emulator is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where the metadata service listens. Port 0 is any free one.
    pub imds: SocketAddr,
    /// Where everything with TLS listens.
    pub tls: SocketAddr,
    /// Where the database server listens.
    pub sql: SocketAddr,
    /// The identities of the machine, and what each may do.
    pub directory: Directory,
    /// For how long tokens are valid.
    pub token_lifetime: Duration,
    /// The storage account.
    pub storage: StorageOptions,
    /// The database server.
    pub sql_options: SqlOptions,
    /// The certificate authority of an emulator that ran before.
    pub(crate) authority: Option<tls::Pair>,
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

/// Why an emulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address is taken, or none of this machine.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// An address that others than this machine could reach.
    #[error("{0} is no loopback address: an emulator hands out its secrets to whoever asks")]
    NotLoopback(SocketAddr),
    /// Keys or certificates cannot be made.
    #[error("no keys or certificates: {0}")]
    Keys(String),
    /// The database cannot be made.
    #[error("no database in the directory for temporary files: {0}")]
    Database(String),
}

/// An Azure that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    azure: Arc<Azure>,
    imds: SocketAddr,
    tls: SocketAddr,
    sql: SocketAddr,
    ca: tls::Pair,
    chain_pem: String,
    key_pem: String,
    _tasks: JoinSet<()>,
}

/// What all its services share.
#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) authority: Authority,
    pub(crate) directory: Directory,
    pub(crate) faults: Faults,
    pub(crate) log: SeenLog,
    pub(crate) vaults: vault::Vaults,
    pub(crate) arm: arm::ResourceManager,
    pub(crate) storage: storage::Storage,
    pub(crate) sql: sql::Sql,
}

impl Emulator {
    /// Starts listening.
    ///
    /// # Errors
    ///
    /// An address is taken, or reachable by others.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { imds, tls, sql, directory, token_lifetime, storage, sql_options, authority: ca } = options;
        let authority = Authority::new(token_lifetime).map_err(StartError::Keys)?;
        let certificates = tls::Certificates::new(ca).map_err(|error| StartError::Keys(error.to_string()))?;
        let azure = Arc::new(Azure {
            authority,
            directory,
            faults: Faults::default(),
            log: SeenLog::default(),
            vaults: vault::Vaults::contoso().map_err(StartError::Keys)?,
            arm: arm::ResourceManager::contoso(),
            storage: storage::Storage::new(storage).map_err(StartError::Keys)?,
            sql: sql::Sql::new(sql_options).map_err(StartError::Database)?,
        });

        let (imds_listener, imds) = listen(imds).await?;
        let (tls_listener, tls) = listen(tls).await?;
        let (sql_listener, sql) = listen(sql).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::plain(imds_listener, Arc::clone(&azure)));
        tasks.spawn(serve::tls(tls_listener, Arc::clone(&certificates.server), Arc::clone(&azure)));
        tasks.spawn(sql::serve(sql_listener, certificates.sql.clone(), Arc::clone(&azure)));
        let tls::Certificates { ca, chain_pem, key_pem, .. } = certificates;
        Ok(Self { azure, imds, tls, sql, ca, chain_pem, key_pem, _tasks: tasks })
    }

    /// Where the metadata service is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn imds_url(&self) -> String {
        format!("http://{}", self.imds)
    }

    /// Where everything with TLS is.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.tls
    }

    /// Where the database server is. It speaks TDS 7.4, and TDS 8.0 to whoever begins with TLS.
    #[must_use]
    pub fn sql_address(&self) -> SocketAddr {
        self.sql
    }

    /// The certificate that its others are signed with, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca.certificate_pem
    }

    /// The certificates that it shows, its own first, in PEM: for another server that is to stand in for one of Azure's.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key of its certificate, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// What is needed to start the same one again: see [`Options::resuming`].
    #[must_use]
    pub fn state(&self) -> State {
        State { imds: self.imds, tls: self.tls, sql: self.sql, authority: self.ca.clone() }
    }

    /// A connection to all of it that speaks TLS, as a program without Keyward would make it.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn connect(&self) -> std::io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
        tls::connect(self.tls, self.ca_pem()).await
    }

    /// Makes it misbehave.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.azure.faults
    }

    /// What it was asked.
    #[must_use]
    pub fn log(&self) -> &SeenLog {
        &self.azure.log
    }

    /// All tokens that it has issued, so that a test can look for them where they must not be.
    #[must_use]
    pub fn issued_tokens(&self) -> Vec<String> {
        self.azure.authority.issued()
    }

    /// All shared access signatures that it has issued, so that a test can look for them where they must not be.
    #[must_use]
    pub fn issued_sas(&self) -> Vec<String> {
        self.azure.storage.issued()
    }

    /// Verifies a shared access signature of its account, as Blob does, for a container or blob (`/container/name`, not
    /// encoded) and one letter of what is to be done (`r`, `w`, ...).
    ///
    /// # Errors
    ///
    /// Blob would refuse it.
    pub fn verify_sas(&self, sas: &str, path: &str, permission: char) -> Result<(), SasRefused> {
        self.azure.storage.verify_sas(sas, path, permission)
    }

    /// For how long the next tokens are valid.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.azure.authority.set_lifetime(lifetime);
    }

    /// A configuration of Keyward for it: the public cloud, with the certificate in this file.
    #[must_use]
    pub fn config(&self, ca_file: &std::path::Path) -> String {
        config::config(self, ca_file)
    }

    /// The host names that lead to it, of all clouds, as `host:port` for `[egress.resolve]`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        config::names()
    }

    /// The names of the database server, of all clouds, as `host:port`. They lead to [`sql_address`](Self::sql_address).
    #[must_use]
    pub fn sql_names(&self) -> Vec<String> {
        sql::NAMES.map(str::to_owned).to_vec()
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
