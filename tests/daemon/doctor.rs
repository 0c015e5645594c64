//! `keyward doctor`: what it finds on a machine where something is wrong, and what it says to do.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use keyward_tests::Secrets;
use serde_json::Value;
use tempfile::TempDir;

use crate::identity::app_service;
use crate::process::{Daemon, config, keyward_nowhere};

/// A machine: an emulator, and a directory with a configuration for it.
struct Machine {
    emulator: Emulator,
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
    configured: bool,
    metadata: String,
}

/// What the doctor said.
struct Said {
    code: Option<i32>,
    json: Value,
    table: String,
}

impl Machine {
    /// With this configuration, beside which is `ca.pem`.
    async fn with(text: impl FnOnce(&Emulator) -> String) -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        std::fs::write(directory.path().join("keyward.toml"), text(&emulator)).unwrap();
        Self { emulator, directory, variables: Vec::new(), configured: true, metadata: NOBODY.to_owned() }
    }

    async fn good() -> Self {
        Self::with(good).await
    }

    /// Runs it once for each format, with a log of all there is. No token is in anything that it
    /// prints.
    async fn examine(&self) -> Said {
        let run = |format: &'static str| {
            let mut command = keyward_nowhere();
            command.envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
            command.args(["doctor", "--log", "trace", "--metadata", &self.metadata, "--format", format]);
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
        let json = serde_json::from_slice(&json.stdout).unwrap_or_else(|error| panic!("{error}: {json:?}"));
        Said { code, json, table }
    }
}

impl Said {
    fn checks(&self) -> &[Value] {
        self.json["checks"].as_array().unwrap()
    }

    /// The findings of a check whose subject has these words in it.
    fn of(&self, check: &str, subject: &str) -> Vec<&Value> {
        let is_it = |found: &&Value| found["check"] == check && found["subject"].as_str().unwrap().contains(subject);
        self.checks().iter().filter(is_it).collect()
    }

    /// The one finding of a check with this subject; its status is this, and what is said has all
    /// of these words in it.
    fn says(&self, check: &str, subject: &str, status: &str, words: &[&str]) {
        let found = self.of(check, subject);
        assert_eq!(found.len(), 1, "{}", self.table);
        let text =
            format!("{} -> {}", found[0]["found"].as_str().unwrap(), found[0]["fix"].as_str().unwrap_or_default());
        assert_eq!(found[0]["status"], status, "{text}");
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    /// The checks that found a problem.
    fn problems(&self) -> Vec<&str> {
        let problems = self.checks().iter().filter(|found| found["status"] == "problem");
        let mut problems: Vec<&str> = problems.map(|found| found["check"].as_str().unwrap()).collect();
        problems.dedup();
        problems
    }
}

/// In place of the metadata service's own address, which a test has no business at.
const NOBODY: &str = "127.0.0.1:9";

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

fn good(emulator: &Emulator) -> String {
    format!("{}{LISTEN}", config("public", "contoso.vault.azure.net", emulator))
}

#[tokio::test]
async fn doctor_finds_no_problem_on_a_good_machine() {
    let machine = Machine::good().await;
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(0), vec![]), "{}", said.table);
    assert_eq!(machine.emulator.issued_tokens().len(), 6, "two runs, three tokens each");

    said.says(
        "token",
        "default for https://vault.azure.net",
        "ok",
        &["system-assigned", "client id 11111111-aaaa-4aaa-8aaa-000000000001", "valid for 2"],
    );
    said.says("token", "reports for https://management.azure.com/", "ok", &["22222222-aaaa-4aaa-8aaa-000000000001"]);
    said.says("clock", "", "ok", &["the endpoint of identity"]);
    said.says("proxy", "", "ok", &[]);
    said.says("name", "contoso.vault", "ok", &["resolves to 127.0.0.1:"]);
    said.says("tls", "management", "ok", &["trusted"]);
    said.says("socket", "k.sock", "ok", &["no daemon is listening", "0600"]);
    assert_eq!(said.of("source", "").len(), 7, "each kind of source is told of");
    assert_eq!(said.of("metadata", "identity").len(), 2, "a rule for the usual address is none for the emulator's");
}

#[tokio::test]
async fn doctors_text_and_json_agree() {
    let said = Machine::good().await.examine().await;
    let rows = said.table.lines().filter(|line| {
        ["ok ", "warning ", "problem ", "not-applicable "].iter().any(|status| line.starts_with(status))
    });
    let rows: Vec<(&str, &str)> = rows
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let checks: Vec<(&str, &str)> = said
        .checks()
        .iter()
        .map(|found| (found["status"].as_str().unwrap(), found["check"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, checks, "{}", said.table);
    for found in said.checks() {
        let members: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["check", "fix", "found", "status", "subject"]);
        let needs_a_fix = found["status"] == "problem" || found["status"] == "warning";
        assert!(!needs_a_fix || found["fix"].is_string(), "{found}");
    }
}

#[tokio::test]
async fn doctor_reaches_databases_up_to_their_login() {
    let machine = Machine::with(|emulator| format!("{}{LISTEN}", emulator.config("ca.pem".as_ref()))).await;
    let said = machine.examine().await;
    assert_eq!(said.problems(), Vec::<&str>::new(), "{}", said.table);
    said.says("tls", "sqlserver://contoso.database.windows.net", "ok", &["trusted"]);
    assert!(machine.emulator.log().for_service("sql").is_empty(), "nobody logged in");
}

#[tokio::test]
async fn doctor_reports_an_endpoint_that_hangs_and_reads_the_time_from_a_service() {
    let machine = Machine::good().await;
    machine.emulator.faults().add(Fault::always("imds", FaultKind::Hang));
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(1), vec!["token"]), "{}", said.table);
    said.says("token", "default for https://vault", "problem", &["no response within 4 s"]);
    said.says("clock", "", "ok", &["agrees with https://"]);
}

