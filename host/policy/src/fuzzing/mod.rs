//! The entry points of the fuzz targets in `fuzz`, and the properties of all inputs. Compiled with
//! `--cfg fuzzing`, and for the tests that read the corpora.
//!
//! What requests and patterns mean is checked against [`naive`] and [`naive_request`], which share
//! no code with the rest of the crate.

mod authorize_target;
mod config_target;
#[cfg(test)]
mod corpus_tests;
mod coverage;
mod diagnostics;
mod host_target;
mod manifest_target;
mod naive;
mod naive_request;
mod pattern_target;
mod sample_plugin;

use crate::path::property;

/// Authorizes a request, and checks what would be sent.
///
/// An input is a service and a prefix, patterns of `allow`, an empty line, a request's method and
/// URI, and its header fields.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check_authorize(input: &[u8]) {
    authorize_target::check(&String::from_utf8_lossy(input));
}

/// Reads a configuration, and plans it.
///
/// An input is a configuration, and after a line `# manifest` the manifest of the plugin `it`.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check_config(input: &[u8]) {
    config_target::check(&String::from_utf8_lossy(input));
}

/// Reads a first line as an endpoint, an address and a host pattern, a second as a host pattern,
/// and a third as a host.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check_host(input: &[u8]) {
    host_target::check(&String::from_utf8_lossy(input));
}

/// Reads a manifest, or the bytes of a component.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check_manifest(input: &[u8]) {
    manifest_target::check(input);
}

/// Reads a path.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check_path(input: &[u8]) {
    property::check(&String::from_utf8_lossy(input));
}

/// Compares a pattern, the first line, with a method and a path.
///
/// # Panics
///
/// If the result breaks a property.
pub fn check_pattern(input: &[u8]) {
    pattern_target::check(&String::from_utf8_lossy(input));
}
