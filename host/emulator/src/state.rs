//! The saved state of an emulator: with it a later emulator fits a configuration that was written
//! for the first.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Options;
use crate::tls::CertificateAndKey;

/// The addresses and the certificate authority of an emulator, without the data of its services.
///
/// It contains the private key of the authority: store it in a file that only its owner can read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Where the metadata service listens.
    pub imds: SocketAddr,
    /// Where everything with TLS listens.
    pub tls: SocketAddr,
    /// Where the database server listens.
    pub sql: SocketAddr,
    pub(crate) authority: CertificateAndKey,
}

impl Options {
    /// Options for an emulator at the same addresses and with the same certificate authority.
    #[must_use]
    pub fn resuming(state: &State) -> Self {
        let State { imds, tls, sql, ref authority } = *state;
        Self { imds, tls, sql, authority: Some(authority.clone()), ..Self::default() }
    }
}
