//! `keyward doctor`: its findings and fixes on a machine with a problem.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use keyward_tests::Secrets;
use serde_json::Value;
use tempfile::TempDir;

use crate::identity::app_service;
use crate::process::{Daemon, config, keyward_nowhere};

/// An emulator, and a directory with a configuration for it.
pub(crate) struct Machine {
    pub(crate) emulator: Emulator,
    pub(crate) directory: TempDir,
    variables: Vec<(&'static str, String)>,
    configured: bool,
    pub(crate) metadata: String,
}

/// The output of `keyward doctor`.
pub(crate) struct Report {
    code: Option<i32>,
    json: Value,
    table: String,
}

impl Machine {
    /// A machine with this configuration. `ca.pem` is in the same directory.
    async fn with(text: impl FnOnce(&Emulator) -> String) -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        std::fs::write(directory.path().join("keyward.toml"), text(&emulator)).unwrap();
        Self {
            emulator,
            directory,
            variables: Vec::new(),
            configured: true,
            metadata: UNREACHABLE.to_owned(),
        }
    }

    pub(crate) async fn good() -> Self {
        Self::with(good).await
    }

    /// Runs the command once for each format, with the log at `trace`, and checks that no token is
    /// in its output.
    pub(crate) async fn diagnose(&self) -> Report {
        let run = |format: &'static str| {
            let mut command = keyward_nowhere();
            command.envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
            command.args([
                "doctor",
                "--log",
                "trace",
                "--metadata",
                &self.metadata,
                "--format",
                format,
            ]);
            if self.configured {
                command.arg("--config").arg(self.directory.path().join("keyward.toml"));
            }
            tokio::task::spawn_blocking(move || command.output().unwrap())
        };
        let (json, table) = tokio::join!(run("json"), run("table"));
        let (json, table) = (json.unwrap(), table.unwrap());
        let tokens = Secrets::tokens(self.emulator.issued_tokens());
        for output in [&json, &table] {
            tokens.assert_absent("what it prints", &output.stdout);
            tokens.assert_absent("its log", &output.stderr);
        }
        assert_eq!(json.status.code(), table.status.code());
        let code = json.status.code();
        let table = String::from_utf8(table.stdout).unwrap();
        let json = serde_json::from_slice(&json.stdout)
            .unwrap_or_else(|error| panic!("{error}: {json:?}"));
        Report { code, json, table }
    }
}

impl Report {
    fn checks(&self) -> &[Value] {
        self.json["checks"].as_array().unwrap()
    }

    /// The findings of a check whose subject contains `subject`.
    pub(crate) fn findings(&self, check: &str, subject: &str) -> Vec<&Value> {
        let is_it = |found: &&Value| {
            found["check"] == check && found["subject"].as_str().unwrap().contains(subject)
        };
        self.checks().iter().filter(is_it).collect()
    }

    /// Asserts that a check has one finding about the subject, with this status, and that its text
    /// contains all of the words.
    fn assert_finding(&self, check: &str, subject: &str, status: &str, words: &[&str]) {
        let found = self.findings(check, subject);
        assert_eq!(found.len(), 1, "{}", self.table);
        let text = format!(
            "{} -> {}",
            found[0]["found"].as_str().unwrap(),
            found[0]["fix"].as_str().unwrap_or_default()
        );
        assert_eq!(found[0]["status"], status, "{text}");
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    /// The checks that found a problem.
    fn problems(&self) -> Vec<&str> {
        let problems = self.checks().iter().filter(|found| found["status"] == "problem");
        let mut problems: Vec<&str> =
            problems.map(|found| found["check"].as_str().unwrap()).collect();
        problems.dedup();
        problems
    }
}

/// A replacement for the address of the metadata service, which tests must not use.
const UNREACHABLE: &str = "127.0.0.1:9";

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

fn good(emulator: &Emulator) -> String {
    format!("{}{LISTEN}", config("public", "contoso.vault.azure.net", emulator))
}

#[tokio::test]
async fn doctor_finds_no_problem_on_a_good_machine() {
    let machine = Machine::good().await;
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(0), vec![]), "{}", report.table);
    assert_eq!(machine.emulator.issued_tokens().len(), 6, "two runs, three tokens each");

    report.assert_finding(
        "token",
        "default for https://vault.azure.net",
        "ok",
        &["system-assigned", "client id 11111111-aaaa-4aaa-8aaa-000000000001", "valid for 2"],
    );
    report.assert_finding(
        "token",
        "reports for https://management.azure.com/",
        "ok",
        &["22222222-aaaa-4aaa-8aaa-000000000001"],
    );
    report.assert_finding("clock", "", "ok", &["the endpoint of identity"]);
    report.assert_finding("proxy", "", "ok", &[]);
    report.assert_finding("name", "contoso.vault", "ok", &["resolves to 127.0.0.1:"]);
    report.assert_finding("tls", "management", "ok", &["trusted"]);
    report.assert_finding("socket", "k.sock", "ok", &["no daemon is listening", "0600"]);
    let confinement = report.findings("confinement", "[confine]");
    assert!(!confinement.is_empty(), "{}", report.table);
    assert_eq!(report.findings("source", "").len(), 7, "each kind of source is reported");
    assert_eq!(
        report.findings("metadata", "identity").len(),
        2,
        "a rule for the usual address does not cover the emulator's"
    );
}

