//! Why a request did not get a response.

use std::io;

use wasmtime_wasi_http::Error as WasiError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {source}")]
    Resolve { host: String, source: io::Error },
    /// The name has an address that no request may go to.
    #[error("the name {host} resolves to {address}, {why}")]
    Forbidden { host: String, address: std::net::IpAddr, why: &'static str },
    /// No address takes a connection.
    #[error("cannot connect to {host}: {source}")]
    Connect { host: String, source: io::Error },
    /// TLS failed.
    #[error("TLS with {host} failed: {source}")]
    Tls { host: String, source: io::Error },
    /// It took too long.
    #[error("connecting to {host} timed out")]
    TimedOut { host: String },
}

impl ConnectError {
    /// What the plugin is told. The names of the errors are WASI's.
    pub(crate) fn to_wasi(&self) -> WasiError {
        match self {
            Self::Resolve { .. } => {
                WasiError::DnsError { rcode: Some(self.to_string()), info_code: None }
            }
            Self::Forbidden { .. } => WasiError::DestinationIpProhibited,
            Self::TimedOut { .. } => WasiError::ConnectionTimeout,
            Self::Connect { .. } | Self::Tls { .. } => {
                WasiError::InternalError(Some(self.to_string()))
            }
        }
    }
}

/// The first cause of an error: "Connection reset by peer" says more than "client error
/// (SendRequest)".
pub(crate) fn innermost<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> &'e (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// Looks for an error of this type in a chain.
pub(crate) fn find<'e, E: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e E> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        error = current.source();
    }
    None
}
