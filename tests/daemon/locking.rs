//! `keyward lock` and `keyward unlock`: with a daemon, without one, and across a restart.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use serde_json::Value;

use crate::process::{Daemon, config, keyward, send};

/// The configuration for an emulator, with a file of locks.
fn with_file(emulator: &Emulator, file: &Path) -> String {
    let config = config("public", "contoso.vault.azure.net", emulator);
    format!("{config}[lock]\nfile = {file:?}\n")
}

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

/// Runs a command. Returns its code, and what it printed.
async fn run(config: &Path, command: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = keyward();
    program.arg(command).args(arguments).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (output.status.code(), text)
}

/// Runs a command that succeeds, and returns what it printed.
async fn done(config: &Path, command: &str, arguments: &[&str]) -> String {
    let (code, printed) = run(config, command, arguments).await;
    assert_eq!(code, Some(0), "{command} {arguments:?}: {printed}");
    printed
}

async fn status(daemon: &Daemon, path: &str) -> u16 {
    daemon.get(path).await.status.as_u16()
}

#[tokio::test]
async fn a_lock_denies_at_once_and_says_what_it_did_and_what_it_did_not() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("locks.json");
    let mut daemon = Daemon::with(|emulator| with_file(emulator, &file), LISTEN).await;
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    daemon.emulator.faults().add(Fault::always("vault", FaultKind::Hang));
    let socket = daemon.socket();
    let request = http::Request::get("/vault/secrets/slow").body(Default::default()).unwrap();
    let calling = tokio::spawn(async move { send(&socket, request).await });
    daemon.log_line("path=\"/secrets/slow\" token=true").await;

    let printed = done(&daemon.config(), "lock", &["--mount", "vault", "--reason", "a leak"]).await;
    for words in [
        "mount `vault` is locked",
        "ended 1 running call",
        "forgot tokens of `default` for https://vault.azure.net",
        "locks.json has it, so it stays locked after a restart",
        "stay valid at Azure until they expire",
        "keyward unlock --mount vault",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    let ended = calling.await.unwrap();
    assert_eq!(ended.status, 403);
    assert_eq!(ended.json()["type"], "urn:keyward:problem:locked");
    daemon.emulator.faults().clear();
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
    assert_ne!(status(&daemon, "/arm/subscriptions").await, 403);

    let listed = done(&daemon.config(), "lock", &["--list"]).await;
    assert!(listed.contains("mount `vault` is locked since "), "{listed}");
    assert!(listed.contains("uid=") && listed.contains("\"a leak\""), "{listed}");

    let record = daemon.record("\"outcome\":\"locked\"").await;
    assert_eq!((&record["lock"]["mount"], &record["reason"]), (&"vault".into(), &"a leak".into()));
    assert!(record["caller"].as_str().unwrap().starts_with("uid="), "{record}");

    let printed = done(&daemon.config(), "unlock", &["--mount", "vault"]).await;
    assert!(printed.contains("mount `vault` is no longer locked"), "{printed}");
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    let record = daemon.record("\"outcome\":\"unlocked\"").await;
    assert_eq!(record["lock"]["mount"], "vault");
    let printed = done(&daemon.config(), "unlock", &[]).await;
    assert!(printed.contains("there was no lock of everything"), "{printed}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_lock_survives_a_restart_and_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("locks.json");
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let text = with_file(&emulator, &file);
    let daemon = Daemon::with_emulator(emulator, &text, LISTEN).await;
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    done(&daemon.config(), "lock", &["--identity", "default"]).await;
    daemon.signal(rustix::process::Signal::KILL);
    drop(daemon);

    let daemon = Daemon::with(|emulator| with_file(emulator, &file), LISTEN).await;
    assert!(daemon.log().contains("identity `default`"), "{}", daemon.log());
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
    assert!(daemon.emulator.log().for_service("imds").is_empty());
    done(&daemon.config(), "unlock", &["--identity", "default"]).await;
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    daemon.stop().await;

    let daemon = Daemon::with(|emulator| with_file(emulator, &file), LISTEN).await;
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn the_default_file_is_the_configurations_own() {
    let state = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let text = config("public", "contoso.vault.azure.net", &emulator);
    let variables = [("STATE_DIRECTORY", state.path().to_str().unwrap())];
    let daemon = Daemon::with_variables(emulator, &text, &variables).await;
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "nothing is locked");
    let printed = done(&daemon.config(), "lock", &[]).await;
    let files: Vec<_> = std::fs::read_dir(state.path()).unwrap().collect();
    let [Ok(file)] = files.as_slice() else { panic!("{files:?}") };
    assert!(printed.contains(&format!("{} has it", file.path().display())), "{printed}");
    assert!(file.file_name().to_str().unwrap().starts_with("locks-keyward-"), "{file:?}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
}

#[tokio::test]
async fn without_a_daemon_the_next_one_starts_locked_and_records_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state/locks.json");
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let text = with_file(&emulator, &file) + LISTEN;
    let toml = directory.path().join("keyward.toml");
    std::fs::write(&toml, &text).unwrap();
    std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();

    let (code, printed) = run(&toml, "lock", &["--mount", "valut"]).await;
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("there is no mount `valut`; expected"), "{printed}");
    let printed = done(&toml, "lock", &["--mount", "vault", "--reason", "a leak"]).await;
    assert!(printed.contains("no daemon is listening"), "{printed}");
    assert!(printed.contains("mount `vault` is locked in "), "{printed}");
    assert!(done(&toml, "lock", &["--list"]).await.contains("mount `vault` is locked since"));
    // A call without a daemon is denied, too.
    let (code, printed) = run(&toml, "call", &["vault", "GET", "/secrets/db"]).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("urn:keyward:problem:locked"), "{printed}");

    let mut daemon = Daemon::with(|emulator| with_file(emulator, &file), LISTEN).await;
    let record = daemon.record("\"outcome\":\"locked\"").await;
    assert_eq!((&record["lock"]["mount"], &record["reason"]), (&"vault".into(), &"a leak".into()));
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(stored["unrecorded"], Value::Null, "it is recorded once");

    // At another socket, it is found by the file.
    let printed = done(&toml, "unlock", &["--mount", "vault"]).await;
    assert!(printed.contains("mount `vault` is no longer locked"), "{printed}");
    let record = daemon.record("\"outcome\":\"unlocked\"").await;
    assert_eq!(record["lock"]["mount"], "vault");
    daemon.log_line("unlocked").await;
    while status(&daemon, "/vault/secrets/db").await != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_does_not_start_with_a_file_that_it_cannot_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("locks.json");
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let toml = directory.path().join("keyward.toml");
    std::fs::write(&toml, with_file(&emulator, &file) + LISTEN).unwrap();
    std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
    for text in ["", "{\"version\":1,", "{\"version\":9,\"locks\":[]}"] {
        std::fs::write(&file, text).unwrap();
        for command in [&["serve"][..], &["call", "vault", "GET", "/secrets/db"]] {
            let (code, printed) = run(&toml, command[0], &command[1..]).await;
            assert_eq!(code, Some(78), "{printed}");
            assert!(printed.contains("locks.json cannot be used"), "{printed}");
            assert!(printed.contains("help:"), "{printed}");
        }
        // Neither is it replaced by one that has less.
        assert_eq!(run(&toml, "lock", &[]).await.0, Some(78));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    std::fs::write(&file, "{\"version\":1,\"locks\":[]}").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (code, printed) = run(&toml, "serve", &[]).await;
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("other users can write to it"), "{printed}");
}

