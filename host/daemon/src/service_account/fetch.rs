//! Fetches an issuer's keys from a file or over HTTPS.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward::identity::clock::Clock;
use keyward::identity::source::{Settings, Tls, document};
use serde::Deserialize;

use super::config::{Access, IssuerConfig, KeySource, https_origin};
use super::error::KeysError;
use super::key_set::KeySet;
use crate::trusted_file::{self, TrustedFileError};

/// How long one request may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest file, in bytes. A document over HTTPS has the same limit. A key has some 500 bytes.
pub(crate) const MAX_FILE: usize = 64 * 1024;

/// Fetches the issuer's keys.
pub(super) async fn keys(
    config: &IssuerConfig,
    clock: &Arc<dyn Clock>,
) -> Result<KeySet, KeysError> {
    let json = match &config.keys {
        KeySource::File(path) => read_trusted(path).await?,
        KeySource::Url { url, access } => {
            Server::new(config, access, clock).await?.get(url).await?
        }
        KeySource::Discover(access) => {
            let server = Server::new(config, access, clock).await?;
            let url = server.discover(&config.issuer).await?;
            server.get(&url).await?
        }
    };
    KeySet::parse(&json)
}

/// A server that has the issuer's documents.
struct Server {
    settings: Settings,
    bearer: Option<String>,
}

/// The members of a discovery document that are read.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Server {
    async fn new(
        config: &IssuerConfig,
        access: &Access,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, KeysError> {
        let tls = match &access.ca_file {
            None => Tls::system(),
            Some(path) => Tls::only_pem(&read_trusted(path).await?)
                .map_err(|source| KeysError::Certificates { path: path.clone(), source })?,
        };
        let bearer = match &access.token_file {
            None => None,
            Some(path) => Some(own_token(path).await?),
        };
        let settings = Settings::default()
            .timeout(TIMEOUT)
            .clock(Arc::clone(clock))
            .tls(tls)
            .addresses(config.addresses.clone());
        Ok(Self { settings, bearer })
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, KeysError> {
        let fetched = document(&self.settings, url, self.bearer.as_deref()).await;
        fetched.map_err(|source| KeysError::Request { url: url.to_owned(), source })
    }

    /// The URL of the keys, by the issuer's discovery document. They must be at the issuer's own
    /// host and port, since whoever answers there is trusted anyway; other places must be
    /// configured.
    async fn discover(&self, issuer: &str) -> Result<String, KeysError> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let json = self.get(&url).await?;
        let invalid =
            |reason| KeysError::Discovery { url: url.clone(), issuer: issuer.to_owned(), reason };
        let discovery: Discovery = serde_json::from_slice(&json)
            .map_err(|_| invalid("it is not JSON with `issuer` and `jwks_uri`"))?;
        if discovery.issuer != issuer {
            return Err(invalid("its `issuer` is another"));
        }
        match (https_origin(&discovery.jwks_uri), https_origin(issuer)) {
            (Some(keys), Some(issuer)) if keys == issuer => Ok(discovery.jwks_uri),
            (_, Some((host, port))) => Err(KeysError::ElsewhereKeys { url, host, port }),
            (_, None) => Err(invalid("the issuer is not an https:// URL")),
        }
    }
}

async fn own_token(path: &Path) -> Result<String, KeysError> {
    let invalid = || KeysError::OwnToken { path: path.to_owned() };
    let token = String::from_utf8(read(path).await?).map_err(|_| invalid())?;
    let token = token.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(token.to_owned()) } else { Err(invalid()) }
}

/// Reads a file that decides whose proofs are accepted.
async fn read_trusted(path: &Path) -> Result<Vec<u8>, KeysError> {
    let owned = path.to_owned();
    match tokio::task::spawn_blocking(move || trusted_file::read(&owned, MAX_FILE)).await {
        Ok(result) => result.map(|trusted| trusted.bytes).map_err(|error| match error {
            TrustedFileError::Unreadable(source) => {
                KeysError::File { path: path.to_owned(), source }
            }
            TrustedFileError::TooLong(limit) => {
                KeysError::TooLong { name: path.display().to_string(), limit }
            }
            TrustedFileError::Unprotected { found, .. } => KeysError::Unprotected { found },
        }),
        Err(_) => Err(KeysError::Interrupted),
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    let owned = path.to_owned();
    match tokio::task::spawn_blocking(move || read_bounded(owned)).await {
        Ok(result) => result,
        Err(_) => Err(KeysError::Interrupted),
    }
}

fn read_bounded(path: PathBuf) -> Result<Vec<u8>, KeysError> {
    let mut bytes = Vec::new();
    let result = path.metadata().and_then(|metadata| {
        // Opening a FIFO would block.
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        std::fs::File::open(&path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)
    });
    match result {
        Err(source) => Err(KeysError::File { path, source }),
        Ok(length) if length > MAX_FILE => {
            Err(KeysError::TooLong { name: path.display().to_string(), limit: MAX_FILE })
        }
        Ok(_) => Ok(bytes),
    }
}
