//! The daemon confines itself: what its configuration does not need, it cannot do, and neither can
//! anybody who takes it over, by an escape from a plugin's sandbox for example.
//!
//! [`mod@derive`] makes the rules from a configuration. [`process`] puts them in force, before the
//! process has other threads, because the kernel restricts a thread and those that it starts.
//! [`check`] finds out what of them this kernel has.

mod derive;
#[cfg(target_os = "linux")]
mod landlock;
mod permits;
mod rules;
#[cfg(target_os = "linux")]
mod seccomp;

use std::fmt;

pub(crate) use derive::confinement;
pub(crate) use rules::Confinement;
use rules::Switch;

use crate::exit::Failure;

/// What of a confinement is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enforced {
    /// The parts that are, with details.
    pub(crate) on: Vec<String>,
    /// The parts that this kernel lacks.
    pub(crate) lacking: Vec<Lacking>,
    /// The parts that are off, and why.
    pub(crate) off: Vec<String>,
    /// Paths of the configuration that could not be opened, and so are out of reach, and why.
    pub(crate) missing: Vec<String>,
}

/// What to do about a path that could not be opened.
pub(crate) const MISSING: &str =
    "Rules are for what exists when the daemon starts: create it before";

/// A part of the confinement that a kernel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lacking {
    part: &'static str,
    reason: String,
    /// What to do about it.
    pub(crate) fix: &'static str,
}

impl Lacking {
    fn new(part: &'static str, reason: impl Into<String>, fix: &'static str) -> Self {
        Self { part, reason: reason.into(), fix }
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the daemon is not confined by {}: {}", self.part, self.reason)
    }
}

impl From<Lacking> for Enforced {
    fn from(lacking: Lacking) -> Self {
        Self { lacking: vec![lacking], ..Self::default() }
    }
}

impl Enforced {
    fn add(&mut self, other: Self) {
        self.on.extend(other.on);
        self.lacking.extend(other.lacking);
        self.off.extend(other.off);
        self.missing.extend(other.missing);
    }
}

/// Confines this process, for as long as it lives, logs what is in force, and returns it. It should not have
/// started a thread yet: threads that run already stay as they are, which is a warning.
///
/// # Errors
///
/// The kernel has what is asked of it, but a call failed.
pub(crate) fn process(mut confinement: Confinement) -> Result<Confinement, Failure> {
    if let Switch::On(rules) = &mut confinement.landlock {
        // What does not exist gets no rule.
        let is_there = |path: &std::path::Path| path.exists() || rules.configured.contains(path);
        rules.paths.retain(|path, _| is_there(path));
    }
    let others = other_threads();
    if others > 0 {
        // Another library, which is loaded into every process, may start some.
        tracing::warn!("{others} threads that run already are not confined");
    }
    let enforced = enforce(&confinement)?;
    if !enforced.on.is_empty() {
        tracing::info!("confined: {}", enforced.on.join(", "));
    }
    for off in &enforced.off {
        tracing::info!("not confined: {off}");
    }
    for lacking in &enforced.lacking {
        tracing::warn!("{lacking}. {}", lacking.fix);
    }
    for missing in &enforced.missing {
        tracing::warn!("the daemon cannot reach a path of its configuration: {missing}. {MISSING}");
    }
    Ok(in_force(confinement, &enforced))
}

/// What of a confinement this kernel has put in force.
fn in_force(mut confinement: Confinement, enforced: &Enforced) -> Confinement {
    const LACKS: &str = "this kernel lacks it";
    let has = |part: &str| enforced.on.iter().any(|on| on.starts_with(part));
    match &mut confinement.landlock {
        Switch::On(_) if !has("landlock") => confinement.landlock = Switch::Off(LACKS),
        Switch::On(rules) => {
            if enforced.lacking.iter().any(|lacking| lacking.part == "TCP ports") {
                rules.tcp = None;
            }
            rules.paths.retain(|path, _| path.exists());
        }
        Switch::Off(_) => {}
    }
    if !has("seccomp") {
        confinement.seccomp = Switch::Off(LACKS);
    }
    confinement
}