#[tokio::test]
async fn doctors_text_and_json_agree() {
    let report = Machine::good().await.diagnose().await;
    let rows = report.table.lines().filter(|line| {
        ["ok ", "warning ", "problem ", "not-applicable "]
            .iter()
            .any(|status| line.starts_with(status))
    });
    let rows: Vec<(&str, &str)> = rows
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let checks: Vec<(&str, &str)> = report
        .checks()
        .iter()
        .map(|found| (found["status"].as_str().unwrap(), found["check"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, checks, "{}", report.table);
    for found in report.checks() {
        let members: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["check", "fix", "found", "status", "subject"]);
        let needs_a_fix = found["status"] == "problem" || found["status"] == "warning";
        assert!(!needs_a_fix || found["fix"].is_string(), "{found}");
    }
}

#[tokio::test]
async fn doctor_reaches_databases_up_to_their_login() {
    let machine =
        Machine::with(|emulator| format!("{}{LISTEN}", emulator.config("ca.pem".as_ref()))).await;
    let report = machine.diagnose().await;
    assert_eq!(report.problems(), Vec::<&str>::new(), "{}", report.table);
    report.assert_finding("tls", "sqlserver://contoso.database.windows.net", "ok", &["trusted"]);
    assert!(machine.emulator.log().for_service("sql").is_empty(), "nobody logged in");
}

#[tokio::test]
async fn doctor_reports_an_endpoint_that_hangs_and_reads_the_time_from_a_service() {
    let machine = Machine::good().await;
    machine.emulator.faults().add(Fault::always("imds", FaultKind::Hang));
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["token"]), "{}", report.table);
    report.assert_finding(
        "token",
        "default for https://vault",
        "problem",
        &["no response within 4 s"],
    );
    report.assert_finding("clock", "", "ok", &["agrees with https://"]);
}

#[tokio::test]
async fn doctor_reports_an_identity_that_is_not_assigned() {
    let machine = Machine::good().await;
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    machine.emulator.faults().status("imds", 400, &[], body);
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["token"]));
    let words =
        ["does not have this identity", "Identity not found", "-> Assign the managed identity"];
    report.assert_finding("token", "default for https://vault", "problem", &words);
}

#[tokio::test]
async fn doctor_reports_a_wrong_clock() {
    let machine = Machine::good().await;
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
    let body = r#"{"access_token":"aaaa","expires_in":"3600"}"#;
    machine.emulator.faults().status("imds", 200, &[("date", &date)], body);
    let report = machine.diagnose().await;
    report.assert_finding(
        "clock",
        "",
        "problem",
        &["behind the endpoint of identity", "timedatectl set-ntp true"],
    );
    report.assert_finding(
        "token",
        "default for https://vault",
        "ok",
        &["without a client id", "valid for 1 h"],
    );
}

#[tokio::test]
async fn doctor_reports_an_untrusted_certificate() {
    let machine = Machine::good().await;
    let other = Emulator::start(Options::default()).await.unwrap();
    std::fs::write(machine.directory.path().join("ca.pem"), other.ca_pem()).unwrap();
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["tls"]), "{}", report.table);
    report.assert_finding(
        "tls",
        "contoso.vault",
        "problem",
        &["invalid peer certificate", "ca_files"],
    );

    std::fs::remove_file(machine.directory.path().join("ca.pem")).unwrap();
    let report = machine.diagnose().await;
    report.assert_finding("tls", "[tls]", "problem", &["ca.pem", "PEM"]);
}

