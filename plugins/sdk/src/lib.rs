//! Plugins for [Keyward](../index.html), the credential broker for Azure managed identities.
//!
//! A plugin is an HTTP handler that runs in a sandbox. It handles the requests that local programs
//! send to its *mount*, speaks one service's protocol, and has no credential: [`Context::token`]
//! returns a *surrogate*, which the host replaces with the real token when the plugin sends it to
//! the token's endpoint.
//!
//! ```
//! use keyward_plugin::{Context, Outgoing, Plugin, Problem, Request, Response};
//!
//! keyward_plugin::manifest!("../tests/example.toml");
//!
//! struct Example;
//!
//! impl Plugin for Example {
//!     fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
//!         let mut outgoing = Outgoing::forward(request, &cx.endpoint("vault")?);
//!         outgoing.default_query("api-version", "7.4");
//!         outgoing.authorize(&cx.token("vault")?)?;
//!         Ok(cx.send(outgoing)?)
//!     }
//! }
//!
//! keyward_plugin::export!(Example);
//!
//! // The same logic, tested without a sandbox:
//! let mount = keyward_plugin::testing::Mount::new()
//!     .endpoint("vault", "https://contoso.vault.azure.net")
//!     .respond_with(|sent| {
//!         assert_eq!(sent.url, "https://contoso.vault.azure.net/secrets/db?api-version=7.4");
//!         Response::new(200).with_body("{}")
//!     });
//! assert_eq!(mount.call::<Example>(Request::get("/secrets/db")).status, 200);
//! ```
//!
//! Build the crate as a `cdylib` for `wasm32-unknown-unknown` and convert it to a component with
//! the crate `keyward-componentize` or with `wasm-tools component new`. `keyward inspect FILE` then
//! shows what the plugin requests.

mod body;
mod body_error;
mod context;
mod endpoint;
mod export;
mod headers;
mod host;
pub mod links;
mod method;
mod outgoing;
mod platform;
mod problem;
mod request;
mod response;
#[cfg(target_family = "wasm")]
mod serve;
pub mod sql;
mod sql_data;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod token;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use host::bindings;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use serve::serve as __serve;

pub use body::{Body, Filter};
pub use body_error::BodyError;
pub use context::Context;
pub use endpoint::Endpoint;
pub use headers::{HeaderError, Headers};
pub use method::Method;
pub use outgoing::{Outgoing, SendError};
pub use problem::Problem;
pub use request::Request;
pub use response::Response;
pub use token::Token;

/// Writes a line to the plugin's log. The host writes it to its own log, with the mount's name. A
/// call that writes more than the limit `log_bytes` is ended.
pub fn log(line: &str) {
    host::log(line);
}

/// A plugin: a function from a request to a response.
///
/// Each call runs in a fresh sandbox, so no state of a handler survives to the next call.
pub trait Plugin {
    /// Handles one request.
    ///
    /// # Errors
    ///
    /// A [`Problem`] is sent to the caller as `application/problem+json`.
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem>;
}
