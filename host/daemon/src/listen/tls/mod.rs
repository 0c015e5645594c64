//! The TLS listener, for clients that require TLS, since the Azure SDKs send no token over plain
//! HTTP, and for callers on other machines, such as pods.

mod client_authorities;
mod generated_pair;
mod renewal;

use std::fmt;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use keyward::Caller;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::prove::{self, LoopbackUsers, Wanted};
use super::site::Site;
use super::{ConnectionPermit, Identified, Listener, Server, tcp};
use crate::config::{self, ListenTls};
use crate::exit::Failure;
use crate::log_limit::LogLimit;
use crate::tls_key;
use client_authorities::{ClientAuthorities, ReloadAuthorities};
pub(super) use renewal::Renewal;

/// How long a caller may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Lines about client certificates that were not accepted.
static REJECTED: LogLimit = LogLimit::new();

/// A bound TLS listener.
pub(super) struct TlsListener {
    pub(super) address: SocketAddr,
    tcp: TcpListener,
    users: LoopbackUsers,
    site: Site,
    acceptor: CurrentAcceptor,
    /// The renewal of the certificate, if it was generated.
    pub(super) renewal: Option<Renewal>,
    /// The authorities of client certificates, if there is a file of them.
    pub(super) authorities: Option<ReloadAuthorities>,
    /// What is read again at a reload.
    pub(super) files: TlsFiles,
}

/// The files of the listener, which are read again at a reload.
#[derive(Clone)]
pub(super) struct TlsFiles {
    acceptor: CurrentAcceptor,
    /// A certificate and its key, if they are not generated. Generated ones are renewed in time.
    pair: Option<(PathBuf, PathBuf)>,
    /// The authorities of clients, and whether each client needs a certificate.
    client_ca: Option<(PathBuf, bool)>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles").finish_non_exhaustive()
    }
}

impl TlsFiles {
    /// Reads them. Returns `None` if there are none.
    pub(super) fn read(&self) -> Result<Option<NewFiles>, Failure> {
        let pair = match &self.pair {
            Some((certificate, key)) => Some(read_pair(certificate, key)?),
            None => None,
        };
        let clients = match &self.client_ca {
            Some((file, is_required)) => Some(ClientAuthorities::read(file, *is_required)?.0),
            None => None,
        };
        if pair.is_none() && clients.is_none() {
            return Ok(None);
        }
        let mut names = Vec::new();
        names.extend(pair.is_some().then_some("`certificate` and `key` in [listen.tls]"));
        names.extend(clients.is_some().then_some("`client_ca` in [listen.tls]"));
        let current = {
            let current = self.acceptor.0.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&current.pair), Arc::clone(&current.clients))
        };
        let accepting = Accepting::new(pair.unwrap_or(current.0), clients.unwrap_or(current.1))?;
        Ok(Some(NewFiles { acceptor: self.acceptor.clone(), accepting, names }))
    }
}

/// The files as they are now.
pub(super) struct NewFiles {
    acceptor: CurrentAcceptor,
    accepting: Accepting,
    names: Vec<&'static str>,
}

impl NewFiles {
    /// Uses them for new connections. Open ones keep what they have.
    pub(super) fn install(self) {
        *self.acceptor.0.write().unwrap_or_else(PoisonError::into_inner) = self.accepting;
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.names.clone()
    }
}

/// What accepts handshakes, with the current certificate and the current authorities of clients.
#[derive(Clone)]
struct CurrentAcceptor(Arc<RwLock<Accepting>>);

struct Accepting {
    acceptor: TlsAcceptor,
    /// The listener's own certificate.
    pair: Pair,
    clients: Clients,
}

/// A certificate and its key, as rustls uses them.
type Pair = Arc<dyn ResolvesServerCert>;

impl Accepting {
    fn new(pair: Pair, clients: Clients) -> Result<Self, Failure> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&pair, &clients)?));
        Ok(Self { acceptor, pair, clients })
    }
}

impl CurrentAcceptor {
    fn new(pair: Pair, clients: Clients) -> Result<Self, Failure> {
        Ok(Self(Arc::new(RwLock::new(Accepting::new(pair, clients)?))))
    }

    fn get(&self) -> TlsAcceptor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).acceptor.clone()
    }

    /// Uses another certificate from now on. Open connections keep theirs.
    fn replace_pair(&self, pair: Pair) -> Result<(), Failure> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Accepting::new(pair, Arc::clone(&current.clients))?;
        Ok(())
    }

    /// Accepts the certificates of other authorities from now on. Open connections keep what they
    /// have proved.
    fn replace_clients(&self, clients: Clients) -> Result<(), Failure> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Accepting::new(Arc::clone(&current.pair), clients)?;
        Ok(())
    }
}

/// Creates the directory of a generated pair if it does not exist.
pub(super) fn create_directory(pair: &config::Pair) -> Result<(), Failure> {
    match pair {
        config::Pair::Files { .. } => Ok(()),
        config::Pair::Made { directory } => renewal::create_directory(directory),
    }
}

