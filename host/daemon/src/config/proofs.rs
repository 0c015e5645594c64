//! Whether the listeners can prove what the sections `[caller.NAME]` ask for.
//!
//! A section whose proofs no listener of this platform gives, all of them together, would never
//! match: that is a mistake in the configuration, and not a caller that never comes.

use std::net::SocketAddr;

use keyward_policy::config::{CallerConfig, Config};
use keyward_policy::diagnostic::{Diagnostic, Location};
use keyward_policy::document::Document;
use keyward_policy::text::toml_key;

use super::Listen;

/// Reports every section that no caller at any listener can match.
pub(super) fn check(document: &Document<'_>, config: &Config, listen: &Listen) {
    let listeners = Listener::all(listen);
    for (name, caller) in &config.callers {
        let header = format!("[caller.{}]", toml_key(name));
        let wanted = wanted(caller);
        let missing: Vec<&Wanted> = wanted
            .iter()
            .filter(|wanted| !listeners.iter().any(|listener| listener.gives(wanted.proof)))
            .collect();
        for Wanted { proof, location } in &missing {
            let key = proof.key();
            let Missing { reason, help } = why_missing(*proof, listen);
            let message = format!("`{key}` of {header} is never proved: {reason}");
            document.push(Diagnostic::new(location.clone(), message).help(help));
        }
        let gives_all =
            |listener: &Listener| wanted.iter().all(|wanted| listener.gives(wanted.proof));
        if let (true, false, Some(last)) =
            (missing.is_empty(), listeners.iter().any(gives_all), wanted.last())
        {
            document.push(never_together(&header, &wanted, &listeners, last.location.clone()));
        }
    }
}

/// A key of a section: what must be proved about a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProofKey {
    User,
    Group,
    Unit,
    Certificate,
    ServiceAccount,
    Embedded,
}

impl ProofKey {
    const fn key(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Unit => "unit",
            Self::Certificate => "certificate",
            Self::ServiceAccount => "service_account",
            Self::Embedded => "embedded",
        }
    }
}

/// A proof that a section asks for.
struct Wanted {
    proof: ProofKey,
    location: Option<Location>,
}

fn wanted(caller: &CallerConfig) -> Vec<Wanted> {
    let CallerConfig { user, group, unit, certificate, service_account, embedded, location: _ } =
        caller;
    let all = [
        (ProofKey::User, user.as_ref().map(|value| &value.location)),
        (ProofKey::Group, group.as_ref().map(|value| &value.location)),
        (ProofKey::Unit, unit.as_ref().map(|value| &value.location)),
        (ProofKey::Certificate, certificate.as_ref().map(|value| &value.location)),
        (ProofKey::ServiceAccount, service_account.as_ref().map(|value| &value.location)),
        (ProofKey::Embedded, embedded.as_ref().map(|value| &value.location)),
    ];
    let given = all.into_iter().filter_map(|(proof, location)| {
        location.map(|location| Wanted { proof, location: location.clone() })
    });
    given.collect()
}

/// A listener, and what it can prove about a caller.
struct Listener {
    /// What names it in the configuration.
    name: &'static str,
    proofs: Vec<ProofKey>,
}

impl Listener {
    /// Those of a configuration on this platform.
    fn all(listen: &Listen) -> Vec<Self> {
        let Listen { socket, tcp, tls, kubernetes, .. } = listen;
        let socket = socket.as_ref().filter(|_| cfg!(unix)).map(|_| {
            let mut proofs = vec![ProofKey::User];
            if cfg!(target_os = "linux") {
                proofs.extend([ProofKey::Group, ProofKey::Unit]);
            }
            ("`socket`", proofs)
        });
        // The kernel knows the other end of a connection within the machine only.
        let user = |address: &SocketAddr| {
            let is_known = address.ip().is_loopback() && cfg!(target_os = "linux");
            is_known.then_some(ProofKey::User)
        };
        let tcp = tcp.as_ref().map(|tcp| ("`tcp`", user(tcp).into_iter().collect()));
        let tls = tls.as_ref().map(|tls| {
            let certificate = tls.client_ca.as_ref().map(|_| ProofKey::Certificate);
            ("[listen.tls]", user(&tls.address).into_iter().chain(certificate).collect::<Vec<_>>())
        });
        let token = kubernetes.as_ref().map(|_| ProofKey::ServiceAccount);
        let all = [socket, tcp, tls].into_iter().flatten();
        all.map(|(name, proofs)| Self { name, proofs: proofs.into_iter().chain(token).collect() })
            .collect()
    }

    fn gives(&self, proof: ProofKey) -> bool {
        self.proofs.contains(&proof)
    }
}

/// Why no listener gives a proof.
struct Missing {
    reason: &'static str,
    help: &'static str,
}

fn why_missing(proof: ProofKey, listen: &Listen) -> Missing {
    let (reason, help) = match proof {
        ProofKey::User if cfg!(not(unix)) => ("this system has no Unix users", "remove it"),
        ProofKey::User if listen.tls.is_some() && cfg!(target_os = "linux") => (
            "users are known at the Unix socket and at loopback addresses, and there is no such \
             listener",
            "add `socket` to [listen], or remove it",
        ),
        ProofKey::Group | ProofKey::Unit if cfg!(not(target_os = "linux")) => {
            ("only Linux reports it", "remove it")
        }
        ProofKey::User | ProofKey::Group | ProofKey::Unit => {
            ("there is no Unix socket", "add `socket` to [listen]")
        }
        ProofKey::Certificate => {
            ("no listener asks for client certificates", "add `client_ca` to [listen.tls]")
        }
        ProofKey::ServiceAccount => {
            ("no issuer of tokens is configured", "add a section [listen.kubernetes]")
        }
        ProofKey::Embedded => (
            "only a service that embeds the broker names its parts",
            "remove it: callers of a daemon are processes",
        ),
    };
    Missing { reason, help }
}

