//! Ids of users and groups that identify someone, for callers and for names in the configuration.

use std::sync::LazyLock;

use keyward_policy::config::caller::{NO_ID, OVERFLOW_ID};

/// What [`OVERFLOW_ID`] is set to on this machine.
static CONFIGURED: LazyLock<[Option<u32>; 2]> = LazyLock::new(|| {
    ["overflowuid", "overflowgid"].map(|name| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
        text.trim().parse().ok()
    })
});

/// The id, unless the kernel reports it for ids that it cannot express. The user `nobody` is not
/// known either: any user of another namespace would be that user.
pub(crate) fn known(id: u32) -> Option<u32> {
    let is_known = id != OVERFLOW_ID && id != NO_ID && !CONFIGURED.contains(&Some(id));
    is_known.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_not_known() {
        assert_eq!([0, 1000, 65533, 65535].map(known), [0, 1000, 65533, 65535].map(Some));
        assert_eq!([OVERFLOW_ID, NO_ID].map(known), [None; 2]);
    }
}
