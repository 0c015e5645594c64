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
use tokio_rustls::TlsAcceptor;

use super::House;
use super::http::Door;
use super::tcp::{self, pause_when_exhausted};
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
    let chain = CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable(&certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(|error| unusable(&certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listener = tcp::bind(listen.address).await?;
    Ok(Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)), ca })
}

pub(super) async fn serve(tls: Tls, mut house: House) {
    loop {
        let Some(place) = house.place().await else { break };
        let accepted = tokio::select! {
            accepted = tls.listener.accept() => accepted,
            () = house.stopped() => break,
        };
        let accepted = accepted.and_then(|(stream, peer)| {
            stream.set_nodelay(true)?;
            Ok((stream.into_std()?, Caller::Anybody { peer }))
        });
        match accepted {
            Ok((stream, caller)) => {
                let acceptor = tls.acceptor.clone();
                let stream = || async move {
                    let handshake = acceptor.accept(TcpStream::from_std(stream)?);
                    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time");
                    tokio::time::timeout(HANDSHAKE, handshake).await.map_err(timed_out)?
                };
                house.serve(stream, caller, Door::LoopbackTls, place);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                pause_when_exhausted(&error).await;
            }
        }
    }
}
