//! From names to addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// What [`Resolve::resolve`] gives back.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Finds the addresses of a host. A service that embeds the broker may bring its own; whatever it
/// finds is checked before anything is connected to.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host, with this port.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// The system's resolver, with its hosts file and its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
