//! Landlock: files and TCP ports that no rule permits are out of reach.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, Scope,
};

use super::rules::{Access, Rules, TcpPorts};
use super::{Enforced, Lacking};

/// The version whose rights on files are restricted: all that this was tested with.
const FILES: ABI = ABI::V5;

/// The first version that restricts TCP ports.
const TCP: ABI = ABI::V4;

/// Restricts this thread, and those that it starts.
///
/// # Errors
///
/// The kernel has landlock, but a call of it failed.
pub(super) fn restrict(rules: &Rules) -> Result<Enforced, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(FILES))?
        // Signals to other processes, and abstract Unix sockets of theirs.
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?;
    if rules.tcp.is_some() {
        ruleset = ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?;
    }
    let mut ruleset = ruleset.create()?;
    let (mut count, mut missing) = (0, Vec::new());
    for (path, access) in &rules.paths {
        match PathFd::new(path) {
            Ok(path) => {
                ruleset = ruleset.add_rule(PathBeneath::new(path, rights(*access)))?;
                count += 1;
            }
            Err(error) if rules.configured.contains(path) => missing.push(error.to_string()),
            Err(error) => tracing::debug!("not permitted, since it cannot be opened: {error}"),
        }
    }
    if let Some(ports) = &rules.tcp {
        ruleset = permit_ports(ruleset, ports)?;
    }
    let enforced = report(count, rules.tcp.as_ref(), ruleset.restrict_self()?.landlock);
    Ok(if enforced.on.is_empty() { enforced } else { Enforced { missing, ..enforced } })
}

