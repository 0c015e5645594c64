//! Identity endpoints of a private cloud: their authority is in `[tls] ca_files`, their address in
//! `[egress.resolve]`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::Full;
use keyward_emulator::{Emulator, Options};
use keyward_tests::Secrets;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::https;
use crate::identity::{app_service, token};
use crate::process::{Daemon, keyward_nowhere};

const HOST: &str = "login.contoso.example";
const ASSERTION: &str = "the.pods.assertion";

/// An authority that changes a pod's token for one of the emulator's. Its certificate is signed by
/// a CA of its own.
struct Authority {
    address: SocketAddr,
    directory: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Authority {
    async fn start(imds: String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("assertion"), ASSERTION).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let (address, ca_pem) = https::serve(HOST, move |parts, body| {
            let (imds, log) = (imds.clone(), Arc::clone(&log));
            async move {
                let form = String::from_utf8(body.to_vec()).unwrap();
                let (_, scope) = form.split_once("scope=").unwrap();
                let resource = scope.split_once("%2F.default").unwrap().0.to_owned();
                log.lock().unwrap().push(format!("{} {form}", parts.uri));
                let query = format!("api-version=2018-02-01&resource={resource}");
                Response::new(Full::new(token(&imds, &query).await))
            }
        })
        .await;
        std::fs::write(directory.path().join("login.pem"), ca_pem).unwrap();
        Self { address, directory, requests }
    }

    fn ca_file(&self) -> String {
        self.directory.path().join("login.pem").display().to_string()
    }

    /// The variables that the webhook of workload identity sets in a pod.
    fn variables(&self, host: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_CLIENT_ID", "00001111-aaaa-2222-bbbb-3333cccc4444".to_owned()),
            ("AZURE_TENANT_ID", "contoso.example".to_owned()),
            (
                "AZURE_FEDERATED_TOKEN_FILE",
                self.directory.path().join("assertion").display().to_string(),
            ),
            ("AZURE_AUTHORITY_HOST", format!("https://{host}/")),
        ]
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A configuration with one identity, one mount, these addresses and, beside the emulator's, these
/// files of certificates.
fn config(
    emulator: &Emulator,
    identity: &str,
    addresses: &[(&str, SocketAddr)],
    ca_files: &[String],
) -> String {
    let resolve: String =
        addresses.iter().map(|(name, address)| format!("{name:?} = \"{address}\"\n")).collect();
    let ca_files: String = ca_files.iter().map(|file| format!(", {file:?}")).collect();
    format!(
        "[identity.default]\n{identity}\ndeadline = \"50ms\"\n\
         [mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://contoso.vault.azure.net\"\n\
         [egress.resolve]\n\"contoso.vault.azure.net:443\" = \"{}\"\n{resolve}\
         [tls]\nca_files = [\"ca.pem\"{ca_files}]\nsystem_roots = false\n",
        emulator.tls_address()
    )
}

async fn daemon(emulator: Emulator, config: &str, variables: &[(&'static str, String)]) -> Daemon {
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Daemon::with_variables(emulator, config, &variables).await
}

/// An address at which nothing listens.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_authority_with_a_private_ca_and_an_address_of_its_own_gives_tokens() {
    for source in ["workload-identity", "auto"] {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let authority = Authority::start(emulator.imds_url()).await;
        let addresses = [("login.contoso.example:443", authority.address)];
        let identity = format!("source = {source:?}");
        let text = config(&emulator, &identity, &addresses, &[authority.ca_file()]);
        // The case of a host's name does not matter.
        let daemon = daemon(emulator, &text, &authority.variables("Login.contoso.example")).await;
        assert_eq!(
            daemon.get("/vault/secrets/db").await.json()["value"],
            "swordfish-in-the-harbour",
            "{source}"
        );
        let requests = authority.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert!(
            requests[0].starts_with("/contoso.example/oauth2/v2.0/token client_id="),
            "{}",
            requests[0]
        );
        assert!(requests[0].contains(ASSERTION), "{}", requests[0]);
        assert!(!daemon.log().contains(ASSERTION));
        daemon.stop().await;
    }
}

#[tokio::test]
async fn the_authority_of_a_configured_cloud_is_reached_at_a_configured_address() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let authority = Authority::start(emulator.imds_url()).await;
    let addresses = [("login.contoso.example:443", authority.address)];
    let text =
        config(&emulator, "source = \"workload-identity\"", &addresses, &[authority.ca_file()]);
    let text = format!("{text}[cloud]\nbase = \"public\"\nauthority = \"https://{HOST}\"\n");
    let mut variables = authority.variables(HOST);
    variables.retain(|(name, _)| *name != "AZURE_AUTHORITY_HOST");
    let daemon = daemon(emulator, &text, &variables).await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    assert_eq!(authority.requests().len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_gets_no_assertion_and_the_message_names_the_key() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let authority = Authority::start(emulator.imds_url()).await;
    let addresses = [("login.contoso.example:443", authority.address)];
    let text = config(&emulator, "source = \"workload-identity\"", &addresses, &[]);
    let mut daemon = daemon(emulator, &text, &authority.variables(HOST)).await;
    let response = daemon.get("/vault/secrets/db").await;
    assert_eq!(response.status, 503, "{}", response.text());
    let line = daemon.log_line("is not trusted").await;
    assert!(line.contains("[tls] ca_files = [") && line.contains(HOST), "{line}");
    assert!(!daemon.log().contains("169.254"), "{}", daemon.log());
    assert_eq!(authority.requests(), Vec::<String>::new());
    daemon.terminate();
    assert_eq!(daemon.wait_for_exit().await, Some(0));
}

#[tokio::test]
async fn an_authority_that_cannot_be_reached_is_not_taken_for_imds() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let authority = Authority::start(emulator.imds_url()).await;
    let addresses = [("login.contoso.example:443", closed().await)];
    let text =
        config(&emulator, "source = \"workload-identity\"", &addresses, &[authority.ca_file()]);
    let mut daemon = daemon(emulator, &text, &authority.variables(HOST)).await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 503);
    let line = daemon.log_line("AZURE_AUTHORITY_HOST").await;
    assert!(
        line.contains("cannot connect to the identity endpoint")
            && line.contains("[egress.resolve]"),
        "{line}"
    );
    assert!(!daemon.log().contains("169.254"), "{}", daemon.log());
    daemon.terminate();
    assert_eq!(daemon.wait_for_exit().await, Some(0));
}

