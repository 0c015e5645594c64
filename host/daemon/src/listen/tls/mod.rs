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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use super::site::Site;
use super::{Listener, Server, tcp};
use crate::config::{ListenTls, Pair};
use crate::exit::Failure;
use crate::tls_key;
pub(super) use renewal::Renewal;

/// How long a caller may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A bound TLS listener.
pub(super) struct TlsListener {
    pub(super) address: SocketAddr,
    tcp: TcpListener,
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

pub(super) async fn bind(listen: &ListenTls) -> Result<TlsListener, Failure> {
    let (acceptor, renewal) = match &listen.pair {
        Pair::Files { certificate, key } => {
            (CurrentAcceptor::new(server_config(certificate, key)?), None)
        }
        Pair::Made { directory } => {
            let (acceptor, renewal) = Renewal::start(directory, SystemTime::now())?;
            (acceptor, Some(renewal))
        }
    };
    let tcp = tcp::open(listen.address).await?;
    let address = tcp.local_addr().map_err(Failure::system)?;
    let site = Site::loopback("https", address, &listen.origins);
    Ok(TlsListener { address, tcp, site, acceptor, renewal })
}

fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, Failure> {
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
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| invalid_certificate(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Listener for TlsListener {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        tcp::accept(&self.tcp).await
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: OwnedSemaphorePermit,
    ) {
        let acceptor = self.acceptor.get();
        let open = || async move {
            let handshake = acceptor.accept(TcpStream::from_std(connection)?);
            let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timed out");
            tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(timed_out)?
        };
        server.serve_on_worker(open, caller, self.site.clone(), permit);
    }
}
