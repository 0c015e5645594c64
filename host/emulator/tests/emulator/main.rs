//! Tests of the emulator, over its ports.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]

mod blob_service;
mod client;
mod data_lake_gen1;
mod data_lake_gen2;
mod database_server;
mod metadata_service;
mod shared_access_signatures;
#[path = "../../../../tests/skip.rs"]
mod skip;
mod sql_drivers;
mod tds;
