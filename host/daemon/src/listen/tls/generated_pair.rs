//! The certificate and key that the daemon generates if none are configured.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Subject alternative names of the certificate.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Paths of a generated certificate, its key and its CA certificate, as PEM.
#[derive(Debug)]
pub(super) struct GeneratedPair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// The trust anchor for clients.
    pub(super) ca: PathBuf,
}

/// Returns the pair in `directory`, and generates it first if it is missing.
///
/// The CA's private key is discarded, so it can never sign anything else: a client that trusts the
/// CA trusts only this daemon, for [`NAMES`].
pub(super) fn load_or_generate(directory: &Path) -> io::Result<GeneratedPair> {
    let at = |name: &str| directory.join(name);
    let pair =
        GeneratedPair { certificate: at("server.pem"), key: at("server.key"), ca: at("ca.pem") };
    if [&pair.certificate, &pair.key, &pair.ca].iter().all(|path| path.exists()) {
        return Ok(pair);
    }
    std::fs::create_dir_all(directory)?;
    let (certificate, key, ca) = generate().map_err(io::Error::other)?;
    write(&pair.key, &key)?;
    write(&pair.certificate, &certificate)?;
    // Last: if the CA exists, the others do.
    write(&pair.ca, &ca)?;
    Ok(pair)
}

/// Generates PEM of a certificate, its key and its CA certificate.
fn generate() -> Result<(String, String, String), rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Keyward on this machine");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
    Ok((certificate.pem(), key.serialize_pem(), ca_certificate.pem()))
}

/// Writes a file atomically, readable only by this user.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_generated_once_and_only_its_owner_can_read_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("tls");
        let pair = load_or_generate(&at).unwrap();
        let key = std::fs::read_to_string(&pair.key).unwrap();
        assert!(key.contains("PRIVATE KEY"));
        let again = load_or_generate(&at).unwrap();
        assert_eq!(std::fs::read_to_string(again.key).unwrap(), key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
