//! Files that decide whose proofs are accepted: whoever can change one can be any caller.

use std::path::Path;

use crate::exit::Failure;

/// Refuses a file that other users can change or replace. `key` is what names it.
#[cfg(unix)]
pub(super) fn check(key: &str, file: &Path) -> Result<(), Failure> {
    use crate::write_access::{self, Protected};

    let user = rustix::process::geteuid().as_raw();
    let warnings =
        write_access::check_contents(file, Protected::Trusted, user).map_err(|problem| {
            Failure::config(format!("{key}: {}", problem.found)).help(problem.help())
        })?;
    for warning in warnings {
        tracing::warn!("{key}: {}. {}", warning.found, warning.help());
    }
    Ok(())
}

/// Does nothing: access lists are not checked on this system.
#[cfg(not(unix))]
pub(super) fn check(_key: &str, _file: &Path) -> Result<(), Failure> {
    Ok(())
}
