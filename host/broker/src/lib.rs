//! A credential broker for Azure managed identities.
//!
//! Plugins, WebAssembly components in sandboxes, talk to Azure for local programs. They act with access tokens that they
//! never see: a plugin holds a *surrogate*, and the host puts the token in its place on the wire, for the one endpoint that
//! it is for. See `docs/SECURITY.md` for what that protects from, and what it does not.
//!
//! This crate is what a service embeds. The daemon is such a service.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use http_body_util::{BodyExt, Empty};
//! use keyward::config::Config;
//! use keyward::{Broker, Caller, Plan, Plugins};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = r#"
//!         [identity.default]
//!         source = "imds"
//!
//!         [mount.vault]
//!         plugin = "keyvault"
//!         endpoint = "https://contoso.vault.azure.net"
//!         allow = ["GET /secrets/*"]
//!     "#;
//!     let plugins = Plugins::new().with("keyvault", std::fs::read("keyvault.wasm")?);
//!     let plan = Plan::new(Config::from_toml(Path::new("keyward.toml"), config)?, &plugins)?;
//!     let broker = Broker::start(plan)?;
//!
//!     let request = http::Request::get("/secrets/db").body(Empty::<bytes::Bytes>::new())?;
//!     let response = broker.call("vault", &Caller::named("my service"), request).await?;
//!     println!("{}: {:?}", response.status(), response.into_body().collect().await?.to_bytes());
//!     Ok(())
//! }
//! ```
//!
//! Where to go from here: [`Broker::call`] is the way of a call; [`config::Config`] can be made in code too;
//! [`keyward_identity::TokenSource`] is the trait for tokens of one's own; [`audit`] says what happened; [`probe`] looks for
//! what stands in the way, before any call does; [`metrics`] counts tokens, for Prometheus.

pub mod audit;
mod body;
mod broker;
mod call;
mod caller;
pub mod cloud;
pub mod config;
mod egress;
mod error;
mod expect;
pub mod grant;
mod identities;
pub mod manifest;
pub mod metrics;
mod mount;
mod path;
mod percent;
mod persisted;
pub mod plan;
pub mod probe;
mod problem;
mod request;
mod sandbox;
mod seal;
mod service;
mod sql;
mod start_error;
mod surrogate;
mod thread;

pub use body::{Body, BodyError};
pub use broker::{Broker, Options};
pub use caller::Caller;
pub use egress::{
    MintingDenied, MintingRule, Misuse, RedirectDenied, Resolve, Resolving, SignatureRule, SystemResolver,
};
pub use error::{CallError, Limit, NotAllowed, StartError};
pub use keyward_identity as identity;
pub use persisted::{ForgetError, forget_persisted_tokens};
pub use plan::{Plan, Plugins};
pub use problem::problem;
pub use request::Front;
pub use sandbox::CompileEvent;
pub use service::MountService;
pub use surrogate::PREFIX as SURROGATE_PREFIX;
