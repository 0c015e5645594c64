//! What an emulator needs to come back as the same one, for a configuration that was written for it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Options;
use crate::tls::Pair;

/// The addresses and the certificate authority of an emulator. What its services hold is not kept.
///
/// In it is the authority's key, which signs for loopback addresses only where somebody trusts it:
/// keep it in a file that only its owner can read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Where the metadata service listens.
    pub imds: SocketAddr,
    /// Where everything with TLS listens.
    pub tls: SocketAddr,
    /// Where the database server listens.
    pub sql: SocketAddr,
    pub(crate) authority: Pair,
}

impl Options {
    /// Options of an emulator at the addresses of one that ran before, with its certificate
    /// authority.
    #[must_use]
    pub fn resuming(state: &State) -> Self {
        let State { imds, tls, sql, ref authority } = *state;
        Self { imds, tls, sql, authority: Some(authority.clone()), ..Self::default() }
    }
}