/// In a cloud with vaults at this host.
fn with_vault_at(host: &str, emulator: &Emulator) -> String {
    let cloud = format!(
        "[cloud]\nbase = \"public\"\n[cloud.service.vault]\naudience = \
         \"https://vault.azure.net\"\nhosts = [{host:?}]"
    );
    good(emulator)
        .replace("cloud = \"public\"", &cloud)
        .replace("https://contoso.vault.azure.net\"", &format!("https://{host}\""))
}

#[tokio::test]
async fn doctor_reports_a_name_that_resolves_to_a_forbidden_address() {
    let machine = Machine::with(|emulator| with_vault_at("localhost", emulator)).await;
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["name"]), "{}", report.table);
    report.assert_finding(
        "name",
        "localhost",
        "problem",
        &["a loopback address", "Correct the DNS record"],
    );
}

#[tokio::test]
async fn doctor_reports_a_name_that_does_not_resolve() {
    let name = "vault.contoso.invalid";
    let machine = Machine::with(|emulator| with_vault_at(name, emulator)).await;
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["name"]), "{}", report.table);
    report.assert_finding("name", name, "problem", &[name, "[egress.resolve]"]);
    report.assert_finding("tls", name, "not-applicable", &["does not resolve"]);
}

#[tokio::test]
async fn doctor_reports_a_socket_that_others_can_replace() {
    let machine = Machine::good().await;
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(machine.directory.path(), mode(0o777)).unwrap();
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["socket"]), "{}", report.table);
    report.assert_finding(
        "socket",
        "k.sock",
        "problem",
        &["every user can write to", "chmod go-w"],
    );
}

#[tokio::test]
async fn doctor_detects_a_running_daemon() {
    let daemon = Daemon::start().await;
    daemon.get("/vault/secrets/db").await;
    let mut command = keyward_nowhere();
    command
        .args(["doctor", "--metadata", UNREACHABLE, "--format", "json", "--config"])
        .arg(daemon.config());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let socket =
        json["checks"].as_array().unwrap().iter().find(|found| found["check"] == "socket").unwrap();
    assert_eq!(socket["status"], "ok", "{socket}");
    assert!(
        socket["found"].as_str().unwrap().contains("a daemon is listening; mode 0600"),
        "{socket}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn doctor_warns_about_tcp_listeners() {
    let listen = "[listen]\ntcp = \"127.0.0.1:8200\"\ntcp_callers = \"anybody-on-this-machine\"\n";
    let machine = Machine::with(|emulator| {
        format!("{}{listen}", config("public", "contoso.vault.azure.net", emulator))
    })
    .await;
    let report = machine.diagnose().await;
    assert_eq!(report.code, Some(0), "{}", report.table);
    report.assert_finding(
        "listener",
        "[listen] tcp",
        "warning",
        &["127.0.0.1:8200", "[listen] socket"],
    );
    report.assert_finding("socket", "", "not-applicable", &["not configured"]);
    let words = ["every process that can connect may do what every mount may", "[caller.NAME]"];
    report.assert_finding("caller", "", "warning", &words);
}

/// With this socket mode, and sections `[caller.NAME]` that the mounts name.
fn with_callers(mode: &str, sections: &[(&str, String)], emulator: &Emulator) -> String {
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let mut config = good(emulator);
    if !names.is_empty() {
        config = config.replace("plugin = ", &format!("callers = {names:?}\nplugin = "));
    }
    let sections: String =
        sections.iter().map(|(name, lines)| format!("[caller.{name}]\n{lines}\n")).collect();
    format!("{config}mode = {mode:?}\n{sections}")
}

#[tokio::test]
async fn doctor_says_that_the_sockets_permissions_are_the_only_policy_without_callers() {
    let report = Machine::good().await.diagnose().await;
    report.assert_finding(
        "caller",
        "[caller.NAME]",
        "warning",
        &["the socket's permissions are the only policy", "own user", "useradd --system"],
    );
    let machine = Machine::with(|emulator| with_callers("0660", &[], emulator)).await;
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(0), vec![]), "{}", report.table);
    report.assert_finding(
        "caller",
        "[caller.NAME]",
        "warning",
        &["the socket's permissions are the only policy", "its whole group", "[caller.NAME]"],
    );
}

