//! Every source, identity form, response and fault, against a scripted endpoint.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod behavior;
#[cfg(target_os = "linux")]
mod default_address;
mod fake_endpoint;
mod fixture;
mod proxies;
#[cfg(target_os = "linux")]
#[path = "../../../../tests/skip.rs"]
mod skip;
mod stampede;
mod table;
