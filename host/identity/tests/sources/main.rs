//! Every source, every form of an identity, every answer, every fault, against an endpoint that does what it is told to.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

#[cfg(target_os = "linux")]
mod default_address;
mod endpoint;
mod promises;
mod proxies;
#[cfg(target_os = "linux")]
#[path = "../../../../tests/skip.rs"]
mod skip;
mod stage;
mod stampede;
mod table;
