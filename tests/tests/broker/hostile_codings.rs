//! Services that compress their responses, though the host asks for `accept-encoding: identity`.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http_body_util::Full;
use keyward::CallError;
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{CallResponse, Rig, get};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn respond_with(headers: &[(&str, &str)], body: &str) -> FaultKind {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    FaultKind::Respond { status: 200, headers, body: body.to_owned() }
}

fn why(response: &CallResponse) -> &str {
    match &response.error {
        Some(CallError::Unsearchable { why, .. }) => why,
        other => panic!("no such error: {other:?}, {}", response.text()),
    }
}

/// The call's error, where its response had begun already.
fn assert_stopped(response: &CallResponse, audited: &keyward::audit::Record) {
    assert!(
        response.broken.is_some() || matches!(response.error, Some(CallError::Unsearchable { .. })),
        "{response:?}"
    );
    assert_eq!(audited.rule, Some("unsearchable"));
    assert!(audited.redacted, "the audit says that a token was sent back");
}

#[tokio::test]
async fn a_token_that_a_service_sends_back_compressed_does_not_reach_the_plugin() {
    for (number, piece) in [1_usize, 10, 1_000_000].into_iter().enumerate() {
        let rig = Rig::hostile("reads").start().await;
        rig.emulator.faults().add(Fault::once("vault", FaultKind::EchoCompressed(piece)));
        let response =
            rig.call(get("/secrets/db?api-version=7.4", &[("accept-encoding", "gzip")])).await;
        let record = rig.audit.wait(1).await;
        assert_eq!(record.rule, Some("unsearchable"), "{number}: {response:?}");
        assert!(record.redacted);
        assert_eq!(why(&response), "the service sent a token back in it");
        rig.assert_no_token_in(&response);
        let after = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
        assert!(after.text().contains("swordfish"), "the next call is unharmed: {}", after.text());
    }
}

#[tokio::test]
async fn a_token_that_a_service_sends_back_compressed_does_not_reach_the_caller() {
    for piece in [1_usize, 10, 1_000_000] {
        let rig = Rig::keyvault().start().await;
        rig.emulator.faults().add(Fault::once("vault", FaultKind::EchoCompressed(piece)));
        let response =
            rig.call(get("/secrets/db?api-version=7.4", &[("accept-encoding", "gzip")])).await;
        assert_stopped(&response, &rig.audit.wait(1).await);
        let mut decoder = flate2::write::GzDecoder::new(Vec::new());
        drop(decoder.write_all(&response.body).and_then(|()| decoder.flush()));
        let decoded = String::from_utf8_lossy(decoder.get_ref()).into_owned();
        assert!(!decoded.contains("eyJ"), "in pieces of {piece}: {decoded}");
        rig.assert_no_token_in(&response);
    }
}

#[tokio::test]
async fn a_response_in_an_unknown_coding_is_denied() {
    let rig = Rig::keyvault().start().await;
    for coding in ["zstd", "compress", "x-own"] {
        rig.emulator
            .faults()
            .add(Fault::once("vault", respond_with(&[("content-encoding", coding)], "{}")));
        let response = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
        assert_eq!(response.status, 502);
        assert!(
            why(&response).contains(&format!("its coding {coding:?} is unknown")),
            "{}",
            why(&response)
        );
    }
    rig.emulator
        .faults()
        .add(Fault::once("vault", respond_with(&[("content-encoding", "gzip, gzip")], "{}")));
    let response = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
    assert_eq!(why(&response), "it has more than one content coding");
    assert_eq!(rig.audit.wait(1).await.rule, Some("unsearchable"));
}

#[tokio::test]
async fn a_response_that_is_not_in_its_coding_is_denied() {
    let rig = Rig::hostile("reads").start().await;
    rig.emulator
        .faults()
        .add(Fault::once("vault", respond_with(&[("content-encoding", "gzip")], "plain text")));
    let response = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
    assert_eq!(why(&response), "it is not in the coding that its header fields name");
}

#[tokio::test]
async fn a_coding_without_a_body_is_harmless() {
    let rig = Rig::keyvault().start().await;
    let headers = vec![("content-encoding".to_owned(), "zstd".to_owned())];
    let empty = FaultKind::Respond { status: 404, headers, body: String::new() };
    rig.emulator.faults().add(Fault::once("vault", empty));
    let response = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
    assert_eq!(
        (response.status.as_u16(), &response.headers["content-encoding"]),
        (404, &"zstd".parse().unwrap())
    );
}

#[tokio::test]
async fn a_blob_that_is_stored_compressed_is_read_as_it_was_written() {
    let rig = Rig::storage("").start().await;
    rig.call(Request::put("/compressed?restype=container").body(Full::default()).unwrap()).await;
    let text: Vec<u8> = (0..200_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    let stored = gzip(&text);
    let put = Request::put("/compressed/log.gz").header("x-ms-blob-type", "BlockBlob");
    let put =
        put.header("x-ms-blob-content-encoding", "gzip").body(Full::from(stored.clone())).unwrap();
    assert_eq!(rig.call(put).await.status, 201);

    let whole = rig.call(get("/compressed/log.gz", &[])).await;
    assert_eq!(whole.headers["content-encoding"], "gzip");
    assert_eq!(whole.body, stored);
    let mut parts = Vec::new();
    for range in ["bytes=0-99999", "bytes=100000-"] {
        let part = rig.call(get("/compressed/log.gz", &[("x-ms-range", range)])).await;
        assert_eq!(
            (part.status.as_u16(), &part.headers["content-encoding"]),
            (206, &"gzip".parse().unwrap())
        );
        parts.extend_from_slice(&part.body);
    }
    assert_eq!(Bytes::from(parts), stored);
}

#[tokio::test]
async fn a_part_of_a_compressed_response_is_denied_where_it_is_not_stored_content() {
    let rig = Rig::keyvault().start().await;
    let headers = [("content-encoding", "gzip"), ("content-range", "bytes 10-19/20")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let part = FaultKind::Respond { status: 206, headers, body: "0123456789".to_owned() };
    rig.emulator.faults().add(Fault::once("vault", part));
    let response = rig.call(get("/secrets/db?api-version=7.4", &[("range", "bytes=10-19")])).await;
    assert!(why(&response).contains("a part of a compressed response"), "{}", why(&response));
}