#[tokio::test]
async fn doctor_reports_a_caller_with_the_brokers_user() {
    let me = rustix::process::geteuid().as_raw();
    let sections = [("self", format!("user = {me}")), ("web", format!("user = {}", me + 1))];
    let machine = Machine::with(|emulator| with_callers("0660", &sections, emulator)).await;
    // Until the daemon listens there, only its user's own guess is known.
    let report = machine.diagnose().await;
    report.assert_finding("caller", "[caller.self]", "warning", &["if the broker runs as user"]);

    let socket = machine.directory.path().join("k.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660)).unwrap();
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["caller"]), "{}", report.table);
    report.assert_finding(
        "caller",
        "[caller.self]",
        "problem",
        &["the broker's own user", "firewall rules", "useradd --system", "0660"],
    );
    report.assert_finding("caller", "[caller.web]", "ok", &[&format!("user {}", me + 1)]);
    drop(listener);
}

#[tokio::test]
async fn doctor_reports_a_caller_that_the_socket_keeps_out() {
    let me = rustix::process::geteuid().as_raw();
    let sections = [("web", format!("user = {}", me + 1)), ("any", "group = 1".to_owned())];
    let machine = Machine::with(|emulator| with_callers("0600", &sections, emulator)).await;
    let socket = machine.directory.path().join("k.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(1), vec!["caller"]), "{}", report.table);
    report.assert_finding("caller", "[caller.web]", "problem", &["cannot connect", "0660"]);
    report.assert_finding("caller", "[caller.any]", "warning", &["lets in only programs of the"]);
    drop(listener);
}

#[tokio::test]
async fn doctor_names_the_clusters_own_restriction_in_a_pod() {
    let mut machine = Machine::good().await;
    machine.metadata = machine.emulator.imds_url().trim_start_matches("http://").to_owned();
    machine.variables.push(("KUBERNETES_SERVICE_HOST", "10.0.0.1".to_owned()));
    let report = machine.diagnose().await;
    let words =
        ["the cluster restricts its pods", "podLinkLocalAccess", "--enable-imds-restriction"];
    report.assert_finding("metadata", "169.254", "warning", &words);
}

#[tokio::test]
async fn doctor_recognizes_imds_by_its_response() {
    let mut machine = Machine::good().await;
    machine.metadata = machine.emulator.imds_url().trim_start_matches("http://").to_owned();
    let report = machine.diagnose().await;
    report.assert_finding("source", "imds", "ok", &["responds as IMDS"]);
    report.assert_finding("metadata", "169.254", "warning", &["can reach it", "nft add rule"]);
    let imds = machine.emulator.log().for_service("imds");
    assert!(
        imds.iter().any(|seen| seen.status == 400 && seen.header("metadata").is_none()),
        "no token was requested"
    );

    // Another service at this address, as in other clouds.
    machine.metadata = machine.emulator.tls_address().to_string();
    let report = machine.diagnose().await;
    report.assert_finding("source", "imds", "not-applicable", &["does not respond as IMDS"]);
    report.assert_finding(
        "metadata",
        "169.254",
        "ok",
        &["not reachable", "does not respond as IMDS"],
    );

    // Something that takes connections, and is silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    machine.metadata = silent.local_addr().unwrap().to_string();
    let report = machine.diagnose().await;
    report.assert_finding("source", "imds", "not-applicable", &["no response in time"]);
    report.assert_finding("metadata", "169.254", "ok", &["not reachable", "no response in time"]);
}

#[tokio::test]
async fn doctor_reports_a_proxy_without_its_password() {
    let mut machine = Machine::good().await;
    machine.variables.push(("HTTPS_PROXY", "http://ann:hunter2@127.0.0.1:1".to_owned()));
    let report = machine.diagnose().await;
    assert_eq!(
        (report.code, report.problems()),
        (Some(0), vec![]),
        "nothing goes there: {}",
        report.table
    );
    report.assert_finding(
        "proxy",
        "",
        "warning",
        &["HTTPS_PROXY is set", "ignores", "NO_PROXY=169.254.169.254"],
    );
    assert!(!report.table.contains("hunter2") && !report.json.to_string().contains("hunter2"));
}

#[tokio::test]
async fn doctor_without_a_configuration_checks_the_machines_sources() {
    let mut machine = Machine::good().await;
    let (address, requests) = app_service(machine.emulator.imds_url()).await;
    machine.configured = false;
    machine.variables =
        vec![("IDENTITY_ENDPOINT", address), ("IDENTITY_HEADER", "the-header".to_owned())];
    // A directory without `az`.
    machine.variables.push(("PATH", machine.directory.path().display().to_string()));
    let report = machine.diagnose().await;
    assert_eq!((report.code, report.problems()), (Some(0), vec![]), "{}", report.table);
    report.assert_finding("configuration", "none", "not-applicable", &["--config FILE"]);
    report.assert_finding(
        "source",
        "app-service",
        "ok",
        &["IDENTITY_ENDPOINT and IDENTITY_HEADER are set", "selects it"],
    );
    report.assert_finding("source", "cloud-shell", "not-applicable", &["MSI_ENDPOINT"]);
    report.assert_finding(
        "token",
        "app-service for https://management.azure.com/",
        "ok",
        &["11111111-aaaa-4aaa-8aaa-000000000001"],
    );
    report.assert_finding("name", "none", "not-applicable", &[]);
    assert_eq!(report.findings("token", "").len(), 1, "no other source is queried");
    assert!(!report.table.contains("the-header"));
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn doctor_reports_an_invalid_configuration_and_checks_the_rest() {
    let mut machine = Machine::with(|_| "[mount.vault]\nplugin = \"keyvalt\"\n".to_owned()).await;
    let (address, _) = app_service(machine.emulator.imds_url()).await;
    machine.variables =
        vec![("IDENTITY_ENDPOINT", address), ("IDENTITY_HEADER", "the-header".to_owned())];
    // A directory without `az`.
    machine.variables.push(("PATH", machine.directory.path().display().to_string()));
    let report = machine.diagnose().await;
    assert_eq!(report.code, Some(78));
    report.assert_finding(
        "configuration",
        "keyward.toml",
        "problem",
        &["keyward.toml:2:10: unknown plugin `keyvalt`", "keyward check"],
    );
    assert_eq!(report.findings("token", "app-service").len(), 1);
}

#[tokio::test]
async fn doctor_reports_files_that_the_daemon_cannot_use() {
    let further = "[listen.tls]\naddress = \"127.0.0.1:0\"\ncallers = \"anybody-on-this-machine\"\n\
                   certificate = \"nowhere.pem\"\nkey = \"ca.pem\"\n[audit]\nfile = \"/\"\n";
    let machine = Machine::with(|emulator| good(emulator) + further).await;
    let report = machine.diagnose().await;
    assert_eq!(report.code, Some(78), "as `serve` ends with it: {}", report.table);
    let problems = report.findings("configuration", "keyward.toml").into_iter();
    let problems = problems.filter(|found| found["status"] == "problem");
    let problems: Vec<(&str, &str)> = problems
        .map(|found| (found["found"].as_str().unwrap(), found["fix"].as_str().unwrap()))
        .collect();
    let [certificate, key, audit] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(
        certificate.0.contains("`certificate` in [listen.tls]: cannot read"),
        "{certificate:?}"
    );
    assert!(certificate.1.contains("remove `certificate` and `key`"), "{certificate:?}");
    assert!(key.0.contains("its mode is 644") && key.1.contains("chmod"), "{key:?}");
    assert_eq!(*audit, ("`file` in [audit]: / is a directory", "Write file = \"/audit.jsonl\""));
}

#[tokio::test]
async fn doctor_reports_a_key_that_others_can_read() {
    let persist = "persist = \"tokens\"\npersist_key = \"tokens.key\"\n";
    let with = |emulator: &Emulator| {
        good(emulator).replacen("[identity.reports]", &format!("{persist}[identity.reports]"), 1)
    };
    let machine = Machine::with(with).await;
    let key = machine.directory.path().join("tokens.key");
    std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let report = machine.diagnose().await;
    assert_eq!(
        (report.code, report.problems()),
        (Some(78), vec!["tokens-on-disk"]),
        "{}",
        report.table
    );
    report.assert_finding(
        "tokens-on-disk",
        "default",
        "problem",
        &["its mode is 644", "chmod 600"],
    );
    assert!(!machine.directory.path().join("tokens").exists(), "it writes nothing");
}
