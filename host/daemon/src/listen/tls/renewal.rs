//! Renews the generated certificate while the daemon runs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::generated_pair::{self, GeneratedPair};
use super::{Clients, CurrentAcceptor, read_pair};
use crate::exit::Failure;

/// How often the files are looked at. That is far more often than they are renewed, because a timer
/// stands still while the machine sleeps.
const INTERVAL: Duration = Duration::from_secs(3600);

/// The renewal of a generated pair, which a listener uses.
pub(in crate::listen) struct Renewal {
    directory: PathBuf,
    /// The trust anchor for clients.
    pub(in crate::listen) ca: PathBuf,
    acceptor: CurrentAcceptor,
    /// The certificate in use, as PEM.
    certificate: Vec<u8>,
}

impl Renewal {
    /// Loads or generates the pair in a directory.
    pub(super) fn start(
        directory: &Path,
        clients: Clients,
        now: SystemTime,
    ) -> Result<(CurrentAcceptor, Self), Failure> {
        let pair = load(directory, now)?;
        let acceptor = CurrentAcceptor::new(read_pair(&pair.certificate, &pair.key)?, clients)?;
        let certificate = std::fs::read(&pair.certificate).map_err(Failure::system)?;
        let directory = directory.to_owned();
        Ok((acceptor.clone(), Self { directory, ca: pair.ca, acceptor, certificate }))
    }

    /// Renews the pair in time, for as long as this is polled.
    pub(in crate::listen) async fn run(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.renew(SystemTime::now()) {
                Ok(false) => {}
                Ok(true) => tracing::info!(
                    "the certificate of [listen.tls] was renewed: clients must read {} again",
                    self.ca.display()
                ),
                Err(failure) => tracing::error!("{}", failure.message()),
            }
        }
    }

    /// Renews the pair if it is about to expire. Returns whether the listener has another one, also
    /// if another process renewed it.
    fn renew(&mut self, now: SystemTime) -> Result<bool, Failure> {
        let pair = load(&self.directory, now)?;
        let certificate = std::fs::read(&pair.certificate).map_err(Failure::system)?;
        if certificate == self.certificate {
            return Ok(false);
        }
        self.acceptor.replace_pair(read_pair(&pair.certificate, &pair.key)?)?;
        self.certificate = certificate;
        Ok(true)
    }
}

pub(super) fn create_directory(directory: &Path) -> Result<(), Failure> {
    let created = generated_pair::create_directory(directory);
    created.map_err(|error| cannot_generate(directory, &error))
}

fn load(directory: &Path, now: SystemTime) -> Result<GeneratedPair, Failure> {
    let pair = generated_pair::load_or_generate(directory, now);
    pair.map_err(|error| cannot_generate(directory, &error))
}

fn cannot_generate(directory: &Path, error: &io::Error) -> Failure {
    let directory = directory.display();
    Failure::system(format!(
        "cannot generate the certificate of [listen.tls] in {directory}: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::server::WebPkiClientVerifier;
    use tokio_rustls::TlsConnector;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// Whether a client that trusts this CA gets through a handshake.
    async fn is_trusted(acceptor: &CurrentAcceptor, ca: &[u8]) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client_end, server_end) = tokio::io::duplex(64 << 10);
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = acceptor.get();
        let (connected, _) =
            tokio::join!(connector.connect(name, client_end), acceptor.accept(server_end));
        connected.is_ok()
    }

    #[tokio::test]
    async fn a_listener_takes_a_renewed_pair_without_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        // So that a client accepts the first pair now.
        let now = SystemTime::now();
        let start = now - 300 * DAY;
        let (acceptor, mut renewal) =
            Renewal::start(directory.path(), WebPkiClientVerifier::no_client_auth(), start)
                .unwrap();
        let first = std::fs::read(&renewal.ca).unwrap();
        assert!(is_trusted(&acceptor, &first).await);
        assert!(!renewal.renew(now).unwrap(), "65 days are left");
        assert!(renewal.renew(now + 40 * DAY).unwrap(), "25 days are left");
        let second = std::fs::read(&renewal.ca).unwrap();
        assert_ne!(first, second);
        assert!(!is_trusted(&acceptor, &first).await, "its certificate is another CA's");
        assert!(!renewal.renew(now + 41 * DAY).unwrap());
    }

    #[tokio::test]
    async fn a_listener_takes_a_pair_that_another_process_renewed() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let (acceptor, mut renewal) =
            Renewal::start(directory.path(), WebPkiClientVerifier::no_client_auth(), now).unwrap();
        std::fs::remove_file(&renewal.ca).unwrap();
        load(directory.path(), now).unwrap();
        assert!(renewal.renew(now).unwrap());
        assert!(is_trusted(&acceptor, &std::fs::read(&renewal.ca).unwrap()).await);
    }
}
