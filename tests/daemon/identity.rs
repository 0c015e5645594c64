//! Identities: other sources than the metadata service, and tokens that survive a restart.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyward_emulator::{Emulator, Options};
use keyward_tests::Secrets;
use tokio::net::{TcpListener, TcpStream};

use crate::process::Daemon;

fn config(emulator: &Emulator, identity: &str) -> String {
    format!(
        "[identity.default]\n{identity}\n[mount.vault]\nplugin = \"keyvault\"\nendpoint = \
         \"https://contoso.vault.azure.net\"\n\
         [egress.resolve]\n\"contoso.vault.azure.net:443\" = \"{}\"\n[tls]\nca_files = \
         [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.tls_address()
    )
}

/// Starts an endpoint like App Service's, with the emulator's tokens. Returns its address and the
/// requests that it receives.
pub(crate) async fn app_service(imds: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/msi/token", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (imds, log) = (imds.clone(), Arc::clone(&log));
            let service = service_fn(move |request: Request<Incoming>| {
                let (imds, log) = (imds.clone(), Arc::clone(&log));
                async move {
                    let header = request.headers().get("x-identity-header").cloned();
                    log.lock().unwrap().push(request.uri().to_string());
                    let status =
                        if header.is_some_and(|header| header == "the-header") { 200 } else { 401 };
                    let body = token(&imds, request.uri().query().unwrap_or_default()).await;
                    Response::builder().status(status).body(Full::new(body))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, requests)
}

/// The emulator's response to a token request. App Service's differs only in the date.
pub(crate) async fn token(imds: &str, query: &str) -> Bytes {
    let address = imds.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let query = query.replace("2019-08-01", "2018-02-01");
    let request =
        Request::get(format!("/metadata/identity/oauth2/token?{query}")).header("metadata", "true");
    let request = request.header("host", address).body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn app_service_works_by_name_and_is_detected_by_its_variables() {
    for (source, message) in
        [("app-service", None), ("auto", Some("IDENTITY_ENDPOINT and IDENTITY_HEADER are set"))]
    {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let (address, requests) = app_service(emulator.imds_url()).await;
        let text = config(&emulator, &format!("source = {source:?}"));
        let variables =
            [("IDENTITY_ENDPOINT", address.as_str()), ("IDENTITY_HEADER", "the-header")];
        let mut daemon = Daemon::with_variables(emulator, &text, &variables).await;
        assert_eq!(
            daemon.get("/vault/secrets/db").await.json()["value"],
            "swordfish-in-the-harbour",
            "{source}"
        );
        let requests = requests.lock().unwrap().join("\n");
        assert!(
            requests.contains("api-version=2019-08-01")
                && requests.contains("resource=https%3A%2F%2Fvault.azure.net"),
            "{requests}"
        );
        if let Some(message) = message {
            daemon.log_line(message).await;
        }
        assert!(!daemon.log().contains("the-header"));
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_restart_with_tokens_on_disk_makes_no_request() {
    let files = tempfile::tempdir().unwrap();
    let [tokens, key] = ["tokens", "tokens.key"].map(|name| files.path().join(name));
    std::fs::write(&key, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
        .unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let identity = |emulator: &Emulator| {
        format!(
            "source = \"imds\"\nendpoint = {:?}\npersist = {tokens:?}\npersist_key = {key:?}",
            emulator.imds_url()
        )
    };
    let text = config(&emulator, &identity(&emulator));
    let mut first = Daemon::with_variables(emulator, &text, &[]).await;
    assert_eq!(first.get("/vault/secrets/db").await.status, 200);
    first.terminate();
    assert_eq!(first.wait_for_exit().await, Some(0));
    let secrets = Secrets::tokens(first.emulator.issued_tokens());
    secrets.assert_absent("the file", &std::fs::read(&tokens).expect("the tokens are on disk"));

    // The same configuration again, and the same machine.
    let mut command = crate::process::keyward();
    command.args(["call", "vault", "GET", "/secrets/db", "--config"]).arg(first.config());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("swordfish-in-the-harbour"),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(first.emulator.log().for_service("imds").len(), 1, "the token came from the disk");
}

#[tokio::test]
async fn the_error_about_a_missing_source_says_what_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keyward.toml");
    let emulator = Emulator::start(Options::default()).await.unwrap();
    std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
    std::fs::write(&file, config(&emulator, "source = \"service-fabric\"")).unwrap();
    let mut command = crate::process::keyward();
    command.env_remove("IDENTITY_ENDPOINT").args(["serve", "--config"]).arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{message}");
    assert!(
        message.contains("keyward.toml:1:") && message.contains("IDENTITY_ENDPOINT"),
        "{message}"
    );
}
