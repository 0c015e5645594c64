//! Keeps what is in the daemon's memory in there.

/// No core dumps, and no `ptrace` by other processes of the same user. Says what could not be had.
#[cfg(target_os = "linux")]
pub(crate) fn process() -> Result<(), &'static str> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    // `PR_SET_DUMPABLE` 0: no core dump, and only root may attach.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|_| "processes of this user may read its memory")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|_| "a crash may leave a core dump")
}

/// Elsewhere than on Linux there is no one call for this.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process() -> Result<(), &'static str> {
    Ok(())
}
