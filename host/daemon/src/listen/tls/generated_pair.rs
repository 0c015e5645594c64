//! The certificate and key that the daemon generates if none are configured.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::read_pair;

/// Subject alternative names of the certificate.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a pair is valid.
const LIFETIME: Duration = DAY.saturating_mul(365);

/// How long before its end a pair is renewed.
const RENEWED_BEFORE: Duration = DAY.saturating_mul(30);

/// How long before now a pair becomes valid, for clients whose clocks are late.
const BACKDATED: Duration = Duration::from_secs(3600);

/// Paths of a generated certificate, its key and its CA certificate, as PEM.
#[derive(Debug)]
pub(super) struct GeneratedPair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// The trust anchor for clients.
    pub(super) ca: PathBuf,
}

/// Returns the pair in `directory`, and generates it first if it is missing, invalid, or about to
/// expire.
///
/// The CA's private key is discarded, so it can never sign anything else: a client that trusts the
/// CA trusts only this daemon, for [`NAMES`]. Therefore a new pair has a new CA.
pub(super) fn load_or_generate(directory: &Path, now: SystemTime) -> io::Result<GeneratedPair> {
    let at = |name: &str| directory.join(name);
    let pair =
        GeneratedPair { certificate: at("server.pem"), key: at("server.key"), ca: at("ca.pem") };
    if pair.is_current(now) {
        return Ok(pair);
    }
    create_directory(directory)?;
    let (certificate, key, ca) = generate(now).map_err(io::Error::other)?;
    write(&pair.key, &key, 0o600)?;
    write(&pair.certificate, &certificate, 0o644)?;
    write(&pair.ca, &ca, 0o644)?;
    Ok(pair)
}

impl GeneratedPair {
    /// Whether a client that trusts the CA accepts the certificate now and until it is to be
    /// renewed, and not for longer than a pair lives.
    fn is_current(&self, now: SystemTime) -> bool {
        // The key may be another pair's if an earlier process was killed while it wrote the files.
        read_pair(&self.certificate, &self.key).is_ok()
            && self.is_accepted(now)
            && self.is_accepted(now + RENEWED_BEFORE)
            && !self.is_accepted(now + LIFETIME + RENEWED_BEFORE)
    }

    /// Whether a client that trusts the CA accepts the certificate at this time.
    fn is_accepted(&self, time: SystemTime) -> bool {
        let accept = || {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(&self.ca).ok()?).ok()?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let certificate = CertificateDer::from_pem_file(&self.certificate).ok()?;
            let name = ServerName::try_from(NAMES[0]).ok()?;
            let time = UnixTime::since_unix_epoch(since_epoch(time));
            verifier.ok()?.verify_server_cert(&certificate, &[], &name, &[], time).ok()
        };
        accept().is_some()
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Generates PEM of a certificate, its key and its CA certificate.
fn generate(now: SystemTime) -> Result<(String, String, String), rcgen::Error> {
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(now);
    let valid_for_a_year = |mut params: CertificateParams| {
        params.not_before = now - BACKDATED;
        params.not_after = now + LIFETIME;
        params
    };
    let mut ca = valid_for_a_year(CertificateParams::default());
    ca.distinguished_name.push(DnType::CommonName, "Keyward on this machine");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let mut leaf = valid_for_a_year(CertificateParams::new(NAMES.map(str::to_owned))?);
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
    Ok((certificate.pem(), key.serialize_pem(), ca_certificate.pem()))
}

/// Creates the directory if it does not exist. Clients of all users may enter it, whatever the
/// umask is; the key in it has permissions of its own.
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).create(directory)?;
    set_mode(directory, 0o755)
}

/// Writes a file atomically. Until it is complete, only this user can read it.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    set_mode(file.path(), mode)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// On other systems the access list of the directory applies.
#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(pair: &GeneratedPair) -> [String; 3] {
        [&pair.certificate, &pair.key, &pair.ca].map(|path| std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn a_pair_is_generated_once_and_only_its_owner_can_read_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let (at, now) = (directory.path().join("tls"), SystemTime::now());
        let pair = load_or_generate(&at, now).unwrap();
        let first = contents(&pair);
        assert!(first[1].contains("PRIVATE KEY"));
        assert_eq!(contents(&load_or_generate(&at, now).unwrap()), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&pair.key), 0o600);
            for path in [&pair.ca, &pair.certificate] {
                assert_eq!(mode(path), 0o644, "clients of other users read it");
            }
            assert_eq!(mode(&at), 0o755, "clients of other users enter it");
        }
    }

    #[test]
    fn a_pair_lives_for_a_year_and_is_renewed_a_month_before_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let load = |now| load_or_generate(directory.path(), now).unwrap();
        let pair = load(now);
        let first = contents(&pair);
        assert!(pair.is_accepted(now - DAY / 48) && pair.is_accepted(now + 364 * DAY));
        assert!(!pair.is_accepted(now - DAY) && !pair.is_accepted(now + 366 * DAY));
        assert_eq!(contents(&load(now + 334 * DAY)), first);
        let later = now + 336 * DAY;
        let renewed = contents(&load(later));
        assert!(renewed.iter().zip(&first).all(|(new, old)| new != old), "all of it is new");
        assert_eq!(contents(&load(later + 300 * DAY)), renewed);
    }

    #[test]
    fn a_pair_that_no_client_would_accept_is_replaced() {
        let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = SystemTime::now();
        let pair = load_or_generate(directory.path(), now).unwrap();
        let foreign = contents(&load_or_generate(other.path(), now).unwrap());
        let spoil: [(&Path, &str); 4] = [
            (&pair.key, &foreign[1]),
            (&pair.ca, &foreign[2]),
            (&pair.certificate, "no certificate"),
            (&pair.key, ""),
        ];
        for (path, text) in spoil {
            std::fs::write(path, text).unwrap();
            assert!(!pair.is_current(now), "{}", path.display());
            load_or_generate(directory.path(), now).unwrap();
            assert!(pair.is_current(now), "{}", path.display());
        }
    }
}