#[tokio::test]
async fn doctor_reports_an_identity_that_is_not_assigned() {
    let machine = Machine::good().await;
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    machine.emulator.faults().status("imds", 400, &[], body);
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(1), vec!["token"]));
    let words = ["does not have this identity", "Identity not found", "-> Assign the managed identity"];
    said.says("token", "default for https://vault", "problem", &words);
}

#[tokio::test]
async fn doctor_reports_a_wrong_clock() {
    let machine = Machine::good().await;
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
    let body = r#"{"access_token":"aaaa","expires_in":"3600"}"#;
    machine.emulator.faults().status("imds", 200, &[("date", &date)], body);
    let said = machine.examine().await;
    said.says("clock", "", "problem", &["behind the endpoint of identity", "timedatectl set-ntp true"]);
    said.says("token", "default for https://vault", "ok", &["without a client id", "valid for 1 h"]);
}

#[tokio::test]
async fn doctor_reports_an_untrusted_certificate() {
    let machine = Machine::good().await;
    let other = Emulator::start(Options::default()).await.unwrap();
    std::fs::write(machine.directory.path().join("ca.pem"), other.ca_pem()).unwrap();
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(1), vec!["tls"]), "{}", said.table);
    said.says("tls", "contoso.vault", "problem", &["invalid peer certificate", "ca_files"]);

    std::fs::remove_file(machine.directory.path().join("ca.pem")).unwrap();
    let said = machine.examine().await;
    said.says("tls", "[tls]", "problem", &["ca.pem", "PEM"]);
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
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(1), vec!["name"]), "{}", said.table);
    said.says("name", "localhost", "problem", &["a loopback address", "Correct the DNS record"]);
}

#[tokio::test]
async fn doctor_reports_a_name_that_does_not_resolve() {
    let name = "vault.contoso.invalid";
    let machine = Machine::with(|emulator| with_vault_at(name, emulator)).await;
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(1), vec!["name"]), "{}", said.table);
    said.says("name", name, "problem", &[name, "[egress.resolve]"]);
    said.says("tls", name, "not-applicable", &["does not resolve"]);
}

#[tokio::test]
async fn doctor_reports_a_socket_that_others_can_replace() {
    let machine = Machine::good().await;
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(machine.directory.path(), mode(0o777)).unwrap();
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(1), vec!["socket"]), "{}", said.table);
    said.says("socket", "k.sock", "problem", &["every user can write to", "chmod go-w"]);
}

#[tokio::test]
async fn doctor_detects_a_running_daemon() {
    let daemon = Daemon::start().await;
    daemon.get("/vault/secrets/db").await;
    let mut command = keyward_nowhere();
    command.args(["doctor", "--metadata", NOBODY, "--format", "json", "--config"]).arg(daemon.config());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let socket = json["checks"].as_array().unwrap().iter().find(|found| found["check"] == "socket").unwrap();
    assert_eq!(socket["status"], "ok", "{socket}");
    assert!(socket["found"].as_str().unwrap().contains("a daemon is listening; mode 0600"), "{socket}");
    daemon.stop().await;
}

#[tokio::test]
async fn doctor_warns_about_tcp_listeners() {
    let listen = "[listen]\ntcp = \"127.0.0.1:8200\"\ntcp_callers = \"anybody-on-this-machine\"\n";
    let machine =
        Machine::with(|emulator| format!("{}{listen}", config("public", "contoso.vault.azure.net", emulator))).await;
    let said = machine.examine().await;
    assert_eq!(said.code, Some(0), "{}", said.table);
    said.says("listener", "[listen] tcp", "warning", &["127.0.0.1:8200", "[listen] socket"]);
    said.says("socket", "", "not-applicable", &["not configured"]);
}

#[tokio::test]
async fn doctor_recognizes_imds_by_its_response() {
    let mut machine = Machine::good().await;
    machine.metadata = machine.emulator.imds_url().trim_start_matches("http://").to_owned();
    let said = machine.examine().await;
    said.says("source", "imds", "ok", &["responds as IMDS"]);
    said.says("metadata", "169.254", "warning", &["can reach it", "nft add rule"]);
    let imds = machine.emulator.log().for_service("imds");
    assert!(imds.iter().any(|seen| seen.status == 400 && seen.header("metadata").is_none()), "no token was asked for");

    // Something else that answers, as other clouds have.
    machine.metadata = machine.emulator.tls_address().to_string();
    let said = machine.examine().await;
    said.says("source", "imds", "not-applicable", &["does not respond as IMDS"]);
    said.says("metadata", "169.254", "ok", &["not reachable", "does not respond as IMDS"]);

    // Something that takes connections, and is silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    machine.metadata = silent.local_addr().unwrap().to_string();
    let said = machine.examine().await;
    said.says("source", "imds", "not-applicable", &["no response in time"]);
    said.says("metadata", "169.254", "ok", &["not reachable", "no response in time"]);
}