/// Which client certificates are accepted.
type Clients = Arc<dyn ClientCertVerifier>;

/// Binds the listener. `has_tokens` is whether callers may prove themselves by tokens too.
pub(super) async fn bind(
    listen: &ListenTls,
    has_tokens: bool,
    wanted: Wanted,
    inherited: Option<std::net::TcpListener>,
) -> Result<TlsListener, Failure> {
    let is_required = !listen.address.ip().is_loopback() && !has_tokens;
    let authorities = match &listen.client_ca {
        Some(file) => Some(ClientAuthorities::read(file, is_required)?),
        None => None,
    };
    let clients = match &authorities {
        Some((clients, _)) => Arc::clone(clients),
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let (acceptor, renewal) = match &listen.pair {
        config::Pair::Files { certificate, key } => {
            (CurrentAcceptor::new(read_pair(certificate, key)?, clients)?, None)
        }
        config::Pair::Made { directory } => {
            let (acceptor, renewal) = Renewal::start(directory, clients, SystemTime::now())?;
            (acceptor, Some(renewal))
        }
    };
    let authorities = authorities.map(|(_, authorities)| authorities.used_by(acceptor.clone()));
    let files = TlsFiles {
        acceptor: acceptor.clone(),
        pair: match &listen.pair {
            config::Pair::Files { certificate, key } => Some((certificate.clone(), key.clone())),
            config::Pair::Made { .. } => None,
        },
        client_ca: listen.client_ca.clone().map(|file| (file, is_required)),
    };
    let tcp = tcp::open(listen.address, inherited).await?;
    let address = tcp.local_addr().map_err(Failure::system)?;
    let site = Site::tcp("https", address, &listen.names, &listen.origins);
    let users = LoopbackUsers::open(wanted, address)?;
    Ok(TlsListener { address, tcp, users, site, acceptor, renewal, authorities, files })
}

/// Reads a certificate and its key.
fn read_pair(certificate: &Path, key: &Path) -> Result<Pair, Failure> {
    let invalid_certificate = |error: String| {
        let path = certificate.display();
        Failure::config(format!("[listen.tls]: cannot use {path}: {error}"))
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| invalid_certificate(error.to_string()))?;
    let key = tls_key::open(key).map_err(|error| {
        let failure = Failure::config(format!("`key` in [listen.tls]: {error}"));
        error.help().into_iter().fold(failure, Failure::help)
    })?;
    // `key` may contain the key itself instead of a path, so the message does not quote it.
    let key = PrivateKeyDer::from_pem_reader(BufReader::new(key)).map_err(|error| {
        Failure::config(format!("[listen.tls]: cannot use the file that `key` names: {error}"))
    })?;
    let pair = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
        .map_err(|error| invalid_certificate(error.to_string()))?;
    Ok(Arc::new(SingleCertAndKey::from(pair)))
}

fn server_config(pair: &Pair, clients: &Clients) -> Result<ServerConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::system(format!("[listen.tls]: {error}")))?;
    let mut config =
        builder.with_client_cert_verifier(Arc::clone(clients)).with_cert_resolver(Arc::clone(pair));
    if clients.offer_client_auth() {
        // A resumed session would not verify the client's certificate again, which may have expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Logs a certificate that was not accepted: otherwise only its holder would know why.
fn log_rejected(error: &io::Error, caller: &Caller) {
    let cause = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let is_of_certificate = matches!(
        cause,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    ) || cause.is_none() && error.kind() == io::ErrorKind::InvalidData;
    if is_of_certificate && let Some(left_out) = REJECTED.permit() {
        tracing::info!(%error, %caller, left_out, "a client certificate is not accepted");
    }
}

impl Listener for TlsListener {
    type Accepted = (TcpStream, SocketAddr);
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Accepted> {
        self.tcp.accept().await
    }

    fn identify(&self, accepted: Self::Accepted) -> io::Result<(Self::Connection, Caller)> {
        tcp::identify(accepted, &self.users)
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: ConnectionPermit,
    ) {
        let acceptor = self.acceptor.get();
        let open = || async move {
            let opened = open(&acceptor, connection, &caller).await;
            opened.inspect_err(|error| log_rejected(error, &caller))
        };
        server.serve_on_worker(open, self.site.clone(), permit);
    }
}

/// The handshake, and what it proves about the caller.
async fn open(
    acceptor: &TlsAcceptor,
    connection: std::net::TcpStream,
    caller: &Caller,
) -> io::Result<(TlsStream<TcpStream>, Identified)> {
    let handshake = acceptor.accept(TcpStream::from_std(connection)?);
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timed out");
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(timed_out)??;
    let chain = stream.get_ref().1.peer_certificates();
    let (caller, expires) = prove::with_certificate(caller, chain)?;
    Ok((stream, Identified { caller, expires }))
}
