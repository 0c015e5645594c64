//! Processes in a unit of systemd's, on a machine that may not have it.
#![allow(dead_code, reason = "each of the test binaries that include this file needs a part of it")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A control group of version 2 in a slice of its own, as systemd makes them for units.
pub(crate) struct ControlGroup {
    slice: PathBuf,
    pub(crate) unit: String,
}

impl ControlGroup {
    /// `None` if it cannot be made: that needs root, and control groups of version 2 that can be
    /// written.
    pub(crate) fn create() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("keywardtest{}x{number}", std::process::id());
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let path = words.next()?;
            (words.next() == Some("cgroup2")).then_some(path)
        });
        let slice = mount.map(|mount| PathBuf::from(mount).join(format!("{id}.slice")));
        let group = slice.map(|slice| Self { slice, unit: format!("{id}.service") });
        group.filter(|group| std::fs::create_dir_all(group.path()).is_ok())
    }

    fn path(&self) -> PathBuf {
        self.slice.join(&self.unit)
    }

    /// The file by which a process moves out of all units.
    pub(crate) fn outside(&self) -> PathBuf {
        self.slice.with_file_name("cgroup.procs")
    }

    /// The words that run a command in the group.
    pub(crate) fn command(&self) -> [String; 5] {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.path().display());
        ["sh", "-c", &enter, "sh", "env"].map(str::to_owned)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        drop(std::fs::remove_dir(self.path()));
        drop(std::fs::remove_dir(&self.slice));
    }
}
