//! Processes of other users and in other namespaces, for tests. Most need root.

#[path = "../../../../tests/control_group.rs"]
mod control_group;

use std::any::type_name;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use control_group::ControlGroup;

/// A user that no machine has, with the options of `setpriv` that make a process its own.
pub(super) const OTHER_USER: u32 = 61234;
pub(super) const AS_OTHER_USER: [&str; 4] =
    ["setpriv", "--reuid=61234", "--regid=61235", "--groups=61236,61237,65534"];

/// Connects to a Unix socket and waits.
pub(super) const CONNECT: &str =
    "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; <STDIN>";

/// Connects to a TCP port several times and waits.
pub(super) const CONNECT_TCP: &str = "use IO::Socket::INET; \
    my @s = map { IO::Socket::INET->new(PeerAddr => $ARGV[0]) or die $! } 1..$ARGV[1]; <STDIN>";

/// Set in the test that runs again in a namespace.
const INSIDE: &str = "KEYWARD_TEST_INSIDE";

/// Notes what was not tested, which fails the test where KEYWARD_USERS is `must`.
pub(super) fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    crate::skip::skip(&test, why, "KEYWARD_USERS");
}

#[allow(clippy::disallowed_methods, reason = "variables of tests, not of the daemon")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Whether root runs the tests, and a command succeeds; skips the test otherwise.
pub(super) fn can_run(command: &[&str]) -> bool {
    let mut probe = Command::new(command[0]);
    probe.args(&command[1..]).args(["perl", "-e", "1"]).stderr(Stdio::null());
    let can =
        rustix::process::geteuid().is_root() && probe.status().is_ok_and(|status| status.success());
    if !can {
        skip(&format!("it needs root, and {} with perl", command.join(" ")));
    }
    can
}

/// A process that ends with the test.
pub(super) struct Peer(Child);

impl Peer {
    /// Runs a Perl script, behind the words of a command that runs it.
    pub(super) fn start(command: &[&str], script: &str, arguments: &[&str]) -> Self {
        let words = [command, &["perl", "-e", script], arguments].concat();
        let mut command = Command::new(words[0]);
        Self(command.args(&words[1..]).stdin(Stdio::piped()).spawn().unwrap())
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Ends its input, and waits until it has ended.
    pub(super) fn end(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A Unix socket that every user can connect to.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    directory: TempDir,
}

impl Socket {
    pub(super) fn bind() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        for (path, mode) in [(directory.path(), 0o755), (&*path, 0o777)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        Self { listener, directory }
    }

    pub(super) fn path(&self) -> String {
        self.directory.path().join("socket").to_str().unwrap().to_owned()
    }

    /// The next connection.
    pub(super) fn accept(&self) -> UnixStream {
        self.listener.accept().unwrap().0
    }
}

/// A control group, for processes of a unit; skips the test if it cannot be made.
pub(super) fn control_group() -> Option<ControlGroup> {
    let created = ControlGroup::create();
    if created.is_none() {
        skip("it needs root, and control groups of version 2 that can be written");
    }
    created
}

/// Runs the calling test again behind the words of a command, and its `body` there. The body has to
/// be a closure in the test itself. Its standard input is `input`.
pub(super) fn inside<F: FnOnce()>(command: &[&str], input: Option<OwnedFd>, body: F) {
    if variable(INSIDE).is_some() {
        return body();
    }
    // `crate::module::tests::name::{{closure}}`
    let name = type_name::<F>().split_once("::").unwrap().1;
    let name = name.trim_end_matches("::{{closure}}");
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .env("D", directory.path())
        .stdin(input.map_or_else(Stdio::null, Stdio::from))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && shown.contains("1 passed");
    assert!(passed, "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the test runs again in a namespace.
pub(super) fn is_inside() -> bool {
    variable(INSIDE).is_some()
}

/// Runs the calling test again in a mount namespace, where a shell script has prepared something.
/// The script has an empty directory in `$D`, and the process id of the test in `$$`.
pub(super) fn in_mount_namespace<F: FnOnce()>(prepare: &str, body: F) {
    let unshare = ["unshare", "--mount", "--propagation", "private"];
    if !is_inside() && !can_run(&unshare) {
        return;
    }
    let prepare = format!("{prepare} && exec \"$@\"");
    let command = [&unshare[..], &["sh", "-c", &prepare, "sh"]].concat();
    inside(&command, None, body);
}
