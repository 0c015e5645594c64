//! Derives the confinement from a configuration: the files and TCP ports that it needs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use keyward::identity::source::Needs;
use keyward::{Plan, probe};
use keyward_policy::config::CompileCache;

use super::rules::{Access, Confinement, Programs, Rules, Switch, TcpPorts};
use crate::config::{Audit, Confine, Listen, LockConfig, Pair};
use crate::environment;
use crate::service_account::IssuerConfig;

/// Directories and files of the system that may be read, if they exist.
///
/// All of `/etc` is among them, because the resolver reads `/etc/resolv.conf` and `/etc/hosts`
/// again when they change. Programs that change them replace them by new files, for which a rule
/// for the old file has no effect.
const SYSTEM: [&str; 17] = [
    "/etc",
    // Modules of the C library for name lookups, time zones, certificates.
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    // The number of processors, processes of callers.
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/random",
    "/dev/urandom",
    // Where `/etc/resolv.conf` leads to, and what modules for name lookups read.
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/run/systemd/userdb",
    "/var/lib/sss/mc",
];

/// Files in `/etc` that are often links to other directories.
const LINKED: [&str; 4] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt"];

/// Directories of certificates outside of `/etc` and `/usr`.
const CERTIFICATES: [&str; 1] = ["/var/lib/ca-certificates"];

/// DNS over TCP, for responses that do not fit in a datagram.
const DNS: u16 = 53;

/// The reason why landlock is off with the Azure CLI.
const AZURE_CLI: &str = "an identity's source is the Azure CLI, another program, which needs more";

/// Derives the confinement of a configuration. Reads links, and runs nothing.
pub(crate) fn confinement(
    confine: &Confine,
    plan: &Plan,
    (listen, admin): (&Listen, Option<&Path>),
    audit: &Audit,
    lock: &LockConfig,
) -> Confinement {
    let needs = probe::needs(plan);
    let programs = if needs.runs_programs { Programs::Permitted } else { Programs::Denied };
    let landlock = match confine {
        Confine { landlock: false, .. } => Switch::Off("`landlock = false` in [confine]"),
        _ if needs.runs_programs => Switch::Off(AZURE_CLI),
        _ => {
            let mut rules = Rules::default();
            system(&mut rules);
            broker(&mut rules, plan);
            sources(&mut rules, &needs);
            listeners(&mut rules, listen);
            if let Some(socket) = admin {
                permit_file(&mut rules, socket, Access::LISTEN);
            }
            audit_file(&mut rules, audit);
            if let Some(file) = &lock.file {
                permit_file(&mut rules, file, Access::REPLACE);
            }
            for path in &confine.read {
                rules.permit_configured(absolute(path), Access::READ);
            }
            rules.tcp = confine.tcp_ports.then(|| tcp_ports(plan, &needs, listen));
            Switch::On(rules)
        }
    };
    let switch = |is_on, reason| if is_on { Switch::On(()) } else { Switch::Off(reason) };
    Confinement {
        no_new_privileges: switch(
            confine.no_new_privileges,
            "`no_new_privileges = false` in [confine]",
        ),
        landlock,
        seccomp: if confine.seccomp {
            Switch::On(programs)
        } else {
            Switch::Off("`seccomp = false` in [confine]")
        },
    }
}

