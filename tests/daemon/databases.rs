//! Azure SQL through a running daemon: the platform's tutorial, in every cloud.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward_emulator::{Emulator, Identity};
use keyward_tests::Secrets;
use serde_json::{Value, json};

use crate::process::{Daemon, Response, resolve_with_sql};

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

const CLOUDS: [(&str, &str, &str); 3] = [
    ("public", "database.windows.net", "vault.azure.net"),
    ("china", "database.chinacloudapi.cn", "vault.azure.cn"),
    ("usgov", "database.usgovcloudapi.net", "vault.usgovcloudapi.net"),
];

fn config(cloud: &str, database: &str, vault: &str, emulator: &Emulator) -> String {
    let resolve = resolve_with_sql(emulator);
    format!(
        "cloud = {cloud:?}\n[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
         [mount.orders]\nplugin = \"sql\"\nendpoint = \"sqlserver://contoso.{database}\"\nallow = \
         [\"CONNECT /shop\"]\n\
         [mount.orders.settings]\ndatabase = \"shop\"\n\
         [mount.old]\nplugin = \"sql\"\nendpoint = \"sqlserver://contoso.{database}\"\n\
         [mount.old.settings]\ndatabase = \"shop\"\nauth = \"password\"\nuser = \
         \"app\"\npassword_secret = \"sql-password\"\n\
         [mount.old.audience.vault]\nendpoint = \"https://contoso.{vault}\"\nallow = [\"GET \
         /secrets/sql-password\"]\n\
         [egress.resolve]\n{resolve}[tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.imds_url()
    )
}

async fn query(daemon: &Daemon, mount: &str, sql: &str) -> Response {
    let request =
        Request::post(format!("/{mount}/query")).header("content-type", "application/json");
    let body = Bytes::from(json!({ "sql": sql }).to_string());
    daemon.send(request.body(Full::new(body)).unwrap()).await
}

#[tokio::test]
async fn the_tutorial_works_in_every_cloud_with_the_system_assigned_identity() {
    for (cloud, database, vault) in CLOUDS {
        let mut daemon =
            Daemon::with(|emulator| config(cloud, database, vault, emulator), LISTEN).await;
        let response = query(&daemon, "orders", "SELECT * FROM orders").await;
        assert_eq!(response.status, 200, "{cloud}: {}", response.text());
        let body: Value = response.json();
        assert_eq!(body["rows"].as_array().unwrap().len(), 3);
        assert_eq!(body["rows"][0][1], "Fabrikam");
        let seen = daemon.emulator.log().for_service("sql");
        assert_eq!(seen[0].identity.as_deref(), Some(Identity::system_assigned().name.as_str()));
        assert_eq!(seen[0].host, format!("contoso.{database}"));

        let by_password = query(&daemon, "old", "select suser_sname() as who").await;
        assert_eq!(by_password.json()["rows"], json!([["app"]]), "{cloud}: {}", by_password.text());

        let secrets = Secrets::tokens(daemon.emulator.issued_tokens());
        let audit = daemon.record("\"mount\":\"old\"").await.to_string();
        let log = daemon.log();
        for (what, text) in
            [("the log", &log), ("the audit", &audit), ("the response", &by_password.text())]
        {
            secrets.assert_absent(what, text.as_bytes());
            assert!(!text.contains("correct-horse"), "the password is in {what}");
        }
        daemon.stop().await;
    }
}
