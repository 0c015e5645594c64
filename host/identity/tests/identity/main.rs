//! Tests of the token cache, and of every source, identity form, response and fault against a
//! scripted endpoint.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod auto_log;
mod behavior;
mod cache;
mod cache_model;
mod compile_fail;
#[cfg(target_os = "linux")]
mod default_address;
#[cfg(unix)]
mod fake_azure_cli;
mod fake_endpoint;
mod fixture;
mod proxies;
mod rejected;
mod restart;
#[cfg(target_os = "linux")]
#[path = "../../../../tests/skip.rs"]
mod skip;
mod stampede;
mod table;
