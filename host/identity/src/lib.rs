//! Access tokens of Azure managed identities.
//!
//! A [`TokenSource`] gets tokens from the endpoint that the platform provides: [`source::Imds`] is
//! the one of virtual machines, [`source`] has those of App Service, Azure Arc, Service Fabric,
//! Cloud Shell and Kubernetes, and [`source::auto`] chooses the one that a machine has. A
//! [`TokenCache`] sends one request however many callers wait, renews tokens ahead of their expiry,
//! and uses the old token while it is valid and the endpoint fails. With a [`cache::Persistence`],
//! tokens survive a restart, encrypted. The result is an [`AccessToken`], which is made for an
//! `authorization` header field and cannot be printed or serialized.
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
//!     let url = "https://contoso.vault.azure.net/secrets/db?api-version=7.4";
//!     let request = http::Request::get(url)
//!         .header(http::header::AUTHORIZATION, token.authorization())
//!         .body(())?;
//!     # drop(request);
//!     Ok(())
//! }
//! ```
//!
//! This crate does not depend on WebAssembly or on the broker.

pub mod cache;
pub mod clock;
mod error;
pub mod key_file;
pub mod locked_memory;
pub mod source;
mod token;

pub use keyward_types::{Audience, InvalidAudience, InvalidScope};

pub use cache::TokenCache;
pub use error::TokenError;
pub use source::{Fetch, Issued, TokenSource};
pub use token::{AccessToken, InvalidToken};
