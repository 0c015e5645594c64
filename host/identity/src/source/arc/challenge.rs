//! The file of an Azure Arc challenge. A program that listens at the agent's port could name any
//! file of this machine and receive its contents, so the file's directory, name, type and length
//! are checked before its contents are used.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use crate::TokenError;
use crate::source::token_source::Env;

/// The longest valid file, in bytes.
const MAX_LENGTH: u64 = 4096;

const NOT_THE_AGENT: &str = "Another program may be listening at the agent's port";

const NO_ACCESS: &str = "The broker's user needs read access to the file: on Linux, add it to the \
                         group himds; on Windows, to Hybrid agent extension applications";

/// The directory of the agent's files on this system.
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
    let malformed = |reason: &str| TokenError::Malformed { reason: reason.to_owned() };
    let value = headers.get(WWW_AUTHENTICATE);
    let value = value.ok_or_else(|| malformed("it requires authorization but names no file"))?;
    let value = value.to_str().map_err(|_| malformed("its challenge is not text"))?;
    let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value, ""));
    let realm = rest.trim().split_once('=');
    let realm = realm.filter(|(name, _)| name.trim().eq_ignore_ascii_case("realm"));
    match realm {
        Some((_, path)) if scheme.eq_ignore_ascii_case("basic") => {
            let path = path.trim();
            let unquoted = path.strip_prefix('"').and_then(|path| path.strip_suffix('"'));
            Ok(PathBuf::from(unquoted.unwrap_or(path)))
        }
        Some(_) | None => Err(malformed("its challenge is not of the form Basic realm=<file>")),
    }
}

/// Reads the file, as the value of an `authorization` header field.
pub(super) fn read(directory: &Path, path: &Path) -> Result<HeaderValue, TokenError> {
    let error = |reason: String, help| {
        let path = path.to_string_lossy();
        let path = path.chars().filter(|c| !c.is_control()).take(200).collect();
        TokenError::File { path, reason, help }
    };
    let invalid = |reason: &str| error(reason.to_owned(), None);
    let unreadable = |failed: std::io::Error| error(failed.to_string(), Some(NO_ACCESS));
    let name = file_name(directory, path).ok_or_else(|| {
        let reason = "the agent's files are in its own directory and end in .key";
        error(reason.to_owned(), Some(NOT_THE_AGENT))
    })?;
    // An administrator may have made the agent's directory a link, but not the file.
    let path = directory.canonicalize().map_err(unreadable)?.join(name);
    if !path.symlink_metadata().map_err(unreadable)?.is_file() {
        return Err(invalid("it is not a regular file"));
    }
    let too_long = || invalid("it is longer than the 4096 bytes of the agent's files");
    let file = open(&path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return Err(too_long());
    }
    let mut contents = Zeroizing::new(b"Basic ".to_vec());
    contents.reserve_exact(MAX_LENGTH as usize + 1);
    let read = file.take(MAX_LENGTH + 1).read_to_end(&mut contents).map_err(unreadable)?;
    if read as u64 > MAX_LENGTH {
        return Err(too_long());
    }
    let contents = contents.trim_ascii_end();
    if contents.len() <= "Basic".len() {
        return Err(invalid("it is empty"));
    }
    let value = HeaderValue::from_bytes(contents);
    let mut value = value.map_err(|_| invalid("a header field cannot contain its contents"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The name of a key file directly in the directory. Paths are compared literally: there is no
/// parent component and no other spelling of the directory.
fn file_name<'a>(directory: &Path, path: &'a Path) -> Option<&'a OsStr> {
    let is_plain = |part: Component<'_>| !matches!(part, Component::ParentDir | Component::CurDir);
    let name = path.file_name()?;
    let is_key = path.extension().is_some_and(|extension| extension == "key");
    let is_inside =
        path.is_absolute() && path.components().all(is_plain) && path.parent() == Some(directory);
    (is_inside && is_key).then_some(name)
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

    fn realm(challenge: &str) -> Option<PathBuf> {
        let headers = [(WWW_AUTHENTICATE, challenge.parse().unwrap())].into_iter().collect();
        path(&headers).ok()
    }

    #[test]
    fn the_path_of_a_challenge_is_its_realm() {
        let file = Some(PathBuf::from("/var/opt/azcmagent/tokens/a.key"));
        assert_eq!(realm("Basic realm=/var/opt/azcmagent/tokens/a.key"), file);
        assert_eq!(realm("basic Realm=\"/var/opt/azcmagent/tokens/a.key\""), file);
        for challenge in ["", "Basic", "Basic /a.key", "Bearer realm=/a.key", "Basic file=/a.key"] {
            assert_eq!(realm(challenge), None, "{challenge}");
        }
        assert!(path(&HeaderMap::new()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_key_files_in_the_agents_directory_are_read() {
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
            // `Path` normalizes "./".
            if path != at("a.key") {
                assert!(matches!(read, Err(TokenError::File { .. })), "{path:?}: {read:?}");
            }
        }
    }
}