fn permit_ports(
    mut ruleset: RulesetCreated,
    ports: &TcpPorts,
) -> Result<RulesetCreated, RulesetError> {
    for port in &ports.connect {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    for port in &ports.bind {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(ruleset)
}

/// Reports what is in force, with the number of paths that are permitted.
fn report(files: usize, tcp: Option<&TcpPorts>, status: LandlockStatus) -> Enforced {
    let abi = match status {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled => {
            let fix = "Add `landlock` to the kernel's parameter `lsm=`";
            return Lacking::new("landlock", "it is not enabled", fix).into();
        }
        LandlockStatus::NotImplemented => {
            let fix = "Use Linux 5.13 or later, and a container runtime that permits landlock";
            return Lacking::new("landlock", "this kernel does not have it", fix).into();
        }
    };
    let mut enforced = Enforced::default();
    match tcp {
        Some(_) if abi >= TCP => {
            enforced.on.push(format!("landlock (version {abi}: {files} paths, TCP ports)"));
        }
        Some(_) => {
            enforced.on.push(format!("landlock (version {abi}: {files} paths)"));
            let reason = format!("version {abi} of landlock cannot restrict them");
            let fix = "Use Linux 6.7 or later";
            enforced.lacking.push(Lacking::new("TCP ports", reason, fix));
        }
        None => enforced.on.push(format!("landlock (version {abi}: {files} paths)")),
    }
    enforced
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    let pairs = [
        (Access::READ, AccessFs::ReadFile | AccessFs::ReadDir),
        (Access::WRITE, AccessFs::WriteFile | AccessFs::Truncate),
        (Access::CREATE, AccessFs::MakeReg.into()),
        (Access::REMOVE, AccessFs::RemoveFile.into()),
        (Access::SOCKET, AccessFs::MakeSock.into()),
    ];
    let granted = pairs.into_iter().filter(|(part, _)| access.contains(*part));
    granted.fold(BitFlags::EMPTY, |all, (_, rights)| all | rights)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "connections that are denied")]

    use std::fs;
    use std::io::{self, ErrorKind};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;

    use super::*;
    use crate::skip::skip;

    /// Runs attempts on a thread that is restricted by these rules. Other threads are not. `None`
    /// if this kernel lacks a part of it.
    fn restricted<T: Send>(rules: &Rules, attempt: impl FnOnce() -> T + Send) -> Option<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let enforced = restrict(rules).unwrap();
                match enforced.lacking.first() {
                    None => Some(attempt()),
                    Some(lacking) => {
                        skip(
                            "a thread restricted by landlock",
                            &lacking.to_string(),
                            "KEYWARD_CONFINE",
                        );
                        None
                    }
                }
            });
            thread.join().unwrap()
        })
    }

    fn denied<T: std::fmt::Debug>(attempt: io::Result<T>) {
        assert_eq!(attempt.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    fn rules(paths: &[(&Path, Access)]) -> Rules {
        let mut rules = Rules::default();
        paths.iter().for_each(|(path, access)| rules.permit(*path, *access));
        rules
    }

    #[test]
    fn files_outside_of_the_permitted_directories_are_out_of_reach() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["read", "other"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), "text").unwrap();
        }
        std::os::unix::fs::symlink(at("other/file"), at("read/link")).unwrap();
        restricted(&rules(&[(&at("read"), Access::READ)]), || {
            assert_eq!(fs::read_to_string(at("read/file")).unwrap(), "text");
            assert_eq!(fs::read_dir(at("read")).unwrap().count(), 2);
            denied(fs::read(at("other/file")));
            denied(fs::read(at("read/link")));
            denied(fs::read_dir(at("other")));
            denied(fs::read("/etc/hostname"));
            denied(fs::write(at("read/file"), "other"));
            denied(fs::write(at("read/new"), ""));
            denied(fs::remove_file(at("read/file")));
            denied(fs::create_dir(at("read/new")));
        });
        assert_eq!(fs::read_to_string(at("read/file")).unwrap(), "text");
    }

    #[test]
    fn a_log_is_appended_to_and_created_again_but_neither_read_nor_removed() {
        use std::io::Write;

        let directory = tempfile::tempdir().unwrap();
        let (log, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let append = || fs::OpenOptions::new().append(true).create(true).open(&log);
        append().unwrap();
        restricted(&rules(&[(directory.path(), Access::APPEND)]), || {
            append().unwrap().write_all(b"one\n").unwrap();
            denied(fs::read(&log));
            denied(fs::remove_file(&log));
            std::thread::scope(|scope| {
                // A thread that is started later is restricted, too.
                scope.spawn(|| denied(fs::rename(&log, &moved))).join().unwrap();
            });
        });
        fs::rename(&log, &moved).unwrap();
        restricted(&rules(&[(directory.path(), Access::APPEND)]), || append().unwrap());
        assert!(log.exists());
    }

    #[test]
    fn files_are_replaced_atomically_and_sockets_are_made_where_it_is_permitted() {
        let (kept, sockets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rules = rules(&[(kept.path(), Access::REPLACE), (sockets.path(), Access::LISTEN)]);
        restricted(&rules, || {
            for _ in 0..2 {
                let file = tempfile::NamedTempFile::new_in(kept.path()).unwrap();
                fs::write(file.path(), "text").unwrap();
                file.persist(kept.path().join("file")).unwrap();
                fs::File::open(kept.path()).unwrap().sync_all().unwrap();
            }
            let socket =
                |directory: &Path| std::os::unix::net::UnixListener::bind(directory.join("k.sock"));
            socket(sockets.path()).unwrap();
            fs::remove_file(sockets.path().join("k.sock")).unwrap();
            denied(socket(kept.path()));
            denied(fs::write(sockets.path().join("file"), ""));
        });
    }

    #[test]
    fn programs_are_not_started() {
        let program = std::env::current_exe().unwrap();
        let rules = rules(&[(Path::new("/"), Access::READ)]);
        restricted(&rules, || denied(std::process::Command::new(&program).arg("--list").status()));
    }

    #[test]
    fn only_permitted_ports_are_connected_to_and_bound() {
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (permitted, other) = (listener(), listener());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let mut rules = Rules::default();
        let connect = [port(&permitted)].into_iter().collect();
        rules.tcp = Some(TcpPorts { connect, bind: [0].into_iter().collect() });
        let free = port(&listener());
        restricted(&rules, || {
            TcpStream::connect(("127.0.0.1", port(&permitted))).unwrap();
            denied(TcpStream::connect(("127.0.0.1", port(&other))));
            TcpListener::bind("127.0.0.1:0").unwrap();
            denied(TcpListener::bind(("127.0.0.1", free)));
        });
        rules.tcp = None;
        restricted(&rules, || TcpStream::connect(("127.0.0.1", port(&other))).unwrap());
    }

    #[test]
    fn a_path_of_the_configuration_that_does_not_exist_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent");
        let mut rules = rules(&[(directory.path(), Access::READ)]);
        rules.permit("/no/such/system/directory", Access::READ);
        rules.permit_configured(&absent, Access::READ);
        let enforced =
            std::thread::scope(|scope| scope.spawn(|| restrict(&rules).unwrap()).join().unwrap());
        if let Some(on) = enforced.on.first() {
            assert!(on.contains(": 1 paths"), "{on}");
            let [missing] = &enforced.missing[..] else { panic!("{enforced:?}") };
            assert!(missing.contains(&absent.display().to_string()), "{missing}");
        }
    }

    #[test]
    fn a_kernel_that_lacks_a_part_is_reported() {
        let ports = TcpPorts::default();
        let available = |abi| LandlockStatus::Available { effective_abi: abi, kernel_abi: None };
        let enforced = report(2, Some(&ports), available(ABI::V3));
        assert_eq!(enforced.on, ["landlock (version 3: 2 paths)"]);
        assert!(enforced.lacking[0].to_string().contains("TCP ports"), "{enforced:?}");
        assert!(report(0, None, available(ABI::V3)).lacking.is_empty());
        assert!(report(0, Some(&ports), available(ABI::V7)).lacking.is_empty());
        for status in [LandlockStatus::NotEnabled, LandlockStatus::NotImplemented] {
            let enforced = report(0, Some(&ports), status);
            assert!(enforced.on.is_empty() && enforced.lacking.len() == 1, "{enforced:?}");
        }
    }
}
