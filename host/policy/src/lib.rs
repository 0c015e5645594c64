//! Keyward's configuration and plugins' manifests, the grants that result from them, and the
//! authorization of each request.
//!
//! This crate is pure: it opens no file and no socket, runs no plugin, and reads no clock.
//!
//! From a configuration's text to a decision:
//!
//! 1. [`config::Config::from_toml`] reads a configuration, section by section ([`document`]), and
//!    reports every mistake with its line and a fix ([`diagnostic`]).
//! 2. [`manifest::Manifest`] is what a plugin declares, in its component.
//! 3. [`plan::Plan::new`] combines the two with the [`cloud`] table: for each mount, one
//!    [`grant::Grant`] per audience, which is what the plugin declares ∩ what the configuration
//!    allows.
//! 4. [`callers`] decides which [`caller`] a mount serves, and narrows its grants for it.
//! 5. [`authorize`] decides whether a plugin's request may be sent, and with which credential.

pub mod address;
pub mod authorize;
pub mod caller;
pub mod callers;
pub mod cloud;
pub mod config;
pub mod diagnostic;
pub mod document;
pub mod endpoint;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod grant;
pub mod host_pattern;
pub mod manifest;
pub mod path;
mod path_pattern;
pub mod pattern;
mod percent;
pub mod plan;
pub mod reference;
pub mod request_head;
pub mod secret_keys;
pub mod surrogate;
pub mod text;
