//! Whom an endpoint with TLS has to be.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::transport::Failure;

/// Which certificates are trusted: the system's roots, and perhaps some more.
///
/// Clones share what was loaded.
#[derive(Clone, Default)]
pub struct Tls(Config);

#[derive(Clone, Default)]
enum Config {
    /// The system's roots.
    #[default]
    System,
    /// `None` where rustls does not take it. Nothing is connected then.
    Of(Option<Arc<ClientConfig>>),
}

/// Certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}. Expected certificates of authorities in PEM (\"-----BEGIN CERTIFICATE-----\")")]
pub struct InvalidCertificates {
    what: String,
}

impl Tls {
    /// The system's roots. They are loaded with the first request that needs them, once.
    #[must_use]
    pub fn system() -> Self {
        Self(Config::System)
    }

    /// The system's roots, and the authorities in a PEM text.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificates`] where there are none in it, or broken ones.
    pub fn system_and_pem(pem: &[u8]) -> Result<Self, InvalidCertificates> {
        let mut roots = system_roots();
        let invalid = |what: String| InvalidCertificates { what };
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| invalid(format!("no PEM: {error}")))?;
            roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
            found = true;
        }
        if found { Ok(Self(Config::Of(trusting(roots)))) } else { Err(invalid("there is no certificate".to_owned())) }
    }

    /// No authority: every certificate is untrusted.
    #[must_use]
    pub fn no_roots() -> Self {
        Self(Config::Of(trusting(RootCertStore::empty())))
    }

    /// One certificate and no other, by its thumbprint: Service Fabric's is signed by itself.
    pub(super) fn pinned(thumbprint: Thumbprint) -> Self {
        let provider = Arc::new(default_provider());
        let verifier = Arc::new(Pinned { thumbprint, provider: Arc::clone(&provider) });
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok();
        let config =
            builder.map(|builder| builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
        Self(Config::Of(config.map(Arc::new)))
    }

    pub(super) fn connector(&self) -> Result<TlsConnector, Failure> {
        static SYSTEM: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
        let config = match &self.0 {
            Config::System => SYSTEM.get_or_init(|| trusting(system_roots())).clone(),
            Config::Of(config) => config.clone(),
        };
        let none = || Failure::Broken("TLS cannot be set up".to_owned());
        config.map(TlsConnector::from).ok_or_else(none)
    }
}

impl From<Arc<ClientConfig>> for Tls {
    /// A configuration of one's own.
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(Config::Of(Some(config)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Config::System => "Tls(system)",
            Config::Of(_) => "Tls(..)",
        })
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if ignored > 0 {
        tracing::debug!(ignored, "certificates of the system that cannot be read");
    }
    roots
}

fn trusting(roots: RootCertStore) -> Option<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The digest of a certificate: SHA-1, as the platform gives it, or SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thumbprint(Vec<u8>);

impl Thumbprint {
    /// 40 or 64 hexadecimal digits; the colons and blanks that some tools put between them do no harm.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        if !matches!(digits.len(), 40 | 64) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
        bytes.collect::<Option<_>>().map(Self)
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        let algorithm = if self.0.len() == 20 { &SHA1_FOR_LEGACY_USE_ONLY } else { &SHA256 };
        digest(algorithm, certificate).as_ref() == self.0
    }
}

#[derive(Debug)]
struct Pinned {
    thumbprint: Thumbprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
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

    // That the server has the certificate's key is checked as ever.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
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
        // The SHA-1 and SHA-256 of no bytes at all.
        for text in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            "da:39:a3:ee:5e:6b:4b:0d:32:55:bf:ef:95:60:18:90:af:d8:07:09",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(Thumbprint::parse(text).unwrap().is_of(b""), "{text}");
            assert!(!Thumbprint::parse(text).unwrap().is_of(b"x"), "{text}");
        }
        for text in ["", "da39", "zz39a3ee5e6b4b0d3255bfef95601890afd80709", "ä39a3ee5e6b4b0d3255bfef95601890afd807"] {
            assert_eq!(Thumbprint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_holds_no_certificate_is_refused() {
        assert!(Tls::system_and_pem(b"").is_err());
        assert!(Tls::system_and_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
