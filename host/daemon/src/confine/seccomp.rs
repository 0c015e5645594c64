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

/// The bit of the numbers of the x32 ABI, which few kernels have. None of its calls is permitted.
/// Calls of 32-bit programs end the process.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;
/// Beyond all numbers of that ABI.
#[cfg(target_arch = "x86_64")]
const X32_END: c_long = 600;

/// The families of sockets that the daemon and name lookups use. Others, such as those of virtual
/// machines, packets and SMC, lead past landlock's rules for TCP.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The types of sockets for IP other than TCP and UDP: raw ones, `SOCK_RDM`, SCTP, DCCP, packets.
const OTHER_TYPES: [i32; 5] = [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, 6, 10];

/// The part of a type that is not a flag.
const TYPE: u64 = 0xf;

/// Calls that can connect with their first data, with the index of their flags. Landlock does not
/// see that.
const SENDING: [(c_long, u8); 3] =
    [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)];

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
    rules.extend((0..=X32_END).map(|number| (number | X32, Vec::new())));
    rules.insert(i64::from(libc::SYS_clone), namespaces()?);
    rules.insert(i64::from(libc::SYS_socket), sockets()?);
    for (number, flags) in SENDING {
        let fast_open = has_bits(flags, SeccompCmpArgLen::Dword, libc::MSG_FASTOPEN)?;
        rules.insert(i64::from(number), vec![SeccompRule::new(vec![fast_open])?]);
    }
    let denied = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or_default());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
}

/// `clone` with a flag that makes a namespace.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let rules = NAMESPACES
        .into_iter()
        .map(|flag| SeccompRule::new(vec![has_bits(0, SeccompCmpArgLen::Qword, flag)?]));
    rules.collect()
}

/// `socket` of another family, or for IP another one than for TCP and UDP: landlock's rules are for
/// TCP alone, not for MPTCP, SCTP and SMC.
fn sockets() -> Result<Vec<SeccompRule>, BackendError> {
    let is = |index, operation, value: i32| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, operation, value)
    };
    let others = FAMILIES.into_iter().map(|family| is(0, SeccompCmpOp::Ne, family));
    let mut rules = vec![SeccompRule::new(others.collect::<Result<_, _>>()?)?];
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in OTHER_TYPES {
            let kind = is(1, SeccompCmpOp::MaskedEq(TYPE), kind)?;
            rules.push(SeccompRule::new(vec![is(0, SeccompCmpOp::Eq, family)?, kind])?);
        }
        rules.push(SeccompRule::new(vec![
            is(0, SeccompCmpOp::Eq, family)?,
            is(1, SeccompCmpOp::MaskedEq(TYPE), libc::SOCK_STREAM)?,
            is(2, SeccompCmpOp::Ne, 0)?,
            is(2, SeccompCmpOp::Ne, libc::IPPROTO_TCP)?,
        ])?);
    }
    Ok(rules)
}

/// Whether all bits of `flags` are set in an argument.
fn has_bits(
    index: u8,
    length: SeccompCmpArgLen,
    flags: i32,
) -> Result<SeccompCondition, BackendError> {
    let flags = u64::from(flags.cast_unsigned());
    SeccompCondition::new(index, length, SeccompCmpOp::MaskedEq(flags), flags)
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
    use crate::skip::skip;

    /// Calls by number, with arguments that no call accepts. Returns the error.
    fn error_of(number: c_long) -> Option<i32> {
        error_with(number, [-1; 6])
    }

    #[allow(unsafe_code, reason = "no crate has safe functions for all of these calls")]
    fn error_with(number: c_long, arguments: [c_long; 6]) -> Option<i32> {
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: -1 is neither an address, a file descriptor nor a set of flags that a denied call
        // accepts, so that it has no effect even without a filter. Other arguments have no
        // addresses, and make a socket at most.
        let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
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
            for number in 0..=X32_END {
                assert_eq!(error_of(number | X32), Some(libc::EPERM), "system call {number}");
            }
        });
    }

    #[test]
    fn no_namespace_is_made_by_clone() {
        restricted(Programs::Denied, || {
            assert_eq!(error_of(libc::SYS_clone3), Some(libc::ENOSYS));
            for flag in NAMESPACES {
                assert_eq!(clone(flag), Some(libc::EPERM), "{flag:x}");
            }
            assert_eq!(clone(0), Some(libc::EINVAL));
        });
        assert_eq!(clone(libc::CLONE_NEWNS), Some(libc::EINVAL));
    }

    /// The error of `clone` with a flag that it accepts only together with another one.
    fn clone(flag: i32) -> Option<i32> {
        let flags = c_long::from(flag | libc::CLONE_SIGHAND);
        error_with(libc::SYS_clone, [flags, 0, 0, 0, 0, 0])
    }

    #[test]
    fn only_sockets_that_landlock_and_name_lookups_know_are_made() {
        use libc::{
            AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_RDS, AF_UNIX, AF_VSOCK, IPPROTO_MPTCP,
            IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK,
            SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
        };

        const AF_SMC: i32 = 43;
        const IPPROTO_SMC: i32 = 256;
        let socket = |family: i32, kind: i32, protocol: i32| {
            let arguments = [family, kind | SOCK_CLOEXEC, protocol, 0, 0, 0].map(c_long::from);
            error_with(libc::SYS_socket, arguments)
        };
        restricted(Programs::Denied, || {
            for (family, kind, protocol) in [
                (AF_INET, SOCK_STREAM, IPPROTO_MPTCP),
                (AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP),
                (AF_INET, SOCK_STREAM, IPPROTO_SCTP),
                (AF_INET6, SOCK_STREAM, IPPROTO_SMC),
                (AF_INET, SOCK_SEQPACKET, 0),
                (AF_INET, SOCK_RAW, IPPROTO_TCP),
                (AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_TCP),
                (AF_INET, 10, 0),
                (AF_SMC, SOCK_STREAM, 0),
                (AF_RDS, SOCK_SEQPACKET, 0),
                (AF_VSOCK, SOCK_STREAM, 0),
                (AF_PACKET, SOCK_DGRAM, 0),
            ] {
                let error = socket(family, kind, protocol);
                assert_eq!(error, Some(libc::EPERM), "{family} {kind} {protocol}");
            }
            for (family, kind, protocol) in [
                (AF_INET, SOCK_STREAM, 0),
                (AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP),
                (AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                (AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
                (AF_UNIX, SOCK_STREAM, 0),
                (AF_NETLINK, SOCK_RAW, 0),
            ] {
                let error = socket(family, kind, protocol);
                assert_ne!(error, Some(libc::EPERM), "{family} {kind} {protocol}");
            }
        });
    }

    #[test]
    fn sending_connects_nowhere() {
        let send = |number: c_long, flags: u8, value: i32| {
            let mut arguments = [-1, 0, 0, 0, 0, 0];
            arguments[usize::from(flags)] = c_long::from(value);
            error_with(number, arguments)
        };
        restricted(Programs::Denied, || {
            for (number, flags) in SENDING {
                let both = libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL;
                for denied in [libc::MSG_FASTOPEN, both] {
                    assert_eq!(send(number, flags, denied), Some(libc::EPERM), "{number}");
                }
                let permitted = send(number, flags, libc::MSG_NOSIGNAL);
                assert_eq!(permitted, Some(libc::EBADF), "{number}");
            }
        });
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
