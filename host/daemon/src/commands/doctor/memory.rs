//! Checks whether memory for tokens can be locked.

use keyward::identity::locked_memory;

use super::finding::{Check, Finding};

/// The limit is that of this process. A daemon that another program starts, such as systemd, may
/// have another one, and logs a warning itself.
pub(super) fn check() -> Finding {
    let finding = Finding::about(Check::Memory, "this process");
    match locked_memory::check() {
        Ok(()) => finding.ok("tokens are locked in memory, and not written to swap"),
        Err(error) => finding.warning(error.to_string()).fix(error.help()),
    }
}
