//! The listener with TLS, for clients that insist on it: the Azure SDKs send no token over plain HTTP.

mod pair;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyward::Caller;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use super::http::Door;
use super::tcp;
use super::{House, TakesConnections};
use crate::config::{ListenTls, Pair};
use crate::exit::Failure;

/// How long a caller may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The listener, open.
pub(super) struct Tls {
    pub(super) listener: TcpListener,
    acceptor: TlsAcceptor,
    /// The certificate of the authority that was made for it, where one was.
    pub(super) ca: Option<PathBuf>,
}

pub(super) async fn open(listen: &ListenTls) -> Result<Tls, Failure> {
    let (certificate, key, ca) = match &listen.pair {
        Pair::Files { certificate, key } => (certificate.clone(), key.clone(), None),
        Pair::Made { directory } => {
            let made = pair::in_directory(directory).map_err(|error| {
                let directory = directory.display();
                Failure::system(format!("no certificate can be made in {directory} for [listen.tls]: {error}"))
            })?;
            (made.certificate, made.key, Some(made.ca))
        }
    };
    let unusable = |path: &PathBuf, error: String| {
        Failure::config(format!("[listen.tls]: cannot use {}: {error}", path.display()))
    };
    // Somebody may have written the key itself in the path's place.
    let unusable_key =
        |error: String| Failure::config(format!("[listen.tls]: cannot use the file that `key` names: {error}"));
    let chain = CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable(&certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable_key(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(|error| unusable(&certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listener = tcp::bind(listen.address).await?;
    Ok(Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)), ca })
}

impl TakesConnections for Tls {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        tcp::accept(&self.listener).await
    }

    fn serve(&self, connection: Self::Connection, caller: Caller, house: &House, place: OwnedSemaphorePermit) {
        let acceptor = self.acceptor.clone();
        let stream = || async move {
            let handshake = acceptor.accept(TcpStream::from_std(connection)?);
            let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time");
            tokio::time::timeout(HANDSHAKE, handshake).await.map_err(timed_out)?
        };
        house.serve(stream, caller, Door::LoopbackTls, place);
    }
}
