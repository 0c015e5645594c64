//! `[confine]`: what the daemon takes from itself before it serves.

use std::path::{Path, PathBuf};

use keyward_policy::diagnostic::Diagnostic;
use keyward_policy::document::{Key, Section, SectionKeys, WithDefault};

const NO_NEW_PRIVILEGES: WithDefault<bool> = WithDefault::<bool>::boolean(
    "no_new_privileges",
    true,
    "whether the daemon, and a program that it runs, can never gain privileges: setuid programs \
     and file capabilities have no effect",
);
const LANDLOCK: WithDefault<bool> = WithDefault::<bool>::boolean(
    "landlock",
    true,
    "whether files, and TCP ports, that the configuration does not need are out of reach; off \
     with `source = \"azure-cli\"`, which runs another program",
);
const TCP_PORTS: WithDefault<bool> = WithDefault::<bool>::boolean(
    "tcp_ports",
    true,
    "whether `landlock` restricts TCP ports, with Linux 6.7 and later",
);
const SECCOMP: WithDefault<bool> = WithDefault::<bool>::boolean(
    "seccomp",
    true,
    "whether system calls that the daemon never needs, such as those that start programs, trace \
     processes or mount file systems, fail with `EPERM`",
);
const READ: Key = Key::strings(
    "read",
    "/opt/nss",
    "further files and directories that the daemon may read, such as those of a module for name \
     lookups",
)
.default_is("none");

/// `[confine]`.
pub(super) const CONFINE: SectionKeys = SectionKeys::new(
    &["confine"],
    "What `keyward serve` takes from itself before it serves, see \
     [operations.md](operations.md#confinement). On Linux only.",
    &[&NO_NEW_PRIVILEGES.key, &LANDLOCK.key, &TCP_PORTS.key, &SECCOMP.key, &READ],
);

/// `[confine]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confine {
    pub(crate) no_new_privileges: bool,
    pub(crate) landlock: bool,
    /// Whether landlock restricts TCP ports.
    pub(crate) tcp_ports: bool,
    pub(crate) seccomp: bool,
    /// Further files and directories that may be read.
    pub(crate) read: Vec<PathBuf>,
}

pub(super) fn confine(root: &Section<'_>, base: &Path) -> Confine {
    let section = root.section(&CONFINE);
    let confine = Confine {
        no_new_privileges: section.boolean_or_default(&NO_NEW_PRIVILEGES),
        landlock: section.boolean_or_default(&LANDLOCK),
        tcp_ports: section.boolean_or_default(&TCP_PORTS),
        seccomp: section.boolean_or_default(&SECCOMP),
        read: section.paths(&READ, base).into_iter().map(|path| path.value).collect(),
    };
    let needing = [("landlock", confine.landlock), ("seccomp", confine.seccomp)];
    let needing: Vec<String> = needing
        .iter()
        .filter(|(_, is_on)| !confine.no_new_privileges && *is_on)
        .map(|(name, _)| format!("{name} = false"))
        .collect();
    if !needing.is_empty() {
        let message = "the kernel requires `no_new_privileges` for `landlock` and `seccomp`";
        section.push(
            Diagnostic::new(section.location_of(&NO_NEW_PRIVILEGES), message)
                .help("remove this line, or turn the others off, too")
                .write(needing.join("\n")),
        );
    }
    section.finish();
    confine
}
