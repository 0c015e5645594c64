//! `keyward reload`, `status`, `wait` and `stop`, and the admin socket that they use.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;
use http_body_util::Full;
use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use rustix::process::Signal;

use crate::process::{Daemon, Response, config, keyward, send};
use crate::skip::skip;

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

fn vaults(emulator: &Emulator) -> String {
    config("public", "contoso.vault.azure.net", emulator)
}

async fn admin(daemon: &Daemon, method: &str, path: &str, fields: &[(&str, &str)]) -> Response {
    let request = Request::builder().method(method).uri(path);
    let request =
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(&daemon.admin_socket(), request.body(Full::default()).unwrap()).await
}

/// Changes a daemon's configuration.
fn edit(daemon: &Daemon, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(daemon.config()).unwrap();
    std::fs::write(daemon.config(), change(text)).unwrap();
}

/// Grants less of the mount `arm`.
fn narrow_arm(text: String) -> String {
    text.replace(
        "[mount.arm]\nplugin = \"arm\"\n",
        "[mount.arm]\nplugin = \"arm\"\nallow = [\"GET /**\"]\n",
    )
}

/// Runs a command with the daemon's configuration. Returns its code, and what it printed.
async fn run(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = keyward();
    program.args(arguments).arg("--config").arg(daemon.config());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), text.concat())
}

async fn done(daemon: &Daemon, arguments: &[&str]) -> String {
    let (code, printed) = run(daemon, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {printed}");
    printed
}

#[tokio::test]
async fn a_reload_lists_what_changed_and_what_did_not() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    edit(&daemon, narrow_arm);
    let printed = done(&daemon, &["reload"]).await;
    assert!(printed.contains("changed: mount `arm`"), "{printed}");
    assert!(printed.contains("unchanged: mounts reports, vault"), "{printed}");
    let printed = done(&daemon, &["reload"]).await;
    assert!(printed.contains("as they were"), "{printed}");
    edit(&daemon, |text| text.replace("[mount.arm]", "[mount.other]"));
    let response = admin(&daemon, "POST", "/reload", &[]).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let report = response.json();
    assert_eq!(report["mounts"]["added"][0], "other");
    assert_eq!(report["mounts"]["removed"][0], "arm");
    assert_eq!(daemon.get("/arm/subscriptions").await.status, 404);
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    assert_eq!(daemon.emulator.log().for_service("imds").len(), 1, "tokens are kept");
    daemon.stop().await;
}

#[tokio::test]
async fn an_invalid_configuration_changes_nothing_and_is_explained() {
    let mut daemon = Daemon::start().await;
    edit(&daemon, |text| {
        narrow_arm(text).replace("plugin = \"keyvault\"", "plugin = \"keyvalut\"")
    });
    let response = admin(&daemon, "POST", "/reload", &[]).await;
    assert_eq!(response.status, 422);
    let problem = response.json();
    assert_eq!(problem["type"], "urn:keyward:problem:invalid-configuration");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("keyward.toml:") && detail.contains("keyvalut"), "{detail}");
    daemon.signal(Signal::HUP);
    daemon.log_line("by=\"SIGHUP\"").await;
    let (code, printed) = run(&daemon, &["reload"]).await;
    assert_eq!(code, Some(78), "{printed}");
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    let status = admin(&daemon, "GET", "/status", &[]).await.json();
    assert_eq!(status["configuration"]["reloads"], 0);
    let failed = status["configuration"]["failed_reload"]["message"].as_str().unwrap();
    assert!(failed.contains("keyvalut"), "{failed}");
    daemon.stop().await;
}

