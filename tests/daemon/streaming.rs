//! Bodies of any size: constant memory, and no incomplete response that looks complete.

use std::path::Path;

use bytes::Bytes;
use http::Request;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use keyward_emulator::{Fault, FaultKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::process::Daemon;
use crate::storage::config;

/// Gigabytes take a build without optimization longer than a call may usually compute.
const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n[mount.blobs.limits]\ncpu_time = \"10m\"\n";
const MIB: u64 = 1 << 20;

/// Maximum memory of a transfer, in addition to the daemon's own.
const ABOVE_IDLE: u64 = 64 * MIB;

async fn start() -> Daemon {
    // The first call compiles the plugin, which takes more memory than any call.
    drop(Daemon::with(|emulator| config("public", "core.windows.net", emulator), LISTEN).await);
    // Level `trace` would log gigabytes.
    let daemon =
        Daemon::quiet(|emulator| config("public", "core.windows.net", emulator), LISTEN).await;
    assert_eq!(daemon.get("/blobs/hello/world.txt").await.status, 200);
    daemon
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(daemon: &Daemon, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

fn assert_flat(daemon: &Daemon, idle: u64) {
    let peak = memory(daemon, "VmHWM:");
    assert!(peak < idle + ABOVE_IDLE, "{} MiB above idle", (peak - idle) / MIB);
}

/// Uploads this many bytes with a known length.
async fn upload(socket: &Path, path: &str, bytes: u64) -> u16 {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(
        UnixStream::connect(socket).await.unwrap(),
    ))
    .await
    .unwrap();
    let driver = tokio::spawn(connection);
    let (mut body, content) = Channel::<Bytes, std::io::Error>::new(2);
    let request =
        Request::put(path).header("host", "localhost").header("x-ms-blob-type", "BlockBlob");
    let request = request.header("content-length", bytes).body(content).unwrap();
    let feed = tokio::spawn(async move {
        let piece = Bytes::from(vec![7_u8; MIB as usize]);
        for _ in 0..bytes / MIB {
            if body.send_data(piece.clone()).await.is_err() {
                return;
            }
        }
    });
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    drop(response.into_body().collect().await);
    feed.await.unwrap();
    driver.abort();
    status
}

async fn download(socket: &Path, path: &str) -> u64 {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(
        UnixStream::connect(socket).await.unwrap(),
    ))
    .await
    .unwrap();
    let driver = tokio::spawn(connection);
    let request =
        Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    driver.abort();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_two_gibibytes_needs_constant_memory() {
    let daemon = start().await;
    let idle = memory(&daemon, "VmRSS:");
    daemon.emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody));
    assert_eq!(upload(&daemon.socket(), "/blobs/hello/big", 2048 * MIB).await, 201);
    let seen = daemon.emulator.log().for_service("blob").pop().unwrap();
    assert_eq!(seen.body_bytes as u64, 2048 * MIB);
    assert_eq!(
        seen.header("content-length"),
        Some("2147483648"),
        "a length that is known stays known"
    );
    assert_flat(&daemon, idle);

    let mut uploads = JoinSet::new();
    for number in 0..16 {
        let socket = daemon.socket();
        uploads.spawn(async move {
            upload(&socket, &format!("/blobs/hello/big{number}"), 64 * MIB).await
        });
    }
    assert!(uploads.join_all().await.iter().all(|status| *status == 201));
    assert_flat(&daemon, idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_of_two_gibibytes_needs_constant_memory() {
    let daemon = start().await;
    let idle = memory(&daemon, "VmRSS:");
    daemon.emulator.faults().add(Fault::once("blob", FaultKind::Bytes(2048 * MIB)));
    assert_eq!(download(&daemon.socket(), "/blobs/hello/big").await, 2048 * MIB);
    assert_flat(&daemon, idle);

    daemon.emulator.faults().add(Fault::always("blob", FaultKind::Bytes(64 * MIB)));
    let mut downloads = JoinSet::new();
    for _ in 0..16 {
        let socket = daemon.socket();
        downloads.spawn(async move { download(&socket, "/blobs/hello/big").await });
    }
    assert!(downloads.join_all().await.iter().all(|count| *count == 64 * MIB));
    assert_flat(&daemon, idle);
}

/// Sends a raw request, and returns the response until the connection ends or `enough` is true.
async fn by_hand(
    daemon: &Daemon,
    request: &str,
    enough: impl Fn(&str) -> bool,
) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    read_on(&mut stream, &mut text, enough).await;
    (stream, text)
}

async fn read_on(stream: &mut UnixStream, text: &mut String, enough: impl Fn(&str) -> bool) {
    let mut buffer = [0; 4096];
    while !enough(text) {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return,
            count => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
}

#[tokio::test]
async fn a_caller_that_expects_100_continue_sends_its_body_only_on_request() {
    let daemon = start().await;
    let head = |path: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nexpect: \
             100-continue\r\n\r\n"
        )
    };
    // Data Lake redirects first; only then is the body requested.
    let (mut stream, mut text) =
        by_hand(&daemon, &head("/lake/webhdfs/v1/reports/e.txt?op=CREATE"), |text| {
            text.contains("\r\n\r\n")
        })
        .await;
    assert!(text.starts_with("HTTP/1.1 100 "), "{text}");
    let steps = daemon.emulator.log().for_service("datalake");
    assert_eq!((steps[0].status, steps[0].body_bytes), (307, 0));
    stream.write_all(b"12345").await.unwrap();
    text.clear();
    read_on(&mut stream, &mut text, |text| text.contains("\r\n\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 201 "), "{text}");

    // A rejected first step never requests the body.
    daemon.emulator.faults().status("datalake", 403, &[], "{}");
    let (_, text) = by_hand(&daemon, &head("/lake/webhdfs/v1/reports/f.txt?op=CREATE"), |text| {
        text.contains("\r\n\r\n")
    })
    .await;
    assert!(text.starts_with("HTTP/1.1 403 "), "{text}");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_uploaded_in_chunks() {
    let daemon = start().await;
    daemon.emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody));
    let request = "PUT /blobs/hello/chunks HTTP/1.1\r\nhost: localhost\r\nx-ms-blob-type: \
                   BlockBlob\r\n\
                   transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let (_, text) = by_hand(&daemon, request, |text| text.contains("\r\n\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 201 "), "{text}");
    let seen = daemon.emulator.log().for_service("blob").pop().unwrap();
    assert_eq!(seen.body_bytes, 11);
    assert_eq!(
        (seen.header("transfer-encoding"), seen.header("content-length")),
        (Some("chunked"), None)
    );
}