#[tokio::test]
async fn doctor_reports_a_proxy_without_its_password() {
    let mut machine = Machine::good().await;
    machine.variables.push(("HTTPS_PROXY", "http://ann:hunter2@127.0.0.1:1".to_owned()));
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(0), vec![]), "nothing goes there: {}", said.table);
    said.says("proxy", "", "warning", &["HTTPS_PROXY is set", "ignores", "NO_PROXY=169.254.169.254"]);
    assert!(!said.table.contains("hunter2") && !said.json.to_string().contains("hunter2"));
}

#[tokio::test]
async fn doctor_without_a_configuration_checks_the_machines_sources() {
    let mut machine = Machine::good().await;
    let (address, asked) = app_service(machine.emulator.imds_url()).await;
    machine.configured = false;
    machine.variables = vec![("IDENTITY_ENDPOINT", address), ("IDENTITY_HEADER", "the-header".to_owned())];
    // A directory in which there is no `az`.
    machine.variables.push(("PATH", machine.directory.path().display().to_string()));
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(0), vec![]), "{}", said.table);
    said.says("configuration", "none", "not-applicable", &["--config FILE"]);
    said.says("source", "app-service", "ok", &["IDENTITY_ENDPOINT and IDENTITY_HEADER are set", "selects it"]);
    said.says("source", "cloud-shell", "not-applicable", &["MSI_ENDPOINT"]);
    said.says(
        "token",
        "app-service for https://management.azure.com/",
        "ok",
        &["11111111-aaaa-4aaa-8aaa-000000000001"],
    );
    said.says("name", "none", "not-applicable", &[]);
    assert_eq!(said.of("token", "").len(), 1, "no other source is asked");
    assert!(!said.table.contains("the-header"));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn doctor_reports_an_invalid_configuration_and_checks_the_rest() {
    let mut machine = Machine::with(|_| "[mount.vault]\nplugin = \"keyvalt\"\n".to_owned()).await;
    let (address, _) = app_service(machine.emulator.imds_url()).await;
    machine.variables = vec![("IDENTITY_ENDPOINT", address), ("IDENTITY_HEADER", "the-header".to_owned())];
    // A directory in which there is no `az`.
    machine.variables.push(("PATH", machine.directory.path().display().to_string()));
    let said = machine.examine().await;
    assert_eq!(said.code, Some(78));
    said.says(
        "configuration",
        "keyward.toml",
        "problem",
        &["keyward.toml:2:10: unknown plugin `keyvalt`", "keyward check"],
    );
    assert_eq!(said.of("token", "app-service").len(), 1);
}

#[tokio::test]
async fn doctor_reports_files_that_the_daemon_cannot_use() {
    let further = "[listen.tls]\naddress = \"127.0.0.1:0\"\ncallers = \"anybody-on-this-machine\"\n\
                   certificate = \"nowhere.pem\"\nkey = \"ca.pem\"\n[audit]\nfile = \"/\"\n";
    let machine = Machine::with(|emulator| good(emulator) + further).await;
    let said = machine.examine().await;
    assert_eq!(said.code, Some(78), "as `serve` ends with it: {}", said.table);
    let problems = said.of("configuration", "keyward.toml").into_iter();
    let problems = problems.filter(|found| found["status"] == "problem");
    let problems: Vec<(&str, &str)> =
        problems.map(|found| (found["found"].as_str().unwrap(), found["fix"].as_str().unwrap())).collect();
    let [certificate, audit] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(certificate.0.contains("`certificate` in [listen.tls]: cannot read"), "{certificate:?}");
    assert!(certificate.1.contains("remove `certificate` and `key`"), "{certificate:?}");
    assert_eq!(*audit, ("`file` in [audit]: / is a directory", "Write file = \"/audit.jsonl\""));
}

#[tokio::test]
async fn doctor_reports_a_key_that_others_can_read() {
    let persist = "persist = \"tokens\"\npersist_key = \"tokens.key\"\n";
    let with =
        |emulator: &Emulator| good(emulator).replacen("[identity.reports]", &format!("{persist}[identity.reports]"), 1);
    let machine = Machine::with(with).await;
    let key = machine.directory.path().join("tokens.key");
    std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = machine.examine().await;
    assert_eq!((said.code, said.problems()), (Some(78), vec!["tokens-on-disk"]), "{}", said.table);
    said.says("tokens-on-disk", "default", "problem", &["its mode is 644", "chmod 600"]);
    assert!(!machine.directory.path().join("tokens").exists(), "it writes nothing");
}
