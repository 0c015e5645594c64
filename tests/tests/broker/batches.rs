//! Blob batches: each request of one is sent, and checked, by itself.

use http::Request;
use keyward_tests::{CallResponse, Rig};

fn batch(paths: &[String]) -> Request<http_body_util::Full<bytes::Bytes>> {
    let part = |path: &String| {
        format!(
            "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nDELETE {path} \
             HTTP/1.1\r\n\r\n"
        )
    };
    let parts: String = paths.iter().map(part).collect();
    let request =
        Request::post("/?comp=batch").header("content-type", "multipart/mixed; boundary=b");
    request.body(format!("{parts}--b--\r\n").into()).unwrap()
}

fn statuses(response: &CallResponse) -> Vec<String> {
    assert_eq!(response.status, 202, "{}", response.text());
    let text = response.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.map(|line| line.chars().take(3).collect()).collect()
}

/// 256 blobs, of which the first is there.
fn paths() -> Vec<String> {
    let missing = (1..256).map(|number| format!("/hello/none-{number}"));
    std::iter::once("/hello/world.txt".to_owned()).chain(missing).collect()
}

#[tokio::test]
async fn a_batch_of_256_is_256_requests_with_a_token_or_a_signature() {
    for rig in [Rig::storage("allow = [\"DELETE /hello/*\"]"), Rig::storage_with_sas("")] {
        let rig = rig.start().await;
        let response = rig.call(batch(&paths())).await;
        let statuses = statuses(&response);
        assert_eq!((statuses.len(), statuses[0].as_str()), (256, "202"));
        assert!(statuses[1..].iter().all(|status| status == "404"), "{statuses:?}");
        let seen = rig.emulator.log().for_service("blob");
        assert_eq!(seen.len(), 256);
        assert!(seen.iter().all(|seen| seen.method == "DELETE" && !seen.query.contains("comp=")));
        rig.assert_no_token_in(&response);
    }
}

#[tokio::test]
async fn a_denied_request_ends_its_batch() {
    let rig = Rig::storage("allow = [\"DELETE /hello/none-*\"]").start().await;
    let paths = ["/hello/none-1", "/hello/world.txt", "/hello/none-2"].map(str::to_owned);
    let response = rig.call(batch(&paths)).await;
    assert_eq!(response.status, 403, "{}", response.text());
    assert!(response.error.is_some(), "the broker denied it");
    let seen = rig.emulator.log().for_service("blob");
    let seen: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(seen, ["/hello/none-1"]);
}
