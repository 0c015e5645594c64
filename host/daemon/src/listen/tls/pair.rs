//! A certificate and a key of the daemon's own, where it was given none.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Whom the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where they are.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// What clients must trust.
    pub(super) ca: PathBuf,
}

/// The pair in this directory, which is made where it is not there. The authority's own key is thrown away: nothing else
/// can ever be signed with it, so that to trust it is to trust this daemon on this machine's own names.
pub(super) fn in_directory(directory: &Path) -> io::Result<Made> {
    let at = |name: &str| directory.join(name);
    let made = Made { certificate: at("server.pem"), key: at("server.key"), ca: at("ca.pem") };
    if [&made.certificate, &made.key, &made.ca].iter().all(|path| path.exists()) {
        return Ok(made);
    }
    std::fs::create_dir_all(directory)?;
    let (certificate, key, ca) = make().map_err(io::Error::other)?;
    write(&made.key, &key)?;
    write(&made.certificate, &certificate)?;
    // Last, so that all are there once this is.
    write(&made.ca, &ca)?;
    Ok(made)
}

fn make() -> Result<(String, String, String), rcgen::Error> {
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

/// Writes a file that only this user can read, whole or not at all.
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
    fn a_pair_is_made_once_and_its_key_is_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("tls");
        let made = in_directory(&at).unwrap();
        let key = std::fs::read_to_string(&made.key).unwrap();
        assert!(key.contains("PRIVATE KEY"));
        assert_eq!(std::fs::read_to_string(in_directory(&at).unwrap().key).unwrap(), key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&made.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
