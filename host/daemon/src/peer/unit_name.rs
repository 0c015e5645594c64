//! The systemd unit in a process's list of control groups (`/proc/PID/cgroup`).

/// What units that have processes can end in.
const SUFFIXES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

const SLICE: &str = ".slice";

/// The unit that systemd itself started: the first component of the path that is not a slice.
///
/// Who manages that unit can create control groups of any name below it. A unit of a user's own
/// manager, for example, is part of `user@1000.service`. Only systemd controls what is above the
/// unit.
///
/// `None` if there is no such unit, or the path leads out of the daemon's cgroup namespace
/// (`/../`). Control groups of version 1 are ignored.
pub(super) fn of_cgroups(cgroups: &str) -> Option<String> {
    let mut unified = cgroups.lines().filter_map(|line| line.strip_prefix("0::"));
    let (Some(path), None) = (unified.next(), unified.next()) else { return None };
    let mut parent = None;
    for component in path.strip_prefix('/')?.split('/') {
        let name = unescape(component);
        match slice(name) {
            Some(slice) if is_child(slice, parent) => parent = Some(slice),
            Some(_) => return None,
            None => return is_unit(name).then(|| name.to_owned()),
        }
    }
    None
}

/// Systemd prefixes names that could be confused with files of the kernel, as in `_cpu.service`.
fn unescape(component: &str) -> &str {
    component.strip_prefix('_').unwrap_or(component)
}

/// The name of a slice, without its suffix.
fn slice(name: &str) -> Option<&str> {
    let slice = name.strip_suffix(SLICE)?;
    let is_valid =
        has_valid_characters(slice) && !slice.contains('@') && !slice.split('-').any(str::is_empty);
    is_valid.then_some(slice)
}

/// Whether a slice is in the one that its name says: `a-b.slice` is in `a.slice`.
fn is_child(slice: &str, parent: Option<&str>) -> bool {
    slice.rsplit_once('-').map(|(above, _)| above) == parent
}

fn is_unit(name: &str) -> bool {
    let suffix = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    // Not a template, which has no instance: `web@.service`.
    suffix.is_some_and(|prefix| {
        has_valid_characters(prefix) && !prefix.starts_with('@') && !prefix.ends_with('@')
    })
}

fn has_valid_characters(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !name.is_empty() && name.bytes().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> Option<String> {
        of_cgroups(&format!("0::{path}\n"))
    }

    #[test]
    fn the_unit_is_the_first_that_is_not_a_slice() {
        let cases = [
            ("/system.slice/web.service", "web.service"),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
            ("/init.scope", "init.scope"),
            ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
            ("/system.slice/docker-0123abcd.scope", "docker-0123abcd.scope"),
            (r"/system.slice/dev-disk-by\x2dlabel-a.swap", r"dev-disk-by\x2dlabel-a.swap"),
            ("/system.slice/web.service/worker", "web.service"),
            ("/system.slice/a.b_c:d.service", "a.b_c:d.service"),
        ];
        for (path, expected) in cases {
            assert_eq!(unit(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_group_below_a_unit_cannot_pass_for_another_unit() {
        let user = "/user.slice/user-1000.slice/user@1000.service";
        let cases = [
            (format!("{user}/app.slice/web.service"), "user@1000.service"),
            (format!("{user}/system.slice/web.service"), "user@1000.service"),
            ("/system.slice/docker-01.scope/system.slice/web.service".into(), "docker-01.scope"),
            ("/system.slice/other.service/web.service".into(), "other.service"),
            ("/system.slice/other.service/../web.service".into(), "other.service"),
        ];
        for (path, expected) in cases {
            assert_eq!(unit(&path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn systemds_escapes_are_removed_once() {
        assert_eq!(unit("/system.slice/_cpu.service").as_deref(), Some("cpu.service"));
        assert_eq!(unit("/system.slice/__web.service").as_deref(), Some("_web.service"));
        assert_eq!(unit("/_cpu.slice/web.service").as_deref(), Some("web.service"));
    }

    #[test]
    fn a_path_that_systemd_does_not_make_proves_nothing() {
        let cases = [
            "",
            "/",
            "/system.slice",
            "/system.slice/",
            "system.slice/web.service",
            "//web.service",
            "/system.slice//web.service",
            // Another cgroup namespace.
            "/..",
            "/../../system.slice/web.service",
            "/../web.service",
            // A container without systemd, and what it could create inside.
            "/docker/0123/system.slice/web.service",
            "/kubepods/pod1/web.service",
            // Slices in the wrong place.
            "/user-1000.slice/web.service",
            "/system.slice/user.slice/web.service",
            "/a-.slice/web.service",
            "/-.slice/web.service",
            "/.slice/web.service",
            "/a@b.slice/web.service",
            "/system.slice/web.service (deleted)",
            "/system.slice/web.service x",
            "/system.slice/wéb.service",
            "/system.slice/web@.service",
            "/system.slice/@web.service",
            "/system.slice/.service",
            "/system.slice/_.service",
            "/system.slice/web.Service",
            "/system.slice/web.target",
            "/system.slice/web",
        ];
        for path in cases {
            assert_eq!(unit(path), None, "{path}");
        }
    }

    #[test]
    fn only_the_one_path_of_version_2_counts() {
        let first = "1:name=systemd:/system.slice/web.service\n";
        assert_eq!(of_cgroups(first), None);
        assert_eq!(of_cgroups(&format!("{first}0::/\n")), None);
        let both = format!("{first}0::/system.slice/other.service\n");
        assert_eq!(of_cgroups(&both).as_deref(), Some("other.service"));
        assert_eq!(of_cgroups(&format!("0::/init.scope\n{both}")), None);
        assert_eq!(of_cgroups("10::/init.scope\n"), None);
        assert_eq!(of_cgroups(" 0::/init.scope\n"), None);
        assert_eq!(of_cgroups(""), None);
    }
}
