//! `keyward lock` and `keyward unlock`: with a daemon, without one, and across a restart.

use std::fs::DirEntry;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use serde_json::Value;

use crate::process::{Daemon, config, keyward, resolve, send};
use crate::skip::skip;

/// The configuration for an emulator, with a file of locks.
fn with_file(emulator: &Emulator, file: &Path) -> String {
    let config = config("public", "contoso.vault.azure.net", emulator);
    format!("{config}[lock]\nfile = {file:?}\n")
}

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

/// A machine without a daemon: a configuration with a file of locks, which does not exist.
struct Stopped {
    directory: tempfile::TempDir,
    emulator: Emulator,
    file: PathBuf,
    toml: PathBuf,
}

impl Stopped {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("locks.json");
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let toml = directory.path().join("keyward.toml");
        std::fs::write(&toml, with_file(&emulator, &file) + LISTEN).unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        Self { directory, emulator, file, toml }
    }
}

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
    let files = std::fs::read_dir(state.path()).unwrap().map(Result::unwrap);
    // The one with a dot is for changing it by one process at a time.
    let is_hidden = |file: &DirEntry| file.file_name().to_str().unwrap().starts_with('.');
    let files: Vec<_> = files.filter(|file| !is_hidden(file)).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
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
    assert!(
        printed.contains("with this configuration reads that file when it starts"),
        "{printed}"
    );
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
    let Stopped { directory: _directory, emulator: _emulator, file, toml } = Stopped::new().await;
    for text in ["", "{\"version\":1,", "{\"version\":9,\"locks\":[]}"] {
        std::fs::write(&file, text).unwrap();
        for command in [&["serve"][..], &["call", "vault", "GET", "/secrets/db"]] {
            let (code, printed) = run(&toml, command[0], &command[1..]).await;
            assert_eq!(code, Some(78), "{printed}");
            assert!(printed.contains("locks.json cannot be used"), "{printed}");
            assert!(printed.contains("help:"), "{printed}");
        }
        let checked = done(&toml, "check", &["--format", "json"]).await;
        assert!(checked.contains("`keyward serve` fails on this machine: `file` in [lock]: "));
        let doctor = ["--metadata", "127.0.0.1:1", "--format", "json"];
        let (code, printed) = run(&toml, "doctor", &doctor).await;
        assert_eq!(code, Some(78), "{printed}");
        assert!(printed.contains("`file` in [lock]"), "{printed}");
        // Neither is it replaced by one that has less.
        assert_eq!(run(&toml, "lock", &[]).await.0, Some(78));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    std::fs::write(&file, "{\"version\":1,\"locks\":[]}").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (code, printed) = run(&toml, "serve", &[]).await;
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("every user can change "), "{printed}");
    assert!(printed.contains("(mode 0666), the file of locks"), "{printed}");
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
        skip("another user who locks", "it needs root", "KEYWARD_USERS");
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

#[tokio::test]
async fn commands_that_lock_at_the_same_time_do_not_undo_each_other() {
    let Stopped { directory: _directory, emulator: _emulator, file, toml } = Stopped::new().await;
    let targets: [&[&str]; 6] = [
        &[],
        &["--mount", "vault"],
        &["--mount", "arm"],
        &["--mount", "reports"],
        &["--identity", "default"],
        &["--identity", "reports"],
    ];
    for command in ["lock", "unlock"] {
        let commands = targets.map(|arguments| done(&toml, command, arguments));
        let [a, b, c, d, e, f] = commands;
        tokio::join!(a, b, c, d, e, f);
        let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let expected = if command == "lock" { targets.len() } else { 0 };
        assert_eq!(stored["locks"].as_array().unwrap().len(), expected, "{stored}");
    }
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(stored["unrecorded"].as_array().unwrap().len(), 2 * targets.len(), "{stored}");
}

#[tokio::test]
async fn a_lock_ends_the_calls_of_a_daemon_that_is_stopping() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("locks.json");
    let mut daemon = Daemon::with(|emulator| with_file(emulator, &file), LISTEN).await;
    daemon.emulator.faults().add(Fault::always("vault", FaultKind::Hang));
    let socket = daemon.socket();
    let request = http::Request::get("/vault/secrets/slow").body(Default::default()).unwrap();
    let calling = tokio::spawn(async move { send(&socket, request).await });
    daemon.log_line("path=\"/secrets/slow\" token=true").await;
    daemon.terminate();
    daemon.log_line("stopping").await;
    while daemon.socket().exists() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let printed = done(&daemon.config(), "lock", &[]).await;
    assert!(printed.contains("its calls go on, also while it stops"), "{printed}");
    let ended = calling.await.unwrap();
    assert_eq!(ended.status, 403, "{ended:?}");
    assert_eq!(ended.json()["type"], "urn:keyward:problem:locked");
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
}

#[tokio::test]
async fn a_daemon_that_does_not_accept_connections_is_locked_by_its_file() {
    let Stopped { directory, emulator: _emulator, file, toml } = Stopped::new().await;
    // A socket whose queue is full.
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    let path = directory.path().join("k.sock");
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();

    let printed = done(&toml, "lock", &["--mount", "vault"]).await;
    assert!(printed.contains("too many connections wait"), "{printed}");
    assert!(printed.contains("mount `vault` is locked in "), "{printed}");
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(stored["locks"][0]["target"]["mount"], "vault");
    let mut command = keyward();
    command.args(["lock", "--socket"]).arg(&path);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("name its configuration with --config"), "{text}");
}

