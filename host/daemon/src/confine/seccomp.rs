//! Seccomp: system calls that the daemon never needs fail with `EPERM`.
//!
//! The filter is a list of what is denied. A list of what is permitted would be shorter to reason
//! about, but a new version of the C library, or another one's thread, would end the process.
//! Kernels since 5.11 do not run the filter for calls that it permits whatever their arguments are.
#![allow(clippy::useless_conversion, reason = "`c_long` has 32 bits on some systems")]

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::rules::Programs;
use super::{Enforced, Lacking};

/// Starting programs.
const PROGRAMS: [c_long; 2] = [libc::SYS_execve, libc::SYS_execveat];

/// All others, each with what it is about.
const DENIED: &[c_long] = &[
    // Memory, registers and file descriptors of other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // File systems and namespaces: another view of the machine than landlock's rules are for.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Files without their paths, and those of others.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_personality,
    // Its parts that had many bugs, and that nothing here uses.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_vmsplice,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The clock and the name of the machine.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Another user, and other capabilities.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
];

/// Those of this processor alone.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    libc::SYS_kexec_file_load,
    // Ports of devices, and segments.
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[c_long] = &[
    // `kexec_file_load`, for which `libc` has no name on some systems.
    294,
];

/// The same calls by the numbers of the x32 ABI, which few kernels have: each with this bit, and
/// some under numbers of their own. Calls of 32-bit programs end the process.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;
/// `execve`, `ptrace`, `kexec_load`, `process_vm_readv`, `process_vm_writev`, `execveat`.
#[cfg(target_arch = "x86_64")]
const X32_ONLY: [(c_long, bool); 6] =
    [(520, true), (521, false), (528, false), (539, false), (540, false), (545, true)];

/// The flags of `clone` that make a namespace. It has none for a namespace of clocks.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Filters the system calls of this thread, and of those that it starts.
///
/// # Errors
///
/// The filter is malformed.
pub(super) fn restrict(programs: Programs) -> Result<Enforced, seccompiler::Error> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        let reason = format!("there is no filter for {}", std::env::consts::ARCH);
        let fix = "`seccomp = false` in [confine] accepts it";
        return Ok(Lacking::new("seccomp", reason, fix).into());
    };
    let denied = denied(programs);
    for filter in [clone3(arch)?, filter(&denied, arch)?] {
        match seccompiler::apply_filter(&filter) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error)) => return Ok(lacking(&error).into()),
            Err(error) => return Err(error),
        }
    }
    let mut enforced = Enforced::default();
    enforced.on.push(format!("seccomp ({} calls denied)", denied.len()));
    Ok(enforced)
}

fn lacking(error: &io::Error) -> Lacking {
    let fix = "Use a kernel with CONFIG_SECCOMP_FILTER, and a container runtime that permits \
               `seccomp`";
    Lacking::new("seccomp", format!("this kernel does not accept a filter: {error}"), fix)
}

fn denied(programs: Programs) -> Vec<c_long> {
    let mut denied: Vec<c_long> = DENIED.iter().chain(DENIED_HERE).copied().collect();
    if programs == Programs::Denied {
        denied.extend(PROGRAMS);
    }
    denied
}

fn filter(denied: &[c_long], arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        denied.iter().map(|number| (i64::from(*number), Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    {
        rules.extend(denied.iter().map(|number| (number | X32, Vec::new())));
        let programs = denied.contains(&libc::SYS_execve);
        let only = X32_ONLY.iter().filter(|(_, is_program)| programs || !is_program);
        rules.extend(only.map(|(number, _)| (number | X32, Vec::new())));
    }
    rules.insert(i64::from(libc::SYS_clone), namespaces()?);
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or_default());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
}

/// `clone` with a flag that makes a namespace.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let rules = NAMESPACES.into_iter().map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        let is_set = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, is_set, flag)?;
        SeccompRule::new(vec![condition])
    });
    rules.collect()
}

/// `clone3` has its flags in memory, where a filter cannot see them. With `ENOSYS` the C library
/// uses `clone`.
fn clone3(arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let rules = [(i64::from(libc::SYS_clone3), Vec::new())].into_iter().collect();
    let missing = SeccompAction::Errno(u32::try_from(libc::ENOSYS).unwrap_or_default());
    SeccompFilter::new(rules, SeccompAction::Allow, missing, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::skip::skip;

    /// Calls by number, with arguments that no call accepts. Returns the error.
    #[allow(unsafe_code, reason = "no crate has safe functions for all of these calls")]
    fn error_of(number: c_long) -> Option<i32> {
        // SAFETY: -1 is neither an address, a file descriptor nor a set of flags that a call of
        // `DENIED` or `PROGRAMS` accepts, so that it has no effect even without a filter.
        let result = unsafe { libc::syscall(number, -1, -1, -1, -1, -1, -1) };
        (result == -1).then(io::Error::last_os_error)?.raw_os_error()
    }

    /// Runs attempts on a thread with the filter. Other threads have none.
    fn restricted(programs: Programs, attempt: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| match restrict(programs).unwrap().lacking.first() {
                None => attempt(),
                Some(lacking) => {
                    skip("a thread with a filter", &lacking.to_string(), "KEYWARD_CONFINE");
                }
            });
            thread.join().unwrap();
        });
    }

    fn status(field: &str) -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    }

    #[test]
    fn every_denied_call_fails_with_eperm_on_this_thread_and_those_it_starts() {
        let attempt = || {
            for number in denied(Programs::Denied) {
                assert_eq!(error_of(number), Some(libc::EPERM), "system call {number}");
            }
            assert_eq!((status("Seccomp"), status("NoNewPrivs")), ("2".into(), "1".into()));
        };
        restricted(Programs::Denied, || {
            attempt();
            std::thread::scope(|scope| scope.spawn(attempt).join().unwrap());
        });
        assert_eq!(status("Seccomp"), "0", "other threads have no filter");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_numbers_of_x32_are_denied_too() {
        restricted(Programs::Denied, || {
            for number in denied(Programs::Denied) {
                assert_eq!(error_of(number | X32), Some(libc::EPERM), "system call {number}");
            }
            for (number, _) in X32_ONLY {
                assert_eq!(error_of(number | X32), Some(libc::EPERM), "system call {number}");
            }
        });
    }

    #[test]
    fn no_namespace_is_made_by_clone() {
        restricted(Programs::Denied, || {
            assert_eq!(error_of(libc::SYS_clone3), Some(libc::ENOSYS));
            // All flags, also those that contradict one another.
            assert_eq!(error_of(libc::SYS_clone), Some(libc::EPERM));
        });
        assert_ne!(error_of(libc::SYS_clone), Some(libc::EPERM));
    }

    #[test]
    fn programs_are_started_only_where_it_is_permitted() {
        let start = || {
            let program = std::env::current_exe().unwrap();
            std::process::Command::new(program).args(["--list", "nothing"]).output()
        };
        restricted(Programs::Denied, || {
            assert_eq!(start().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        });
        restricted(Programs::Permitted, || assert!(start().unwrap().status.success()));
    }
}
