//! Sockets that the service manager has bound and passes to the daemon (`sd_listen_fds(3)`). They
//! stay bound while the daemon restarts, so that no caller is refused.

use std::collections::BTreeMap;
use std::net::TcpListener;

use crate::exit::Failure;

/// The names of sockets (`FileDescriptorName=`), and what of the configuration each is for.
const NAMES: [(&str, &str); 4] = [
    ("socket", "`socket` in [listen]"),
    ("tcp", "`tcp` in [listen]"),
    ("tls", "`address` in [listen.tls]"),
    ("admin", "`socket` in [admin]"),
];

/// The sockets, by their names.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    #[cfg(unix)]
    unix: BTreeMap<String, std::os::unix::net::UnixListener>,
    tcp: BTreeMap<String, TcpListener>,
}

impl Inherited {
    /// Takes the sockets that were passed to this process. Must be called once, before it has other
    /// threads.
    ///
    /// # Errors
    ///
    /// One has an unknown name, two have the same, or one is of another kind than its name says.
    #[cfg(unix)]
    pub(crate) fn take() -> Result<Self, Failure> {
        let names = crate::environment::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = listenfd::ListenFd::from_env();
        let mut inherited = Self::default();
        let mut names = names.split(':').map(str::to_owned);
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let unusable = |error: std::io::Error| {
                Failure::config(format!(
                    "the service manager passed a socket `{name}` that cannot be used: {error}"
                ))
            };
            let is_first = match name.as_str() {
                "socket" | "admin" => {
                    let listener = passed.take_unix_listener(index).map_err(unusable)?;
                    let listener = listener.ok_or_else(|| unexpected(&name))?;
                    listener.set_nonblocking(true).map_err(unusable)?;
                    inherited.unix.insert(name.clone(), listener).is_none()
                }
                "tcp" | "tls" => {
                    let listener = passed.take_tcp_listener(index).map_err(unusable)?;
                    let listener = listener.ok_or_else(|| unexpected(&name))?;
                    listener.set_nonblocking(true).map_err(unusable)?;
                    inherited.tcp.insert(name.clone(), listener).is_none()
                }
                _ => false,
            };
            if !is_first {
                return Err(unexpected(&name));
            }
        }
        Ok(inherited)
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
    pub(crate) fn take() -> Result<Self, Failure> {
        Ok(Self::default())
    }

    /// The Unix socket of this name, which must be bound to this path.
    #[cfg(unix)]
    pub(crate) fn unix(
        &mut self,
        name: &str,
        path: &std::path::Path,
    ) -> Result<Option<std::os::unix::net::UnixListener>, Failure> {
        let Some(listener) = self.unix.remove(name) else { return Ok(None) };
        let bound = listener.local_addr().map_err(Failure::system)?;
        let bound = bound.as_pathname().map(std::path::Path::to_owned);
        let same = |bound: &std::path::Path| match (bound.canonicalize(), path.canonicalize()) {
            (Ok(bound), Ok(path)) => bound == path,
            (Err(_), _) | (_, Err(_)) => bound == path,
        };
        if bound.as_deref().is_some_and(same) {
            return Ok(Some(listener));
        }
        let bound = bound.map_or_else(|| "no path".to_owned(), |path| path.display().to_string());
        Err(differs(name, &bound, &path.display().to_string()))
    }

    /// The TCP socket of this name, which must be bound to this address.
    pub(crate) fn tcp(
        &mut self,
        name: &str,
        address: std::net::SocketAddr,
    ) -> Result<Option<TcpListener>, Failure> {
        let Some(listener) = self.tcp.remove(name) else { return Ok(None) };
        let bound = listener.local_addr().map_err(Failure::system)?;
        if bound == address || (address.port() == 0 && bound.ip() == address.ip()) {
            return Ok(Some(listener));
        }
        Err(differs(name, &bound.to_string(), &address.to_string()))
    }

    /// Checks that every socket has been used.
    ///
    /// # Errors
    ///
    /// The configuration does not have the listener of one.
    pub(crate) fn check_used(&self) -> Result<(), Failure> {
        let names = self.tcp.keys();
        #[cfg(unix)]
        let names = names.chain(self.unix.keys());
        let unused: Vec<&str> = names.map(String::as_str).collect();
        let Some(name) = unused.first() else { return Ok(()) };
        let key = NAMES.iter().find(|(it, _)| it == name).map_or(*name, |(_, key)| *key);
        let failure = Failure::config(format!(
            "the service manager passed a socket `{name}`, but the configuration has no {key}"
        ));
        Err(failure.help("add it, or remove the socket from the socket unit"))
    }
}

#[cfg_attr(not(unix), allow(dead_code, reason = "no sockets are passed"))]
fn unexpected(name: &str) -> Failure {
    let failure = Failure::config(format!(
        "the service manager passed a socket `{name}`; expected at most one each of {}",
        NAMES.map(|(name, _)| name).join(", ")
    ));
    failure.help("set FileDescriptorName= in the socket unit, one unit for each socket")
}

fn differs(name: &str, bound: &str, configured: &str) -> Failure {
    let key = NAMES.iter().find(|(it, _)| *it == name).map_or(name, |(_, key)| *key);
    let failure = Failure::config(format!(
        "the service manager passed a socket `{name}` that is bound to {bound}, and {key} is \
         {configured}"
    ));
    failure.help("write the same in ListenStream= of the socket unit and in the configuration")
}
