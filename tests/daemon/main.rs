//! The daemon and its command line, as processes.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
#![allow(clippy::disallowed_methods, reason = "tests are clients of the daemon")]

mod authority;
mod azurite;
mod browser;
mod callers;
mod command_line;
mod confinement;
#[path = "../control_group.rs"]
mod control_group;
mod databases;
mod doctor;
mod documentation;
mod early;
mod emulator;
mod explain;
mod explain_requests;
mod file_access;
mod firewall;
mod forget;
mod hostile_callers;
mod https;
mod identity;
mod keyvault_clients;
mod listeners;
mod locking;
mod parity;
mod peers;
mod process;
mod redirects;
mod reloading;
mod service_manager;
mod serving;
#[path = "../skip.rs"]
mod skip;
mod stopping;
mod storage;
mod streaming;
mod webhdfs_clients;
mod who_may_call;
