//! Tests of the broker in this process: plugins, rules, hostile guests and failing services.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod batches;
mod callers;
mod cloud_hosts;
#[cfg(unix)]
mod compile_cache;
mod config_mistakes;
mod data_lake;
mod databases;
mod early_responses;
mod embedding;
mod forwarding;
mod hostile_addresses;
mod hostile_bodies;
mod hostile_clocks;
mod hostile_codings;
mod hostile_credentials;
mod hostile_databases;
mod hostile_features;
mod hostile_limits;
mod hostile_manifests;
mod hostile_minting;
mod hostile_overrides;
mod hostile_paths;
mod hostile_protocol;
mod hostile_redaction;
mod hostile_rejections;
mod hostile_signatures;
mod hostile_vaults;
mod imds_misbehaves;
mod legal_names;
mod locking;
mod metrics;
mod operations;
mod orders;
mod own_cloud;
mod reloading;
mod sealing;
mod streaming;
mod way_of_a_call;
