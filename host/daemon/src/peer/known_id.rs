//! Ids of users and groups that identify someone.

use std::sync::LazyLock;

/// What the kernel reports in place of an id that has no counterpart in this user namespace. It is
/// also the user `nobody` and the group `nogroup` of most systems.
const OVERFLOW: u32 = 65534;

/// No id: the kernel reports it for sockets that no process has connected.
const NONE: u32 = u32::MAX;

/// What [`OVERFLOW`] is set to on this machine.
static CONFIGURED: LazyLock<[Option<u32>; 2]> = LazyLock::new(|| {
    ["overflowuid", "overflowgid"].map(|name| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
        text.trim().parse().ok()
    })
});

/// The id, unless the kernel reports it for ids that it cannot express. The user `nobody` is not
/// known either: any user of another namespace would be that user.
pub(super) fn known(id: u32) -> Option<u32> {
    let is_known = id != OVERFLOW && id != NONE && !CONFIGURED.contains(&Some(id));
    is_known.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_not_known() {
        assert_eq!([0, 1000, 65533, 65535].map(known), [0, 1000, 65533, 65535].map(Some));
        assert_eq!([OVERFLOW, NONE].map(known), [None; 2]);
    }
}
