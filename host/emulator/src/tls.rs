//! The emulator's certificates.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::sql;

/// The host names of the emulator's certificate, of all clouds.
const NAMES: [&str; 30] = [
    "localhost",
    "127.0.0.1",
    "management.azure.com",
    "management.chinacloudapi.cn",
    "management.usgovcloudapi.net",
    "*.vault.azure.net",
    "*.vault.azure.cn",
    "*.vault.usgovcloudapi.net",
    "*.blob.core.windows.net",
    "*.blob.core.chinacloudapi.cn",
    "*.blob.core.usgovcloudapi.net",
    "*.dfs.core.windows.net",
    "*.dfs.core.chinacloudapi.cn",
    "*.dfs.core.usgovcloudapi.net",
    "*.azuredatalakestore.net",
    "*.database.windows.net",
    "*.database.chinacloudapi.cn",
    "*.database.usgovcloudapi.net",
    "*.tr1.emulator1-a.worker.database.windows.net",
    "*.managedhsm.azure.net",
    "*.managedhsm.azure.cn",
    "*.managedhsm.usgovcloudapi.net",
    "*.z12.blob.storage.azure.net",
    "*.z12.dfs.storage.azure.net",
    // A managed instance, its public endpoint and the secondary listener of its failover group.
    "*.a1b2c3d4e5f6.database.windows.net",
    "*.public.a1b2c3d4e5f6.database.windows.net",
    "*.secondary.a1b2c3d4e5f6.database.windows.net",
    "*.sql.azuresynapse.net",
    "*.sql.azuresynapse.azure.cn",
    "*.sql.azuresynapse.usgovcloudapi.net",
];

/// A certificate and its key, in PEM.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CertificateAndKey {
    pub(crate) certificate_pem: String,
    key_pem: String,
}

impl fmt::Debug for CertificateAndKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateAndKey(..)")
    }
}

/// A certificate for all names, and the authority that signed it.
pub(crate) struct Certificates {
    pub(crate) ca: CertificateAndKey,
    /// The server's certificate and that of the authority, in PEM.
    pub(crate) chain_pem: String,
    /// The server's key, in PEM.
    pub(crate) key_pem: String,
    pub(crate) server: Arc<ServerConfig>,
    /// TLS of the database server, with the same certificate.
    pub(crate) sql: sql::Tls,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Rcgen(#[from] rcgen::Error),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error("invalid certificate of the authority: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
}

impl Certificates {
    /// Creates a server certificate, signed by this authority or by a new one.
    pub(crate) fn new(authority: Option<CertificateAndKey>) -> Result<Self, TlsError> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Keyward emulator");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let (ca_pair, ca_key) = match authority {
            Some(pair) => {
                let key = KeyPair::from_pem(&pair.key_pem)?;
                (pair, key)
            }
            None => {
                let key = KeyPair::generate()?;
                let certificate_pem = ca.self_signed(&key)?.pem();
                (CertificateAndKey { certificate_pem, key_pem: key.serialize_pem() }, key)
            }
        };
        let ca_der = CertificateDer::from_pem_slice(ca_pair.certificate_pem.as_bytes())?;
        let issuer = Issuer::new(ca, ca_key);

        let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.der().clone(), ca_der];
        let mut server = builder.with_no_client_auth().with_single_cert(chain, private)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tds8 = server.clone();
        tds8.alpn_protocols = vec![b"tds/8.0".to_vec()];
        // TDS 7 wraps the handshake in packets and nothing after it, so the last message of the
        // handshake must be the server's: no TLS 1.3, which sends tickets later, and no resumption.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])?;
        let mut in_tds =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(&server.cert_resolver));
        in_tds.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        let sql = sql::Tls { in_tds: Arc::new(in_tds), tds8: Arc::new(tds8) };
        let chain_pem = format!("{}{}", certificate.pem(), ca_pair.certificate_pem);
        Ok(Self {
            ca: ca_pair,
            chain_pem,
            key_pem: key.serialize_pem(),
            server: Arc::new(server),
            sql,
        })
    }
}

/// Connects to an emulator. Only its own authority is trusted.
pub(crate) async fn connect(address: SocketAddr, ca_pem: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(io::Error::other)?)
        .map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}
