//! Shutdown and restart of the daemon.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use keyward_emulator::{Fault, FaultKind};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::process::{Daemon, Response, keyward, run};

/// A daemon that got SIGTERM while a service had not responded to a call, and that call.
async fn stopping_during_a_call() -> (Daemon, JoinHandle<Response>) {
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
    (daemon, call)
}

#[tokio::test]
async fn an_active_call_may_finish_after_sigterm() {
    let (mut daemon, call) = stopping_during_a_call().await;
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
async fn a_second_signal_ends_active_calls_at_once() {
    let (mut daemon, call) = stopping_during_a_call().await;
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait_for_exit().await, Some(75), "{}", daemon.log());
    // The caller may get the error before its connection is closed.
    drop(call.await);
    let record = daemon.record("\"mount\":\"vault\"").await;
    assert_eq!(record["rule"], "cut-off", "its record is written: {record}");
}

fn vaults(emulator: &keyward_emulator::Emulator) -> String {
    crate::process::config("public", "contoso.vault.azure.net", emulator)
}

/// The listener of a daemon that gives running calls little time.
const IMPATIENT: &str = "[listen]\nsocket = \"k.sock\"\ngrace = \"50ms\"\n";

#[tokio::test]
async fn a_call_that_is_active_after_the_grace_time_gets_an_error_and_a_record() {
    let mut daemon = Daemon::with(vaults, IMPATIENT).await;
    daemon.emulator.faults().add(Fault::once("vault", FaultKind::Hang));
    let socket = daemon.socket();
    let call = tokio::spawn(async move {
        let request = http::Request::get("/vault/secrets/db").body(Default::default()).unwrap();
        crate::process::send(&socket, request).await
    });
    daemon.log_line("sending mount=").await;
    daemon.terminate();
    let response = call.await.unwrap();
    assert_eq!(response.status, 503);
    assert_eq!(response.json()["type"], "urn:keyward:problem:cut-off");
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
    let record = daemon.record("\"mount\":\"vault\"").await;
    assert_eq!((&record["outcome"], &record["rule"]), (&"failed".into(), &"cut-off".into()));
    assert_eq!(record["call"], response.headers["x-keyward-call"].to_str().unwrap());
}

#[tokio::test]
async fn a_download_that_nobody_reads_is_recorded_when_it_is_cut_off() {
    use tokio::io::AsyncWriteExt;

    let storage = |emulator: &keyward_emulator::Emulator| {
        crate::storage::config("public", "core.windows.net", emulator)
    };
    let mut daemon = Daemon::with(storage, IMPATIENT).await;
    let mut upload = http::Request::put("/blobs/hello/large.bin");
    upload = upload.header("x-ms-blob-type", "BlockBlob");
    let large = bytes::Bytes::from(vec![b'x'; 8 << 20]);
    let uploaded = daemon.send(upload.body(http_body_util::Full::from(large)).unwrap()).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.text());
    let mut stream = tokio::net::UnixStream::connect(daemon.socket()).await.unwrap();
    let request = b"GET /blobs/hello/large.bin HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.readable().await.unwrap();
    daemon.terminate();
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
    let record = daemon.record("\"method\":\"GET\"").await;
    assert_eq!(record["rule"], "cut-off", "{record}");
    drop(stream);
}

#[tokio::test]
async fn a_daemon_whose_audit_nobody_reads_still_ends() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("audit");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let opened = fifo.clone();
    // Whoever writes waits until somebody opens it.
    let reader = tokio::task::spawn_blocking(move || std::fs::File::open(opened).unwrap());
    let sections = format!("[listen]\nsocket = \"k.sock\"\n[audit]\nfile = {fifo:?}\n");
    let mut daemon = Daemon::quiet(vaults, &sections).await;
    let reader = reader.await.unwrap();
    // More than the pipe takes.
    let path = format!("/{}", "x/".repeat(2000));
    for _ in 0..40 {
        assert_eq!(daemon.get(&path).await.status, 404);
    }
    daemon.terminate();
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("the audit cannot be written"), "{}", daemon.log());
    drop(reader);
}

#[tokio::test]
async fn sighup_reopens_the_audit_file_and_does_not_end_the_daemon() {
    let config = |emulator: &keyward_emulator::Emulator| {
        crate::process::config("public", "contoso.vault.azure.net", emulator)
    };
    let sections = "[listen]\nsocket = \"k.sock\"\n[audit]\nfile = \"audit.jsonl\"\n";
    let mut daemon = Daemon::with(config, sections).await;
    let file = daemon.directory.path().join("audit.jsonl");
    let moved = daemon.directory.path().join("audit.jsonl.1");
    daemon.get("/vault/secrets/db").await;
    std::fs::rename(&file, &moved).unwrap();
    daemon.signal(Signal::HUP);
    daemon.log_line("reopened the audit file").await;
    assert_eq!(daemon.get("/vault/secrets/api-key").await.status, 200);
    daemon.terminate();
    assert_eq!(daemon.wait_for_exit().await, Some(0), "{}", daemon.log());
    let read = |path| std::fs::read_to_string(path).unwrap();
    let (old, new) = (read(moved), read(file));
    // The first record may still have been on its way to the file.
    assert!(old.contains("/secrets/db") || new.contains("/secrets/db"), "{old}{new}");
    assert!(new.contains("/secrets/api-key") && !old.contains("/secrets/api-key"), "{new}");
}

#[tokio::test]
async fn sighup_reloads_where_the_audit_goes_to_standard_output() {
    let mut daemon = Daemon::start().await;
    daemon.signal(Signal::HUP);
    daemon.log_line("reloaded: nothing has changed").await;
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn sighup_ends_an_emulator_in_the_foreground() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = keyward();
    command.args(["emulator", "--directory"]).arg(directory.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let is_running = tokio::task::spawn_blocking(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line.contains("running"))
    });
    assert!(is_running.await.unwrap());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::HUP).unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.signal(), Some(Signal::HUP.as_raw()));
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