impl Confinement {
    /// Permits reading a file and its successors.
    pub(crate) fn permit_reading(&mut self, file: &Path) {
        if let Switch::On(rules) = &mut self.landlock {
            permit_file(rules, file, Access::READ);
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Permits access to a file and to its successors, also where links lead to: to its directory. A
/// file in the root directory is permitted alone.
fn permit_file(rules: &mut Rules, file: &Path, access: Access) {
    directories_of(file).for_each(|path| rules.permit(path, access));
}

/// The same for a file that the configuration names, in a directory that must exist.
fn permit_configured(rules: &mut Rules, file: &Path, access: Access) {
    directories_of(file).for_each(|path| rules.permit_configured(path, access));
}

fn directories_of(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let paths = [Some(absolute(file)), file.canonicalize().ok()].into_iter().flatten();
    paths.map(|path| match path.parent() {
        Some(directory) if directory.parent().is_some() => directory.to_owned(),
        Some(_) | None => path,
    })
}

fn system(rules: &mut Rules) {
    for path in SYSTEM {
        rules.permit(path, Access::READ);
    }
    rules.permit("/dev/null", Access::READ | Access::WRITE);
    for file in LINKED.map(Path::new) {
        if file.canonicalize().is_ok_and(|path| !path.starts_with("/etc")) {
            permit_file(rules, file, Access::READ);
        }
    }
    // For the names of functions in backtraces.
    if let Ok(program) = std::env::current_exe() {
        rules.permit(program, Access::READ);
    }
}

fn broker(rules: &mut Rules, plan: &Plan) {
    let config = &plan.config;
    if config.tls.system_roots {
        for path in CERTIFICATES {
            rules.permit(path, Access::READ);
        }
        if let Some(file) = environment::path("SSL_CERT_FILE") {
            permit_file(rules, &file, Access::READ);
        }
        let directories = environment::path("SSL_CERT_DIR").unwrap_or_default();
        for directory in std::env::split_paths(&directories) {
            if directory.as_os_str() != OsStr::new("") {
                rules.permit(absolute(&directory), Access::READ);
            }
        }
    }
    for file in &config.tls.ca_files {
        permit_configured(rules, &file.value, Access::READ);
    }
    if let CompileCache::Directory(directory) = &config.compile_cache {
        rules.permit(absolute(directory), Access::REPLACE);
    }
    for persist in config.identities.values().filter_map(|identity| identity.persist.as_ref()) {
        use keyward_policy::config::PersistKeyConfig;
        permit_configured(rules, &persist.path, Access::REPLACE);
        match &persist.key {
            PersistKeyConfig::File(file) => permit_configured(rules, file, Access::READ),
            PersistKeyConfig::Credential(_) => {
                if let Some(directory) = environment::path("CREDENTIALS_DIRECTORY") {
                    rules.permit(directory, Access::READ);
                }
            }
        }
    }
}

fn sources(rules: &mut Rules, needs: &Needs) {
    for path in &needs.reads {
        if path.is_dir() {
            rules.permit(absolute(path), Access::READ);
        } else {
            permit_file(rules, path, Access::READ);
        }
    }
}

fn listeners(rules: &mut Rules, listen: &Listen) {
    if let Some(socket) = &listen.socket {
        permit_file(rules, socket, Access::LISTEN);
    }
    match listen.tls.as_ref().map(|tls| &tls.pair) {
        Some(Pair::Files { certificate, key }) => {
            permit_configured(rules, certificate, Access::READ);
            permit_configured(rules, key, Access::READ);
        }
        Some(Pair::Made { directory }) => rules.permit(absolute(directory), Access::REPLACE),
        None => {}
    }
    let client_ca = listen.tls.as_ref().and_then(|tls| tls.client_ca.as_deref());
    let issuer = listen.kubernetes.iter().flat_map(|issuer| issuer.keys.files());
    for file in client_ca.into_iter().chain(issuer) {
        permit_configured(rules, file, Access::READ);
    }
}

fn audit_file(rules: &mut Rules, audit: &Audit) {
    let Audit::File(path) = audit else { return };
    // A terminal, a pipe: nobody puts another file in its place, and its directory is `/dev`.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        rules.permit(absolute(path), Access::WRITE);
    } else {
        permit_configured(rules, path, Access::APPEND);
    }
}

fn tcp_ports(plan: &Plan, needs: &Needs, listen: &Listen) -> TcpPorts {
    let mut ports = TcpPorts::default();
    ports.connect.insert(DNS);
    ports.connect.extend(&needs.ports);
    ports.connect.extend(plan.config.egress.resolve.values().map(std::net::SocketAddr::port));
    for grant in plan.mounts.iter().flat_map(|mount| &mount.grants) {
        ports.connect.insert(grant.endpoint.port);
        ports.connect.extend(grant.redirects.iter().map(|redirect| redirect.endpoint.port));
        if let Some(nodes) = &grant.redirect_nodes {
            let [first, last] = nodes.ports;
            ports.connect.extend(first..=last);
        }
    }
    ports.connect.extend(listen.kubernetes.as_ref().and_then(IssuerConfig::port));
    ports.bind.extend(listen.tcp.map(|address| address.port()));
    ports.bind.extend(listen.tls.as_ref().map(|tls| tls.address.port()));
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DaemonConfig;

    fn derived(text: &str) -> Confinement {
        let file = Path::new("/srv/keyward/k.toml");
        let config = DaemonConfig::parse(file, text).unwrap_or_else(|failure| {
            panic!("{text}{}", failure.message());
        });
        let (confine, lock) = (config.confine.clone(), config.lock.clone());
        let admin = config.admin.clone();
        let (plan, listen, audit) = config.plan().unwrap();
        confinement(&confine, &plan, (&listen, admin.as_deref()), &audit, &lock)
    }

    fn rules(text: &str) -> Rules {
        match derived(text).landlock {
            Switch::On(rules) => rules,
            Switch::Off(reason) => panic!("{reason}"),
        }
    }

    const VAULT: &str = "[identity.default]\nsource = \"imds\"\n[mount.vault]\nplugin = \
                         \"keyvault\"\nendpoint = \"https://contoso.vault.azure.net\"\n";

    fn access(rules: &Rules, path: &str) -> Access {
        rules.paths.get(Path::new(path)).copied().unwrap_or_default()
    }

    #[test]
    fn the_directories_of_the_configuration_are_permitted_and_no_others_are_written() {
        let rules = rules(&format!(
            "{VAULT}[identity.kept]\nsource = \"imds\"\npersist = \"tokens/t\"\npersist_key = \
             \"keys/k\"\n[tls]\nca_files = [\"cas/ca.pem\"]\n[compile_cache]\ndirectory = \
             \"compiled\"\n[audit]\nfile = \"log/audit.jsonl\"\n[listen]\nsocket = \
             \"run/k.sock\"\n[listen.tls]\naddress = \"127.0.0.1:8443\"\ncallers = \
             \"anybody-on-this-machine\"\ndirectory = \"tls\"\n[confine]\nread = [\"nss\"]\n\
             [lock]\nfile = \"locks/l.json\"\n"
        ));
        let expected = [
            ("locks", Access::REPLACE),
            ("tokens", Access::REPLACE),
            ("keys", Access::READ),
            ("cas", Access::READ),
            ("compiled", Access::REPLACE),
            ("log", Access::APPEND),
            ("run", Access::LISTEN),
            ("tls", Access::REPLACE),
            ("nss", Access::READ),
        ];
        for (name, expected) in expected {
            assert_eq!(access(&rules, &format!("/srv/keyward/{name}")), expected, "{name}");
        }
        assert_eq!(access(&rules, "/etc"), Access::READ);
        for (path, access) in &rules.paths {
            let is_own = path.starts_with("/srv/keyward") || path == Path::new("/dev/null");
            assert!(is_own || *access == Access::READ, "{}", path.display());
        }
        assert!(!rules.paths.contains_key(Path::new("/")));
        // The daemon creates all others.
        let configured = ["cas", "keys", "log", "nss", "tokens"];
        let configured = configured.map(|name| Path::new("/srv/keyward").join(name));
        assert_eq!(rules.configured, configured.into());
    }

    #[test]
    fn a_file_in_the_root_directory_does_not_permit_the_root_directory() {
        let rules = rules(&format!("{VAULT}[tls]\nca_files = [\"/ca.pem\"]\n"));
        assert_eq!(access(&rules, "/ca.pem"), Access::READ);
        assert!(!rules.paths.contains_key(Path::new("/")));
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_that_a_link_leads_to_is_permitted_too() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        for name in ["named", "linked"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("linked/ca.pem"), "").unwrap();
        std::os::unix::fs::symlink(at("linked/ca.pem"), at("named/ca.pem")).unwrap();
        let rules = rules(&format!("{VAULT}[tls]\nca_files = [{:?}]\n", at("named/ca.pem")));
        for name in ["named", "linked"] {
            assert_eq!(rules.paths.get(&at(name)), Some(&Access::READ), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_audit_to_a_device_permits_the_device_alone() {
        let rules = rules(&format!("{VAULT}[audit]\nfile = \"/dev/full\"\n"));
        assert_eq!(access(&rules, "/dev/full"), Access::WRITE);
        assert_eq!(access(&rules, "/dev"), Access::empty());
    }

    fn connect(text: &str) -> Vec<u16> {
        rules(text).tcp.unwrap().connect.into_iter().collect()
    }

    #[test]
    fn ports_are_those_of_endpoints_identities_and_dns() {
        assert_eq!(connect(VAULT), [53, 80, 443]);
        let imds = VAULT.replace(
            "source = \"imds\"\n",
            "source = \"imds\"\nendpoint = \"http://127.0.0.1:8080\"\n",
        );
        assert_eq!(connect(&imds), [53, 443, 8080]);
        let resolve = "[egress.resolve]\n\"contoso.vault.azure.net:443\" = \"127.0.0.1:9443\"\n";
        assert_eq!(connect(&format!("{VAULT}{resolve}")), [53, 80, 443, 9443]);
        assert_eq!(connect(&VAULT.replace("imds", "arc")), [53, 443, 40342]);
    }

    #[test]
    fn a_database_of_azures_has_the_ports_of_its_nodes() {
        let sql = "[identity.default]\nsource = \"imds\"\n[mount.sql]\nplugin = \"sql\"\nendpoint \
                   = \"sqlserver://contoso.database.windows.net\"\n[mount.sql.settings]\ndatabase \
                   = \"shop\"\n";
        let ports = connect(sql);
        assert_eq!(ports.first_chunk(), Some(&[53, 80, 1433, 11000]));
        assert_eq!((ports.last(), ports.len()), (Some(&11999), 1003));
    }

    #[test]
    fn listeners_bind_their_ports_and_no_others() {
        let bind = |listen: &str| {
            let ports = rules(&format!("{VAULT}{listen}")).tcp.unwrap();
            ports.bind.into_iter().collect::<Vec<_>>()
        };
        assert!(bind("").is_empty());
        let callers = "callers = \"anybody-on-this-machine\"\n";
        let both = format!(
            "[listen]\ntcp = \"127.0.0.1:0\"\ntcp_{callers}[listen.tls]\naddress = \
             \"127.0.0.1:8443\"\n{callers}"
        );
        assert_eq!(bind(&both), [0, 8443]);
        assert_eq!(rules(&format!("{VAULT}[confine]\ntcp_ports = false\n")).tcp, None);
    }

    #[test]
    fn the_azure_cli_turns_landlock_off_and_may_be_started() {
        let confinement = derived(&VAULT.replace("imds", "azure-cli"));
        assert_eq!(confinement.landlock, Switch::Off(AZURE_CLI));
        assert_eq!(confinement.seccomp, Switch::On(Programs::Permitted));
        assert_eq!(derived(VAULT).seccomp, Switch::On(Programs::Denied));
    }

    #[test]
    fn what_is_turned_off_is_off() {
        let off = "[confine]\nno_new_privileges = false\nlandlock = false\nseccomp = false\n";
        let off = derived(&format!("{VAULT}{off}"));
        assert!(matches!(off.no_new_privileges, Switch::Off(_)));
        assert!(matches!(off.landlock, Switch::Off(_)));
        assert!(matches!(off.seccomp, Switch::Off(_)));
    }

    #[test]
    fn the_files_and_the_port_of_callers_proofs_are_permitted() {
        let rules = rules(&format!(
            "{VAULT}callers = [\"web\"]\n[caller.web]\nuser = 33\n[listen]\nsocket = \"run/k.sock\"\n\
             [listen.tls]\naddress = \"127.0.0.1:8443\"\ndirectory = \"tls\"\n\
             client_ca = \"callers/ca.pem\"\n\
             [listen.kubernetes]\nissuer = \"i\"\nkeys_url = \"https://k.example:6443/keys\"\n\
             ca_file = \"cluster/ca.crt\"\ntoken_file = \"account/token\"\n"
        ));
        for name in ["callers", "cluster", "account"] {
            assert_eq!(access(&rules, &format!("/srv/keyward/{name}")), Access::READ, "{name}");
        }
        let ports = rules.tcp.as_ref().unwrap();
        assert!(ports.connect.contains(&6443), "{ports:?}");
    }
}
