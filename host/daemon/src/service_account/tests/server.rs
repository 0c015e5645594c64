//! A server with keys, on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyward::identity::clock::ManualClock;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::ISSUER;
use super::issuer::{SigningKey, key_set};
use crate::service_account::Verifier;
use crate::service_account::config::{Access, IssuerConfig, KeySource};

/// The URL of the keys.
pub(super) const JWKS: &str = "https://issuer.example/keys";

/// What the server does with requests for a path.
#[derive(Clone)]
pub(super) enum Behaviour {
    Respond(StatusCode, String),
    Redirect(&'static str),
    /// Never responds.
    Hang,
}

/// A server on loopback that has the name `issuer.example`.
pub(super) struct Server {
    address: SocketAddr,
    directory: tempfile::TempDir,
    pub(super) clock: ManualClock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    behaviours: Mutex<BTreeMap<String, Behaviour>>,
    /// The path of each request, and its `authorization`.
    requests: Mutex<Vec<(String, Option<String>)>>,
    received: watch::Sender<usize>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["issuer.example".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.crt"), ca_certificate.pem()).unwrap();

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        tokio::spawn(accept(listener, acceptor, Arc::clone(&shared)));
        Self { address, directory, clock: super::clock(), shared }
    }

    pub(super) fn set(&self, path: &str, behaviour: Behaviour) {
        self.shared.behaviours.lock().unwrap().insert(path.to_owned(), behaviour);
    }

    pub(super) fn set_keys(&self, keys: &[&SigningKey]) {
        self.set("/keys", Behaviour::Respond(StatusCode::OK, key_set(keys)));
    }

    pub(super) fn requests(&self) -> Vec<(String, Option<String>)> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have been received.
    pub(super) async fn received(&self, count: usize) {
        let mut received = self.shared.received.subscribe();
        received.wait_for(|received| *received >= count).await.unwrap();
    }

    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }

    pub(super) fn access(&self) -> Access {
        Access { ca_file: self.file("ca.crt"), token_file: None }
    }

    pub(super) fn verifier(&self) -> Arc<Verifier> {
        self.verifier_with(KeySource::Url { url: JWKS.to_owned(), access: self.access() })
    }

    pub(super) fn verifier_with(&self, keys: KeySource) -> Arc<Verifier> {
        self.verifier_of(ISSUER, keys)
    }

    pub(super) fn verifier_of(&self, issuer: &str, keys: KeySource) -> Arc<Verifier> {
        let config = IssuerConfig {
            issuer: issuer.to_owned(),
            audience: "keyward".to_owned(),
            keys,
            addresses: BTreeMap::from([
                (("issuer.example".to_owned(), 443), self.address),
                (("elsewhere.example".to_owned(), 443), self.address),
            ]),
        };
        Arc::new(Verifier::with_clock(config, Arc::new(self.clock.clone())).unwrap())
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // Clients without the authority's certificate end the handshake.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| respond(Arc::clone(&shared), request));
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, http::Error> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let behaviour = shared.behaviours.lock().unwrap().get(&path).cloned();
    shared.requests.lock().unwrap().push((path, authorization));
    shared.received.send_modify(|received| *received += 1);
    let response = Response::builder();
    match behaviour {
        Some(Behaviour::Respond(status, body)) => response.status(status).body(body.into()),
        Some(Behaviour::Redirect(to)) => {
            response.status(StatusCode::FOUND).header("location", to).body(Full::default())
        }
        Some(Behaviour::Hang) => std::future::pending().await,
        None => response.status(StatusCode::NOT_FOUND).body(Full::default()),
    }
}