/// The error of a section whose proofs are given by different listeners.
fn never_together(
    header: &str,
    wanted: &[Wanted],
    listeners: &[Listener],
    location: Option<Location>,
) -> Diagnostic {
    let quoted = |keys: &mut dyn Iterator<Item = ProofKey>| {
        let keys: Vec<String> = keys.map(|proof| format!("`{}`", proof.key())).collect();
        keys.join(" and ")
    };
    let all = quoted(&mut wanted.iter().map(|wanted| wanted.proof));
    let each: Vec<String> = listeners
        .iter()
        .filter_map(|listener| {
            let of_section = wanted.iter().map(|wanted| wanted.proof);
            let given = quoted(&mut of_section.filter(|proof| listener.gives(*proof)));
            (!given.is_empty()).then(|| format!("{} proves {given}", listener.name))
        })
        .collect();
    let message = format!("{all} of {header} are never proved together: {}", each.join(", "));
    Diagnostic::new(location, message).help("write two sections")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::DaemonConfig;

    fn mistakes(text: &str) -> String {
        let text = format!(
            "[identity.default]\nsource = \"imds\"\n[mount.arm]\nplugin = \"arm\"\n\
             callers = [\"web\"]\n{text}"
        );
        let read = DaemonConfig::parse(Path::new("k.toml"), &text);
        read.err().map(|failure| failure.message().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_proof_that_no_listener_gives_is_a_mistake() {
        let tcp = "[listen]\ntcp = \"127.0.0.1:8200\"\n[caller.web]\n";
        let remote = "[listen.tls]\naddress = \"0.0.0.0:8443\"\nclient_ca = \"ca.pem\"\n\
                      certificate = \"c\"\nkey = \"k\"\n";
        let certificate = "certificate = \"a.example\"";
        for (text, words) in [
            (format!("{tcp}unit = \"web.service\""), "`unit` of [caller.web] is never proved"),
            (format!("{tcp}group = 33"), "there is no Unix socket"),
            ("[caller.web]\ncertificate = \"a.example\"".to_owned(), "`client_ca`"),
            ("[caller.web]\nservice_account = \"a/b\"".to_owned(), "[listen.kubernetes]"),
            ("[caller.web]\nembedded = \"x\"".to_owned(), "embeds the broker"),
            (
                "[caller.web]\nunit = \"a.service\"\ncertificate = \"a.example\"\n\
                 [listen]\nsocket = \"s\"\n\
                 [listen.tls]\naddress = \"127.0.0.1:8443\"\nclient_ca = \"ca.pem\""
                    .to_owned(),
                "`unit` and `certificate` of [caller.web] are never proved together: `socket` proves \
                 `unit`, [listen.tls] proves `certificate`",
            ),
            (
                format!("{remote}[caller.web]\nuser = 33"),
                "`user` of [caller.web] is never proved: users are known at the Unix socket",
            ),
            (
                format!("{remote}[listen]\nsocket = \"s\"\n[caller.web]\nuser = 33\n{certificate}"),
                "`user` and `certificate` of [caller.web] are never proved together",
            ),
            (
                format!(
                    "{remote}[listen]\ntcp = \"[::1]:8200\"\n[caller.web]\nuser = 33\n{certificate}"
                ),
                "`tcp` proves `user`, [listen.tls] proves `certificate`",
            ),
        ] {
            let mistakes = mistakes(&text);
            assert!(mistakes.contains(words), "{text}: {mistakes}");
            assert!(mistakes.contains("k.toml:"), "it names the line: {mistakes}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_proof_that_a_listener_gives_is_accepted() {
        let tcp = "[listen]\ntcp = \"127.0.0.1:8200\"\n[caller.web]\n";
        for text in [
            "[caller.web]\nuser = 33\ngroup = 33\nunit = \"web.service\"".to_owned(),
            format!("{tcp}user = 33"),
            "[caller.web]\nuser = 33\ncertificate = \"a.example\"\n\
             [listen.tls]\naddress = \"127.0.0.1:8443\"\nclient_ca = \"ca.pem\""
                .to_owned(),
            "[caller.web]\ncertificate = \"a.example\"\n\
             [listen.tls]\naddress = \"0.0.0.0:8443\"\nclient_ca = \"ca.pem\"\n\
             certificate = \"c\"\nkey = \"k\""
                .to_owned(),
            "[caller.web]\nservice_account = \"a/b\"\nuser = 33\n\
             [listen.kubernetes]\nissuer = \"https://issuer.example\""
                .to_owned(),
        ] {
            assert_eq!(mistakes(&text), "", "{text}");
        }
    }

    #[test]
    fn tls_listens_beyond_loopback_only_where_every_caller_proves_itself() {
        let tls = "[listen.tls]\naddress = \"0.0.0.0:8443\"\n";
        let caller = "[caller.web]\nuser = 33\n[listen]\nsocket = \"s\"\n";
        for text in [
            format!("{caller}{tls}"),
            format!("{tls}callers = \"anybody-on-this-machine\"\nclient_ca = \"ca.pem\""),
        ] {
            let mistakes = mistakes(&text);
            assert!(mistakes.contains("which is not a loopback address"), "{text}: {mistakes}");
        }
    }
}
