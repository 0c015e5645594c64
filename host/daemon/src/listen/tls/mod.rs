//! The loopback TLS listener, for clients that require TLS: the Azure SDKs send no token over plain
//! HTTP.

mod generated_pair;
mod renewal;

use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use keyward::Caller;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::prove::{self, LoopbackUsers, Wanted};
use super::site::Site;
use super::{ConnectionPermit, Listener, Server, tcp, trusted_file};
use crate::config::{ListenTls, Pair};
use crate::exit::Failure;
use crate::peer::client_verifier;
use crate::tls_key;
pub(super) use renewal::Renewal;

/// How long a caller may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A bound TLS listener.
pub(super) struct TlsListener {
    pub(super) address: SocketAddr,
    tcp: TcpListener,
    users: LoopbackUsers,
    site: Site,
    acceptor: CurrentAcceptor,
    /// The renewal of the certificate, if it was generated.
    pub(super) renewal: Option<Renewal>,
}

/// What accepts handshakes, with the current certificate.
#[derive(Clone)]
struct CurrentAcceptor(Arc<RwLock<TlsAcceptor>>);

impl CurrentAcceptor {
    fn new(config: ServerConfig) -> Self {
        Self(Arc::new(RwLock::new(TlsAcceptor::from(Arc::new(config)))))
    }

    fn get(&self) -> TlsAcceptor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses another certificate from now on. Open connections keep theirs.
    fn replace(&self, config: ServerConfig) {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
    }
}

/// Creates the directory of a generated pair if it does not exist.
pub(super) fn create_directory(pair: &Pair) -> Result<(), Failure> {
    match pair {
        Pair::Files { .. } => Ok(()),
        Pair::Made { directory } => renewal::create_directory(directory),
    }
}

/// Which client certificates are accepted.
type Clients = Arc<dyn ClientCertVerifier>;

/// Binds the listener. `has_tokens` is whether callers may prove themselves by tokens too.
pub(super) async fn bind(
    listen: &ListenTls,
    has_tokens: bool,
    wanted: Wanted,
) -> Result<TlsListener, Failure> {
    let is_required = !listen.address.ip().is_loopback() && !has_tokens;
    let clients = match &listen.client_ca {
        Some(file) => clients(file, is_required)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let (acceptor, renewal) = match &listen.pair {
        Pair::Files { certificate, key } => {
            (CurrentAcceptor::new(server_config(certificate, key, &clients)?), None)
        }
        Pair::Made { directory } => {
            let (acceptor, renewal) = Renewal::start(directory, clients, SystemTime::now())?;
            (acceptor, Some(renewal))
        }
    };
    let tcp = tcp::open(listen.address).await?;
    let address = tcp.local_addr().map_err(Failure::system)?;
    let site = Site::tcp("https", address, &listen.names, &listen.origins);
    let users = LoopbackUsers::open(wanted, address)?;
    Ok(TlsListener { address, tcp, users, site, acceptor, renewal })
}

/// Reads the authorities of client certificates.
fn clients(file: &Path, is_required: bool) -> Result<Clients, Failure> {
    trusted_file::check("`client_ca` in [listen.tls]", file)?;
    let shown = file.display();
    let authorities = std::fs::read(file).map_err(|error| {
        Failure::config(format!("`client_ca` in [listen.tls]: cannot read {shown}: {error}"))
    })?;
    client_verifier(&authorities, is_required).map_err(|error| {
        Failure::config(format!("`client_ca` in [listen.tls]: cannot use {shown}: {error}"))
    })
}

fn server_config(
    certificate: &Path,
    key: &Path,
    clients: &Clients,
) -> Result<ServerConfig, Failure> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_client_cert_verifier(Arc::clone(clients));
            builder.with_single_cert(chain, key)
        })
        .map_err(|error| invalid_certificate(error.to_string()))?;
    if clients.offer_client_auth() {
        // A resumed session would not verify the client's certificate again, which may have expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Listener for TlsListener {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        tcp::accept(&self.tcp, &self.users).await
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
            let handshake = acceptor.accept(TcpStream::from_std(connection)?);
            let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timed out");
            let stream =
                tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(timed_out)??;
            let chain = stream.get_ref().1.peer_certificates();
            let caller = prove::with_certificate(&caller, chain)?;
            Ok((stream, caller))
        };
        server.serve_on_worker(open, self.site.clone(), permit);
    }
}