#[tokio::test]
async fn an_aborted_response_never_looks_complete() {
    let daemon = start().await;
    for (fault, framing) in [
        (FaultKind::Truncate(5), "content-length: 13"),
        (FaultKind::Truncate(0), "content-length: 13"),
    ] {
        daemon.emulator.faults().add(Fault::once("blob", fault));
        let request = "GET /blobs/hello/world.txt HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let (_, text) = by_hand(&daemon, request, |_| false).await;
        // A head with the length that was announced, and a connection that ends before it is
        // reached; or an error at once.
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let broken = head.contains(framing) && body.len() < 13;
        assert!(broken || head.starts_with("HTTP/1.1 502"), "{text}");
    }
}

#[tokio::test]
async fn an_aborted_upload_stores_nothing() {
    let mut daemon = start().await;
    let head = "PUT /blobs/hello/half.txt HTTP/1.1\r\nhost: localhost\r\nx-ms-blob-type: \
                BlockBlob\r\ncontent-length: 1000\r\n\r\n";
    let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"half").await.unwrap();
    // The caller disconnects in the middle.
    drop(stream);
    let record = daemon.record("half.txt").await;
    assert_eq!(record["outcome"], "abandoned", "{record}");
    assert_eq!(daemon.get("/blobs/hello/half.txt").await.status, 404);
}
