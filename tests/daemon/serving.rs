//! Calls through a running daemon.

use std::os::unix::fs::PermissionsExt;

use http::Request;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use keyward_emulator::{SUBSCRIPTION, TENANT};

use crate::process::{Daemon, Response, config, exchange};

#[tokio::test]
async fn both_plugins_and_both_identities_work_in_all_three_clouds() {
    for (cloud, vault, audience, arm) in [
        (
            "public",
            "contoso.vault.azure.net",
            "https://vault.azure.net",
            "https://management.azure.com/",
        ),
        (
            "china",
            "contoso.vault.azure.cn",
            "https://vault.azure.cn",
            "https://management.chinacloudapi.cn/",
        ),
        (
            "usgov",
            "contoso.vault.usgovcloudapi.net",
            "https://vault.usgovcloudapi.net",
            "https://management.usgovcloudapi.net/",
        ),
    ] {
        let mut daemon = Daemon::with(
            |emulator| config(cloud, vault, emulator),
            "[listen]\nsocket = \"k.sock\"\n",
        )
        .await;
        let secret = daemon.get("/vault/secrets/db").await;
        assert_eq!(secret.json()["value"], "swordfish-in-the-harbour", "{cloud}");
        let group = |name: &str| {
            format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}?api-version=2021-04-01")
        };
        let demo = daemon.get(&format!("/arm{}", group("demo"))).await;
        assert_eq!((demo.status.as_u16(), &demo.json()["name"]), (200, &"demo".into()), "{cloud}");
        let reports = daemon.get(&format!("/reports{}", group("reports"))).await;
        assert_eq!(
            (reports.status.as_u16(), &reports.json()["name"]),
            (200, &"reports".into()),
            "{cloud}"
        );
        let wrong = daemon.get(&format!("/arm{}", group("reports"))).await;
        assert_eq!(
            (wrong.status.as_u16(), &wrong.json()["error"]["code"]),
            (403, &"AuthorizationFailed".into())
        );

        let record = daemon.record("\"mount\":\"vault\"").await;
        assert_eq!(record["upstream"][0]["audience"], audience);
        let record = daemon.record("\"mount\":\"reports\"").await;
        assert_eq!(record["upstream"][0]["audience"], arm);
        let identities: Vec<_> = daemon
            .emulator
            .log()
            .for_service("arm")
            .into_iter()
            .map(|seen| seen.identity.unwrap())
            .collect();
        assert_eq!(identities, ["system", "reports", "system"]);
        daemon.stop().await;
    }
}

