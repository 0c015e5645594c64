//! The command line.

use crate::process::{Daemon, config, keyward, keyward_nowhere, run};

pub(crate) fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The output of a command, with its lines joined.
fn unwrapped(arguments: &[&str]) -> String {
    stdout(arguments).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A directory with a configuration in it.
pub(crate) fn written(config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keyward.toml"), config).unwrap();
    directory
}

pub(crate) fn path(directory: &tempfile::TempDir) -> String {
    directory.path().join("keyward.toml").to_str().unwrap().to_owned()
}

/// A value that must not be in any output.
const SECRET: &str = "hunter2-of-the-harbour";

pub(crate) const GOOD: &str = r#"
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
fn an_invalid_configuration_exits_with_78_and_one_message() {
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

/// The output of every command that reads a configuration.
fn printed_about(config: &str) -> String {
    let directory = written(config);
    let path = path(&directory);
    let commands: [&[&str]; 5] = [
        &["check"],
        &["check", "--format", "json"],
        &["serve"],
        &["doctor", "--metadata", "127.0.0.1:1"],
        &["doctor", "--metadata", "127.0.0.1:1", "--format", "json"],
    ];
    let outputs = commands.map(|command| run(&[command, &["--config", &path]].concat()));
    assert_eq!(outputs[2].status.code(), Some(78), "{outputs:?}");
    outputs
        .map(|output| String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
        .concat()
}

#[test]
fn no_message_repeats_a_value_that_may_be_a_secret() {
    let lines = [
        "client_secret = SECRET",
        "clientSecret = SECRET",
        "pasword = SECRET",
        "sas_token = SECRET",
        "account_key = [SECRET]",
        "persist_keys = SECRET",
        "sourc = { client_secret = SECRET }",
        "sourc = [{ token = SECRET }]",
        "persist = \"tokens\"\npersist_key = SECRET",
        "persist = \"tokens\"\npersist_credential = SECRET",
        "client_secret = SECRET = 1",
        "client_secret = SECRET\nclient_secret = SECRET",
    ];
    for line in lines {
        let line = line.replace("SECRET", &format!("{SECRET:?}"));
        let text = printed_about(&format!(
            "[identity.default]\nsource = \"imds\"\n{line}\n[mount.arm]\nplugin = \"arm\"\n"
        ));
        assert!(!text.contains(SECRET) && !text.contains("hunter2"), "{line}: {text}");
    }
    let text = printed_about(&format!(
        "{GOOD}[mount.vault.settings]\napi_version = \"7.4\"\napi_key = {SECRET:?}\n"
    ));
    assert!(!text.contains(SECRET), "{text}");
    let tls = format!("certificate = \"none.pem\"\nkey = {SECRET:?}\ncallers = \"anybody\"\n");
    let text = printed_about(&format!("{GOOD}[listen.tls]\naddress = \"127.0.0.1:0\"\n{tls}"));
    assert!(!text.contains(SECRET), "{text}");
    let text = printed_about(
        "[identity.default]\nsource = \"imds\"\nclient_secret = \"x\"\n[mount.arm]\nplugin = \
         \"arm\"\n",
    );
    assert!(
        text.contains("help:     remove this line: Keyward's configuration has no secrets")
            && !text.contains("write:    client_id"),
        "{text}"
    );
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

[mount.vault]
  setting       api_version = \"7.4\"
";
    assert_eq!(text, expected);
    let json = check_json(&path(&directory));
    assert_eq!(json["mounts"][1]["grants"][0]["allowed"][0], "GET /secrets/*");
    assert_eq!(json["mounts"][0]["grants"][0]["allowed"], serde_json::Value::Null);
}

/// What `check` prints about a configuration as JSON.
fn check_json(config: &str) -> serde_json::Value {
    serde_json::from_str(&stdout(&["check", "--config", config, "--format", "json"])).unwrap()
}

/// What is valid, but cannot be served on this machine.
const ELSEWHERE: &str = "\
[identity.default]
source = \"imds\"
persist = \"tokens\"
persist_key = \"nowhere.key\"
[identity.fabric]
source = \"service-fabric\"
[mount.vault]
plugin = \"keyvault\"
endpoint = \"https://contoso.vault.azure.net\"
[egress.resolve]
\"contosso.vault.azure.net:443\" = \"127.0.0.1:8443\"
[tls]
ca_files = [\"nowhere.pem\"]
[listen.tls]
address = \"127.0.0.1:8443\"
callers = \"anybody-on-this-machine\"
certificate = \"server.pem\"
key = \"server.key\"
[audit]
file = \".\"
";

#[test]
fn check_warns_of_what_fails_on_this_machine() {
    let directory = written(ELSEWHERE);
    let file = path(&directory);
    let output = |format| {
        let mut command = keyward_nowhere();
        command.args(["check", "--config", &file, "--format", format]);
        for variable in ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"] {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = output("table").split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "warning: `\"contosso.vault.azure.net:443\"` in [egress.resolve] is unused",
        "write: \"contoso.vault.azure.net:443\" = \"127.0.0.1:8443\"",
        "warning: `keyward serve` fails on this machine: ",
        "cannot use the certificates in",
        "`certificate` in [listen.tls]: cannot read",
        "`key` in [listen.tls]: the key cannot be used: No such file",
        "then a pair is made",
        "is a directory write: file = ",
        "`persist_key` in [identity.default]",
        "the identity `fabric` has no source",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&output("json")).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 7, "{json}");
}

/// A configuration with every kind of grant of a mount.
const EVERYTHING: &str = "\
[identity.default]
source = \"imds\"
[mount.blobs]
plugin = \"storage\"
endpoint = \"https://contoso.blob.core.windows.net\"
redirects = [\"https://other.blob.core.windows.net\", \"https://node.example:8443\"]
hand_out = [\"listServiceSas\"]
[mount.blobs.settings]
auth = \"sas\"
account = \"/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso\"
[mount.blobs.audience.arm]
[mount.orders]
plugin = \"sql\"
endpoint = \"sqlserver://contoso.database.windows.net\"
[mount.orders.settings]
database = \"shop\"
[mount.orders.settings.queries]
all = \"select 1\"
[mount.orders.audience.vault]
endpoint = \"https://contoso.vault.azure.net\"
";

#[test]
fn check_shows_everything_that_a_mount_may_do() {
    let directory = written(EVERYTHING);
    let text = stdout(&["check", "--config", &path(&directory)]);
    let in_one_line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    for part in [
        "[mount.blobs] redirects https://other.blob.core.windows.net receives the tokens of \
         `blob` too",
        "redirects https://node.example:8443 receives requests without a token: it is not a host \
         of https://storage.azure.com/",
        "paths of `blob` are read as names after the first segment; `%2F` and `\\` in them are `/`",
        "second path of `blob`, in the header field x-ms-copy-source, which must be allowed to GET",
        "seals /serviceSasToken of `arm`, spent in a query to `blob`",
        "exports POST /$sas/** hands out /serviceSasToken of `arm` to callers, by `hand_out`",
        "hands out the credentials of listServiceSas, to callers",
        "setting auth = \"sas\"",
        "gateways of `sql` redirect to nodes in database.windows.net, ports 11000 to 11999",
        "seals /value of `vault`, spent as a password at `sql`",
        "setting queries.all = \"select 1\"",
        "setting max_rows = \"1000000\"",
    ] {
        assert!(in_one_line.contains(part), "{part} in {text}");
    }
    let json = check_json(&path(&directory));
    let (blobs, orders) = (&json["mounts"][0], &json["mounts"][1]);
    assert_eq!(blobs["hand_out"][0], "listServiceSas");
    let redirects = &blobs["grants"][0]["redirects"];
    assert_eq!(
        (&redirects[0]["origin"], &redirects[0]["token"]),
        (&"https://other.blob.core.windows.net".into(), &true.into())
    );
    assert_eq!(
        (&redirects[1]["origin"], &redirects[1]["token"]),
        (&"https://node.example:8443".into(), &false.into())
    );
    assert_eq!(blobs["grants"][0]["referenced_paths"][0]["header"], "x-ms-copy-source");
    assert_eq!(
        (&blobs["grants"][0]["paths"], &blobs["grants"][0]["names_after"]),
        (&"names".into(), &1.into())
    );
    assert_eq!(blobs["grants"][1]["paths"], "segments");
    assert!(blobs["grants"][1]["names_after"].is_null());
    let seal = &blobs["grants"][1]["seals"][0];
    assert_eq!(
        (&seal["spend"], &seal["as"], &seal["export"]),
        (&"blob".into(), &"query".into(), &"POST /$sas/**".into())
    );
    assert_eq!(blobs["settings"]["auth"], "sas");
    assert_eq!(orders["grants"][0]["gateways"]["ports"][0], 11_000);
    assert_eq!(orders["grants"][1]["unsealed"], false);
    assert_eq!(orders["settings"]["queries.all"], "select 1");

    let open = EVERYTHING.replace("hand_out = [\"listServiceSas\"]\n", "");
    let text = stdout(&["check", "--config", &path(&written(&open))]);
    assert!(text.contains("POST /$sas/** is denied: the mount has no `hand_out`"), "{text}");
    assert!(!text.contains("hands out"), "{text}");
}

#[test]
fn check_shows_no_setting_that_may_be_a_secret() {
    let config = EVERYTHING.replace(
        "database = \"shop\"\n",
        &format!(
            "database = \"shop\"\nauth = \"password\"\nuser = \"app\"\npassword_secret = \
             {SECRET:?}\n"
        ),
    );
    let directory = written(&config);
    let config = path(&directory);
    let text = stdout(&["check", "--config", &config]);
    assert!(!text.contains(SECRET) && text.contains("password_secret is not shown"), "{text}");
    let text = stdout(&["check", "--config", &config, "--format", "json"]);
    assert!(!text.contains(SECRET), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json["mounts"][1]["settings"]["password_secret"].is_null(), "{text}");
    assert_eq!(json["mounts"][1]["settings"]["user"], "app");
}

#[test]
fn inspect_shows_what_a_plugin_declares() {
    let text = stdout(&["inspect", "keyvault"]);
    for part in [
        "keyvault: Azure Key Vault",
        "https://vault.azure.net",
        "*.vault.azure.net",
        "*.managedhsm.azure.net",
        "default 7.4",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let storage = stdout(&["inspect", "storage"]);
    assert!(storage.contains("*.z##.blob.storage.azure.net"), "{storage}");
    let synapse = stdout(&["inspect", "sql", "--cloud", "usgov"]);
    assert!(synapse.contains("*.sql.azuresynapse.usgovcloudapi.net"), "{synapse}");
    let china = stdout(&["inspect", "arm", "--cloud", "china", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&china).unwrap();
    assert_eq!(
        json["audiences"][0]["services"][0]["audience"],
        "https://management.chinacloudapi.cn/"
    );
    let sql = stdout(&["inspect", "sql", "--format", "json"]);
    assert!(
        sql.contains("\"as\": \"login-password\"") || sql.contains("\"as\":\"login-password\""),
        "{sql}"
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("thief.wasm");
    std::fs::write(&file, keyward_bundle::THIEF).unwrap();
    let text = stdout(&["inspect", file.to_str().unwrap()]);
    assert!(text.contains("Tries to steal a token") && text.contains(", optional"), "{text}");
    let error = run(&["inspect", "nothing"]);
    assert_eq!(error.status.code(), Some(78));
}

/// A component that consists of a manifest.
pub(crate) fn component(manifest: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0\0".to_vec();
    let length = 17 + manifest.len();
    bytes.extend([u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()]);
    bytes.push(16);
    bytes.extend(b"keyward:manifest");
    bytes.extend(manifest.as_bytes());
    bytes
}

#[test]
fn inspect_and_check_warn_about_a_pair_that_the_author_chose() {
    let directory = written("");
    let file = directory.path().join("w.wasm");
    let weather = component(
        "name=\"w\"\n[audience.a]\nresource=\"https://w.example\"\nhosts=[\"w.example\"]",
    );
    std::fs::write(&file, &weather).unwrap();
    let text = unwrapped(&["inspect", file.to_str().unwrap()]);
    let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<&str>>().join(" ");
    let warning = "warning the author chose this audience and its hosts: whoever runs w.example \
                   can use the tokens. A mount must restate `endpoint` and `resource`";
    assert!(in_one_line(&text).contains(warning), "{text}");
    let sum = keyward_policy::plan::sha256(&weather);
    let mount = format!(
        "[identity.default]\nsource = \"imds\"\n[mount.w]\nplugin = \"./w.wasm\"\nsha256 = \
         \"{sum}\"\n\
         endpoint = \"https://w.example\"\nresource = \"https://w.example\"\n"
    );
    std::fs::write(directory.path().join("keyward.toml"), mount).unwrap();
    let text = stdout(&["check", "--config", &path(&directory)]);
    let warning = "warning: [mount.w]: tokens for https://w.example go to https://w.example: the \
                   plugin's author chose this pair, and this mount restates it\n";
    assert!(text.ends_with(warning), "{text}");
    let json = check_json(&path(&directory));
    assert_eq!(json["mounts"][0]["grants"][0]["restated"], true);
    assert_eq!(json["mounts"][0]["warnings"].as_array().map(Vec::len), Some(1));

    let azure = "name=\"w\"\n[audience.a]\nresource=\"https://management.azure.com\"\n\
                 hosts=[\"w.example\"]";
    std::fs::write(&file, component(azure)).unwrap();
    let text = stdout(&["inspect", file.to_str().unwrap()]);
    let warning = "warning it requests tokens for https://management.azure.com at w.example";
    assert!(in_one_line(&text).contains(warning), "{text}");
    let json = stdout(&["inspect", file.to_str().unwrap(), "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(
        json["audiences"][0]["warning"].as_str().unwrap().ends_with("a mount is rejected"),
        "{json}"
    );
}

#[test]
fn a_plugin_file_is_pinned_by_its_checksum() {
    let directory = written("");
    std::fs::write(directory.path().join("thief.wasm"), keyward_bundle::THIEF).unwrap();
    let mount = "[identity.default]\nsource = \"imds\"\n[mount.t]\nplugin = \
                 \"thief.wasm\"\nendpoint = \"https://a.vault.azure.net\"\n";
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
    std::fs::write(
        directory.path().join("thief.wasm"),
        [keyward_bundle::THIEF, b"\0\x02\x01x"].concat(),
    )
    .unwrap();
    let changed = run(&["check", "--config", &path(&directory)]);
    assert!(String::from_utf8_lossy(&changed.stderr).contains("does not match its `sha256`"));
}

#[tokio::test]
async fn call_works_through_a_daemon_and_without_one() {
    let daemon = Daemon::start().await;
    let (socket, config) = (daemon.socket(), daemon.config());
    let (through, without, missing) = tokio::task::spawn_blocking(move || {
        let (socket, config) = (socket.to_str().unwrap(), config.to_str().unwrap());
        let through = run(&["call", "--socket", socket, "vault", "GET", "/secrets/db"]);
        let without =
            run(&["call", "--config", config, "--include", "vault", "GET", "/secrets/db"]);
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
        run(&[
            "call",
            "--socket",
            socket,
            "vault",
            "PUT",
            "/secrets/mine",
            "--data",
            &body,
            "-H",
            field,
        ])
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let seen = daemon.emulator.log().for_service("vault");
    assert_eq!(
        (seen[0].method.as_str(), seen[0].header("content-type")),
        ("PUT", Some("application/json"))
    );
    assert_eq!(daemon.get("/vault/secrets/mine").await.json()["value"], "from a file");
    daemon.stop().await;
}

#[test]
fn call_without_a_daemon_says_how_to_start_one() {
    let output = run(&["call", "--socket", "/nowhere/k.sock", "vault", "GET", "/"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("keyward serve --config FILE"));
    // A temporary directory, since the machine's may have a daemon.
    let directory = tempfile::tempdir().unwrap();
    let mut default = keyward();
    default.env("XDG_RUNTIME_DIR", directory.path()).args(["call", "vault", "GET", "secrets"]);
    assert_eq!(default.output().unwrap().status.code(), Some(69));
}

#[test]
fn a_malformed_request_is_a_usage_error() {
    for wrong in [
        &["vault", "GET", "secrets"][..],
        &["vault", "GE T", "/secrets"],
        &["vault", "GET", "/a b"],
        &["vault", "GET", "/secrets", "-H", "no colon"],
        &["vault", "GET", "/secrets", "-H", "a\u{7f}b: value"],
    ] {
        let directory = written(GOOD);
        let output = run(&[&["call", "--config", &path(&directory)], wrong].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {message}");
        assert!(message.contains("keyward call --help"), "{message}");
    }
}

/// Commands with long output, and their arguments.
fn printing(config: &str) -> [Vec<String>; 7] {
    [
        vec!["--help"],
        vec!["check", "--config", config],
        vec!["check", "--config", config, "--format", "json"],
        vec!["inspect", "sql"],
        vec!["explain", "bad-request"],
        vec!["doctor", "--metadata", "127.0.0.1:1"],
        vec!["demo"],
    ]
    .map(|arguments| arguments.into_iter().map(str::to_owned).collect())
}

#[test]
fn a_closed_pipe_ends_a_command_silently() {
    let directory = written(GOOD);
    for arguments in printing(&path(&directory)) {
        let mut command = keyward();
        command
            .args(&arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {message}");
        assert!(
            !message.contains("keyward: ") && !message.contains("panicked"),
            "{arguments:?}: {message}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let directory = written(GOOD);
    // `clap` prints the help itself.
    for arguments in printing(&path(&directory)).into_iter().skip(1) {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = keyward().args(&arguments).stdout(full).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(74), "{arguments:?}: {message}");
        assert!(message.contains("cannot write to standard output"), "{arguments:?}: {message}");
    }
}

#[test]
fn text_fits_the_width_of_the_terminal() {
    let directory = written(GOOD);
    let commands =
        ["serve", "check", "doctor", "inspect", "call", "explain", "emulator", "dev", "demo"];
    let helps = commands.map(|command| vec![command.to_owned(), "--help".to_owned()]);
    for columns in [80, 100] {
        for arguments in printing(&path(&directory)).iter().chain(&helps) {
            if arguments[0] == "doctor" && arguments.len() == 3 {
                // The firewall's commands are to be copied, and stay whole.
                continue;
            }
            let output =
                keyward().env("COLUMNS", columns.to_string()).args(arguments).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            for line in text.lines() {
                // What has no place to be broken stays whole: a path, a URL, a line of JSON.
                let words =
                    line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
                let fits = line.chars().count() <= columns
                    || words + 20 > columns
                    || arguments.contains(&"json".to_owned());
                assert!(fits, "{arguments:?} at {columns}: {line}");
            }
        }
    }
}

#[test]
fn the_configuration_of_these_tests_is_valid() {
    let emulator = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let emulator =
            keyward_emulator::Emulator::start(keyward_emulator::Options::default()).await.unwrap();
        config("usgov", "contoso.vault.usgovcloudapi.net", &emulator)
    });
    let directory = written(&emulator);
    assert!(
        stdout(&["check", "--config", &path(&directory)])
            .contains("https://management.usgovcloudapi.net/")
    );
}