#[tokio::test]
async fn a_daemon_that_closes_the_connection_is_locked_by_its_file() {
    let Stopped { directory, emulator: _emulator, file, toml } = Stopped::new().await;
    let listener = tokio::net::UnixListener::bind(directory.path().join("k.sock")).unwrap();
    let close = async {
        drop(listener.accept().await.unwrap());
    };
    let (printed, ()) = tokio::join!(done(&toml, "lock", &[]), close);
    assert!(printed.contains("no response from the daemon"), "{printed}");
    assert!(printed.contains("everything is locked in "), "{printed}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"all\""));
}

#[tokio::test]
async fn the_default_file_is_written_only_by_the_user_of_the_daemon() {
    if !rustix::process::geteuid().is_root() {
        skip("`keyward lock` of other users", "it needs root", "KEYWARD_USERS");
        return;
    }
    const USER: u32 = 61_234;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let text = config("public", "contoso.vault.azure.net", &emulator);
    std::fs::create_dir(at("run")).unwrap();
    std::fs::create_dir(at("home")).unwrap();
    std::os::unix::fs::chown(at("home"), Some(USER), Some(USER)).unwrap();
    std::fs::write(at("keyward.toml"), text + "[listen]\nsocket = \"run/k.sock\"\n").unwrap();
    std::fs::write(at("ca.pem"), emulator.ca_pem()).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let lock = |user: u32| {
        let mut command = keyward();
        command.env("XDG_STATE_HOME", at("home")).env("XDG_CACHE_HOME", at("home"));
        command.args(["lock", "--config"]).arg(at("keyward.toml")).uid(user).gid(user);
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap());
            let output = output.await.unwrap();
            let text = [output.stdout, output.stderr]
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .concat();
            (output.status.code(), text)
        }
    };
    // The directory of the socket is root's.
    let (code, printed) = lock(USER).await;
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("not known where its file of locks is"), "{printed}");
    assert_eq!(std::fs::read_dir(at("home")).unwrap().count(), 0);
    std::os::unix::fs::chown(at("run"), Some(USER), Some(USER)).unwrap();
    let (code, printed) = lock(0).await;
    assert_eq!(code, Some(78), "{printed}");
    let (code, printed) = lock(USER).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains(&format!("A daemon of user {USER} with this")), "{printed}");
}

/// A machine where a call has written its token to disk.
struct Persisting {
    directory: tempfile::TempDir,
    emulator: Emulator,
}

impl Persisting {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let [tokens, key, file] =
            ["tokens", "tokens.key", "locks.json"].map(|name| directory.path().join(name));
        std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\npersist = {tokens:?}\n\
             persist_key = {key:?}\n[mount.vault]\nplugin = \"keyvault\"\nendpoint = \
             \"https://contoso.vault.azure.net\"\n[egress.resolve]\n{}[tls]\nca_files = \
             [\"ca.pem\"]\nsystem_roots = false\n[lock]\nfile = {file:?}\n{LISTEN}",
            emulator.imds_url(),
            resolve(&emulator)
        );
        std::fs::write(directory.path().join("keyward.toml"), text).unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        let machine = Self { directory, emulator };
        assert!(!machine.finds_a_token().await);
        assert!(machine.finds_a_token().await, "what is removed below must be there");
        machine
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("keyward.toml")
    }

    /// Writes the file of locks, which otherwise only the program does.
    fn store(&self, locks: &str) {
        let file = self.directory.path().join("locks.json");
        std::fs::write(&file, format!("{{\"version\":1,\"locks\":[{locks}]}}")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Whether a new process gets its token from disk.
    async fn finds_a_token(&self) -> bool {
        let before = self.emulator.log().for_service("imds").len();
        done(&self.config(), "call", &["vault", "GET", "/secrets/db"]).await;
        self.emulator.log().for_service("imds").len() == before
    }

    /// Serves while `during` runs, and is killed then: it writes nothing more.
    async fn serve(&self, during: impl Future<Output = ()>) {
        let mut command = keyward();
        command.args(["serve", "--config"]).arg(self.config());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = std::io::BufReader::new(child.stderr.take().unwrap());
        let ready = tokio::task::spawn_blocking(move || {
            let mut lines = std::io::BufRead::lines(log).map(Result::unwrap);
            lines.find(|line| line.contains(" ready ")).map(|_| lines)
        });
        let _log = ready.await.unwrap().expect("the daemon starts");
        during.await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_lock_removes_the_tokens_on_disk() {
    let machine = Persisting::new().await;
    let lock = async {
        done(&machine.config(), "lock", &["--mount", "vault"]).await;
    };
    machine.serve(lock).await;
    machine.store("");
    assert!(!machine.finds_a_token().await);
}

#[tokio::test]
async fn a_daemon_that_starts_locked_removes_the_tokens_on_disk() {
    let machine = Persisting::new().await;
    machine.store(
        "{\"target\":{\"identity\":\"default\"},\"by\":\"uid=0\",\"since\":\"2026-01-01T00:00:00Z\"}",
    );
    machine.serve(async {}).await;
    machine.store("");
    assert!(!machine.finds_a_token().await);
}

#[tokio::test]
async fn a_lock_without_a_daemon_removes_the_tokens_on_disk() {
    let machine = Persisting::new().await;
    let printed = done(&machine.config(), "lock", &["--identity", "default"]).await;
    assert!(printed.contains("forgot the token of `default` on disk for"), "{printed}");
    machine.store("");
    assert!(!machine.finds_a_token().await);
}
