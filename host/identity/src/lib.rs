//! Access tokens of Azure managed identities.
//!
//! A [`TokenSource`] gets tokens from the endpoint that the platform gives a machine; [`source::Imds`] is the one of
//! virtual machines, [`source`] has those of App Service, Azure Arc, Service Fabric, Cloud Shell and Kubernetes, and
//! [`source::auto`] takes the one that a machine has. A [`TokenCache`] in front of it keeps them: one request to the endpoint
//! however many ask, renewed ahead of their end, and the old one served while it is valid and the endpoint is not. With a
//! [`cache::Persistence`] they survive a restart, encrypted. What comes out is an [`AccessToken`], which goes into an
//! `authorization` header and is hard to put anywhere else.
//!
//! ```no_run
//! use keyward_identity::source::{Imds, UserAssigned};
//! use keyward_identity::{Audience, TokenCache};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let reports = UserAssigned::ClientId("00001111-aaaa-2222-bbbb-3333cccc4444".into());
//!     let cache = TokenCache::new(Imds::new().user_assigned(reports));
//!     let audience = Audience::new("https://vault.azure.net")?;
//!
//!     let token = cache.token(&audience).await?;
//!     let request = http::Request::get("https://contoso.vault.azure.net/secrets/db?api-version=7.4")
//!         .header(http::header::AUTHORIZATION, token.authorization())
//!         .body(())?;
//!     # drop(request);
//!     Ok(())
//! }
//! ```
//!
//! This crate knows nothing of WebAssembly and nothing of the broker.

pub mod cache;
pub mod clock;
mod error;
pub mod source;
mod token;

pub use cache::TokenCache;
pub use error::TokenError;
pub use keyward_types::{Audience, InvalidAudience, InvalidScope};
pub use source::{Fetch, Issued, TokenSource};
pub use token::{AccessToken, InvalidToken};