#[tokio::test]
async fn a_lock_that_cannot_be_stored_denies_and_says_so_and_an_unlock_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state").join("locks.json");
    let daemon = Daemon::with(|emulator| with_file(emulator, &file), LISTEN).await;
    std::fs::create_dir(&file).unwrap();
    let (code, printed) = run(&daemon.config(), "lock", &[]).await;
    assert_eq!(code, Some(71), "{printed}");
    assert!(printed.contains("everything is locked"), "{printed}");
    assert!(printed.contains("does not survive a restart"), "{printed}");
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
    let (code, printed) = run(&daemon.config(), "unlock", &[]).await;
    assert_eq!(code, Some(69), "{printed}");
    assert!(printed.contains("it stays locked"), "{printed}");
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
    std::fs::remove_dir(&file).unwrap();
    done(&daemon.config(), "unlock", &[]).await;
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn the_socket_alone_is_enough_to_lock() {
    let daemon = Daemon::start().await;
    std::fs::write(daemon.config(), "broken").unwrap();
    let socket = daemon.socket();
    let mut command = keyward();
    command.args(["lock", "--socket"]).arg(&socket);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 403);
}

#[tokio::test]
async fn another_user_can_neither_lock_nor_unlock() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut daemon = Daemon::with(
        |emulator| config("public", "contoso.vault.azure.net", emulator),
        "[listen]\nsocket = \"k.sock\"\nmode = \"0660\"\n",
    )
    .await;
    // What another user needs to reach the socket.
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(daemon.directory.path(), 0o755);
    open(&daemon.socket(), 0o666);
    for path in ["/-/lock", "/-/unlock", "/-/locks"] {
        let method = if path == "/-/locks" { "GET" } else { "POST" };
        let mut command = std::process::Command::new("curl");
        command.args(["-s", "-X", method, "--data", "{\"target\":\"all\"}", "--unix-socket"]);
        command.arg(daemon.socket()).arg(format!("http://localhost{path}")).uid(65_533);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("only the daemon's own user and root"), "{path}: {text}");
    }
    let record = daemon.record("\"rule\":\"control\"").await;
    assert_eq!(record["outcome"], "denied");
    assert_eq!(status(&daemon, "/vault/secrets/db").await, 200);
    daemon.stop().await;
}
