//! TLS trust anchors, and the pinned certificate of Service Fabric.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

/// TLS trust anchors: the system's, and possibly more.
///
/// Clones share what was loaded.
#[derive(Clone, Default)]
pub struct Tls(Config);

#[derive(Clone, Default)]
enum Config {
    /// The system's trust anchors.
    #[default]
    System,
    /// `None` if rustls rejects the configuration. Then no connection is made.
    Custom(Option<Arc<ClientConfig>>),
}

/// Certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificates cannot be used: {reason}; expected certificates of authorities in PEM \
     (\"-----BEGIN CERTIFICATE-----\")"
)]
pub struct InvalidCertificates {
    reason: String,
}

impl Tls {
    /// The system's trust anchors. They are loaded once, for the first request that needs them.
    #[must_use]
    pub fn system() -> Self {
        Self(Config::System)
    }

    /// The system's trust anchors, and the authorities in a PEM text.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificates`] if there is no certificate in it, or an invalid one.
    pub fn system_and_pem(pem: &[u8]) -> Result<Self, InvalidCertificates> {
        let mut roots = system_roots();
        add_pem(&mut roots, pem)?;
        Ok(Self(Config::Custom(client_config(roots))))
    }

    /// The authorities in a PEM text, and not the system's trust anchors.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificates`] if there is no certificate in it, or an invalid one.
    pub fn only_pem(pem: &[u8]) -> Result<Self, InvalidCertificates> {
        let mut roots = RootCertStore::empty();
        add_pem(&mut roots, pem)?;
        Ok(Self(Config::Custom(client_config(roots))))
    }

    /// No trust anchors: no certificate is trusted.
    #[must_use]
    pub fn no_roots() -> Self {
        Self(Config::Custom(client_config(RootCertStore::empty())))
    }

    /// Trusts the certificate with this thumbprint, and no other.
    pub(super) fn pinned(thumbprint: Thumbprint) -> Self {
        let provider = Arc::new(default_provider());
        let verifier = Arc::new(PinnedCertificate { thumbprint, provider: Arc::clone(&provider) });
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().ok();
        let config = builder.map(|builder| {
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        });
        Self(Config::Custom(config.map(Arc::new)))
    }

    /// Connects with this configuration; `None` if rustls rejects it.
    pub(super) fn connector(&self) -> Option<TlsConnector> {
        static SYSTEM: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
        let config = match &self.0 {
            Config::System => SYSTEM.get_or_init(|| client_config(system_roots())).clone(),
            Config::Custom(config) => config.clone(),
        };
        config.map(TlsConnector::from)
    }
}

impl From<Arc<ClientConfig>> for Tls {
    /// A complete configuration from elsewhere.
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(Config::Custom(Some(config)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Config::System => "Tls(system)",
            Config::Custom(_) => "Tls(..)",
        })
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let certificates = rustls_native_certs::load_native_certs().certs;
    let (_, ignored) = roots.add_parsable_certificates(certificates);
    if ignored > 0 {
        tracing::debug!(ignored, "ignored malformed certificates of the system");
    }
    roots
}

fn add_pem(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), InvalidCertificates> {
    let invalid = |reason: String| InvalidCertificates { reason };
    let mut is_empty = true;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| invalid(format!("invalid PEM: {error}")))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
        is_empty = false;
    }
    if is_empty { Err(invalid("there is no certificate".to_owned())) } else { Ok(()) }
}

fn client_config(roots: RootCertStore) -> Option<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The digest of a certificate: SHA-1, as the platform provides it, or SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thumbprint(Vec<u8>);

impl Thumbprint {
    /// 40 or 64 hexadecimal digits. Colons and spaces between them are ignored.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !matches!(digits.len(), 40 | 64) || !is_hexadecimal {
            return None;
        }
        let bytes = (0..digits.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
        bytes.collect::<Option<_>>().map(Self)
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        let algorithm = if self.0.len() == 20 { &SHA1_FOR_LEGACY_USE_ONLY } else { &SHA256 };
        digest(algorithm, certificate).as_ref() == self.0
    }
}

#[derive(Debug)]
struct PinnedCertificate {
    thumbprint: Thumbprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.thumbprint.is_of(certificate) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    // The server still has to prove that it owns the certificate's key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_hexadecimal_in_either_length_and_case() {
        // The SHA-1 and the SHA-256 of no bytes.
        for text in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            "da:39:a3:ee:5e:6b:4b:0d:32:55:bf:ef:95:60:18:90:af:d8:07:09",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(Thumbprint::parse(text).unwrap().is_of(b""), "{text}");
            assert!(!Thumbprint::parse(text).unwrap().is_of(b"x"), "{text}");
        }
        for text in [
            "",
            "da39",
            "zz39a3ee5e6b4b0d3255bfef95601890afd80709",
            "ä39a3ee5e6b4b0d3255bfef95601890afd807",
        ] {
            assert_eq!(Thumbprint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn text_without_a_valid_certificate_is_an_error() {
        let invalid = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in [b"".as_slice(), invalid] {
            assert!(Tls::system_and_pem(pem).is_err());
            assert!(Tls::only_pem(pem).is_err());
        }
    }
}