#[tokio::test]
async fn two_operators_do_not_undo_each_others_changes() {
    let daemon = Daemon::start().await;
    let before = admin(&daemon, "GET", "/status", &[]).await;
    let tag = before.headers["etag"].to_str().unwrap().to_owned();
    let digest = before.json()["configuration"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(tag, format!("\"{digest}\""));
    edit(&daemon, narrow_arm);
    let first = admin(&daemon, "POST", "/reload", &[("if-match", &tag)]).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_ne!(first.headers["etag"].to_str().unwrap(), tag);
    edit(&daemon, |text| text + "# another operator\n");
    let second = admin(&daemon, "POST", "/reload", &[("if-match", &tag)]).await;
    assert_eq!(second.status, 412);
    assert_eq!(second.json()["type"], "urn:keyward:problem:other-configuration");
    let (code, printed) = run(&daemon, &["reload", "--if-match", &digest]).await;
    assert_eq!(code, Some(69), "{printed}");
    assert!(printed.contains("another one than expected"), "{printed}");
    let malformed = admin(&daemon, "POST", "/reload", &[("if-match", "no quotes")]).await;
    assert_eq!(malformed.status, 400);
    assert_eq!(admin(&daemon, "POST", "/reload", &[("if-match", "*")]).await.status, 200);
    daemon.get("/vault/secrets/db").await;
    daemon.stop().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_listed_and_the_rest_is_used() {
    let daemon = Daemon::start().await;
    edit(&daemon, |text| {
        narrow_arm(text).replace(LISTEN, "[listen]\nsocket = \"other.sock\"\nmin_rate = \"1KiB\"\n")
            + "[audit]\nfile = \"audit.jsonl\"\n"
    });
    let report = admin(&daemon, "POST", "/reload", &[]).await.json();
    let parts = ["`socket` in [listen]", "`min_rate` in [listen]", "[admin]", "[audit]"];
    assert_eq!(report["needs_restart"], serde_json::json!(parts));
    assert_eq!(report["mounts"]["changed"][0], "arm");
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_reload_that_the_confinement_does_not_permit_changes_nothing() {
    let daemon = Daemon::start().await;
    let is_confined =
        daemon.log().lines().any(|line| line.contains(": confined: ") && line.contains("landlock"));
    let elsewhere = tempfile::tempdir().unwrap();
    let ca = elsewhere.path().join("ca.pem");
    std::fs::write(&ca, daemon.emulator.ca_pem()).unwrap();
    edit(&daemon, |text| narrow_arm(text).replace("\"ca.pem\"", &format!("{ca:?}")));
    let response = admin(&daemon, "POST", "/reload", &[]).await;
    if is_confined {
        assert_eq!(response.status, 409, "{}", response.text());
        let problem = response.json();
        assert_eq!(problem["type"], "urn:keyward:problem:needs-restart");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(elsewhere.path().to_str().unwrap()), "{detail}");
        let status = admin(&daemon, "GET", "/status", &[]).await.json();
        assert_eq!(status["configuration"]["reloads"], 0);
    } else {
        skip("a reload beyond the confinement", "this kernel lacks landlock", "KEYWARD_CONFINE");
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_certificate_is_read_again() {
    let first = Emulator::start(Options::default()).await.unwrap();
    let second = Emulator::start(Options::default()).await.unwrap();
    let pair = tempfile::tempdir().unwrap();
    let [certificate, key] = ["server.pem", "server.key"].map(|name| pair.path().join(name));
    let write = |from: &Emulator| {
        std::fs::write(&certificate, from.certificate_pem()).unwrap();
        std::fs::write(&key, from.key_pem()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(&first);
    let tls = format!(
        "{LISTEN}[listen.tls]\naddress = \"127.0.0.1:0\"\ncallers = \
         \"anybody-on-this-machine\"\ncertificate = {certificate:?}\nkey = {key:?}\n"
    );
    let mut daemon = Daemon::with(vaults, &tls).await;
    let line = daemon.log_line("https://127.0.0.1:").await;
    let (_, rest) = line.split_once("https://127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let is_trusted = async |ca: &Emulator| {
        let file = pair.path().join("trusted.pem");
        std::fs::write(&file, ca.ca_pem()).unwrap();
        let mut curl = std::process::Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "--noproxy", "*", "--cacert"]).arg(file);
        curl.arg(format!("https://localhost:{port}/vault/secrets/db"));
        tokio::task::spawn_blocking(move || curl.status().unwrap().success()).await.unwrap()
    };
    assert!(is_trusted(&first).await && !is_trusted(&second).await);
    std::fs::write(&certificate, "no certificate").unwrap();
    assert_eq!(admin(&daemon, "POST", "/reload", &[]).await.status, 422);
    assert!(is_trusted(&first).await, "an invalid one changes nothing");
    write(&second);
    let report = admin(&daemon, "POST", "/reload", &[]).await.json();
    assert_eq!(report["read_again"][0], "`certificate` and `key` in [listen.tls]");
    assert!(is_trusted(&second).await && !is_trusted(&first).await);
    daemon.stop().await;
}

#[tokio::test]
async fn the_admin_socket_is_the_daemons_users_and_changes_by_post_only() {
    let daemon = Daemon::start().await;
    let mode = std::fs::metadata(daemon.admin_socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["/startup", "/readiness", "/liveness", "/status"] {
        assert_eq!(admin(&daemon, "GET", path, &[]).await.status, 200, "{path}");
        assert_eq!(admin(&daemon, "POST", path, &[]).await.status, 405, "{path}");
    }
    for path in ["/reload", "/stop"] {
        for method in ["GET", "PUT", "HEAD"] {
            let response = admin(&daemon, method, path, &[]).await;
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.headers["allow"], "POST");
        }
    }
    assert_eq!(admin(&daemon, "GET", "/vault/secrets/db", &[]).await.status, 404);
    daemon.get("/vault/secrets/db").await;
    let status = admin(&daemon, "GET", "/status", &[]).await;
    let tokens = keyward_tests::Secrets::tokens(daemon.emulator.issued_tokens());
    tokens.assert_absent("the status", &status.body);
    let vault = &status.json()["mounts"][2];
    assert_eq!((&vault["name"], &vault["calls"]), (&"vault".into(), &0.into()));
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_ends_when_the_daemon_stops_and_not_when_its_services_fail() {
    let mut daemon = Daemon::start().await;
    done(&daemon, &["wait"]).await;
    daemon.emulator.faults().add(Fault::always("imds", FaultKind::Hang));
    daemon.emulator.faults().add(Fault::always("vault", FaultKind::Hang));
    let socket = daemon.socket();
    let calling = tokio::spawn(async move {
        let request = Request::get("/vault/secrets/db").body(Full::default()).unwrap();
        send(&socket, request).await
    });
    while admin(&daemon, "GET", "/status", &[]).await.json()["calls"] == 0 {}
    assert_eq!(admin(&daemon, "GET", "/readiness", &[]).await.status, 200);
    let stopping = admin(&daemon, "POST", "/stop", &[]).await;
    assert_eq!((stopping.status.as_u16(), &stopping.json()["state"]), (202, &"stopping".into()));
    daemon.log_line("stopping: ").await;
    assert_eq!(admin(&daemon, "GET", "/readiness", &[]).await.status, 503);
    assert_eq!(admin(&daemon, "GET", "/liveness", &[]).await.status, 200);
    assert_eq!(admin(&daemon, "POST", "/reload", &[]).await.status, 503);
    let (code, printed) = run(&daemon, &["wait", "--timeout", "10ms"]).await;
    assert_eq!(code, Some(69), "{printed}");
    daemon.emulator.faults().clear();
    assert_eq!(calling.await.unwrap().status, 200);
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
    assert!(!daemon.admin_socket().exists());
    for command in ["wait", "status", "reload", "stop"] {
        let timeout: &[&str] = if command == "wait" { &["--timeout", "1ms"] } else { &[] };
        let (code, printed) = run(&daemon, &[&[command], timeout].concat()).await;
        assert_eq!(code, Some(69), "{printed}");
        assert!(printed.contains("no daemon is listening at"), "{printed}");
    }
}

#[tokio::test]
async fn keyward_stop_waits_until_the_daemon_has_ended() {
    let mut daemon = Daemon::start().await;
    let printed = done(&daemon, &["status"]).await;
    assert!(printed.contains("ready: Keyward ") && printed.contains("mount vault: "), "{printed}");
    done(&daemon, &["stop"]).await;
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
}

#[tokio::test]
async fn a_lock_stays_in_force_across_a_reload() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    done(&daemon, &["lock", "--mount", "vault"]).await;
    edit(&daemon, |text| {
        text.replace("plugin = \"keyvault\"\n", "plugin = \"keyvault\"\nallow = [\"GET /**\"]\n")
    });
    let printed = done(&daemon, &["reload"]).await;
    assert!(printed.contains("changed: mount `vault`"), "{printed}");
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 403);
    done(&daemon, &["unlock", "--mount", "vault"]).await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    daemon.stop().await;
}

/// The number of open files and of threads of a process.
fn held(process: u32) -> [usize; 2] {
    ["fd", "task"].map(|kind| std::fs::read_dir(format!("/proc/{process}/{kind}")).unwrap().count())
}

/// Reloads a daemon this often while it is called. Returns how many calls there were.
async fn reload_under_load(daemon: &Daemon, reloads: usize) -> usize {
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (socket, stop) = (daemon.socket(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let request = Request::get("/vault/secrets/db").body(Full::default()).unwrap();
                    let response = send(&socket, request).await;
                    assert_eq!(response.status, 200, "{}", response.text());
                    count += 1;
                }
                count
            })
        })
        .collect();
    let text = std::fs::read_to_string(daemon.config()).unwrap();
    let vault = "plugin = \"keyvault\"\n";
    for number in 0..reloads {
        let changed = match number % 4 {
            0 => text.replace(vault, &format!("{vault}allow = [\"GET /**\"]\n")),
            1 => text.clone() + "[mount.vault.limits]\nconcurrency = 100\n",
            2 => text.replace(vault, &format!("{vault}identity = \"reports\"\n")),
            _ => text.clone(),
        };
        // Whole or not at all, as an editor writes it.
        let new = daemon.directory.path().join("new.toml");
        std::fs::write(&new, changed).unwrap();
        std::fs::rename(&new, daemon.config()).unwrap();
        let response = admin(daemon, "POST", "/reload", &[]).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    for caller in callers {
        count += caller.await.unwrap();
    }
    count
}

async fn fail_no_call_and_keep_nothing(reloads: usize) {
    let daemon = Daemon::quiet(
        |emulator| {
            let reports = "[identity.reports]\n";
            let text = vaults(emulator);
            // The vault knows the system-assigned identity only.
            let client = "client_id = \"22222222-aaaa-4aaa-8aaa-000000000001\"\n";
            assert!(text.contains(reports) && text.contains(client));
            text.replace(client, "")
        },
        LISTEN,
    )
    .await;
    reload_under_load(&daemon, 4).await;
    let [files, threads] = held(daemon.id());
    let calls = reload_under_load(&daemon, reloads).await;
    assert!(calls > 0);
    // What the last reloads have replaced is gone when its last call is.
    while held(daemon.id())[1] > threads {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let now = held(daemon.id())[0];
    assert!(now <= files + 16, "{files} open files became {now}");
    daemon.stop().await;
}

#[tokio::test]
async fn reloads_under_load_fail_no_call_and_keep_nothing() {
    fail_no_call_and_keep_nothing(40).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn a_thousand_reloads_under_load_fail_no_call_and_keep_nothing() {
    fail_no_call_and_keep_nothing(1000).await;
}
