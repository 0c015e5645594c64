//! What of this machine keeps `keyward serve` from starting with a valid configuration.

use std::fs::File;
use std::path::Path;

use keyward::{Plan, StartError, probe};
use keyward_policy::diagnostic::Diagnostic;

use super::{Audit, Listen, Pair};

/// Problems with certificates and with the daemon's own files.
pub(crate) fn file_problems(plan: &Plan, listen: &Listen, audit: &Audit) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    problems.extend(probe::trust(plan).err().into_iter().flat_map(diagnostics));
    if let Some(Pair::Files { certificate, key }) = listen.tls.as_ref().map(|tls| &tls.pair) {
        let files = [("certificate", certificate), ("key", key)];
        problems.extend(files.into_iter().filter_map(|(name, path)| unreadable(name, path)));
    }
    if let Audit::File(path) = audit {
        problems.extend(not_a_file(path));
    }
    problems
}

/// The same, with the sources of identities and their keys.
pub(crate) fn problems(plan: &Plan, listen: &Listen, audit: &Audit) -> Vec<Diagnostic> {
    let identities = probe::identity_problems(plan).into_iter().flat_map(diagnostics);
    file_problems(plan, listen, audit).into_iter().chain(identities).collect()
}

fn diagnostics(error: StartError) -> Vec<Diagnostic> {
    match error {
        StartError::Config(error) => error.diagnostics().to_vec(),
        error => vec![Diagnostic::new(None, error.to_string())],
    }
}

fn unreadable(name: &str, path: &Path) -> Option<Diagnostic> {
    let error = File::open(path).err()?;
    // Somebody may have written the key itself in the path's place.
    let path = if name == "key" { "its file".to_owned() } else { path.display().to_string() };
    let message = format!("`{name}` in [listen.tls]: cannot read {path}: {error}");
    let help = "put the certificate and its key there, or remove `certificate` and `key`: then a \
                pair is made";
    Some(Diagnostic::new(None, message).help(help))
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
