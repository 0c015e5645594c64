//! What of this machine keeps `keyward serve` from starting with a valid configuration.

use std::fs::File;
use std::path::Path;

use keyward::{Plan, StartError, probe};
use keyward_policy::diagnostic::Diagnostic;

use super::{Audit, Listen, LockConfig, Pair};
use crate::tls_key;

/// Problems with certificates and with the daemon's own files.
pub(crate) fn file_problems(
    plan: &Plan,
    listen: &Listen,
    audit: &Audit,
    lock: &LockConfig,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    problems.extend(probe::trust(plan).err().into_iter().flat_map(diagnostics));
    problems.extend(listen.tls.iter().flat_map(|tls| pair_problems(&tls.pair)));
    if let Audit::File(path) = audit {
        problems.extend(not_a_file(path));
    }
    problems.extend(lock_problem(listen, lock));
    problems
}

/// The same, with the socket's directories, the sources of identities and their keys. `doctor` has
/// findings of their own for these.
pub(crate) fn problems(
    plan: &Plan,
    listen: &Listen,
    audit: &Audit,
    lock: &LockConfig,
) -> Vec<Diagnostic> {
    let identities = probe::identity_problems(plan).into_iter().flat_map(diagnostics);
    let socket = listen.socket.as_deref().and_then(socket_problem);
    file_problems(plan, listen, audit, lock).into_iter().chain(socket).chain(identities).collect()
}

fn diagnostics(error: StartError) -> Vec<Diagnostic> {
    match error {
        StartError::Config(error) => error.diagnostics().to_vec(),
        error => vec![Diagnostic::new(None, error.to_string())],
    }
}

/// Problems with the certificate and the key of `[listen.tls]`.
fn pair_problems(pair: &Pair) -> Vec<Diagnostic> {
    let Pair::Files { certificate, key } = pair else { return Vec::new() };
    let certificate = File::open(certificate).err().map(|error| {
        let shown = certificate.display();
        let help = "put the certificate and its key there, or remove `certificate` and `key`: \
                    then a pair is made";
        let message = format!("`certificate` in [listen.tls]: cannot read {shown}: {error}");
        Diagnostic::new(None, message).help(help)
    });
    let key = tls_key::open(key).err().map(|error| {
        let diagnostic = Diagnostic::new(None, format!("`key` in [listen.tls]: {error}"));
        error.help().into_iter().fold(diagnostic, Diagnostic::help)
    });
    certificate.into_iter().chain(key).collect()
}

/// Problems with the directories of the socket: other users could replace it.
#[cfg(unix)]
fn socket_problem(socket: &Path) -> Option<Diagnostic> {
    use crate::write_access::{self, Protected};

    let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    let (user, _) = write_access::broker_user(&socket);
    let problem = write_access::check(&socket, Protected::Socket, user).err()?;
    let message = format!("`socket` in [listen]: {}", problem.found);
    Some(Diagnostic::new(None, message).help(problem.help()))
}

#[cfg(not(unix))]
fn socket_problem(_socket: &Path) -> Option<Diagnostic> {
    None
}

/// A problem with the file of locks. The default one is known only to the daemon's own user.
#[cfg(unix)]
fn lock_problem(listen: &Listen, lock: &LockConfig) -> Option<Diagnostic> {
    use crate::{lock_file, write_access};

    let me = rustix::process::geteuid().as_raw();
    let socket = listen.socket.as_deref();
    let user = socket.map_or(me, |socket| write_access::broker_user(socket).0);
    let file = lock.file.as_deref().filter(|_| lock.is_configured || user == me)?;
    let problem = lock_file::problem(file, user)?;
    let help = problem.help();
    Some(Diagnostic::new(None, format!("`file` in [lock]: {problem}")).help(help))
}

#[cfg(not(unix))]
fn lock_problem(_: &Listen, _: &LockConfig) -> Option<Diagnostic> {
    None
}

fn not_a_file(path: &Path) -> Option<Diagnostic> {
    let shown = path.display();
    if path.is_dir() {
        let message = format!("`file` in [audit]: {shown} is a directory");
        let inside = path.join("audit.jsonl").display().to_string();
        return Some(Diagnostic::new(None, message).write(format!("file = {inside:?}")));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty())?;
    (!directory.is_dir()).then(|| {
        let directory = directory.display();
        let message = format!("`file` in [audit]: there is no directory {directory}");
        Diagnostic::new(None, message).help(format!("create it: mkdir -p {directory}"))
    })
}
