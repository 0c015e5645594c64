//! The daemon's configuration: the broker's, and what is the daemon's own.

mod admin;
mod confine;
#[cfg(test)]
mod declared;
mod kubernetes;
mod listen;
mod lock;
pub(crate) mod machine;
mod origin;
mod proofs;

use std::path::{Path, PathBuf};

use keyward::{Plan, Plugins};
use keyward_policy::config::{self, Config, base_directory};
use keyward_policy::diagnostic::Diagnostic;
use keyward_policy::document::{Document, Key, Section, SectionKeys};

use crate::accounts::Accounts;
use crate::compile_cache;
use crate::exit::Failure;
pub(crate) use confine::Confine;
use confine::confine;
use listen::listen;
pub(crate) use listen::{Listen, ListenTls, Pair, SiteName};
pub(crate) use lock::LockConfig;
pub(crate) use origin::Origin;

const FILE: Key =
    Key::path("file", "/var/log/keyward/audit.jsonl", "the file that records are appended to")
        .default_is("standard output");

const AUDIT: SectionKeys =
    SectionKeys::new(&["audit"], "Where the audit records of calls go.", &[&FILE]);

/// All sections of a configuration file, in the order of the reference.
pub(crate) fn sections() -> Vec<&'static SectionKeys> {
    let own = [
        &listen::LISTEN,
        &listen::TLS,
        &kubernetes::KUBERNETES,
        &admin::ADMIN,
        &AUDIT,
        &lock::LOCK,
        &confine::CONFINE,
    ];
    config::SECTIONS.iter().copied().chain(own).collect()
}

/// All of a configuration file.
#[derive(Debug)]
pub(crate) struct DaemonConfig {
    pub(crate) broker: Config,
    pub(crate) listen: Listen,
    /// The admin socket; `None` if there is none.
    pub(crate) admin: Option<PathBuf>,
    pub(crate) audit: Audit,
    pub(crate) lock: LockConfig,
    pub(crate) confine: Confine,
    /// The SHA-256 of its text, in hexadecimal digits.
    pub(crate) digest: String,
}

/// `[audit]`: where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audit {
    Stdout,
    File(PathBuf),
}

impl DaemonConfig {
    /// Reads a file.
    pub(crate) fn load(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::config(format!("cannot read the configuration {}: {error}", file.display()))
        })?;
        let config = Self::parse(file, &text)?;
        for warning in &config.broker.warnings {
            let location = warning
                .location
                .as_ref()
                .map(|location| format!("{location}: "))
                .unwrap_or_default();
            let write = warning.write.as_deref().unwrap_or_default();
            tracing::warn!("{location}{}; write: {write}", warning.message);
        }
        Ok(config)
    }

    /// Reads a text; `file` is its name in messages.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, Failure> {
        let document = Document::parse(&file.display().to_string(), text)?;
        let base = base_directory(file);
        let config = {
            let root = document.root();
            let mut broker = Config::read(&root, base);
            let listen = listen(&root, base, !broker.callers.is_empty());
            proofs::check(&document, &broker, &listen);
            let admin = admin::admin(&root, base, &listen);
            let audit = audit(&root, base);
            let lock = lock::lock(&root, base, file);
            let confine = confine(&root, base);
            broker.warnings = root.warnings();
            if broker.mounts.is_empty() && !root.has_table("mount") {
                let write = "[mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://NAME.vault.azure.net\"";
                let message = "no mount is configured, so there is nothing to serve";
                document.push(
                    Diagnostic::new(None, message).expected("a section [mount.NAME]").write(write),
                );
            }
            root.finish();
            let digest = keyward_policy::plan::sha256(text.as_bytes());
            Self { broker, listen, admin, audit, lock, confine, digest }
        };
        let mut config = document.finish(config)?;
        config.broker.resolve_accounts(&Accounts)?;
        compile_cache::settle(&mut config.broker);
        Ok(config)
    }

    /// Fits it to the bundled plugins.
    pub(crate) fn plan(mut self) -> Result<(Plan, Listen, Audit), Failure> {
        let plan = keyward::plan(self.broker, &bundled())?;
        if let Some(kubernetes) = &mut self.listen.kubernetes {
            kubernetes.addresses = plan.config.egress.resolve.clone();
        }
        Ok((plan, self.listen, self.audit))
    }
}

/// The plugins that are part of this program.
pub(crate) fn bundled() -> Plugins {
    keyward_bundle::PLUGINS
        .iter()
        .fold(Plugins::new(), |plugins, plugin| plugins.with(plugin.name, plugin.component))
}

