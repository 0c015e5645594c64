//! What the daemon tells systemd, whose socket is the test's here.

use keyward_emulator::Emulator;
use rustix::process::Signal;
use tokio::net::UnixDatagram;

use crate::process::{Daemon, config, keyward, send};

/// A socket of a service manager.
struct Manager {
    _directory: tempfile::TempDir,
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { _directory: directory, socket, path: path.to_str().unwrap().to_owned() }
    }

    /// Waits for a message with this line, and returns it. Others are skipped.
    async fn message(&self, line: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).await.unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|it| it == line) {
                return message;
            }
        }
    }
}

#[tokio::test]
async fn the_service_manager_learns_of_start_reload_and_stop() {
    let vaults = |emulator: &Emulator| config("public", "contoso.vault.azure.net", emulator);
    let manager = Manager::new();
    let variables = [("NOTIFY_SOCKET", manager.path.as_str()), ("WATCHDOG_USEC", "200000")];
    let listen = "[listen]\nsocket = \"k.sock\"\n";
    let mut daemon = Daemon::with_environment(vaults, listen, &variables).await;
    let ready = manager.message("READY=1").await;
    assert!(ready.contains("STATUS=serving 3 mounts"), "{ready}");
    for _ in 0..3 {
        manager.message("WATCHDOG=1").await;
    }
    daemon.signal(Signal::HUP);
    let reloading = manager.message("RELOADING=1").await;
    let began = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(began.parse::<u64>().unwrap() > 0, "{reloading}");
    manager.message("READY=1").await;
    std::fs::write(daemon.config(), "nonsense").unwrap();
    daemon.signal(Signal::HUP);
    manager.message("RELOADING=1").await;
    let ready = manager.message("READY=1").await;
    assert!(ready.contains("the last reload failed"), "{ready}");
    daemon.terminate();
    manager.message("STOPPING=1").await;
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
}

#[tokio::test]
async fn a_passed_socket_outlives_the_daemon_so_that_no_caller_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("k.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let listen = format!("[listen]\nsocket = {socket:?}\n");
    let pass = || listener.try_clone().unwrap().into();
    let start = async |emulator| Daemon::activated(pass(), "socket", emulator, &listen).await;
    let get = || {
        let request = http::Request::get("/vault/secrets/db").body(Default::default()).unwrap();
        let socket = socket.clone();
        tokio::spawn(async move { send(&socket, request).await })
    };
    let emulator = async || Emulator::start(Default::default()).await.unwrap();
    let daemon = start(emulator().await).await;
    assert_eq!(get().await.unwrap().status, 200);
    daemon.stop().await;
    assert!(socket.exists(), "it is the service manager's");
    let waiting = get();
    let daemon = start(emulator().await).await;
    assert_eq!(waiting.await.unwrap().status, 200, "sent while no daemon ran");
    daemon.stop().await;
}

#[test]
fn a_passed_socket_that_the_configuration_does_not_have_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let config = "[identity.default]\nsource = \"imds\"\n[mount.arm]\nplugin = \"arm\"\n\
                  [listen]\nsocket = \"k.sock\"\n";
    std::fs::write(at("keyward.toml"), config).unwrap();
    for (name, words) in [
        ("other", "a socket `other`; expected at most one each of socket, tcp, tls, admin"),
        ("socket", "is bound to"),
        ("tcp", "a socket `tcp` that cannot be used"),
    ] {
        let listener = std::os::unix::net::UnixListener::bind(at(name)).unwrap();
        let inner = keyward();
        let mut command = std::process::Command::new("sh");
        let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
        command.args(["-c", script]).arg(inner.get_program());
        command.args(["serve", "--config"]).arg(at("keyward.toml"));
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
        let listener: std::os::fd::OwnedFd = listener.into();
        let output = command.stdin(listener).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(words), "{name}: {text}");
    }
}
