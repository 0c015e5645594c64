//! The metadata service: as strict as Azure.
use keyward_emulator::{Directory, Emulator, Fault, FaultKind, Identity, Options};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request to the metadata service, and returns the status and the body.
async fn request(emulator: &Emulator, query: &str, headers: &str) -> (u16, Value) {
    let address = emulator.imds_url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let path = "/metadata/identity/oauth2/token";
    let request =
        format!("GET {path}?{query} HTTP/1.1\r\nhost: imds\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let body = response.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

const GOOD: &str = "api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
const METADATA: &str = "metadata: true\r\n";

#[tokio::test]
async fn a_token_response_has_all_members_of_azure() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let (status, body) = request(&emulator, GOOD, METADATA).await;
    assert_eq!(status, 200);
    for member in [
        "access_token",
        "client_id",
        "expires_in",
        "expires_on",
        "not_before",
        "resource",
        "token_type",
    ] {
        assert!(body[member].is_string(), "{member}: {body}");
    }
    assert_eq!(body["resource"], "https://vault.azure.net");
    assert_eq!(emulator.issued_tokens(), [body["access_token"].as_str().unwrap()]);
}

#[tokio::test]
async fn errors_have_the_messages_of_azure() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    for (query, headers, error, words) in [
        (GOOD, "", "invalid_request", "Required metadata header not specified"),
        (GOOD, "metadata: false\r\n", "invalid_request", "Required metadata header not specified"),
        (
            GOOD,
            "metadata: true\r\nx-forwarded-for: 1.2.3.4\r\n",
            "invalid_request",
            "X-Forwarded-For",
        ),
        (
            "resource=https%3A%2F%2Fvault.azure.net",
            METADATA,
            "invalid_request",
            "'api-version' is missing",
        ),
        ("api-version=2018-02-01", METADATA, "invalid_request", "'resource' is missing"),
        (
            "api-version=2018-02-01&resource=https%3A%2F%2Fx",
            METADATA,
            "invalid_resource",
            "AADSTS500011",
        ),
        (&format!("{GOOD}&client_id=unknown"), METADATA, "invalid_request", "Identity not found"),
    ] {
        let (status, body) = request(&emulator, query, headers).await;
        assert_eq!((status, body["error"].as_str().unwrap()), (400, error), "{query}");
        assert!(body["error_description"].as_str().unwrap().contains(words), "{body}");
    }
}

#[tokio::test]
async fn one_of_several_user_assigned_identities_must_be_named() {
    let both = Directory::new()
        .with(Identity::user_assigned("a", 1))
        .with(Identity::user_assigned("b", 2));
    let mut options = Options::default();
    options.directory = both;
    let emulator = Emulator::start(options).await.unwrap();
    let (status, body) = request(&emulator, GOOD, METADATA).await;
    assert_eq!(status, 400);
    assert!(
        body["error_description"].as_str().unwrap().contains("Multiple user assigned identities"),
        "{body}"
    );
    let named = format!("{GOOD}&object_id={}", Identity::user_assigned("b", 2).object_id);
    let (status, body) = request(&emulator, &named, METADATA).await;
    assert_eq!(
        (status, &body["client_id"]),
        (200, &Identity::user_assigned("b", 2).client_id.into())
    );
}

#[tokio::test]
async fn faults_take_effect_in_order() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    emulator.faults().statuses("imds", &[500, 429]);
    emulator.faults().add(Fault::once("imds", FaultKind::HalfBody));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let (status, body) = request(&emulator, GOOD, METADATA).await;
        statuses.push((status, body.is_object()));
    }
    assert_eq!(statuses, [(500, false), (429, false), (200, false), (200, true)]);
    assert_eq!(emulator.log().for_service("imds").len(), 4);
}

#[tokio::test]
async fn only_loopback_addresses_are_accepted() {
    let mut options = Options::default();
    options.imds = "0.0.0.0:0".parse().unwrap();
    assert!(Emulator::start(options).await.is_err());
}
