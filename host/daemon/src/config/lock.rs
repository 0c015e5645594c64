//! `[lock]`: where locks are stored.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use keyward_policy::document::{Key, Section, SectionKeys};

use crate::directories;

const FILE: Key = Key::path(
    "file",
    "/var/lib/keyward/locks.json",
    "the file that has what is locked; `keyward lock` writes it without a daemon, too, so its user \
     must be able to",
)
.default_is("a file in the state directory, named after the configuration's path");

/// `[lock]`.
pub(super) const LOCK: SectionKeys = SectionKeys::new(
    &["lock"],
    "What `keyward lock` locks stays locked when the daemon starts again \
     ([operations.md](operations.md#lock-everything-at-once)).",
    &[&FILE],
);

/// The file of locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockConfig {
    /// Its path; `None` if neither the configuration nor the environment determines it.
    pub(crate) file: Option<PathBuf>,
    /// Whether the configuration names it.
    pub(crate) is_configured: bool,
}

/// Reads the section of the configuration in this file.
pub(super) fn lock(root: &Section<'_>, base: &Path, config: &Path) -> LockConfig {
    let section = root.section(&LOCK);
    let file = section.path(&FILE, base);
    section.finish();
    match file {
        Some(file) => LockConfig { file: Some(file.value), is_configured: true },
        None => LockConfig {
            file: directories::state().map(|state| state.join(default_name(config))),
            is_configured: false,
        },
    }
}

/// A name of its own for each configuration, however its path is written:
/// `locks-keyward-1a2b3c4d5e6f7a8b.json`. A link to the configuration itself is not followed: that
/// of a mounted `ConfigMap` changes with each update.
fn default_name(config: &Path) -> String {
    let absolute = || std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
    let directory = match config.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let path = match (directory.canonicalize(), config.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => absolute(),
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, path.as_os_str().as_encoded_bytes());
    let mut name = "locks-".to_owned();
    let stem = config.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    name.extend(stem.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(40));
    name.push('-');
    for byte in digest.as_ref().iter().take(8) {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name + ".json"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_configuration_has_a_file_of_its_own() {
        let name = |path: &str| default_name(Path::new(path));
        assert_eq!(name("/etc/keyward.toml"), name("/etc/keyward.toml"));
        assert_ne!(name("/etc/keyward.toml"), name("/srv/keyward.toml"));
        let odd = name("/etc/k e\n\"y.toml");
        assert!(odd.starts_with("locks-key-") && odd.ends_with(".json"), "{odd}");
        assert_eq!(odd.len(), "locks-key-.json".len() + 16);
    }

    #[cfg(unix)]
    #[test]
    fn a_configuration_has_the_same_file_however_its_path_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| default_name(&directory.path().join(path));
        for name in ["etc", "data", "data/1", "data/2"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(to, directory.path().join(at)).unwrap();
        };
        link("etc", "alias");
        assert_eq!(at("etc/keyward.toml"), at("data/../etc/./keyward.toml"));
        assert_eq!(at("etc/keyward.toml"), at("alias/keyward.toml"));
        link("../data/1/keyward.toml", "etc/keyward.toml");
        let before = at("etc/keyward.toml");
        std::fs::remove_file(directory.path().join("etc/keyward.toml")).unwrap();
        link("../data/2/keyward.toml", "etc/keyward.toml");
        assert_eq!(at("etc/keyward.toml"), before, "an update of a mounted ConfigMap");
    }
}
