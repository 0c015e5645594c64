//! Compiled plugins, kept between runs.
//!
//! Loading compiled code runs it, whatever it is. So only files are loaded that this broker wrote
//! itself, in a directory that belongs to the user it runs as and that nobody else can write in,
//! under a name that holds the engine's version and settings and the component's sum. Each file
//! begins with the sum of the rest, which tells a torn one from a whole one.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::start_error::StartError;

/// The length of a SHA-256 sum, in bytes.
const SUM: usize = 32;

/// A directory of compiled plugins.
#[derive(Debug)]
pub(super) struct CompiledDirectory {
    path: PathBuf,
    /// What must be the same for compiled code to fit: wasmtime's version, its settings, the
    /// processor's features.
    engine: u64,
}

impl CompiledDirectory {
    /// Opens the directory, and makes it where it is missing.
    pub(super) fn open(path: &Path, engine: &Engine) -> Result<Self, StartError> {
        let unsafe_directory =
            |why: String| StartError::CompileCache { path: path.to_owned(), why };
        create(path).map_err(|error| unsafe_directory(format!("it cannot be made: {error}")))?;
        check(path).map_err(unsafe_directory)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { path: path.to_owned(), engine: hasher.finish() })
    }

    fn file(&self, sha256: &str) -> PathBuf {
        self.path.join(format!("{sha256}-{:016x}.compiled", self.engine))
    }

    /// The compiled component of this sum, where it is there and whole.
    pub(super) fn find(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let file = self.file(sha256);
        let bytes = read_own(&file).map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(file = %file.display(), %error, "a compiled plugin cannot be used");
            }
        });
        let bytes = bytes.ok()?;
        let (sum, compiled) = bytes.split_at_checked(SUM)?;
        if Sha256::digest(compiled).as_slice() != sum {
            let file = file.display();
            tracing::warn!(%file, "a compiled plugin is damaged; compiling it again");
            return None;
        }
        match load(engine, compiled) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(
                    file = %file.display(),
                    %error,
                    "a cached plugin was compiled for another Keyward or machine; it is compiled \
                     again"
                );
                None
            }
        }
    }

    /// Keeps a compiled component. That it cannot be kept is no reason not to run.
    pub(super) fn keep(&self, sha256: &str, component: &Component) {
        let file = self.file(sha256);
        let kept = component.serialize().map_err(|error| error.to_string());
        let kept = kept
            .and_then(|compiled| self.write(&file, &compiled).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            tracing::warn!(file = %file.display(), error, "a compiled plugin cannot be kept");
        }
    }

    /// Writes a file whole or not at all: another broker may read it at any moment.
    fn write(&self, file: &Path, compiled: &[u8]) -> io::Result<()> {
        let unfinished =
            self.path.join(format!(".{}-{:016x}", std::process::id(), rand::random::<u64>()));
        let written = create_own(&unfinished).and_then(|mut to| {
            to.write_all(&Sha256::digest(compiled))?;
            to.write_all(compiled)?;
            to.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&unfinished, file));
        if renamed.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        renamed
    }
}

/// Loads compiled code.
#[allow(unsafe_code)]
fn load(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes were written by `CompiledDirectory::write`, from what wasmtime's compiler
    // gave: the file and its directory belong to this user, nobody else can write there (`check`
    // and `read_own`), and the sum before them shows that they are whole. Whether they fit this
    // version of wasmtime, it checks itself.
    unsafe { Component::deserialize(engine, compiled) }
}

#[cfg(unix)]
mod platform {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io::{self, Read};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;

    pub(super) fn create(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    /// The directory must be this user's, and nobody else may write in it.
    pub(super) fn check(path: &Path) -> Result<(), String> {
        let metadata = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?;
        let user = rustix::process::geteuid().as_raw();
        if !metadata.is_dir() {
            Err("it is not a directory, or is a symbolic link".to_owned())
        } else if metadata.uid() != user {
            Err(format!(
                "it belongs to user {}, and the broker runs as user {user}",
                metadata.uid()
            ))
        } else if metadata.mode() & 0o022 != 0 {
            Err(format!(
                "others may write in it (mode {:04o}); run: chmod go-w on it",
                metadata.mode() & 0o7777
            ))
        } else {
            Ok(())
        }
    }

    /// Reads a file that is this user's own, and that nobody else can have written.
    pub(super) fn read_own(path: &Path) -> io::Result<Vec<u8>> {
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut file = OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
        let metadata = file.metadata()?;
        let own =
            metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0;
        if !own || !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others may have written it",
            ));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn create_own(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn create(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    /// Whose a directory is cannot be told here without calls that are unsafe, and so nothing is
    /// loaded from any.
    pub(super) fn check(_: &Path) -> Result<(), String> {
        Err("on this system the broker cannot tell who may write in it; leave [compile_cache] out"
            .to_owned())
    }

    pub(super) fn read_own(path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    pub(super) fn create_own(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }
}

use platform::{check, create, create_own, read_own};
