//! A credential broker for Azure managed identities.
//!
//! Plugins, WebAssembly components in sandboxes, talk to Azure for local programs. They act with
//! access tokens that they never see: a plugin holds a *surrogate*, and the host puts the token in
//! its place on the wire, for the one endpoint that it is for. See `docs/SECURITY.md` for what that
//! protects from, and what it does not.
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
//!     let plan = keyward::plan(Config::from_toml(Path::new("keyward.toml"), config)?, &plugins)?;
//!     let broker = Broker::start(plan)?;
//!
//!     let request = http::Request::get("/secrets/db").body(Empty::<bytes::Bytes>::new())?;
//!     let response = broker.call("vault", &Caller::named("my service"), request).await?;
//!     println!("{}: {:?}", response.status(), response.into_body().collect().await?.to_bytes());
//!     Ok(())
//! }
//! ```
//!
//! Where to go from here: [`Broker::call`] is the way of a call; [`config::Config`] can be made in
//! code too; [`keyward_identity::TokenSource`] is the trait for tokens of one's own; [`audit`] says
//! what happened; [`probe`] looks for what stands in the way, before any call does; [`metrics`]
//! counts tokens, for Prometheus.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests spawn tasks"))]

pub mod audit;
mod body;
mod broker;
mod call;
mod concurrency_limit;
mod database;
mod database_pool;
mod denial;
mod egress;
mod error;
mod expect;
mod generation;
mod hand_out;
mod identities;
mod limit;
mod lock;
pub mod metrics;
mod mount;
mod persisted;
mod plan_files;
pub mod probe;
mod problem;
mod redact;
mod rejection;
mod reloaded;
mod request;
mod running_calls;
mod running_grant;
mod sandbox;
mod seal;
mod sealed_value;
mod served_caller;
mod service;
mod slow_body;
mod start_error;
mod stopping;
mod surrogate;
mod thread;
mod upstream;
mod wasi_body;

pub use body::{Body, BodyError};
pub use broker::{Broker, MountStatus, Options};
pub use denial::{MintingDenied, NotAllowed, RedirectDenied};
pub use error::{CallError, CutOff, Limit};
pub use identities::NoSource;
pub use keyward_identity as identity;
pub use keyward_policy::authorize::{MintingRule, SignatureRule, Violation};
pub use keyward_policy::caller::{self, Caller};
pub use keyward_policy::callers::{self, CallerDenied, CallerRule};
pub use keyward_policy::plan::{Plan, Plugins};
pub use keyward_policy::surrogate::PREFIX as SURROGATE_PREFIX;
pub use keyward_policy::{cloud, config, diagnostic, endpoint, grant, manifest, pattern};
pub use lock::{Lock, LockAction, LockEvent, LockTarget, Locked, UnknownLockTarget};
pub use persisted::{ForgetError, forget_persisted_tokens};
pub use plan_files::plan;
pub use problem::problem;
pub use rejection::{RejectedRequest, Rejection};
pub use reloaded::{Changes, Reloaded};
pub use request::PublicUrl;
pub use sandbox::CompileEvent;
pub use service::MountService;
pub use slow_body::SlowBody;
pub use start_error::StartError;
pub use upstream::{Resolve, Resolving, SystemResolver};
