//! Responses that arrive before the request's body is complete are not lost, on any listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::listeners::{Connected, read_until, start};
use crate::process::Daemon;
use crate::storage::config;

const BODY: usize = 8 << 20;

/// More bytes than socket buffers hold.
fn upload(path: &str, chunked: bool) -> Vec<u8> {
    upload_to("localhost", path, chunked)
}

fn upload_to(host: &str, path: &str, chunked: bool) -> Vec<u8> {
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\nx-ms-blob-type: BlockBlob\r\n");
    let body = vec![7; BODY];
    if chunked {
        let size = format!("transfer-encoding: chunked\r\n\r\n{BODY:x}\r\n");
        [head.as_bytes(), size.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()
    } else {
        [head.as_bytes(), format!("content-length: {BODY}\r\n\r\n").as_bytes(), &body].concat()
    }
}

fn early(status: u16, read: usize, at_once: bool) -> FaultKind {
    FaultKind::RespondEarly { status, read, at_once }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_reaches_a_caller_that_sends_its_whole_body_before_it_reads() {
    let (mut daemon, listeners) = start("").await;
    let mut count = 0;
    for (status, read, at_once) in [(404, 0, true), (403, 300_000, true), (409, 0, false)] {
        daemon.emulator.faults().clear();
        daemon.emulator.faults().add(Fault::always("blob", early(status, read, at_once)));
        for chunked in [false, true] {
            let path = format!("/blobs/hello/early-{status}-{chunked}");
            for Connected { name, host, mut stream } in listeners.connect_to_each().await {
                let what = format!("{status} {read} {at_once} {chunked} {name}");
                stream
                    .write_all(&upload_to(&host, &path, chunked))
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                stream.flush().await.unwrap();
                let mut response = String::new();
                // Over TLS too the end is a clean one.
                stream
                    .read_to_string(&mut response)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {response}");
                assert!(response.contains("connection: close\r\n"), "{what}: {response}");
                assert!(response.ends_with("did not wait for the body.\"}}"), "{what}: {response}");
                count += 1;
            }
            let record = daemon.record(&format!("early-{status}-{chunked}")).await;
            assert_eq!(
                (&record["outcome"], &record["status"]),
                (&"answered".into(), &status.into()),
                "{record}"
            );
        }
        daemon.emulator.faults().clear();
        assert_eq!(
            daemon.get("/blobs/hello/world.txt").await.text(),
            "Hello, world!",
            "with no stale connection"
        );
    }
    assert_eq!(count, 18);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemons_own_error_reaches_a_caller_that_sends_its_whole_body_before_it_reads() {
    let (daemon, listeners) = start("").await;
    for Connected { name: listener, host, mut stream } in listeners.connect_to_each().await {
        stream
            .write_all(&upload_to(&host, "/nowhere/x", false))
            .await
            .unwrap_or_else(|error| panic!("{listener}: {error}"));
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .await
            .unwrap_or_else(|error| panic!("{listener}: {error}"));
        assert!(response.starts_with("HTTP/1.1 404 "), "{listener}: {response}");
    }
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_caller_that_stalls_holds_no_permit_of_the_mount() {
    let (daemon, _) = start("[mount.blobs.limits]\nconcurrency = 1\n").await;
    daemon.emulator.faults().add(Fault::once("blob", early(404, 0, true)));
    let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
    let request = upload("/blobs/hello/early", false);
    stream.write_all(&request[..1000]).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    // The connection is open, and waits for more.
    stream.write_all(&request[1000..]).await.unwrap();
    let next =
        tokio::time::timeout(Duration::from_secs(4), daemon.get("/blobs/hello/world.txt")).await;
    assert_eq!(next.expect("the mount has a place").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_reaches_a_caller_that_expects_100_continue_before_it_sends_a_byte() {
    let (daemon, listeners) = start("").await;
    daemon.emulator.faults().add(Fault::always("blob", early(412, 0, true)));
    for framing in ["content-length: 5000", "transfer-encoding: chunked"] {
        for Connected { name: listener, host, mut stream } in listeners.connect_to_each().await {
            let head = format!(
                "PUT /blobs/hello/refused HTTP/1.1\r\nhost: {host}\r\nexpect: \
                 100-continue\r\n{framing}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 412 "), "{listener} {framing}: {response}");
            assert!(
                response.ends_with("did not wait for the body.\"}}"),
                "{listener} {framing}: {response}"
            );
            let seen = daemon.emulator.log().for_service("blob").pop().unwrap();
            assert_eq!(
                seen.header("expect"),
                Some("100-continue"),
                "the service received the request"
            );
            assert_eq!(seen.body_bytes, 0);
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gets_100_continue_when_the_service_is_ready_or_silent() {
    let (daemon, _) = start("").await;
    let head = "PUT /blobs/hello/wanted HTTP/1.1\r\nhost: localhost\r\nx-ms-blob-type: \
                BlockBlob\r\n\
                expect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    for holds in [false, true] {
        if holds {
            daemon.emulator.faults().add(Fault::once("blob", FaultKind::HoldBody));
        }
        let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
        let began = Instant::now();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        read_until(&mut stream, &mut response, "\r\n\r\n").await;
        assert_eq!(response, "HTTP/1.1 100 Continue\r\n\r\n", "{holds}");
        assert!(
            !holds || began.elapsed() >= Duration::from_millis(900),
            "not before the service had its time"
        );
        daemon.emulator.faults().clear();
        stream.write_all(b"12345").await.unwrap();
        response.clear();
        read_until(&mut stream, &mut response, "\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 201 "), "{holds}: {response}");
        assert_eq!(daemon.get("/blobs/hello/wanted").await.text(), "12345");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_two_steps_of_an_existing_file_gets_the_services_error() {
    let (daemon, _) = start("").await;
    let node = "https://contoso.azuredatalakestore.net/webhdfs/v1/node/old.txt?op=CREATE\
                &write=true&overwrite=false";
    for chunked in [false, true] {
        let faults = daemon.emulator.faults();
        faults.add(
            Fault::once("datalake", FaultKind::Redirect(node.to_owned())).at("/webhdfs/v1/old.txt"),
        );
        faults.add(Fault::once("datalake", early(403, 0, true)).at("/webhdfs/v1/node"));
        let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
        let path = "/lake/webhdfs/v1/old.txt?op=CREATE&overwrite=false";
        stream.write_all(&upload(path, chunked)).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_closes_during_an_upload_without_a_response_is_a_bad_gateway() {
    let (daemon, _) = start("").await;
    for read in [0, 100_000] {
        daemon.emulator.faults().add(Fault::once("blob", FaultKind::CloseAfterRequestBytes(read)));
        let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
        stream.write_all(&upload("/blobs/hello/torn", false)).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
        assert_eq!(daemon.get("/blobs/hello/torn").await.status, 404);
    }
    daemon.stop().await;
}

/// Forwards connections and counts them.
async fn counting(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut service = TcpStream::connect(to).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut stream, &mut service).await);
            });
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_successful_uploads_keep_the_connection_to_the_service() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let (proxy, count) = counting(emulator.tls_address()).await;
    let config = config("public", "core.windows.net", &emulator);
    let config = config.replace(&emulator.tls_address().to_string(), &proxy.to_string());
    let daemon = Daemon::with_emulator(emulator, &config, "[listen]\nsocket = \"k.sock\"\n").await;
    let connections = || count.load(Ordering::SeqCst);

    let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
    daemon.emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody));
    for number in 0..6 {
        let framing = [
            "content-length: 5\r\n\r\nhello",
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ];
        let request = format!(
            "PUT /blobs/hello/{number} HTTP/1.1\r\nhost: localhost\r\nx-ms-blob-type: \
             BlockBlob\r\n{}",
            framing[number % 2]
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        read_until(&mut stream, &mut response, "\r\n\r\n").await;
        assert!(
            response.starts_with("HTTP/1.1 201 ") && !response.contains("connection: close"),
            "{response}"
        );
    }
    assert_eq!(connections(), 1);

    // The service has read the whole body, which the client cannot know.
    daemon.emulator.faults().clear();
    daemon.emulator.faults().add(Fault::always("blob", early(409, 5, false)));
    for _ in 0..3 {
        let request =
            "PUT /blobs/hello/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        read_until(&mut stream, &mut response, "body.\"}}").await;
        assert!(response.starts_with("HTTP/1.1 409 "), "{response}");
    }
    assert_eq!(connections(), 3);
    daemon.stop().await;
}
