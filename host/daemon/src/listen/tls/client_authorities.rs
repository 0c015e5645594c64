//! The authorities of client certificates: `client_ca`, which is read again when it changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Clients, CurrentAcceptor};
use crate::exit::Failure;
use crate::log_limit::LogLimit;
use crate::peer::client_verifier;
use crate::trusted_file::{self, TrustedFileError};

/// How often the file is read. For so long an authority that was removed from it is accepted.
const INTERVAL: Duration = Duration::from_secs(10);

/// The longest file, in bytes. A certificate has some 2 KiB.
const MAX_FILE: usize = 1 << 20;

/// What names the file.
const KEY: &str = "`client_ca` in [listen.tls]";

/// Lines about a file that cannot be read again.
static FAILED: LogLimit = LogLimit::new();

/// The authorities in a file.
pub(super) struct ClientAuthorities {
    file: PathBuf,
    is_required: bool,
    /// The contents of the file that are in use.
    pem: Vec<u8>,
}

/// Reads the authorities of a listener again.
pub(in crate::listen) struct ReloadAuthorities {
    authorities: ClientAuthorities,
    acceptor: CurrentAcceptor,
}

impl ClientAuthorities {
    /// Reads the file. `is_required` is whether every client needs a certificate.
    pub(super) fn read(file: &Path, is_required: bool) -> Result<(Clients, Self), Failure> {
        let pem = read(file, true)?;
        let clients = verifier(file, &pem, is_required)?;
        Ok((clients, Self { file: file.to_owned(), is_required, pem }))
    }

    /// For a listener that uses them.
    pub(super) fn used_by(self, acceptor: CurrentAcceptor) -> ReloadAuthorities {
        ReloadAuthorities { authorities: self, acceptor }
    }
}

impl ReloadAuthorities {
    /// Reads the file when it changes, for as long as this is polled.
    pub(in crate::listen) async fn run(mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("{KEY} has changed and is used for new connections"),
                Err(failure) => {
                    if let Some(left_out) = FAILED.permit() {
                        let message = failure.message();
                        tracing::error!(left_out, "{message}. The last authorities stay in use");
                    }
                }
            }
        }
    }

    /// Reads the file. Returns whether it has changed.
    fn reload(&mut self) -> Result<bool, Failure> {
        let ClientAuthorities { file, is_required, pem } = &mut self.authorities;
        let new = read(file, false)?;
        if new == *pem {
            return Ok(false);
        }
        self.acceptor.replace_clients(verifier(file, &new, *is_required)?)?;
        *pem = new;
        Ok(true)
    }
}

fn read(file: &Path, at_start: bool) -> Result<Vec<u8>, Failure> {
    let trusted = trusted_file::read(file, MAX_FILE).map_err(|error| match error {
        TrustedFileError::Unprotected { found, help } => {
            Failure::config(format!("{KEY}: {found}")).help(help)
        }
        TrustedFileError::Unreadable(_) | TrustedFileError::TooLong(_) => {
            Failure::config(format!("{KEY}: cannot use {}: {error}", file.display()))
        }
    })?;
    if at_start {
        trusted.log_warnings(KEY);
    }
    Ok(trusted.bytes)
}

fn verifier(file: &Path, pem: &[u8], is_required: bool) -> Result<Clients, Failure> {
    client_verifier(pem, is_required)
        .map_err(|error| Failure::config(format!("{KEY}: cannot use {}: {error}", file.display())))
}
