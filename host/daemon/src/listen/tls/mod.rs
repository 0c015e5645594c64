//! The loopback TLS listener, for clients that require TLS: the Azure SDKs send no token over plain
//! HTTP.

mod generated_pair;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward::Caller;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use super::http::ListenerKind;
use super::tcp;
use super::{Listener, Server};
use crate::config::{ListenTls, Pair};
use crate::exit::Failure;

/// How long a caller may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A bound TLS listener.
pub(super) struct TlsListener {
    pub(super) tcp: TcpListener,
    acceptor: TlsAcceptor,
    /// The CA certificate that was generated with the server's, if it was not configured.
    pub(super) generated_ca: Option<PathBuf>,
}

pub(super) async fn bind(listen: &ListenTls) -> Result<TlsListener, Failure> {
    let (certificate, key, generated_ca) = match &listen.pair {
        Pair::Files { certificate, key } => (certificate.clone(), key.clone(), None),
        Pair::Made { directory } => {
            let pair = generated_pair::load_or_generate(directory).map_err(|error| {
                let directory = directory.display();
                Failure::system(format!(
                    "cannot generate the certificate of [listen.tls] in {directory}: {error}"
                ))
            })?;
            (pair.certificate, pair.key, Some(pair.ca))
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&certificate, &key)?));
    let tcp = tcp::bind(listen.address).await?;
    Ok(TlsListener { tcp, acceptor, generated_ca })
}

fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, Failure> {
    let invalid_certificate = |error: String| {
        let path = certificate.display();
        Failure::config(format!("[listen.tls]: cannot use {path}: {error}"))
    };
    // `key` may contain the key itself instead of a path, so the message does not quote it.
    let invalid_key = |error: String| {
        Failure::config(format!("[listen.tls]: cannot use the file that `key` names: {error}"))
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| invalid_certificate(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| invalid_key(error.to_string()))?;
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
        let acceptor = self.acceptor.clone();
        let open = || async move {
            let handshake = acceptor.accept(TcpStream::from_std(connection)?);
            let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timed out");
            tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(timed_out)?
        };
        server.serve_on_worker(open, caller, ListenerKind::Tls, permit);
    }
}
