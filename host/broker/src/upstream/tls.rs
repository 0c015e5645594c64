//! TLS to the services.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use keyward_policy::config::TlsConfig;
use keyward_policy::diagnostic::{ConfigError, Diagnostic, Diagnostics};

/// How many TLS sessions a mount keeps for its next connections.
const SESSIONS: usize = 64;

/// Whom all mounts trust.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// Reads the certificates.
    pub(crate) fn load(config: &TlsConfig) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        let mut diagnostics = Diagnostics::new();
        if config.system_roots {
            let loaded = rustls_native_certs::load_native_certs();
            for error in &loaded.errors {
                tracing::warn!(%error, "cannot read all of the system's certificates");
            }
            roots.add_parsable_certificates(loaded.certs);
        }
        for file in &config.ca_files {
            let pem = std::fs::read(&file.value).map_err(|error| error.to_string());
            if let Err(why) = pem.and_then(|pem| add(&mut roots, &pem)) {
                let message =
                    format!("cannot use the certificates in {}: {why}", file.value.display());
                diagnostics.push(
                    Diagnostic::new(file.location.clone(), message)
                        .expected("a file of certificates in PEM"),
                );
            }
        }
        for pem in &config.ca_pem {
            if let Err(why) = add(&mut roots, pem.as_bytes()) {
                diagnostics.push(Diagnostic::new(
                    None,
                    format!("cannot use the certificates at hand: {why}"),
                ));
            }
        }
        if roots.is_empty() && diagnostics.is_empty() {
            let message = "no trust anchors: the system has none, and [tls] names none";
            let write = "[tls]\nca_files = [\"/etc/ssl/certs/ca-certificates.crt\"]";
            diagnostics.push(
                Diagnostic::new(None, message).expected("ca-certificates, or a file").write(write),
            );
        }
        diagnostics.into_result(())?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build();
        let verifier = verifier.map_err(|error| {
            Diagnostic::new(None, format!("cannot verify certificates: {error}"))
        })?;
        Ok(Self { provider, roots, verifier })
    }

    /// Whether both trust the same certificates.
    pub(crate) fn has_same_anchors(&self, other: &Self) -> bool {
        let (own, others) = (&self.roots.roots, &other.roots.roots);
        // Their order is that of a directory, and says nothing.
        own.len() == others.len() && own.iter().all(|anchor| others.contains(anchor))
    }

    /// The TLS of one mount: its sessions are its own.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config =
            builder.with_webpki_verifier(Arc::clone(&self.verifier)).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The TLS of one mount to databases. Within TDS there is none newer than 1.2, and no protocol
    /// to agree on.
    pub(crate) fn database_client(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS12])?;
        let mut config =
            builder.with_webpki_verifier(Arc::clone(&self.verifier)).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Arc::new(config))
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is none in it".to_owned());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(())
}
