//! What is proved about a caller: at the Unix socket by the kernel, at a loopback port by the kernel
//! too, and in a TLS handshake by a certificate. A connection keeps the proof; what it allows is
//! decided for each request.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use keyward::Caller;
use keyward::caller::{CertificateNames, Proof};
use keyward::callers::Callers;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;

use crate::exit::Failure;
use crate::log_limit::LogLimit;
use crate::peer::{self, SocketOwners};

/// Lines about users that could not be looked up.
static FAILED_LOOKUPS: LogLimit = LogLimit::new();

/// What the sections `[caller.NAME]` ask for. What none of them asks for is not looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Whether there is any section: then the user is looked up at loopback ports even if none has
    /// a `user`, because connections are counted by it.
    pub(crate) callers: bool,
    /// Whether one has a `unit`.
    #[cfg_attr(not(unix), allow(dead_code, reason = "only Unix sockets prove units"))]
    pub(crate) units: bool,
    /// Whether one has a `user`.
    pub(crate) users: bool,
}

impl Wanted {
    /// What these sections ask for.
    pub(crate) fn by(callers: &Callers) -> Self {
        let sections = callers.sections();
        Self {
            callers: !sections.is_empty(),
            units: sections.iter().any(|section| section.unit.is_some()),
            users: sections.iter().any(|section| section.uid.is_some()),
        }
    }
}

/// The process that connected to a Unix socket.
#[cfg(target_os = "linux")]
pub(crate) fn unix_socket(stream: &impl std::os::fd::AsFd, wanted: Wanted) -> io::Result<Caller> {
    let peer::Process { uid, gid, mut groups, pid, unit } =
        peer::of_unix_socket(stream, wanted.units)?;
    groups.extend(gid);
    let proof = Proof { uid, gid, groups: Some(groups), pid, unit, ..Proof::default() };
    Ok(proof.into())
}

/// The process that connected to a Unix socket. Its groups are not known.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn unix_socket(stream: &tokio::net::UnixStream, _wanted: Wanted) -> io::Result<Caller> {
    let credentials = stream.peer_cred()?;
    let (uid, gid, pid) = (credentials.uid(), credentials.gid(), credentials.pid());
    Ok(Proof { uid: Some(uid), gid: Some(gid), pid, ..Proof::default() }.into())
}

/// Finds the users at the other ends of loopback connections.
pub(super) struct LoopbackUsers(Option<Mutex<SocketOwners>>);

impl LoopbackUsers {
    /// Opens what it needs for a listener at this address, if there are sections of callers. At
    /// other addresses than loopback ones the kernel does not know who connects.
    ///
    /// # Errors
    ///
    /// The kernel does not say, and a section asks for users.
    pub(super) fn open(wanted: Wanted, listener: SocketAddr) -> Result<Self, Failure> {
        let is_loopback = listener.ip().is_loopback();
        if !wanted.callers || !is_loopback || cfg!(not(target_os = "linux")) {
            return Ok(Self(None));
        }
        match SocketOwners::open(listener) {
            Ok(owners) => Ok(Self(Some(Mutex::new(owners)))),
            Err(error) if wanted.users => {
                let failure = Failure::system(format!(
                    "cannot find out which user connects to a loopback port: {error}"
                ));
                Err(failure.help(
                    "load the kernel's module tcp_diag, or remove `tcp` and [listen.tls] and let \
                     callers use the Unix socket",
                ))
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "cannot find out which user connects to a loopback port: all that connect \
                     there share one part of `connections`"
                );
                Ok(Self(None))
            }
        }
    }

    /// The caller at the other end of a connection that was just accepted.
    pub(super) fn caller(&self, stream: &TcpStream, peer: SocketAddr) -> Caller {
        let owner = self.0.as_ref().map(|owners| {
            owners.lock().unwrap_or_else(PoisonError::into_inner).uid_of_peer(stream)
        });
        let uid = owner.and_then(|found| {
            found.unwrap_or_else(|error| {
                if let Some(left_out) = FAILED_LOOKUPS.permit() {
                    tracing::warn!(
                        %error,
                        left_out,
                        "cannot find out which user connected; the caller is anonymous"
                    );
                }
                None
            })
        });
        Proof { uid, peer: Some(peer), ..Proof::default() }.into()
    }
}

/// The same caller with the certificate of its TLS handshake, which the verifier accepted, and
/// until when that is valid.
///
/// # Errors
///
/// The certificate is malformed, or its names could be read in more than one way.
pub(super) fn with_certificate(
    caller: &Caller,
    chain: Option<&[CertificateDer<'_>]>,
) -> io::Result<(Caller, Option<SystemTime>)> {
    let Some(certificate) = chain.and_then(<[_]>::first) else { return Ok((caller.clone(), None)) };
    let peer::ClientCertificate { names: peer::CertificateNames { uris, dns }, expires } =
        peer::ClientCertificate::of(certificate)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let certificate = Some(CertificateNames { uris, dns });
    Ok((Proof { certificate, ..caller.proof().clone() }.into(), Some(expires)))
}