/// Finds out what of a confinement this kernel has, on a thread that ends then.
///
/// # Errors
///
/// As [`process`].
pub(crate) fn check(confinement: &Confinement) -> Result<Enforced, Failure> {
    let confined = std::thread::scope(|scope| scope.spawn(|| enforce(confinement)).join());
    confined.unwrap_or_else(|_| Err(Failure::software("a thread that confined itself panicked")))
}

/// The number of threads beside this one; 0 where it is unknown.
fn other_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    threads.unwrap_or_default().saturating_sub(1)
}

/// Confines this thread, and those that it starts.
fn enforce(confinement: &Confinement) -> Result<Enforced, Failure> {
    let mut enforced = Enforced::default();
    match &confinement.no_new_privileges {
        Switch::On(()) => enforced.add(no_new_privileges()?),
        Switch::Off(reason) => enforced.off.push(format!("no new privileges: {reason}")),
    }
    match &confinement.landlock {
        Switch::On(rules) => enforced.add(landlock(rules)?),
        Switch::Off(reason) => enforced.off.push(format!("landlock: {reason}")),
    }
    match confinement.seccomp {
        Switch::On(programs) => enforced.add(seccomp(programs)?),
        Switch::Off(reason) => enforced.off.push(format!("seccomp: {reason}")),
    }
    Ok(enforced)
}

#[cfg(target_os = "linux")]
mod parts {
    use super::rules::{Programs, Rules};
    use super::{Enforced, Failure};

    fn failed(part: &str, key: &str, error: &dyn std::fmt::Display) -> Failure {
        let failure = Failure::system(format!("cannot confine the daemon by {part}: {error}"));
        failure.help(format!("report this; `{key} = false` in [confine] turns it off"))
    }

    pub(super) fn no_new_privileges() -> Result<Enforced, Failure> {
        rustix::thread::set_no_new_privs(true)
            .map_err(|error| failed("no new privileges", "no_new_privileges", &error))?;
        Ok(Enforced { on: vec!["no new privileges".to_owned()], ..Enforced::default() })
    }

    pub(super) fn landlock(rules: &Rules) -> Result<Enforced, Failure> {
        super::landlock::restrict(rules).map_err(|error| failed("landlock", "landlock", &error))
    }

    pub(super) fn seccomp(programs: Programs) -> Result<Enforced, Failure> {
        super::seccomp::restrict(programs).map_err(|error| failed("seccomp", "seccomp", &error))
    }
}

/// Only Linux has these.
#[cfg(not(target_os = "linux"))]
mod parts {
    use super::rules::{Programs, Rules};
    use super::{Enforced, Failure, Lacking};

    #[allow(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
    fn missing(part: &'static str, fix: &'static str) -> Result<Enforced, Failure> {
        Ok(Lacking::new(part, "only Linux has it", fix).into())
    }

    pub(super) fn no_new_privileges() -> Result<Enforced, Failure> {
        missing("no new privileges", "`no_new_privileges = false` in [confine] accepts it")
    }

    pub(super) fn landlock(_: &Rules) -> Result<Enforced, Failure> {
        missing("landlock", "`landlock = false` in [confine] accepts it")
    }

    pub(super) fn seccomp(_: Programs) -> Result<Enforced, Failure> {
        missing("seccomp", "`seccomp = false` in [confine] accepts it")
    }
}

use parts::{landlock, no_new_privileges, seccomp};

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::rules::{Programs, Rules};
    use super::*;

    #[test]
    fn a_check_confines_neither_this_thread_nor_the_process() {
        let confinement = Confinement {
            no_new_privileges: Switch::On(()),
            landlock: Switch::On(Rules::default()),
            seccomp: Switch::On(Programs::Denied),
        };
        let enforced = check(&confinement).unwrap();
        assert_eq!(enforced.on.len() + enforced.lacking.len(), 3, "{enforced:?}");
        assert_eq!(enforced.on[0], "no new privileges");
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t0"), "{status}");
    }

    #[test]
    fn threads_that_run_already_are_counted() {
        std::thread::scope(|scope| {
            let (stop, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv());
            assert!(other_threads() > 0);
            drop(stop);
        });
    }
}
