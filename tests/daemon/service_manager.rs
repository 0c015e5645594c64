//! What the daemon tells systemd, whose socket is the test's here.

use keyward_emulator::Emulator;
use rustix::process::Signal;
use tokio::net::UnixDatagram;

use crate::process::{Daemon, config};

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
