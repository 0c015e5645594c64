//! Whether the listeners can prove what the sections `[caller.NAME]` ask for.
//!
//! A section that no listener of this platform can prove would never match: that is a mistake in the
//! configuration, and not a caller that never comes.

use keyward_policy::config::{CallerConfig, Config};
use keyward_policy::diagnostic::{Diagnostic, Location};
use keyward_policy::document::Document;
use keyward_policy::text::toml_key;

use super::Listen;

/// Reports every section with a proof that no listener can give.
pub(super) fn check(document: &Document<'_>, config: &Config, listen: &Listen) {
    for (name, caller) in &config.callers {
        for missing in missing(caller, listen) {
            let Missing { key, location, reason, help } = missing;
            let header = format!("[caller.{}]", toml_key(name));
            let message = format!("`{key}` of {header} is never proved: {reason}");
            document.push(Diagnostic::new(location, message).help(help));
        }
    }
}

/// A proof that cannot be given.
struct Missing {
    key: &'static str,
    location: Option<Location>,
    reason: &'static str,
    help: &'static str,
}

fn missing(caller: &CallerConfig, listen: &Listen) -> Vec<Missing> {
    let CallerConfig { user, group, unit, certificate, service_account, embedded, location: _ } =
        caller;
    let has_socket = listen.socket.is_some();
    let has_tcp = listen.tcp.is_some() || listen.tls.is_some();
    let has_certificates = listen.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let mut missing = Vec::new();
    let mut add = |key, location: Option<Location>, reason, help| {
        missing.push(Missing { key, location, reason, help });
    };
    let socket = "there is no Unix socket";
    let add_socket = "add `socket` to [listen]";
    if let Some(user) = user {
        if cfg!(not(unix)) {
            add("user", user.location.clone(), "this system has no Unix users", "remove it");
        } else if !has_socket && (cfg!(not(target_os = "linux")) || !has_tcp) {
            add("user", user.location.clone(), socket, add_socket);
        }
    }
    for (key, location) in [
        ("group", group.as_ref().map(|group| &group.location)),
        ("unit", unit.as_ref().map(|unit| &unit.location)),
    ] {
        let Some(location) = location else { continue };
        if cfg!(not(target_os = "linux")) {
            add(key, location.clone(), "only Linux reports it", "remove it");
        } else if !has_socket {
            add(key, location.clone(), socket, add_socket);
        }
    }
    if let Some(certificate) = certificate.as_ref().filter(|_| !has_certificates) {
        let reason = "no listener asks for client certificates";
        add("certificate", certificate.location.clone(), reason, "add `client_ca` to [listen.tls]");
    }
    if let Some(account) = service_account.as_ref().filter(|_| listen.kubernetes.is_none()) {
        let reason = "no issuer of tokens is configured";
        let help = "add a section [listen.kubernetes]";
        add("service_account", account.location.clone(), reason, help);
    }
    if let Some(embedded) = embedded {
        let reason = "only a service that embeds the broker names its parts";
        let help = "remove it: callers of a daemon are processes";
        add("embedded", embedded.location.clone(), reason, help);
    }
    let uses_socket = group.is_some() || unit.is_some();
    if let (true, Some(certificate)) = (uses_socket, certificate) {
        let reason = "`group` and `unit` are proved at the Unix socket, where there are no \
                      certificates";
        let help = "write two sections";
        add("certificate", certificate.location.clone(), reason, help);
    }
    missing
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
                "write two sections",
            ),
        ] {
            let mistakes = mistakes(&text);
            assert!(mistakes.contains(words), "{text}: {mistakes}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_proof_that_a_listener_gives_is_accepted() {
        let tcp = "[listen]\ntcp = \"127.0.0.1:8200\"\n[caller.web]\n";
        for text in [
            "[caller.web]\nuser = 33\ngroup = 33\nunit = \"web.service\"".to_owned(),
            format!("{tcp}user = 33"),
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
