//! TLS client certificates: which are accepted, and the names in them.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use webpki::EndEntityCert;

/// The names in a certificate's extension "subject alternative name". Its common name does not
/// count.
///
/// A SPIFFE id is the URI of a certificate that has no other URI: whoever matches one must check
/// that there is exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CertificateNames {
    pub(crate) uris: Vec<String>,
    /// Host names, in lower case. A name with a wildcard does not identify a host, and is not one.
    pub(crate) dns: Vec<String>,
}

impl CertificateNames {
    /// The names in a certificate that the verifier has accepted. Nothing else is checked here.
    ///
    /// # Errors
    ///
    /// It is malformed, or has a name that programs could read in different ways.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, InvalidCertificate> {
        let certificate =
            EndEntityCert::try_from(certificate).map_err(InvalidCertificate::Malformed)?;
        let uris: Vec<String> = certificate.valid_uri_names().map(str::to_owned).collect();
        if uris.iter().any(|uri| uri.is_empty() || !uri.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(InvalidCertificate::AmbiguousUri);
        }
        let dns = certificate.valid_dns_names().filter(|name| !name.contains('*'));
        Ok(Self { uris, dns: dns.map(str::to_ascii_lowercase).collect() })
    }
}

/// A client certificate whose names cannot be used.
#[derive(Debug)]
pub(crate) enum InvalidCertificate {
    /// It cannot be parsed.
    Malformed(webpki::Error),
    /// A URI is empty, or has characters other than printable ASCII.
    AmbiguousUri,
}

impl fmt::Display for InvalidCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(_) => f.write_str("the client certificate is malformed"),
            Self::AmbiguousUri => f.write_str("the client certificate has an invalid URI name"),
        }
    }
}

impl std::error::Error for InvalidCertificate {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::AmbiguousUri => None,
        }
    }
}

/// Accepts client certificates of the authorities in a PEM file. Connections without a certificate
/// are accepted unless one is `required`; those with another certificate never are.
///
/// Revocation lists are not read: authorities for callers should issue short-lived certificates.
///
/// # Errors
///
/// A certificate is invalid, or there is none.
pub(crate) fn client_verifier(
    authorities: &[u8],
    required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, InvalidAuthority> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(InvalidAuthority::Pem)?;
        roots.add(certificate).map_err(InvalidAuthority::Certificate)?;
    }
    if roots.is_empty() {
        return Err(InvalidAuthority::Empty);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(InvalidAuthority::Verifier)
}

/// Authorities for client certificates that cannot be used.
#[derive(Debug)]
pub(crate) enum InvalidAuthority {
    /// The file has no certificate.
    Empty,
    /// The file is not PEM.
    Pem(pem::Error),
    /// A certificate is malformed.
    Certificate(rustls::Error),
    /// The verifier cannot be made of them.
    Verifier(rustls::server::VerifierBuilderError),
}

impl fmt::Display for InvalidAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it contains no certificate"),
            Self::Pem(error) => write!(f, "it is not PEM: {error}"),
            Self::Certificate(error) => write!(f, "a certificate is invalid: {error}"),
            Self::Verifier(error) => write!(f, "its certificates cannot be used: {error}"),
        }
    }
}

impl std::error::Error for InvalidAuthority {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Empty => None,
            Self::Pem(error) => Some(error),
            Self::Certificate(error) => Some(error),
            Self::Verifier(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
