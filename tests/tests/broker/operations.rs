//! Lines of `allow` with operations and with parameters.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use keyward::{CallError, Violation};
use keyward_tests::{CallResponse, Rig, get};

fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let method: Method = method.parse().unwrap();
    let request = fields
        .iter()
        .fold(Request::builder().method(method).uri(path), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(Full::from("content")).unwrap()
}

fn help(response: &CallResponse) -> String {
    match &response.error {
        Some(CallError::NotAllowed(denied)) => denied.help(),
        other => panic!("it was not denied: {other:?}, {}", response.text()),
    }
}

/// The help of a denial that a line of the mount would lift.
fn adding(line: &str, mount: &str) -> String {
    format!("To allow it, add {line:?} to `allow` in [mount.{mount}]")
}

#[tokio::test]
async fn operations_permit_their_requests_and_no_others() {
    let lines = "allow = [\"read /hello/**\", \"list /hello\", \"write /in/*\"]";
    let rig = Rig::storage(lines).start().await;
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
    let list = "/hello?restype=container&comp=list";
    assert_eq!(rig.call(get(list, &[])).await.status, 200);
    let block_blob = [("x-ms-blob-type", "BlockBlob")];
    let written = rig.call(request("PUT", "/in/a.txt", &block_blob)).await;
    assert_eq!(written.status, 404, "the container does not exist: {}", written.text());

    for (method, path, fields, line) in [
        ("PUT", "/hello/world.txt", &block_blob[..], "write /hello/world.txt"),
        ("DELETE", "/in/a.txt", &[], "delete /in/a.txt"),
        ("PUT", "/in/a.txt?comp=lease", &[("x-ms-lease-action", "acquire")], "lease /in/a.txt"),
        ("PUT", "/in?restype=container", &[], "create-container /in"),
        ("GET", "/hello?restype=container&comp=acl", &[], "get-acl /hello"),
        ("GET", "/?comp=list", &[], "list-containers /"),
        ("PUT", "/in/a.txt?comp=unknown", &[], "PUT /in/a.txt"),
    ] {
        let response = rig.call(request(method, path, fields)).await;
        assert_eq!(help(&response), adding(line, "blobs"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_copy_needs_its_operation_and_that_its_source_may_be_read() {
    let rig = Rig::storage("allow = [\"copy /hello/copy.txt\", \"read /hello/world.txt\"]");
    let rig = rig.start().await;
    let source = "https://contoso.blob.core.windows.net/hello/world.txt";
    let fields = [("x-ms-copy-source", source), ("x-ms-requires-sync", "true")];
    let response = rig.call(request("PUT", "/hello/copy.txt", &fields)).await;
    assert!(response.error.is_none(), "{response:?}");
    let other = [("x-ms-copy-source", "https://contoso.blob.core.windows.net/hello/other.txt")];
    let response = rig.call(request("PUT", "/hello/copy.txt", &other)).await;
    assert_eq!(help(&response), adding("read /hello/other.txt", "blobs"));
    let response = rig.call(request("PUT", "/hello/copy.txt", &[])).await;
    assert_eq!(help(&response), adding("write /hello/copy.txt", "blobs"));
}

#[tokio::test]
async fn a_parameter_that_can_be_read_in_two_ways_is_denied() {
    let rig = Rig::storage("allow = [\"list /hello\"]").start().await;
    for query in [
        "restype=container&comp=list&comp=acl",
        "restype=container&comp=list&COMP=acl",
        "restype=container&%63omp=list",
        "restype=Container&comp=list",
        "restype=container&comp=%6cist",
    ] {
        let response = rig.call(get(&format!("/hello?{query}"), &[])).await;
        let is_ambiguous = matches!(
            &response.error,
            Some(CallError::Caller { violation: Violation::AmbiguousParameter(_), .. })
        );
        let is_not_covered = matches!(&response.error, Some(CallError::NotAllowed(_)));
        assert!(is_ambiguous || is_not_covered, "{query}: {response:?}");
        assert!(response.status.is_client_error(), "{query}: {response:?}");
    }
}

#[tokio::test]
async fn a_line_with_a_parameter_permits_one_operation_of_a_data_lake() {
    let rig = Rig::lake("contoso.azuredatalakestore.net")
        .mount_lines(
            "allow = [\"PUT /webhdfs/v1/in/**?op=CREATE\", \"read /webhdfs/v1/**\", \
             \"list /webhdfs/v1/\"]",
        )
        .start()
        .await;
    let created = rig.call(request("PUT", "/webhdfs/v1/in/a.txt?op=CREATE&write=true", &[])).await;
    assert!(created.status.is_success(), "{created:?}");
    let opened = rig.call(get("/webhdfs/v1/in/a.txt?op=OPEN&read=true", &[])).await;
    assert_eq!(opened.text(), "content");
    for query in ["op=SETPERMISSION&permission=777", "op=SETOWNER&owner=x", "op=MKDIRS"] {
        let path = format!("/webhdfs/v1/in/a.txt?{query}");
        let response = rig.call(request("PUT", &path, &[])).await;
        assert!(help(&response).contains("/webhdfs/v1/in/a.txt"), "{query}");
    }
    for query in ["op=CREATE&op=SETOWNER", "op=CREATE&OP=SETOWNER", "Op=CREATE"] {
        let path = format!("/webhdfs/v1/in/a.txt?{query}");
        let response = rig.call(request("PUT", &path, &[])).await;
        assert!(response.status.is_client_error(), "{query}: {response:?}");
    }
}

#[tokio::test]
async fn operations_of_a_vault_do_not_include_those_on_keys() {
    let lines = "allow = [\"read /secrets/db\", \"sign /keys/**\"]";
    let rig = Rig::keyvault().mount_lines(lines).start().await;
    assert_eq!(rig.call(get("/secrets/db?api-version=7.4", &[])).await.status, 200);
    for (path, line) in [
        ("/keys/k/1/decrypt?api-version=7.4", "decrypt /keys/k/1/decrypt"),
        ("/keys/k/create?api-version=7.4", "create /keys/k/create"),
    ] {
        let response = rig.call(request("POST", path, &[])).await;
        assert_eq!(help(&response), adding(line, "vault"));
    }
}
