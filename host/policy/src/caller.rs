//! Callers: what was proved about the program that sends a request.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A caller, as what was proved about it. Clones share the proof.
///
/// A listener, or the service that embeds the broker, makes one for each connection or request. It
/// says nothing about what the caller may do: that is decided for each request, from the
/// sections `[caller.NAME]` of the configuration ([`Callers`](crate::callers::Callers)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Arc<Proof>);

/// What was proved about a caller. What is `None` was not proved, and no section that asks for it
/// matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The name that the embedding service gives a part of itself.
    pub embedded: Option<String>,
    /// The user, as the kernel reports it.
    pub uid: Option<u32>,
    /// The group, as the kernel reports it.
    pub gid: Option<u32>,
    /// All groups, with `gid`. `None` where the kernel does not report them.
    pub groups: Option<Vec<u32>>,
    /// The process.
    pub pid: Option<i32>,
    /// The systemd unit of the process.
    pub unit: Option<String>,
    /// The names in the client certificate of the connection.
    pub certificate: Option<CertificateNames>,
    /// The Kubernetes service account of a token in the request.
    pub service_account: Option<ServiceAccount>,
    /// The other end of a TCP connection.
    pub peer: Option<SocketAddr>,
}

/// The names in a client certificate whose chain was verified: those of its extension
/// `subjectAltName` ([RFC 5280, 4.2.1.6]).
///
/// [RFC 5280, 4.2.1.6]: https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// URIs, a SPIFFE ID for example.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
}

/// A Kubernetes service account, from a token that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pod that the token is bound to.
    pub pod: Option<String>,
}

impl Caller {
    /// A part of the service that embeds the broker.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Proof { embedded: Some(name.into()), ..Proof::default() }.into()
    }

    /// What was proved.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.0
    }

    /// What all calls of one caller have in common, from whatever connection and process they come:
    /// two callers with the same identity are the same program or user, as far as was proved.
    #[must_use]
    pub fn identity(&self) -> String {
        let Proof { embedded, uid, certificate, service_account, .. } = self.proof();
        let name = embedded.as_ref().map(|name| format!("name={name}"));
        let certificate = certificate.as_ref().map(|names| format!("certificate={names}"));
        let account = service_account
            .as_ref()
            .map(|account| format!("service-account={}/{}", account.namespace, account.name));
        let user = uid.map(|uid| format!("uid={uid}"));
        let parts: Vec<String> = [name, account, certificate, user].into_iter().flatten().collect();
        if parts.is_empty() { "anybody".to_owned() } else { parts.join(" ") }
    }
}

impl From<Proof> for Caller {
    fn from(proof: Proof) -> Self {
        Self(Arc::new(proof))
    }
}

impl Proof {
    /// Whether it says who the caller is, and not only where it connected from.
    #[must_use]
    pub fn identifies(&self) -> bool {
        self.embedded.is_some()
            || self.uid.is_some()
            || self.certificate.is_some()
            || self.service_account.is_some()
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proof { embedded, uid, gid, groups: _, pid, unit, certificate, service_account, peer } =
            self.proof();
        let mut parts: Vec<String> = Vec::new();
        parts.extend(embedded.as_ref().map(|name| format!("name={name}")));
        if let Some(account) = service_account {
            parts.push(account.to_string());
        }
        if let Some(names) = certificate {
            parts.push(format!("certificate={names}"));
        }
        parts.extend(uid.map(|uid| format!("uid={uid}")));
        parts.extend(gid.map(|gid| format!("gid={gid}")));
        parts.extend(pid.map(|pid| format!("pid={pid}")));
        parts.extend(unit.as_ref().map(|unit| format!("unit={unit}")));
        if parts.is_empty() {
            parts.push("anybody".to_owned());
        }
        f.write_str(&parts.join(" "))?;
        match peer {
            Some(peer) => write!(f, " at {peer}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for CertificateNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.uris.iter().chain(&self.dns).map(String::as_str).collect();
        f.write_str(if names.is_empty() { "without names" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, pod } = self;
        write!(f, "service-account={namespace}/{name}")?;
        match pod {
            Some(pod) => write!(f, " pod={pod}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_shown_by_all_that_was_proved() {
        let process = Proof {
            uid: Some(33),
            gid: Some(33),
            groups: Some(vec![33, 100]),
            pid: Some(7),
            unit: Some("web.service".to_owned()),
            ..Proof::default()
        };
        assert_eq!(Caller::from(process).to_string(), "uid=33 gid=33 pid=7 unit=web.service");
        let peer = Some("127.0.0.1:5000".parse().unwrap());
        let anybody = Proof { peer, ..Proof::default() };
        assert_eq!(Caller::from(anybody.clone()).to_string(), "anybody at 127.0.0.1:5000");
        let pod = ServiceAccount {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            pod: Some("web-1".to_owned()),
        };
        let pod = Proof { service_account: Some(pod), ..anybody };
        let shown = "service-account=shop/web pod=web-1 at 127.0.0.1:5000";
        assert_eq!(Caller::from(pod).to_string(), shown);
        assert_eq!(Caller::named("reports").to_string(), "name=reports");
        let embedded = Some("reports".to_owned());
        let both = Proof { embedded, uid: Some(33), ..Proof::default() };
        assert_eq!(Caller::from(both).to_string(), "name=reports uid=33");
    }

    #[test]
    fn the_identity_is_the_same_for_all_processes_and_pods_of_a_caller() {
        let process = |pid| Proof { uid: Some(33), pid: Some(pid), ..Proof::default() };
        let identity = |proof: Proof| Caller::from(proof).identity();
        assert_eq!(identity(process(1)), identity(process(2)));
        assert_ne!(identity(process(1)), identity(Proof { uid: Some(34), ..process(1) }));
        let names = |dns: &str| CertificateNames { uris: Vec::new(), dns: vec![dns.to_owned()] };
        let with = |dns| Proof { certificate: Some(names(dns)), ..process(1) };
        assert_ne!(identity(with("a.example")), identity(with("b.example")));
        assert_ne!(identity(with("a.example")), identity(process(1)));
        let embedded = |uid| Proof { embedded: Some("a".to_owned()), uid, ..Proof::default() };
        assert_ne!(identity(embedded(Some(33))), identity(embedded(Some(34))));
    }
}
