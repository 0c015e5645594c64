//! Shared access signatures: issued by Resource Manager, accepted by Blob.
use crate::client::{BLOB, Client, STORAGE, send};
use keyward_emulator::{Emulator, Identity, Options, SUBSCRIPTION};
use serde_json::{Value, json};

const MANAGEMENT: &str = "https%3A%2F%2Fmanagement.azure.com%2F";

async fn start() -> Emulator {
    Emulator::start(Options::default()).await.unwrap()
}

async fn list(
    emulator: &Emulator,
    bearer: &str,
    account: &str,
    body: &Value,
) -> crate::client::Response {
    let path = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/Microsoft.Storage\
         /storageAccounts/{account}/listServiceSas"
    );
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    let line = format!("POST {path}?api-version=2024-01-01");
    send(emulator, "management.azure.com", &line, &headers, body.to_string().as_bytes()).await
}

fn wanted(resource: &str, permission: &str) -> Value {
    let kind = if resource.matches('/').count() > 3 { "b" } else { "c" };
    json!({
        "canonicalizedResource": resource,
        "signedResource": kind,
        "signedPermission": permission,
        "signedProtocol": "https",
        "signedExpiry": "2100-01-01T00:00:00Z",
    })
}

async fn sas(emulator: &Emulator, resource: &str, permission: &str) -> String {
    let client = Client::new(emulator, "management.azure.com", MANAGEMENT).await;
    let response = list(emulator, &client.bearer, "contoso", &wanted(resource, permission)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["serviceSasToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_signature_of_resource_manager_is_valid_for_its_blob_only() {
    let emulator = start().await;
    let sas = sas(&emulator, "/blob/contoso/hello/world.txt", "r").await;
    assert!(
        sas.starts_with("sv=2022-11-02&sr=b&se=2100-01-01T00%3A00%3A00Z&sp=r&spr=https&sig="),
        "{sas}"
    );
    assert!(sas.ends_with("%3D"));
    let read = send(&emulator, BLOB, &format!("GET /hello/world.txt?{sas}"), &[], b"").await;
    assert_eq!((read.status, read.text().as_str()), (200, "Hello, world!"));
    assert_eq!(read.header("x-ms-version"), Some("2022-11-02"));
    let other = send(&emulator, BLOB, &format!("GET /lake/reports/2026.csv?{sas}"), &[], b"").await;
    assert_eq!((other.status, other.code()), (403, "AuthenticationFailed"));
    let signed = "String to sign used was r\n\n2100-01-01T00:00:00Z\n\
                  /blob/contoso/lake/reports/2026.csv\n\n\nhttps\n2022-11-02\nb\n";
    assert!(other.text().contains(signed), "{}", other.text());
    let delete = send(&emulator, BLOB, &format!("DELETE /hello/world.txt?{sas}"), &[], b"").await;
    assert_eq!((delete.status, delete.code()), (403, "AuthorizationPermissionMismatch"));
    assert_eq!(emulator.issued_sas(), [sas.as_str()]);
    assert!(emulator.verify_sas(&sas, "/hello/world.txt", 'r').is_ok());
    assert!(emulator.verify_sas(&sas, "/hello/world.txt", 'w').is_err());
}

#[tokio::test]
async fn a_signature_of_a_container_lists_and_creates_blobs_only() {
    let emulator = start().await;
    let sas = sas(&emulator, "/blob/contoso/hello", "rcl").await;
    let block = [("x-ms-blob-type", "BlockBlob")];
    for (line, status) in [
        ("GET /hello?restype=container&comp=list", 200),
        ("GET /hello/world.txt?x=y", 200),
        ("PUT /hello/new?x=y", 201),
        // The blob exists now, and the permission to create does not include overwriting.
        ("PUT /hello/new?x=y", 403),
        ("PUT /hello?restype=container&comp=metadata", 403),
        ("GET /hello?restype=container", 403),
        ("DELETE /hello?restype=container", 403),
        ("GET /?comp=list", 403),
        ("GET /lake?restype=container&comp=list", 403),
    ] {
        let response = send(&emulator, BLOB, &format!("{line}&{sas}"), &block, b"").await;
        assert_eq!(response.status, status, "{line}: {}", response.text());
    }
}

#[tokio::test]
async fn a_changed_signature_is_invalid() {
    let emulator = start().await;
    let sas = sas(&emulator, "/blob/contoso/hello/world.txt", "r").await;
    for changed in [
        sas.replace("sp=r", "sp=rw"),
        sas.replace("2100", "2101"),
        sas.replace("2022-11-02", "2019-12-12"),
        sas.replace("spr=https", "spr=https,http"),
        sas.replace("2100-01-01T00%3A00%3A00Z", "2001-01-01"),
        sas.replace("sig=", "sig=A"),
        format!("{sas}&rsct=text/html"),
        format!("{sas}&si=policy"),
    ] {
        let response =
            send(&emulator, BLOB, &format!("GET /hello/world.txt?{changed}"), &[], b"").await;
        assert_eq!((response.status, response.code()), (403, "AuthenticationFailed"), "{changed}");
    }
}

#[tokio::test]
async fn resource_manager_rejects_invalid_parameters_of_a_signature() {
    let emulator = start().await;
    let client = Client::new(&emulator, "management.azure.com", MANAGEMENT).await;
    let good = || wanted("/blob/contoso/hello/world.txt", "r");
    for (member, value) in [
        ("signedPermission", json!("wr")),
        ("signedPermission", json!("rq")),
        ("signedPermission", Value::Null),
        ("signedExpiry", json!("2001-01-01T00:00:00Z")),
        ("signedExpiry", json!("soon")),
        ("signedStart", json!("2100-01-02")),
        ("signedResource", json!("c")),
        ("signedResource", json!("x")),
        ("signedProtocol", json!("http")),
        ("canonicalizedResource", json!("/blob/fabrikam/hello/world.txt")),
        ("canonicalizedResource", json!("/blob/contoso/")),
    ] {
        let mut body = good();
        body[member] = value;
        let response = list(&emulator, &client.bearer, "contoso", &body).await;
        let code = &response.json()["error"]["code"];
        assert_eq!(
            (response.status, code.as_str()),
            (400, Some("InvalidValuesForRequestParameters")),
            "{body}"
        );
    }
    assert_eq!(list(&emulator, &client.bearer, "fabrikam", &good()).await.status, 404);
    let reports = format!("&client_id={}", Identity::user_assigned("reports", 1).client_id);
    let bearer = format!("Bearer {}", crate::client::token(&emulator, MANAGEMENT, &reports).await);
    let rejected = list(&emulator, &bearer, "contoso", &good()).await;
    assert_eq!(
        (rejected.status, rejected.json()["error"]["code"].as_str()),
        (403, Some("AuthorizationFailed"))
    );
    assert!(emulator.issued_sas().is_empty());
}

#[tokio::test]
async fn account_and_key_can_be_those_of_another_server() {
    let mut options = Options::default();
    options.storage.account = "devstoreaccount1".to_owned();
    options.storage.key = b"a key".to_vec();
    let emulator = Emulator::start(options).await.unwrap();
    let client = Client::new(&emulator, "management.azure.com", MANAGEMENT).await;
    let body = wanted("/blob/devstoreaccount1/hello/world.txt", "r");
    let response = list(&emulator, &client.bearer, "devstoreaccount1", &body).await;
    let sas = response.json()["serviceSasToken"].as_str().unwrap().to_owned();
    let host = "devstoreaccount1.blob.core.windows.net";
    assert_eq!(
        send(&emulator, host, &format!("GET /hello/world.txt?{sas}"), &[], b"").await.status,
        200
    );
    assert!(emulator.certificate_pem().matches("BEGIN CERTIFICATE").count() == 2);
    assert!(emulator.key_pem().contains("PRIVATE KEY"));
    drop(Client::new(&emulator, host, STORAGE).await);
}
