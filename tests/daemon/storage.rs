//! Blob Storage and Data Lake through a running daemon: the platform's tutorials.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward_emulator::{Emulator, SUBSCRIPTION};
use keyward_tests::Secrets;

use crate::process::{Daemon, Response, resolve};

const LISTEN: &str = "[listen]\nsocket = \"k.sock\"\n";

/// The hosts of a cloud: blob, dfs.
const CLOUDS: [(&str, &str); 3] = [
    ("public", "core.windows.net"),
    ("china", "core.chinacloudapi.cn"),
    ("usgov", "core.usgovcloudapi.net"),
];

pub(crate) fn config(cloud: &str, suffix: &str, emulator: &Emulator) -> String {
    let resolve = resolve(emulator);
    let gen1 = if cloud == "public" {
        "[mount.lake]\nplugin = \"adls\"\nendpoint = \"https://contoso.azuredatalakestore.net\"\n"
    } else {
        ""
    };
    format!(
        "cloud = {cloud:?}\n[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
         [mount.blobs]\nplugin = \"storage\"\nendpoint = \"https://contoso.blob.{suffix}\"\n\
         [mount.sas]\nplugin = \"storage\"\nendpoint = \"https://contoso.blob.{suffix}\"\n\
         [mount.sas.settings]\nauth = \"sas\"\n\
         account = \"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/\
         Microsoft.Storage/storageAccounts/contoso\"\n\
         [mount.sas.audience.arm]\n\
         {gen1}[mount.lake2]\nplugin = \"adls\"\nendpoint = \"https://contoso.dfs.{suffix}\"\n\
         [egress.resolve]\n{resolve}[tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.imds_url()
    )
}

async fn start() -> Daemon {
    Daemon::with(|emulator| config("public", "core.windows.net", emulator), LISTEN).await
}

