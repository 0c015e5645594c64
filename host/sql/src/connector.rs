//! Connections to servers, as their user makes them.

use tokio::net::TcpStream;

/// Connects to the hosts of servers.
///
/// Name resolution, and the decision which addresses may be connected to, belong to the
/// implementation. No other connections are made by this crate.
pub trait Connect: Send + Sync + 'static {
    /// The error of a failed connection.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Connects to a host. The time that this may take is limited by the caller.
    ///
    /// # Errors
    ///
    /// The host cannot be connected to, or must not be.
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = Result<TcpStream, Self::Error>> + Send;
}
