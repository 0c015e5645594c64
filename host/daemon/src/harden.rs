//! Protects the memory of the process.

/// Disables core dumps, and `ptrace` by other processes of the same user. An error says what may
/// happen instead.
#[cfg(target_os = "linux")]
pub(crate) fn process() -> Result<(), &'static str> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    // `PR_SET_DUMPABLE` 0: no core dump, and only root may attach.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|_| "other processes of this user may read its memory")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|_| "a crash may write a core dump")
}

/// Does nothing: only Linux has calls for this.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process() -> Result<(), &'static str> {
    Ok(())
}
