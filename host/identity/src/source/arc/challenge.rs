//! The file that a challenge of Azure Arc's names. Whoever answers at that port could name any file of the machine's and
//! be sent what is in it: so where it is, what it is called and how long it is are checked before it is read.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use crate::TokenError;
use crate::source::Env;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 4096;

/// Where the agent keeps its files on this system.
pub(super) fn directory(env: Env<'_>) -> PathBuf {
    if cfg!(windows) {
        let data = env("ProgramData").unwrap_or_else(|| r"C:\ProgramData".to_owned());
        Path::new(&data).join("AzureConnectedMachineAgent").join("Tokens")
    } else {
        PathBuf::from("/var/opt/azcmagent/tokens")
    }
}

/// The path in `WWW-Authenticate: Basic realm=<path>`.
pub(super) fn path(headers: &HeaderMap) -> Result<PathBuf, TokenError> {
    let malformed = |what: &str| TokenError::Malformed { what: what.to_owned() };
    let value =
        headers.get(WWW_AUTHENTICATE).ok_or_else(|| malformed("it asks for authorization and names no file"))?;
    let value = value.to_str().map_err(|_| malformed("its challenge is not text"))?;
    let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value, ""));
    let realm = rest.trim().split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("realm"));
    match realm {
        Some((_, path)) if scheme.eq_ignore_ascii_case("basic") => {
            let path = path.trim();
            let bare = path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path);
            Ok(PathBuf::from(bare))
        }
        _ => Err(malformed("its challenge is not of the form Basic realm=<file>")),
    }
}

/// What is in the file, as the value of an `authorization` header.
pub(super) fn read(directory: &Path, path: &Path) -> Result<HeaderValue, TokenError> {
    let refuse = |said: &str| TokenError::File {
        path: path.to_string_lossy().chars().filter(|c| !c.is_control()).take(200).collect(),
        said: said.to_owned(),
    };
    let name = inside(directory, path).ok_or_else(|| {
        refuse("the agent's files are in its own directory and end in .key: what answers is not the agent")
    })?;
    let unread = |error: std::io::Error| {
        refuse(&format!(
            "{error}. Whoever asks Azure Arc for tokens has to be able to read it: on Linux, add the broker's user to the \
             group himds; on Windows, to Hybrid agent extension applications"
        ))
    };
    // The agent's directory may be a link, when an administrator made it one; the file must not.
    let real = directory.canonicalize().map_err(unread)?.join(name);
    let link = real.symlink_metadata().map_err(unread)?;
    if !link.is_file() {
        return Err(refuse("it is not a regular file"));
    }
    let file = open(&real).map_err(unread)?;
    let metadata = file.metadata().map_err(unread)?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(refuse("it is longer than the 4096 bytes that an agent's file has at most"));
    }
    let mut contents = Zeroizing::new(b"Basic ".to_vec());
    contents.reserve_exact(LONGEST as usize + 1);
    let read = file.take(LONGEST + 1).read_to_end(&mut contents).map_err(unread)?;
    if read as u64 > LONGEST {
        return Err(refuse("it is longer than the 4096 bytes that an agent's file has at most"));
    }
    let contents = contents.trim_ascii_end();
    let mut value = HeaderValue::from_bytes(contents).map_err(|_| refuse("what is in it cannot be sent"))?;
    value.set_sensitive(true);
    if contents.len() <= "Basic".len() { Err(refuse("it is empty")) } else { Ok(value) }
}

/// The name of a file that is in the directory, not below it, and is a key. Compared as it is written: no step up, no
/// other way to write the directory.
fn inside<'a>(directory: &Path, path: &'a Path) -> Option<&'a std::ffi::OsStr> {
    let plain = |component: Component<'_>| !matches!(component, Component::ParentDir | Component::CurDir);
    let name = path.file_name()?;
    let is_key = path.extension().is_some_and(|extension| extension == "key");
    let fits = path.is_absolute() && path.components().all(plain) && path.parent() == Some(directory) && is_key;
    fits.then_some(name)
}

#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(challenge: &str) -> Option<PathBuf> {
        let headers = [(WWW_AUTHENTICATE, challenge.parse().unwrap())].into_iter().collect();
        path(&headers).ok()
    }

    #[test]
    fn a_challenge_names_its_file() {
        let file = Some(PathBuf::from("/var/opt/azcmagent/tokens/a.key"));
        assert_eq!(of("Basic realm=/var/opt/azcmagent/tokens/a.key"), file);
        assert_eq!(of("basic Realm=\"/var/opt/azcmagent/tokens/a.key\""), file);
        for challenge in ["", "Basic", "Basic /a.key", "Bearer realm=/a.key", "Basic file=/a.key"] {
            assert_eq!(of(challenge), None, "{challenge}");
        }
        assert!(path(&HeaderMap::new()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_a_key_in_the_agents_own_directory_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let at = |name: &str| directory.join(name);
        std::fs::create_dir(at("below")).unwrap();
        std::fs::create_dir(at("folder.key")).unwrap();
        std::fs::write(at("a.key"), "secret\n").unwrap();
        std::fs::write(at("below/a.key"), "secret").unwrap();
        std::fs::write(at("a.txt"), "secret").unwrap();
        std::fs::write(at("empty.key"), "").unwrap();
        std::fs::write(at("control.key"), "a\u{0}b").unwrap();
        std::fs::write(at("full.key"), "x".repeat(4096)).unwrap();
        std::fs::write(at("long.key"), "x".repeat(4097)).unwrap();
        std::os::unix::fs::symlink(at("a.key"), at("link.key")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("passwd.key")).unwrap();

        let value = read(directory, &at("a.key")).unwrap();
        assert_eq!(value.as_bytes(), b"Basic secret");
        assert!(value.is_sensitive());
        assert!(read(directory, &at("full.key")).is_ok());
        for path in [
            at("below/a.key"),
            at("below/../a.key"),
            at("./a.key"),
            at("a.txt"),
            at("a.key.txt"),
            at("missing.key"),
            at("empty.key"),
            at("control.key"),
            at("long.key"),
            at("link.key"),
            at("passwd.key"),
            at("folder.key"),
            PathBuf::from("a.key"),
            PathBuf::from("/etc/passwd"),
            PathBuf::from("/etc/ssl/private/server.key"),
            PathBuf::new(),
        ] {
            let read = read(directory, &path);
            // `Path` itself reads "./" away.
            if path != at("a.key") {
                assert!(matches!(read, Err(TokenError::File { .. })), "{path:?}: {read:?}");
            }
        }
    }
}
