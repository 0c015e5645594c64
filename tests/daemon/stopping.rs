//! Shutdown and restart of the daemon.

use keyward_emulator::{Fault, FaultKind};
use rustix::process::Signal;

use crate::process::{Daemon, keyward, run};

#[tokio::test]
async fn an_active_call_may_finish_after_sigterm() {
    let mut daemon = Daemon::start().await;
    daemon.emulator.faults().add(Fault::once("vault", FaultKind::Hang));
    let socket = daemon.socket();
    let call = tokio::spawn(async move {
        let request =
            http::Request::get("/vault/secrets/db").body(http_body_util::Full::default()).unwrap();
        crate::process::send(&socket, request).await
    });
    daemon.log_line("sending mount=").await;
    daemon.terminate();
    daemon.log_line("stopping").await;
    daemon.emulator.faults().clear();
    let response = call.await.unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.json()["value"]),
        (200, &"swordfish-in-the-harbour".into())
    );
    assert_eq!(daemon.wait_for_exit().await, Some(0));
    assert!(daemon.log().contains("stopped"));
    assert!(!daemon.socket().exists(), "the socket is gone");
}

#[tokio::test]
async fn another_daemon_does_not_replace_a_socket_in_use() {
    let daemon = Daemon::start().await;
    daemon.get("/vault/secrets/db").await;
    let config = daemon.config();
    let second =
        tokio::task::spawn_blocking(move || run(&["serve", "--config", config.to_str().unwrap()]))
            .await
            .unwrap();
    assert_eq!(second.status.code(), Some(71));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another daemon listens at"));
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200, "the first one is unharmed");
    daemon.stop().await;
}

#[tokio::test]
async fn a_stale_socket_of_a_killed_daemon_is_replaced() {
    let mut daemon = Daemon::start().await;
    daemon.signal(Signal::KILL);
    daemon.wait_for_exit().await;
    assert!(daemon.socket().exists());
    let mut command = keyward();
    command.args(["serve", "--config"]).arg(daemon.config());
    let mut next = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = next.stderr.take().unwrap();
    let ready = tokio::task::spawn_blocking(move || {
        use std::io::BufRead;
        std::io::BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains(" ready "))
    });
    assert!(ready.await.unwrap());
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    next.kill().unwrap();
    next.wait().unwrap();
}

#[tokio::test]
async fn a_plugin_is_compiled_once() {
    let first = Daemon::start().await;
    first.get("/vault/secrets/db").await;
    first.stop().await;
    let second = Daemon::start().await;
    assert!(!second.log().contains("compiling the plugin"), "{}", second.log());
    second.get("/vault/secrets/db").await;
    second.stop().await;
}
