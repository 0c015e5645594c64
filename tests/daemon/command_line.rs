//! The command line.

use std::path::Path;

use crate::process::{Daemon, config, keyward, run};

fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with a configuration in it.
fn written(config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keyward.toml"), config).unwrap();
    directory
}

fn path(directory: &tempfile::TempDir) -> String {
    directory.path().join("keyward.toml").to_str().unwrap().to_owned()
}

const GOOD: &str = r#"
[identity.default]
source = "imds"
[mount.vault]
plugin = "keyvault"
endpoint = "https://contoso.vault.azure.net"
allow = ["GET /secrets/*", "GET /secrets"]
[mount.arm]
plugin = "arm"
"#;

#[test]
fn a_bad_configuration_ends_with_78_and_one_message() {
    for command in ["serve", "check"] {
        let directory = written("[mount.vault]\nplugin = \"keyvalt\"\n");
        let output = run(&[command, "--config", &path(&directory)]);
        assert_eq!(output.status.code(), Some(78));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(message.matches("keyward: ").count(), 1, "{message}");
        for part in [
            "keyward.toml:2:10: unknown plugin `keyvalt`",
            "expected: adls, arm, keyvault, sql or storage",
            "plugin = \"keyvault\"",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(output.stdout.is_empty());
    }
    let output = run(&["serve", "--config", "/nowhere/keyward.toml"]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn check_shows_the_effective_grants() {
    let directory = written(GOOD);
    let text = stdout(&["check", "--config", &path(&directory)]);
    let expected = "\
MOUNT  PLUGIN    IDENTITY  TOKENS FOR                            MAY SEND
arm    arm       default   https://management.azure.com/         everything
                             at https://management.azure.com
vault  keyvault  default   https://vault.azure.net               GET /secrets/*
                             at https://contoso.vault.azure.net  GET /secrets
";
    assert_eq!(text, expected);
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&["check", "--config", &path(&directory), "--format", "json"])).unwrap();
    assert_eq!(json["mounts"][1]["grants"][0]["allowed"][0], "GET /secrets/*");
    assert_eq!(json["mounts"][0]["grants"][0]["allowed"], serde_json::Value::Null);
}

#[test]
fn inspect_shows_what_a_plugin_wants() {
    let text = stdout(&["inspect", "keyvault"]);
    for part in
        ["keyvault: Azure Key Vault", "tokens for  https://vault.azure.net\n", "*.vault.azure.net", "default 7.4"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let china = stdout(&["inspect", "arm", "--cloud", "china", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&china).unwrap();
    assert_eq!(json["audiences"][0]["services"][0]["audience"], "https://management.chinacloudapi.cn/");
    let sql = stdout(&["inspect", "sql", "--format", "json"]);
    assert!(sql.contains("\"as\": \"login-password\"") || sql.contains("\"as\":\"login-password\""), "{sql}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("thief.wasm");
    std::fs::write(&file, keyward_bundle::THIEF).unwrap();
    let text = stdout(&["inspect", file.to_str().unwrap()]);
    assert!(text.contains("Tries to steal a token") && text.contains("if the configuration grants it"), "{text}");
    let error = run(&["inspect", "nothing"]);
    assert_eq!(error.status.code(), Some(78));
}

#[test]
fn a_plugin_in_a_file_is_pinned_by_its_sum() {
    let directory = written("");
    std::fs::write(directory.path().join("thief.wasm"), keyward_bundle::THIEF).unwrap();
    let mount = "[identity.default]\nsource = \"imds\"\n[mount.t]\nplugin = \"thief.wasm\"\nendpoint = \"https://a.vault.azure.net\"\n";
    std::fs::write(directory.path().join("keyward.toml"), mount).unwrap();
    let without = run(&["check", "--config", &path(&directory)]);
    assert_eq!(without.status.code(), Some(78));
    let message = String::from_utf8(without.stderr).unwrap();
    let line = message
        .lines()
        .find(|line| line.contains("sha256 = "))
        .unwrap()
        .trim()
        .trim_start_matches("write:")
        .trim()
        .to_owned();
    std::fs::write(directory.path().join("keyward.toml"), format!("{mount}{line}\n")).unwrap();
    assert!(stdout(&["check", "--config", &path(&directory)]).contains("thief"));
    std::fs::write(directory.path().join("thief.wasm"), [keyward_bundle::THIEF, b"\0\x02\x01x"].concat()).unwrap();
    let changed = run(&["check", "--config", &path(&directory)]);
    assert!(String::from_utf8_lossy(&changed.stderr).contains("has other bytes than its `sha256` says"));
}

#[tokio::test]
async fn call_works_through_a_daemon_and_without_one() {
    let daemon = Daemon::start().await;
    let (socket, config) = (daemon.socket(), daemon.config());
    let (through, without, missing) = tokio::task::spawn_blocking(move || {
        let (socket, config) = (socket.to_str().unwrap(), config.to_str().unwrap());
        let through = run(&["call", "--socket", socket, "vault", "GET", "/secrets/db"]);
        let without = run(&["call", "--config", config, "--include", "vault", "GET", "/secrets/db"]);
        let missing = run(&["call", "--socket", socket, "vault", "GET", "/secrets/nope"]);
        (through, without, missing)
    })
    .await
    .unwrap();
    assert!(String::from_utf8_lossy(&through.stdout).contains("swordfish"), "{through:?}");
    assert_eq!(through.status.code(), Some(0));
    let text = String::from_utf8_lossy(&without.stdout).into_owned();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("swordfish"), "{without:?}");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stdout).contains("SecretNotFound"));
    daemon.stop().await;
}

#[tokio::test]
async fn call_sends_a_body_and_header_fields() {
    let daemon = Daemon::start().await;
    let (socket, file) = (daemon.socket(), daemon.directory.path().join("body.json"));
    std::fs::write(&file, r#"{"value": "from a file"}"#).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let (socket, body) = (socket.to_str().unwrap(), format!("@{}", file.display()));
        let field = "content-type: application/json";
        run(&["call", "--socket", socket, "vault", "PUT", "/secrets/mine", "--data", &body, "-H", field])
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let seen = daemon.emulator.log().of("vault");
    assert_eq!((seen[0].method.as_str(), seen[0].header("content-type")), ("PUT", Some("application/json")));
    assert_eq!(daemon.get("/vault/secrets/mine").await.json()["value"], "from a file");
    daemon.stop().await;
}

#[test]
fn call_without_a_daemon_says_how_to_start_one() {
    let output = run(&["call", "--socket", "/nowhere/k.sock", "vault", "GET", "/"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("keyward serve --config FILE"));
    // A directory of the test's own: the machine's may have a daemon.
    let directory = tempfile::tempdir().unwrap();
    let mut default = keyward();
    default.env("XDG_RUNTIME_DIR", directory.path()).args(["call", "vault", "GET", "secrets"]);
    assert_eq!(default.output().unwrap().status.code(), Some(69));
}

/// Runs a command until it has printed these words, and gives all that it printed.
fn until(arguments: &[&str], words: &str) -> String {
    use std::io::BufRead;
    let mut command = keyward();
    let mut child = command
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut text = String::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        text.push_str(&line);
        text.push('\n');
        if line.contains(words) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn emulator_prints_the_configuration_and_the_environment_to_use_it() {
    let directory = tempfile::tempdir().unwrap();
    let text = until(&["emulator", "--directory", directory.path().to_str().unwrap()], "# Faults");
    for part in ["[identity.reports]", "[egress.resolve]", "export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(Path::new(directory.path()).join("ca.pem").exists());
    assert!(
        stdout(&["check", "--config", &path(&directory)]).contains("reports"),
        "what it wrote is a good configuration"
    );
}

#[test]
fn dev_serves_beside_an_emulator() {
    let directory = tempfile::tempdir().unwrap();
    let text = until(&["dev", "--directory", directory.path().to_str().unwrap()], "curl --unix-socket");
    assert!(text.contains("keyward call --socket"), "{text}");
}

#[test]
fn demo_does_what_it_says() {
    let text = stdout(&["demo"]);
    assert!(text.contains("steps did what they say") && !text.contains("WRONG"), "{text}");
}

#[test]
fn a_test_configuration_is_a_good_one() {
    let emulator = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let emulator = keyward_emulator::Emulator::start(keyward_emulator::Options::default()).await.unwrap();
        config("usgov", "contoso.vault.usgovcloudapi.net", &emulator)
    });
    let directory = written(&emulator);
    assert!(stdout(&["check", "--config", &path(&directory)]).contains("https://management.usgovcloudapi.net/"));
}

#[test]
fn the_readmes_configuration_is_a_good_one() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let texts: Vec<&str> = readme.split("```toml\n").skip(1).map(|text| text.split("```").next().unwrap()).collect();
    let (clouds, texts): (Vec<&str>, Vec<&str>) = texts.into_iter().partition(|text| text.starts_with("[cloud]"));
    let own = format!("{}{}", clouds.concat(), GOOD.replace(".vault.azure.net", ".vault.contoso.example"));
    assert!(stdout(&["check", "--config", &path(&written(&own))]).contains("https://vault.contoso.example"));
    let table = stdout(&["check", "--config", &path(&written(&texts.concat()))]);
    for part in
        ["https://contoso.vault.azure.net", "reports", "https://contoso.blob.core.windows.net", "listServiceSas"]
    {
        assert!(table.contains(part), "{part} in {table}");
    }
}
