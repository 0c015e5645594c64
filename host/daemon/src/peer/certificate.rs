//! TLS client certificates: which are accepted, and the names in them.

mod x509;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

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

/// What a client certificate says about its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) names: CertificateNames,
    /// When it stops to be valid.
    pub(crate) expires: SystemTime,
}

impl ClientCertificate {
    /// What a certificate says that the verifier has accepted. Nothing else is checked here.
    ///
    /// # Errors
    ///
    /// It is malformed, or has a name that programs could read in different ways.
    pub(crate) fn of(der: &CertificateDer<'_>) -> Result<Self, InvalidCertificate> {
        let x509::Contents { expires, uris, dns } =
            x509::parse(der).map_err(InvalidCertificate::Malformed)?;
        let uris = uris.into_iter().map(|uri| graphic(uri).ok_or(InvalidCertificate::AmbiguousUri));
        let uris = uris.collect::<Result<Vec<String>, _>>()?;
        let dns = dns.into_iter().map(|name| graphic(name).ok_or(InvalidCertificate::AmbiguousDns));
        let dns = dns.collect::<Result<Vec<String>, _>>()?;
        let valid = EndEntityCert::try_from(der).map_err(InvalidCertificate::Unusable)?;
        let valid: Vec<&str> = valid.valid_dns_names().collect();
        let is_host = |name: &String| valid.contains(&name.as_str()) && !name.contains('*');
        let dns = dns.into_iter().filter(is_host).map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self { names: CertificateNames { uris, dns }, expires })
    }
}

/// A name, if it is not empty and has printable ASCII only.
fn graphic(name: Vec<u8>) -> Option<String> {
    let is_graphic = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    String::from_utf8(name).ok().filter(|_| is_graphic)
}

/// A client certificate whose names cannot be used.
#[derive(Debug)]
pub(crate) enum InvalidCertificate {
    /// It, or a name in it, cannot be parsed.
    Malformed(yasna::ASN1Error),
    /// It has something that the verifier does not support.
    Unusable(webpki::Error),
    /// A URI is empty, or has characters other than printable ASCII.
    AmbiguousUri,
    /// So has a DNS name.
    AmbiguousDns,
}

impl fmt::Display for InvalidCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(_) => f.write_str("the client certificate is malformed"),
            Self::Unusable(_) => f.write_str("the client certificate is not supported"),
            Self::AmbiguousUri => f.write_str("the client certificate has an invalid URI name"),
            Self::AmbiguousDns => f.write_str("the client certificate has an invalid DNS name"),
        }
    }
}

impl std::error::Error for InvalidCertificate {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Unusable(error) => Some(error),
            Self::AmbiguousUri | Self::AmbiguousDns => None,
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