#[tokio::test]
async fn the_services_own_responses_pass_through_the_mount() {
    let daemon = Daemon::start().await;
    let missing = daemon.get("/vault/secrets/nope").await;
    assert_eq!(
        (missing.status.as_u16(), &missing.json()["error"]["code"]),
        (404, &"SecretNotFound".into())
    );
    let wrong = daemon.get(&format!("/arm/subscriptions/{SUBSCRIPTION}/resourceGroups/demo")).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["error"]["code"]),
        (400, &"MissingApiVersionParameter".into())
    );

    let body = r#"{"value": "new", "tags": {"a": "b"}}"#;
    let put = Request::put("/vault/secrets/mine").header("content-type", "application/json");
    let put = daemon.send(put.body(Full::from(body)).unwrap()).await;
    assert_eq!((put.status.as_u16(), &put.json()["tags"]["a"]), (200, &"b".into()));
    let version = put.json()["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(daemon.get(&format!("/vault/secrets/mine/{version}")).await.json()["value"], "new");
    let head = Request::head(format!(
        "/arm/subscriptions/{SUBSCRIPTION}/resourceGroups/demo?api-version=2021-04-01"
    ));
    assert_eq!(daemon.send(head.body(Full::default()).unwrap()).await.status, 204);
    let delete = Request::delete("/vault/secrets/mine").body(Full::default()).unwrap();
    assert_eq!(daemon.send(delete).await.status, 200);
    assert_eq!(daemon.get("/vault/secrets/mine").await.status, 404);
    daemon.stop().await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page_through_the_mount() {
    let daemon = Daemon::start().await;
    let mut names = Vec::new();
    let mut next = "/vault/secrets?maxresults=1".to_owned();
    loop {
        let page = daemon.get(&next).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        names.extend(
            page["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(link) = page["nextLink"].as_str() else { break };
        assert!(link.starts_with("http://localhost/vault/"), "{link}");
        next = link.replace("http://localhost", "");
    }
    let expected = ["api-key", "db", "sql-password", "web"];
    assert_eq!(
        names,
        expected.map(|name| format!("https://contoso.vault.azure.net/secrets/{name}"))
    );

    let path = format!(
        "/reports/subscriptions/{SUBSCRIPTION}/resourceGroups?api-version=2021-04-01&$top=2"
    );
    let first = daemon.get(&path).await.json();
    let link = first["nextLink"].as_str().unwrap().replace("http://localhost", "");
    let second = daemon.get(&link).await.json();
    assert_eq!(
        (first["value"].as_array().unwrap().len(), second["value"].as_array().unwrap().len()),
        (2, 1)
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_long_operation_is_followed_through_the_mount() {
    let daemon = Daemon::start().await;
    let group = format!("/arm/subscriptions/{SUBSCRIPTION}/resourceGroups/demo");
    let version = "api-version=2021-04-01";
    let followed = |response: &Response, field: &str| {
        let link = response.headers[field].to_str().unwrap();
        assert!(link.starts_with("http://localhost/arm/subscriptions/"), "{link}");
        link.replace("http://localhost", "")
    };

    let resource = Request::put(format!("{group}/providers/Contoso.Tests/things/one?{version}"));
    let body = Full::from(r#"{"location": "westeurope"}"#);
    let created = daemon.send(resource.body(body).unwrap()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let link = followed(&created, "azure-asyncoperation");
    assert_eq!(daemon.get(&link).await.json()["status"], "InProgress");
    assert_eq!(daemon.get(&link).await.json()["status"], "Succeeded");

    let accepted = daemon
        .send(Request::delete(format!("{group}?{version}")).body(Full::default()).unwrap())
        .await;
    assert_eq!(accepted.status, 202);
    let link = followed(&accepted, "location");
    assert_eq!(daemon.get(&link).await.status, 202);
    assert_eq!(daemon.get(&link).await.status, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn azures_challenge_reaches_the_caller() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    let field = format!("Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\"");
    daemon.emulator.faults().status("vault", 401, &[("www-authenticate", &field)], "{}");
    let response = daemon.get("/vault/secrets/db").await;
    assert_eq!(
        (response.status.as_u16(), response.headers["www-authenticate"].to_str().unwrap()),
        (401, field.as_str())
    );
    daemon.stop().await;
}

#[tokio::test]
async fn only_its_owner_can_use_the_socket_and_the_kernel_identifies_the_caller() {
    let mut daemon = Daemon::start().await;
    let mode = std::fs::metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let response = daemon.get("/vault/secrets/db").await;
    let record = daemon.record("\"mount\":\"vault\"").await;
    assert_eq!(record["call"], response.headers["x-keyward-call"].to_str().unwrap());
    let uid = std::fs::metadata("/proc/self")
        .map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata))
        .unwrap();
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.starts_with(&format!("uid={uid} ")), "{caller}");
    assert!(caller.ends_with(&format!("pid={}", std::process::id())), "{caller}");
    daemon.stop().await;
}

#[tokio::test]
async fn the_error_about_an_unknown_mount_lists_the_mounts() {
    let daemon = Daemon::start().await;
    for path in ["/", "/vualt/secrets/db", "/vault%2fsecrets/db", "/../vault"] {
        let response = daemon.get(path).await;
        assert_eq!(response.status, 404, "{path}");
        assert!(response.text().contains("arm, reports or vault"), "{}", response.text());
    }
    daemon.get("/vault/secrets/db").await;
    daemon.stop().await;
}

#[tokio::test]
async fn over_loopback_only_a_loopback_host_is_served() {
    let listen = "[listen]\ntcp = \"127.0.0.1:0\"\ntcp_callers = \"anybody-on-this-machine\"\n";
    let mut daemon =
        Daemon::with(|emulator| config("public", "contoso.vault.azure.net", emulator), listen)
            .await;
    let line = daemon.log_line(" ready ").await;
    let address =
        line.split("http://").nth(1).unwrap().split(['"', ' ']).next().unwrap().to_owned();
    let get = async |host: &str| {
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request =
            Request::get("/vault/secrets/db").header("host", host).body(Full::default()).unwrap();
        exchange(TokioIo::new(stream), request).await
    };
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(get(&format!("localhost:{port}")).await.status, 200);
    assert_eq!(get(&address).await.status, 200);
    assert_eq!(get(&format!("rebound.evil.example:{port}")).await.status, 421);
    let record = daemon.record("\"mount\":\"vault\"").await;
    assert!(record["caller"].as_str().unwrap().starts_with("anybody at 127.0.0.1:"), "{record}");
    daemon.stop().await;
}

#[tokio::test]
async fn other_processes_cannot_read_the_daemons_memory() {
    let daemon = Daemon::start().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    // What is not dumpable belongs to root in /proc, whoever runs it.
    let owner = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(format!("/proc/{}/mem", daemon.id())).unwrap(),
    );
    assert_eq!(owner, 0);
    daemon.get("/vault/secrets/db").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_configured_certificate_is_served_over_tls() {
    use rustls::pki_types::pem::PemObject;

    let with = |emulator: &keyward_emulator::Emulator| {
        config("public", "contoso.vault.azure.net", emulator)
    };
    let pair = tempfile::tempdir().unwrap();
    let own =
        keyward_emulator::Emulator::start(keyward_emulator::Options::default()).await.unwrap();
    let [certificate, key] = ["server.pem", "server.key"].map(|name| pair.path().join(name));
    std::fs::write(&certificate, own.certificate_pem()).unwrap();
    std::fs::write(&key, own.key_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let listen = format!(
        "[listen.tls]\naddress = \"127.0.0.1:0\"\ncallers = \
         \"anybody-on-this-machine\"\ncertificate = {certificate:?}\nkey = {key:?}\n"
    );
    let mut daemon = Daemon::with(with, &listen).await;
    let line = daemon.log_line("https://127.0.0.1:").await;
    let port: String = line
        .split_once("https://127.0.0.1:")
        .unwrap()
        .1
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(own.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client))
        .connect(name, stream)
        .await
        .expect("TLS");
    let request = Request::get("/vault/secrets/db")
        .header("host", format!("localhost:{port}"))
        .body(Full::default())
        .unwrap();
    let response = exchange(TokioIo::new(stream), request).await;
    assert_eq!(response.json()["value"], "swordfish-in-the-harbour");
    daemon.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_are_as_many_as_descriptors_are_enough_for() {
    let listen = "[listen]\nsocket = \"k.sock\"\n";
    let limits = |daemon: &Daemon| {
        let text = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        numbers.collect::<Vec<u32>>()
    };
    let daemon = Daemon::with_open_files(64, 8400, listen).await;
    assert_eq!(limits(&daemon), [8400, 8400], "raised to the hard limit");
    assert!(!daemon.log().contains("may open"), "{}", daemon.log());
    drop(daemon);

    let daemon = Daemon::with_open_files(64, 140, listen).await;
    let line = "may open 140 files, which is enough for 6 connections, not for 4096";
    assert!(daemon.log().contains(line), "{}", daemon.log());
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(tokio::net::UnixStream::connect(daemon.socket()).await.unwrap());
    }
    // The connections of the daemon's own user are reserved.
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    daemon.stop().await;
}