fn audit(root: &Section<'_>, base: &Path) -> Audit {
    let section = root.section(&AUDIT);
    let file = section.path(&FILE, base);
    section.finish();
    file.map_or(Audit::Stdout, |file| Audit::File(file.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNT: &str = "[identity.default]\nsource = \"imds\"\n[mount.arm]\nplugin = \"arm\"\n";

    fn parse(listen: &str) -> Result<DaemonConfig, String> {
        let text = format!("{MOUNT}{listen}");
        DaemonConfig::parse(Path::new("k.toml"), &text).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn a_socket_of_the_users_own_is_the_default() {
        let listen = parse("").unwrap().listen;
        assert_eq!((listen.mode, listen.tcp), (0o600, None));
        assert!(listen.socket.unwrap().ends_with("keyward/keyward.sock"));
    }

    #[test]
    fn tcp_is_for_those_who_say_that_anybody_may_call() {
        let error = parse("[listen]\ntcp = \"127.0.0.1:8200\"\n").unwrap_err();
        assert!(error.contains("tcp_callers = \\\"anybody-on-this-machine\\\""), "{error}");
        let listen = parse(
            "[listen]\ntcp = \"127.0.0.1:8200\"\ntcp_callers = \"anybody-on-this-machine\"\n",
        )
        .unwrap()
        .listen;
        assert_eq!((listen.socket, listen.tcp), (None, Some("127.0.0.1:8200".parse().unwrap())));
    }

    #[test]
    fn no_socket_is_open_to_the_world_and_no_port_to_the_network() {
        for bad in [
            "mode = \"0666\"",
            "mode = \"0400\"",
            "mode = \"rw\"",
            "tcp = \"0.0.0.0:8200\"",
            "tcp = \"10.0.0.1:1\"",
        ] {
            assert!(parse(&format!("[listen]\n{bad}\n")).is_err(), "{bad}");
        }
        assert_eq!(parse("[listen]\nmode = \"0660\"\n").unwrap().listen.mode, 0o660);
    }

    #[test]
    fn a_listener_with_tls_says_who_may_call_and_has_a_pair_or_none() {
        let callers = "callers = \"anybody-on-this-machine\"\n";
        let tls = |lines: &str| parse(&format!("[listen.tls]\n{lines}"));
        let error = tls("address = \"127.0.0.1:8443\"\n").unwrap_err();
        assert!(error.contains("callers = \\\"anybody-on-this-machine\\\""), "{error}");
        assert!(tls(callers).unwrap_err().contains("127.0.0.1:8443"));
        assert!(tls(&format!("address = \"0.0.0.0:8443\"\n{callers}")).is_err());
        let half = format!("address = \"127.0.0.1:8443\"\n{callers}certificate = \"server.pem\"\n");
        assert!(tls(&half).unwrap_err().contains("`certificate` and `key`"));
        let listen = tls(&format!("{half}key = \"server.key\"\n")).unwrap().listen;
        assert!(listen.socket.is_none() && matches!(listen.tls.unwrap().pair, Pair::Files { .. }));
        let made = tls(&format!("address = \"127.0.0.1:8443\"\n{callers}directory = \"d\"\n"))
            .unwrap()
            .listen;
        assert_eq!(made.tls.unwrap().pair, Pair::Made { directory: "./d".into() });
    }

    #[test]
    fn two_listeners_have_two_addresses() {
        let callers = "callers = \"anybody-on-this-machine\"\n";
        let both = |tcp: &str, tls: &str| {
            parse(&format!(
                "[listen]\ntcp = \"{tcp}\"\ntcp_{callers}[listen.tls]\naddress = \
                 \"{tls}\"\n{callers}"
            ))
        };
        let error = both("127.0.0.1:8200", "127.0.0.1:8200").unwrap_err();
        assert!(
            error.contains("are both 127.0.0.1:8200") && error.contains("127.0.0.1:8201"),
            "{error}"
        );
        for (tcp, tls) in [
            ("127.0.0.1:8200", "127.0.0.1:8201"),
            ("127.0.0.1:8200", "[::1]:8200"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert!(both(tcp, tls).is_ok(), "{tcp} {tls}");
        }
        let error = both("0.0.0.0:8200", "127.0.0.1:8201").unwrap_err();
        assert!(!error.contains("without `tcp`"), "{error}");
    }

    #[test]
    fn origins_are_those_of_a_listener_that_web_pages_reach() {
        let callers = "callers = \"anybody-on-this-machine\"\n";
        let tcp = |origins: &str| {
            let lines = format!("tcp = \"127.0.0.1:8200\"\ntcp_{callers}origins = {origins}\n");
            parse(&format!("[listen]\n{lines}")).map(|config| config.listen)
        };
        let names = |origins: &[Origin]| -> Vec<String> {
            origins.iter().map(|origin| origin.as_str().to_owned()).collect()
        };
        let listen = tcp("[\"https://app.example:443\", \"http://localhost:3000\"]").unwrap();
        assert_eq!(names(&listen.origins), ["https://app.example", "http://localhost:3000"]);
        assert!(tcp("[]").unwrap().origins.is_empty());
        for (invalid, expected) in [
            ("[\"null\"]", "has the origin `null`"),
            ("[\"https://app.example/\"]", "origins = [\\\"https://app.example\\\"]"),
            ("\"https://app.example\"", "a list of strings"),
        ] {
            let error = tcp(invalid).unwrap_err();
            assert!(error.contains(expected) && error.contains("k.toml:8:1"), "{error}");
        }
        let error = parse("[listen]\norigins = [\"https://app.example\"]\n").unwrap_err();
        assert!(error.contains("without `tcp`") && error.contains("[listen.tls]"), "{error}");
        let lines = format!("address = \"127.0.0.1:8443\"\n{callers}origins = [\"https://a.b\"]\n");
        let listen = parse(&format!("[listen.tls]\n{lines}")).unwrap().listen;
        assert_eq!(names(&listen.tls.unwrap().origins), ["https://a.b"]);
        let lines = "address = \"0.0.0.0:8443\"\norigins = [\"https://a.b\"]\n";
        let error = parse(&format!("[listen.tls]\n{lines}")).unwrap_err();
        assert!(error.contains("no web page can call there"), "{error}");
    }

    #[test]
    fn a_socket_has_a_path_that_the_system_takes_and_no_shell_expands() {
        let error = parse(&format!("[listen]\nsocket = \"/{}\"\n", "x".repeat(107))).unwrap_err();
        assert!(error.contains("has 108 bytes") && error.contains("keyward.sock"), "{error}");
        for (path, reason) in [("~/x.sock", "`~` is not"), ("$HOME/x.sock", "variables are not")] {
            let error = parse(&format!("[listen]\nsocket = {path:?}\n")).unwrap_err();
            assert!(error.contains(reason) && error.contains("k.toml:6:10"), "{error}");
            assert!(parse(&format!("[audit]\nfile = {path:?}\n")).is_err());
        }
        assert!(parse("[listen]\nsocket = \"./~/x.sock\"\n").is_ok());
    }

    #[test]
    fn each_part_of_the_confinement_can_be_turned_off() {
        let confine = |lines: &str| parse(&format!("[confine]\n{lines}")).map(|c| c.confine);
        let all = confine("").unwrap();
        assert!(all.no_new_privileges && all.landlock && all.tcp_ports && all.seccomp);
        assert_eq!(parse("").unwrap().confine, all);
        assert!(!confine("landlock = false").unwrap().landlock);
        assert!(!confine("tcp_ports = false").unwrap().tcp_ports);
        assert!(!confine("seccomp = false").unwrap().seccomp);
        let off = "no_new_privileges = false\nlandlock = false\nseccomp = false\n";
        assert!(!confine(off).unwrap().no_new_privileges);
        let error = confine("no_new_privileges = false\nseccomp = false\n").unwrap_err();
        assert!(error.contains("k.toml:6:") && error.contains("landlock = false"), "{error}");
        let read = confine("read = [\"nss\", \"/opt/nss\"]").unwrap().read;
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        assert_eq!(read, [Path::new("./nss"), Path::new("/opt/nss")]);
        assert!(confine("read = [\"~/nss\"]").unwrap_err().contains("`~` is not"));
    }

    #[test]
    fn a_deprecated_key_works_with_a_warning() {
        let text = MOUNT.replace("\"arm\"\n", "\"arm\"\nsas_export = false\n");
        let config = DaemonConfig::parse(Path::new("k.toml"), &text).unwrap();
        let [warning] = config.broker.warnings.as_slice() else {
            panic!("{:?}", config.broker.warnings)
        };
        let warning = warning.to_string();
        assert!(
            warning.contains("k.toml:5:1: `sas_export` in [mount.arm] is deprecated"),
            "{warning}"
        );
        assert!(warning.contains("hand_out = [\"listServiceSas\"]"), "{warning}");
        assert!(parse("").unwrap().broker.warnings.is_empty());
    }

    #[test]
    fn an_empty_configuration_serves_nothing_and_says_so() {
        let failure = DaemonConfig::parse(Path::new("k.toml"), "").unwrap_err();
        assert!(format!("{failure:?}").contains("[mount.vault]"), "{failure:?}");
    }
}
