//! Backpressure and cancellation of bodies that are too large to buffer.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use keyward::Caller;
use keyward::audit::Outcome;
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{Rig, get};

const MIB: u64 = 1 << 20;

/// Maximum bytes in flight: the buffers of the broker, and those of the sockets on both sides.
const ON_THE_WAY: u64 = 32 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_slows_the_service() {
    let rig = Rig::storage("").start().await;
    rig.emulator.faults().add(Fault::once("blob", FaultKind::Bytes(1024 * MIB)));
    let response =
        rig.broker.call("blobs", &Caller::named("test"), get("/hello/big", &[])).await.unwrap();
    let mut body = response.into_body();
    let mut read = 0;
    while read < MIB {
        read += body.frame().await.unwrap().unwrap().into_data().unwrap().len() as u64;
    }
    // Long enough to send a gibibyte to a fast reader.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(body);
    let record = rig.audit.wait(1).await;
    assert!(
        record.upstream[0].bytes < ON_THE_WAY,
        "{} MiB were taken for one that was read",
        record.upstream[0].bytes / MIB
    );
    assert_eq!(record.outcome, Outcome::Abandoned, "and a reader who goes away ends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_service_slows_the_writer() {
    let rig = Rig::storage("").start().await;
    rig.emulator.faults().add(Fault::once("blob", FaultKind::HoldBody));
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::put("/hello/slow").header("x-ms-blob-type", "BlockBlob");
    let request = request.header("content-length", 64 * MIB).body(body).unwrap();
    let broker = rig.broker.clone();
    let call =
        tokio::spawn(async move { broker.call("blobs", &Caller::named("test"), request).await });
    let piece = Bytes::from(vec![7_u8; 64 << 10]);
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_millis(500), sender.send_data(piece.clone()))
        .await
        .is_ok()
    {
        sent += piece.len() as u64;
        assert!(sent < ON_THE_WAY, "{} MiB were taken by a service that reads nothing", sent / MIB);
    }
    // Once it reads again, the writer continues.
    rig.emulator.faults().clear();
    while sent < 64 * MIB {
        sender.send_data(piece.clone()).await.unwrap();
        sent += piece.len() as u64;
    }
    drop(sender);
    assert_eq!(call.await.unwrap().unwrap().status(), 201);
    assert_eq!(rig.emulator.log().for_service("blob")[0].body_bytes as u64, 64 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disconnects_aborts_the_upload() {
    let rig = Rig::storage("").start().await;
    rig.emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody));
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = Request::put("/hello/gone").header("x-ms-blob-type", "BlockBlob");
    let request = request.header("content-length", 64 * MIB).body(body).unwrap();
    let broker = rig.broker.clone();
    let call =
        tokio::spawn(async move { broker.call("blobs", &Caller::named("test"), request).await });
    // There is room for one: with the third, the call has begun.
    for _ in 0..3 {
        sender.send_data(Bytes::from(vec![7_u8; 1 << 20])).await.unwrap();
    }
    call.abort();
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.status), (Outcome::Abandoned, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_disconnects_during_an_upload_is_a_bad_gateway() {
    let rig = Rig::storage("").start().await;
    rig.emulator.faults().add(Fault::once("blob", FaultKind::CloseAfterRequestBytes(1 << 20)));
    let body = http_body_util::Full::new(Bytes::from(vec![7_u8; 16 << 20]));
    let response = rig
        .call(Request::put("/hello/torn").header("x-ms-blob-type", "BlockBlob").body(body).unwrap())
        .await;
    assert_eq!(response.status, 502, "{}", response.text());
    assert_eq!(rig.call(get("/hello/torn", &[])).await.status, 404);
}
