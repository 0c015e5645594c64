//! A daemon that confined itself: it serves, and it is confined.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use keyward_emulator::{Emulator, Options};
use rustix::process::Signal;

use crate::process::{Daemon, LISTEN_TLS, config, keyward_nowhere};
use crate::skip::skip;

fn vaults(emulator: &Emulator) -> String {
    config("public", "contoso.vault.azure.net", emulator)
}

/// The values of a field in the status of each thread of a process.
fn of_all_threads(process: u32, field: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let value = |thread: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    threads.map(value).collect()
}

/// Whether the log says that this part of the confinement is in force. Otherwise it is noted as not
/// tested.
async fn is_confined_by(daemon: &mut Daemon, part: &str) -> bool {
    daemon.log_line(" ready ").await;
    let is_confined =
        daemon.log().lines().any(|line| line.contains(": confined: ") && line.contains(part));
    if !is_confined {
        skip(&format!("a daemon confined by {part}"), "this kernel lacks it", "KEYWARD_CONFINE");
    }
    is_confined
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn all_threads_of_the_daemon_are_confined() {
    let mut daemon = Daemon::with(vaults, "[listen]\nsocket = \"k.sock\"\n").await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    let threads = of_all_threads(daemon.id(), "NoNewPrivs");
    assert!(threads.len() > 2 && threads.iter().all(|value| value == "1"), "{threads:?}");
    assert!(!daemon.log().contains("are not confined"), "{}", daemon.log());
    if is_confined_by(&mut daemon, "seccomp").await {
        let threads = of_all_threads(daemon.id(), "Seccomp");
        assert!(threads.iter().all(|value| value == "2"), "{threads:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_confined_daemon_serves_all_listeners_and_keeps_its_files() {
    let sections = format!(
        "[listen]\nsocket = \"run/k.sock\"\ntcp = \"127.0.0.1:0\"\ntcp_callers = \
         \"anybody-on-this-machine\"\n{LISTEN_TLS}[audit]\nfile = \"audit.jsonl\"\n\
         [compile_cache]\ndirectory = \"compiled\"\n\
         [identity.kept]\nsource = \"imds\"\nendpoint = \"IMDS\"\npersist = \"kept\"\n\
         persist_key = \"kept.key\"\n[mount.kept]\nplugin = \"arm\"\nidentity = \"kept\"\n"
    );
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let sections = sections.replace("IMDS", &emulator.imds_url());
    let key = tempfile::tempdir().unwrap();
    let file = key.path().join("kept.key");
    std::fs::write(&file, "0123456789abcdef".repeat(4)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sections = sections.replace("\"kept.key\"", &format!("{file:?}"));
    let config = vaults(&emulator);
    let mut daemon = Daemon::with_emulator(emulator, &config, &sections).await;
    let at = |daemon: &Daemon, name: &str| daemon.directory.path().join(name);

    let socket = at(&daemon, "run/k.sock");
    let get = |path: &str| {
        let request = http::Request::get(path).body(http_body_util::Full::default()).unwrap();
        crate::process::send(&socket, request)
    };
    assert_eq!(get("/vault/secrets/db").await.status, 200);
    let group = "/kept/subscriptions?api-version=2022-12-01";
    assert!(get(group).await.status.as_u16() < 500);
    let (_, ca) = daemon.tls_listener().await;
    assert!(Path::new(&ca).starts_with(at(&daemon, "tls")) && Path::new(&ca).exists());

    // The audit is rotated while it serves. Its lines are written in batches.
    let written = || std::fs::read_to_string(at(&daemon, "audit.jsonl")).unwrap();
    while !written().contains("\"mount\":\"vault\"") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    std::fs::rename(at(&daemon, "audit.jsonl"), at(&daemon, "audit.1")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.log_line("reopened the audit file").await;
    assert_eq!(get("/vault/secrets/db").await.status, 200);

    daemon.terminate();
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
    for name in ["audit.1", "audit.jsonl"] {
        let audit = std::fs::read_to_string(at(&daemon, name)).unwrap();
        assert!(audit.contains("\"mount\":\"vault\""), "{name}: {audit}");
    }
    assert!(at(&daemon, "kept").exists(), "tokens are kept: {}", daemon.log());
    assert!(std::fs::read_dir(at(&daemon, "compiled")).unwrap().count() >= 2);
    assert!(!socket.exists(), "the socket is removed");
    assert!(!daemon.log().contains("Permission denied"), "{}", daemon.log());
}

#[tokio::test]
async fn files_outside_of_the_configurations_directories_are_out_of_reach() {
    let sections = "[listen]\nsocket = \"k.sock\"\n[audit]\nfile = \"log/audit.jsonl\"\n";
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let (log, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let audit = log.path().join("audit.jsonl");
    let sections = sections.replace("\"log/audit.jsonl\"", &format!("{audit:?}"));
    let config = vaults(&emulator);
    let mut daemon = Daemon::with_emulator(emulator, &config, &sections).await;
    if is_confined_by(&mut daemon, "landlock").await {
        let target = outside.path().join("file");
        std::fs::write(&target, "").unwrap();
        std::fs::remove_file(&audit).unwrap();
        symlink(&target, &audit).unwrap();
        daemon.signal(Signal::HUP);
        let line = daemon.log_line("cannot reopen the audit file").await;
        assert!(line.contains("Permission denied"), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_part_is_turned_off_by_a_line() {
    let off = "[confine]\nno_new_privileges = false\nlandlock = false\nseccomp = false\n";
    let sections = format!("[listen]\nsocket = \"k.sock\"\n{off}");
    let mut daemon = Daemon::with(vaults, &sections).await;
    daemon.log_line("not confined: landlock: `landlock = false`").await;
    for field in ["NoNewPrivs", "Seccomp"] {
        let of_this_test = of_all_threads(std::process::id(), field);
        assert_eq!(of_all_threads(daemon.id(), field).first(), of_this_test.first(), "{field}");
    }
    assert!(!daemon.log().contains(": confined: no new"), "{}", daemon.log());
    daemon.get("/vault/secrets/db").await;
    daemon.stop().await;
}

#[tokio::test]
async fn with_the_azure_cli_landlock_is_off_and_the_cli_is_started() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let programs = tempfile::tempdir().unwrap();
    let token = "{\"accessToken\": \"header.payload.signature\", \"expires_on\": 4102444800}";
    let program = programs.path().join("az");
    std::fs::write(&program, format!("#!/bin/sh\necho '{token}'\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let config =
        vaults(&emulator).replacen("source = \"imds\"\nendpoint", "source = \"azure-cli\"\n#", 1);
    let mut daemon = Daemon::with_variables(emulator, &config, &[("PATH", &path)]).await;
    daemon.log_line("not confined: landlock: an identity's source is the Azure CLI").await;
    // The emulator did not issue this token. That it was asked at all shows that `az` was started.
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 401);
}

#[tokio::test]
async fn commands_that_are_no_daemon_are_not_confined() {
    let output = keyward_nowhere().args(["--log", "trace", "schema"]).output().unwrap();
    assert!(output.status.success());
    assert!(!String::from_utf8_lossy(&output.stderr).contains(": confined: "));
}