#[tokio::test]
async fn app_service_and_imds_are_reached_at_configured_addresses_too() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let (url, requests) = app_service(emulator.imds_url()).await;
    let address = url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    let text =
        config(&emulator, "source = \"app-service\"", &[("msi.contoso.example:80", address)], &[]);
    let variables = [
        ("IDENTITY_ENDPOINT", "http://msi.contoso.example/msi/token".to_owned()),
        ("IDENTITY_HEADER", "the-header".to_owned()),
    ];
    let app_service = daemon(emulator, &text, &variables).await;
    assert_eq!(app_service.get("/vault/secrets/db").await.status, 200);
    assert_eq!(requests.lock().unwrap().len(), 1);
    app_service.stop().await;

    let emulator = Emulator::start(Options::default()).await.unwrap();
    let address = emulator.imds_url().trim_start_matches("http://").parse().unwrap();
    let identity = "source = \"imds\"\nendpoint = \"http://imds.contoso.example:8080\"";
    let text = config(&emulator, identity, &[("imds.contoso.example:8080", address)], &[]);
    let imds = daemon(emulator, &text, &[]).await;
    assert_eq!(imds.get("/vault/secrets/db").await.status, 200);
    imds.stop().await;
}

/// What `keyward doctor` finds about the token of the identity: the status, and what it found and
/// proposes.
async fn doctor(
    emulator: &Emulator,
    text: &str,
    variables: &[(&'static str, String)],
) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
    std::fs::write(directory.path().join("keyward.toml"), text).unwrap();
    let mut command = keyward_nowhere();
    command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
    command.args(["doctor", "--metadata", "127.0.0.1:9", "--format", "json", "--config"]);
    command.arg(directory.path().join("keyward.toml"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Secrets::tokens(emulator.issued_tokens()).assert_absent("what doctor prints", &output.stdout);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding =
        json["checks"].as_array().unwrap().iter().find(|found| found["check"] == "token").unwrap();
    (
        finding["status"].as_str().unwrap().to_owned(),
        format!("{} -> {}", finding["found"], finding["fix"]),
    )
}

#[tokio::test]
async fn doctor_asks_an_authority_with_the_same_certificates_and_addresses() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let authority = Authority::start(emulator.imds_url()).await;
    let variables = authority.variables(HOST);
    let identity = "source = \"workload-identity\"";
    let there = [("login.contoso.example:443", authority.address)];

    let trusted = config(&emulator, identity, &there, &[authority.ca_file()]);
    let (status, found) = doctor(&emulator, &trusted, &variables).await;
    assert_eq!(status, "ok", "{found}");
    assert_eq!(authority.requests().len(), 1);

    let untrusted = config(&emulator, identity, &there, &[]);
    let unreadable = config(&emulator, identity, &there, &["missing.pem".to_owned()]);
    for text in [untrusted, unreadable] {
        let (status, found) = doctor(&emulator, &text, &variables).await;
        assert_eq!(status, "problem", "{found}");
        assert!(found.contains("[tls] ca_files") && !found.contains("169.254"), "{found}");
    }
    assert_eq!(authority.requests().len(), 1, "no assertion was sent");

    let unreachable =
        config(&emulator, identity, &[("login.contoso.example:443", closed().await)], &[]);
    let (status, found) = doctor(&emulator, &unreachable, &variables).await;
    assert_eq!(status, "problem", "{found}");
    assert!(found.contains("[egress.resolve]") && !found.contains("169.254"), "{found}");
}