async fn put(
    daemon: &Daemon,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response {
    send(daemon, "PUT", path, headers, body).await
}

async fn send(
    daemon: &Daemon,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response {
    let request = Request::builder().method(method).uri(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    daemon.send(request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()).await
}

#[tokio::test]
async fn a_blob_is_read_and_written_with_a_token_in_all_three_clouds() {
    for (cloud, suffix) in CLOUDS {
        let mut daemon = Daemon::with(|emulator| config(cloud, suffix, emulator), LISTEN).await;
        let hello = daemon.get("/blobs/hello/world.txt").await;
        assert_eq!(
            (hello.status.as_u16(), hello.text().as_str()),
            (200, "Hello, world!"),
            "{cloud}"
        );
        let written =
            put(&daemon, "/blobs/hello/new.txt", &[("x-ms-blob-type", "BlockBlob")], "some text")
                .await;
        assert_eq!(written.status, 201, "{cloud}: {}", written.text());
        assert_eq!(daemon.get("/blobs/hello/new.txt").await.text(), "some text", "{cloud}");
        let record = daemon.record("\"mount\":\"blobs\"").await;
        assert_eq!(record["upstream"][0]["audience"], "https://storage.azure.com/");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_blob_is_uploaded_and_downloaded_with_a_hidden_signature() {
    for (cloud, suffix) in CLOUDS {
        let daemon = Daemon::with(|emulator| config(cloud, suffix, emulator), LISTEN).await;
        let written =
            put(&daemon, "/sas/hello/sas.txt", &[("x-ms-blob-type", "BlockBlob")], "by signature")
                .await;
        assert_eq!(written.status, 201, "{cloud}: {}", written.text());
        let read = daemon.get("/sas/hello/sas.txt").await;
        assert_eq!(read.text(), "by signature", "{cloud}");
        let signatures = daemon.emulator.issued_sas();
        assert_eq!(signatures.len(), 2, "one to write and one to read");
        let secrets = Secrets::default().and_signatures(signatures);
        secrets.assert_absent(
            "the responses",
            format!("{:?}{:?}", written.headers, read.headers).as_bytes(),
        );
        secrets.assert_absent("the log", daemon.log().as_bytes());
        assert!(
            daemon
                .emulator
                .log()
                .for_service("blob")
                .iter()
                .all(|seen| seen.query.contains("sig="))
        );
        daemon.stop().await;
    }
}

#[tokio::test]
async fn the_services_errors_and_conditional_requests_pass() {
    let daemon = start().await;
    let missing = daemon.get("/blobs/hello/none.txt").await;
    assert_eq!(
        (missing.status.as_u16(), &missing.headers["x-ms-error-code"]),
        (404, &"BlobNotFound".parse().unwrap())
    );
    assert!(missing.text().contains("<Code>BlobNotFound</Code>"), "{}", missing.text());
    let exists = [("x-ms-blob-type", "BlockBlob"), ("if-none-match", "*")];
    assert_eq!(put(&daemon, "/blobs/hello/world.txt", &exists, "no").await.status, 409);
    let part = send(&daemon, "GET", "/blobs/hello/world.txt", &[("range", "bytes=7-11")], "").await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "world"));
    assert_eq!(part.headers["content-range"], "bytes 7-11/13");
    let listed = daemon.get("/blobs/hello?restype=container&comp=list&maxresults=1").await;
    assert!(listed.text().contains("<Name>world.txt</Name>"), "{}", listed.text());
    daemon.stop().await;
}

#[tokio::test]
async fn a_blob_is_built_of_blocks_copied_leased_and_deleted() {
    let daemon = start().await;
    for (id, text) in [("QUFB", "first "), ("QkJC", "second")] {
        let path = format!("/blobs/hello/blocks.txt?comp=block&blockid={id}");
        assert_eq!(put(&daemon, &path, &[], text).await.status, 201);
    }
    let list =
        "<?xml version=\"1.0\"?><BlockList><Latest>QUFB</Latest><Latest>QkJC</Latest></BlockList>";
    assert_eq!(put(&daemon, "/blobs/hello/blocks.txt?comp=blocklist", &[], list).await.status, 201);
    assert_eq!(daemon.get("/blobs/hello/blocks.txt").await.text(), "first second");
    // The source as a client knows it: through the mount.
    let source = [("x-ms-copy-source", "http://localhost/blobs/hello/blocks.txt")];
    let copied = put(&daemon, "/blobs/hello/copy.txt", &source, "").await;
    assert!(copied.status.is_success(), "{}", copied.text());
    assert_eq!(daemon.get("/blobs/hello/copy.txt").await.text(), "first second");
    let lease = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "60")];
    assert_eq!(put(&daemon, "/blobs/hello/copy.txt?comp=lease", &lease, "").await.status, 201);
    assert_eq!(
        send(&daemon, "DELETE", "/blobs/hello/copy.txt", &[], "").await.status,
        412,
        "it is leased"
    );
    assert_eq!(send(&daemon, "DELETE", "/blobs/hello/blocks.txt", &[], "").await.status, 202);
    daemon.stop().await;
}

#[tokio::test]
async fn a_blob_with_an_odd_name_is_written_listed_read_and_deleted() {
    let allow = "allow = [\"* /hello\", \"* /hello/**\"]\n";
    for allow in ["", allow] {
        let with = |emulator: &Emulator| {
            let config = config("public", "core.windows.net", emulator);
            config.replace("[mount.sas]", &format!("{allow}[mount.sas]"))
        };
        let daemon = Daemon::with(with, LISTEN).await;
        for (path, name) in [
            ("a//b", "a//b"),
            ("/lead", "/lead"),
            ("back%5Cslash", "back/slash"),
            ("raw\\slash", "raw/slash"),
            ("a%252Fb", "a%2Fb"),
            ("a%2Fb", "a/b"),
            ("a;b", "a;b"),
        ] {
            let at = format!("/blobs/hello/{path}");
            let written = put(&daemon, &at, &[("x-ms-blob-type", "BlockBlob")], "some\0text").await;
            assert_eq!(written.status, 201, "{path}: {}", written.text());
            let listed = daemon.get("/blobs/hello?restype=container&comp=list").await;
            assert!(
                listed.text().contains(&format!("<Name>{name}</Name>")),
                "{path}: {}",
                listed.text()
            );
            let read = daemon.get(&at).await;
            assert_eq!(
                (read.status.as_u16(), &read.body[..]),
                (200, b"some\0text".as_slice()),
                "{path}"
            );
            assert_eq!(send(&daemon, "DELETE", &at, &[], "").await.status, 202, "{path}");
        }
        let lake = put(&daemon, "/lake/webhdfs/v1//reports/new.txt?op=CREATE", &[], "one\n").await;
        assert_eq!(lake.status, 201, "{}", lake.text());
        assert_eq!(daemon.get("/lake/webhdfs/v1//reports/new.txt?op=OPEN").await.text(), "one\n");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_malformed_path_is_a_bad_request() {
    let daemon = start().await;
    for path in ["/blobs//hello/world.txt", "/blobs/hello/../../world.txt", "/lake/webhdfs/../x"] {
        let refused = daemon.get(path).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text());
        assert_eq!(refused.headers["content-type"], "application/problem+json", "{path}");
        assert!(!refused.text().contains("plugin"), "{path}: {}", refused.text());
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_data_lake_store_is_listed_written_appended_and_read() {
    let mut daemon = start().await;
    let listed = daemon.get("/lake/webhdfs/v1/reports?op=LISTSTATUS").await;
    assert_eq!(
        listed.json()["FileStatuses"]["FileStatus"][0]["pathSuffix"],
        "2026.csv",
        "{}",
        listed.text()
    );
    let created =
        put(&daemon, "/lake/webhdfs/v1/reports/new.txt?op=CREATE&overwrite=true", &[], "one\n")
            .await;
    assert_eq!(created.status, 201, "{}", created.text());
    let appended =
        send(&daemon, "POST", "/lake/webhdfs/v1/reports/new.txt?op=APPEND", &[], "two\n").await;
    assert_eq!(appended.status, 200, "{}", appended.text());
    let read = daemon.get("/lake/webhdfs/v1/reports/new.txt?op=OPEN").await;
    assert_eq!((read.status.as_u16(), read.text().as_str()), (200, "one\ntwo\n"));
    let made = put(&daemon, "/lake/webhdfs/v1/reports/deep/er?op=MKDIRS", &[], "").await;
    assert_eq!(made.json()["boolean"], true);
    let deleted =
        send(&daemon, "DELETE", "/lake/webhdfs/v1/reports/new.txt?op=DELETE", &[], "").await;
    assert_eq!(deleted.json()["boolean"], true);

    let log = daemon.emulator.log().for_service("datalake");
    let create: Vec<_> = log.iter().filter(|seen| seen.query.contains("op=CREATE")).collect();
    assert_eq!(create.len(), 2, "two steps");
    assert_eq!(
        (create[0].status, create[0].body_bytes, create[0].header("content-length")),
        (307, 0, Some("0"))
    );
    assert_eq!((create[1].status, create[1].body_bytes), (201, 4));
    let record = daemon.record("\"mount\":\"lake\"").await;
    assert_eq!(record["upstream"][0]["audience"], "https://datalake.azure.net/");
    daemon.stop().await;
}

#[tokio::test]
async fn a_filesystem_of_the_second_generation_is_listed_written_and_read() {
    for (cloud, suffix) in CLOUDS {
        let daemon = Daemon::with(|emulator| config(cloud, suffix, emulator), LISTEN).await;
        let listed = daemon.get("/lake2/lake?resource=filesystem&recursive=true").await;
        assert!(listed.text().contains("reports/2026.csv"), "{cloud}: {}", listed.text());
        assert_eq!(put(&daemon, "/lake2/lake/new.txt?resource=file", &[], "").await.status, 201);
        let appended =
            send(&daemon, "PATCH", "/lake2/lake/new.txt?action=append&position=0", &[], "text")
                .await;
        assert_eq!(appended.status, 202, "{cloud}: {}", appended.text());
        let flushed =
            send(&daemon, "PATCH", "/lake2/lake/new.txt?action=flush&position=4", &[], "").await;
        assert_eq!(flushed.status, 200, "{cloud}: {}", flushed.text());
        assert_eq!(daemon.get("/lake2/lake/new.txt").await.text(), "text");
        let renamed =
            put(&daemon, "/lake2/lake/old.txt", &[("x-ms-rename-source", "/lake/new.txt")], "")
                .await;
        assert_eq!(renamed.status, 201, "{cloud}: {}", renamed.text());
        assert_eq!(daemon.get("/lake2/lake/new.txt").await.status, 404);
        assert_eq!(send(&daemon, "DELETE", "/lake2/lake/old.txt", &[], "").await.status, 200);
        daemon.stop().await;
    }
}

#[tokio::test]
async fn an_operation_of_the_other_generation_is_a_clear_error() {
    let daemon = start().await;
    let wrong = daemon.get("/lake2/lake?op=LISTSTATUS").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.headers["content-type"], "application/problem+json");
    assert_eq!(daemon.get("/lake/lake?resource=filesystem&recursive=true").await.status, 400);
}
