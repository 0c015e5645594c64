//! Blob Storage: as strict as Azure, and streaming.
use crate::client::{BLOB, Client, STORAGE, VERSION, raw, send, token};
use keyward_emulator::{Emulator, Fault, FaultKind, Identity, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

async fn start() -> Emulator {
    Emulator::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn a_blob_is_read_with_its_properties_and_in_ranges() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    let whole = client.get("/hello/world.txt").await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "Hello, world!"));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-version", VERSION),
        ("content-length", "13"),
    ] {
        assert_eq!(whole.header(name), Some(value));
    }
    let part = client.request("GET /hello/world.txt", &[("range", "bytes=7-11")], b"").await;
    assert_eq!((part.status, part.text().as_str()), (206, "world"));
    assert_eq!(part.header("content-range"), Some("bytes 7-11/13"));
    let both = [("range", "bytes=0-0"), ("x-ms-range", "bytes=12-")];
    assert_eq!(client.request("GET /hello/world.txt", &both, b"").await.text(), "!");
    let behind = client.request("GET /hello/world.txt", &[("range", "bytes=13-")], b"").await;
    assert_eq!((behind.status, behind.code()), (416, "InvalidRange"));
    let head = client.request("HEAD /hello/world.txt", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("13"), 0));
    assert_eq!(emulator.log().for_service("blob")[0].identity.as_deref(), Some("system"));
}

#[tokio::test]
async fn a_valid_token_of_an_identity_with_a_role_is_required() {
    let emulator = start().await;
    let of = |bearer: String| {
        vec![("authorization".to_owned(), bearer), ("x-ms-version".to_owned(), VERSION.to_owned())]
    };
    let reports = format!("&client_id={}", Identity::user_assigned("reports", 1).client_id);
    let good = token(&emulator, STORAGE, "").await;
    for (headers, status, code) in [
        (vec![("x-ms-version".to_owned(), VERSION.to_owned())], 401, "NoAuthenticationInformation"),
        (of("Bearer x".to_owned()), 401, "InvalidAuthenticationInfo"),
        (of(format!("Bearer {good}x")), 401, "InvalidAuthenticationInfo"),
        (
            of(format!("Bearer {}", token(&emulator, "https%3A%2F%2Fstorage.azure.com", "").await)),
            401,
            "InvalidAuthenticationInfo",
        ),
        (
            of(format!("Bearer {}", token(&emulator, "https%3A%2F%2Fvault.azure.net", "").await)),
            401,
            "InvalidAuthenticationInfo",
        ),
        (of("SharedKey contoso:abc".to_owned()), 400, "InvalidAuthenticationInfo"),
        (
            of(format!("Bearer {}", token(&emulator, STORAGE, &reports).await)),
            403,
            "AuthorizationPermissionMismatch",
        ),
        (vec![("authorization".to_owned(), format!("Bearer {good}"))], 403, "AuthenticationFailed"),
        (of(format!("Bearer {good}")), 200, ""),
    ] {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let response = send(&emulator, BLOB, "GET /hello/world.txt", &headers, b"").await;
        assert_eq!((response.status, response.code()), (status, code), "{}", response.text());
        let challenged = response.header("www-authenticate").is_some_and(|field| {
            field.starts_with("Bearer authorization_uri=https://login.microsoftonline.com/")
                && field.ends_with("/oauth2/authorize resource_id=https://storage.azure.com")
        });
        assert_eq!(challenged, status == 401);
    }
    let elsewhere =
        send(&emulator, "fabrikam.blob.core.windows.net", "GET /hello/world.txt", &[], b"").await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn a_blob_is_put_and_read_under_conditions() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    let fields = [
        BLOCK,
        ("x-ms-blob-content-type", "text/html"),
        ("content-md5", "c3Vt"),
        ("x-ms-meta-who", "me"),
    ];
    let put = client.put("/hello/a%20b/c", &fields, b"one").await;
    assert_eq!((put.status, put.header("x-ms-request-server-encrypted")), (201, Some("true")));
    let got = client.get("/hello/a%20b/c").await;
    assert_eq!(got.header("content-md5"), Some("c3Vt"));
    assert_eq!(
        (got.header("content-type"), got.header("x-ms-meta-who")),
        (Some("text/html"), Some("me"))
    );
    let etag = got.header("etag").unwrap();
    assert_eq!(put.header("etag"), Some(etag));
    for (line, condition, status, code) in [
        ("PUT", ("if-none-match", "*"), 409, "BlobAlreadyExists"),
        ("PUT", ("if-match", "\"other\""), 412, "ConditionNotMet"),
        ("GET", ("if-none-match", etag), 304, "ConditionNotMet"),
        ("GET", ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"), 412, "ConditionNotMet"),
        ("GET", ("if-modified-since", "Tue, 01 Jan 2999 00:00:00 GMT"), 304, "ConditionNotMet"),
        ("PUT", ("if-match", etag), 201, ""),
        ("GET", ("if-match", etag), 412, "ConditionNotMet"),
    ] {
        let response =
            client.request(&format!("{line} /hello/a%20b/c"), &[BLOCK, condition], b"").await;
        assert_eq!((response.status, response.code()), (status, code), "{line} {condition:?}");
    }
    let chunked = format!(
        "PUT /hello/x HTTP/1.1\r\nhost: {BLOB}\r\nconnection: close\r\nauthorization: {}\r\n\
         x-ms-version: {VERSION}\r\n\
         x-ms-blob-type: BlockBlob\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        client.bearer
    );
    let response = raw(&emulator, chunked.as_bytes()).await;
    assert!(response.starts_with(b"HTTP/1.1 411"));
    assert_eq!(client.put("/hello/x", &[], b"").await.code(), "MissingRequiredHeader");
    assert_eq!(client.put("/nowhere/x", &[BLOCK], b"").await.code(), "ContainerNotFound");
    assert_eq!(client.request("DELETE /hello/a%20b/c", &[], b"").await.status, 202);
    let gone = client.get("/hello/a%20b/c").await;
    assert_eq!((gone.status, gone.code()), (404, "BlobNotFound"));
    assert!(gone.text().starts_with(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobNotFound</Code><Message>"
    ));
}

#[tokio::test]
async fn blocks_become_a_blob_when_their_list_is_committed() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    for (id, text) in [("QQ%3D%3D", "one "), ("Qg%3D%3D", "two "), ("Qw%3D%3D", "unused")] {
        let put =
            client.put(&format!("/hello/big?comp=block&blockid={id}"), &[], text.as_bytes()).await;
        assert_eq!(put.status, 201);
    }
    assert_eq!(client.get("/hello/big").await.status, 404);
    assert_eq!(
        client.put("/hello/big?comp=block&blockid=not64", &[], b"x").await.code(),
        "InvalidQueryParameterValue"
    );
    let missing = b"<BlockList><Committed>QQ==</Committed></BlockList>";
    assert_eq!(
        client.put("/hello/big?comp=blocklist", &[], missing).await.code(),
        "InvalidBlockList"
    );
    assert_eq!(
        client.put("/hello/big?comp=blocklist", &[], b"<no").await.code(),
        "InvalidXmlDocument"
    );
    let list = b"<?xml version=\"1.0\"?><BlockList><Latest>Qg==</Latest>\
                 <Uncommitted>QQ==</Uncommitted></BlockList>";
    assert_eq!(client.put("/hello/big?comp=blocklist", &[], list).await.status, 201);
    assert_eq!(client.get("/hello/big").await.text(), "two one ");
    let blocks = client.get("/hello/big?comp=blocklist&blocklisttype=all").await.text();
    assert!(blocks.contains("<Block><Name>Qg==</Name><Size>4</Size></Block>"), "{blocks}");
    assert!(blocks.contains("<UncommittedBlocks></UncommittedBlocks>"), "{blocks}");
}

#[tokio::test]
async fn an_append_blob_grows_at_its_end() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    assert_eq!(
        client.put("/hello/log", &[("x-ms-blob-type", "AppendBlob")], b"").await.status,
        201
    );
    let first = client.put("/hello/log?comp=appendblock", &[], b"one\n").await;
    assert_eq!((first.status, first.header("x-ms-blob-append-offset")), (201, Some("0")));
    let at = |position| [("x-ms-blob-condition-appendpos", position)];
    let wrong = client.put("/hello/log?comp=appendblock", &at("3"), b"x").await;
    assert_eq!((wrong.status, wrong.code()), (412, "AppendPositionConditionNotMet"));
    assert_eq!(client.put("/hello/log?comp=appendblock", &at("4"), b"two\n").await.status, 201);
    let got = client.get("/hello/log").await;
    assert_eq!(
        (got.text().as_str(), got.header("x-ms-blob-committed-block-count")),
        ("one\ntwo\n", Some("2"))
    );
    assert_eq!(
        client.put("/hello/world.txt?comp=appendblock", &[], b"x").await.code(),
        "InvalidBlobType"
    );
}

#[tokio::test]
async fn containers_and_blobs_are_listed_in_pages() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    assert_eq!(
        client.put("/new?restype=container", &[("x-ms-meta-a", "b")], b"").await.status,
        201
    );
    assert_eq!(
        client.put("/new?restype=container", &[], b"").await.code(),
        "ContainerAlreadyExists"
    );
    assert_eq!(client.put("/New?restype=container", &[], b"").await.code(), "InvalidResourceName");
    let containers = client.get("/?comp=list&include=metadata&prefix=ne").await.text();
    assert!(
        containers.contains("<Name>new</Name>")
            && containers.contains("<Metadata><a>b</a></Metadata>"),
        "{containers}"
    );
    assert!(!containers.contains("hello"));
    for name in ["a", "d/1", "d/2", "d/e/3", "z&z"] {
        assert_eq!(client.put(&format!("/new/{name}"), &[BLOCK], b"x").await.status, 201);
    }
    let mut names = Vec::new();
    let mut marker = String::new();
    loop {
        let list = client
            .get(&format!(
                "/new?restype=container&comp=list&delimiter=/&maxresults=1&marker={marker}"
            ))
            .await
            .text();
        let between = |from: &str, to: &str| {
            list.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned()
        };
        names.push(between("<Name>", "</Name>"));
        marker = between("<NextMarker>", "</NextMarker>");
        if marker.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "d/", "z&amp;z"]);
    let inside = client.get("/new?restype=container&comp=list&delimiter=/&prefix=d/").await.text();
    assert!(
        inside.contains("<BlobPrefix><Name>d/e/</Name></BlobPrefix>")
            && inside.contains("<Name>d/1</Name>"),
        "{inside}"
    );
    assert_eq!(client.request("DELETE /new?restype=container", &[], b"").await.status, 202);
    assert_eq!(client.get("/new?restype=container").await.code(), "ContainerNotFound");
}

#[tokio::test]
async fn a_leased_blob_is_only_written_with_the_lease_id() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    let lease = |headers: Vec<(&'static str, String)>| {
        let client = &client;
        async move {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            client.put("/hello/world.txt?comp=lease", &headers, b"").await
        }
    };
    let action = |name: &str| ("x-ms-lease-action", name.to_owned());
    let acquired = lease(vec![action("acquire"), ("x-ms-lease-duration", "-1".to_owned())]).await;
    assert_eq!(acquired.status, 201);
    let id = acquired.header("x-ms-lease-id").unwrap().to_owned();
    let again = lease(vec![action("acquire"), ("x-ms-lease-duration", "15".to_owned())]).await;
    assert_eq!((again.status, again.code()), (409, "LeaseAlreadyPresent"));
    for (lease_id, status, code) in [
        ("", 412, "LeaseIdMissing"),
        ("other", 412, "LeaseIdMismatchWithBlobOperation"),
        (id.as_str(), 200, ""),
    ] {
        let headers: Vec<_> =
            [("x-ms-lease-id", lease_id)].into_iter().filter(|(_, id)| !id.is_empty()).collect();
        let response = client.put("/hello/world.txt?comp=metadata", &headers, b"").await;
        assert_eq!((response.status, response.code()), (status, code));
    }
    assert_eq!(lease(vec![action("renew"), ("x-ms-lease-id", id.clone())]).await.status, 200);
    let changed = vec![
        action("change"),
        ("x-ms-lease-id", id.clone()),
        ("x-ms-proposed-lease-id", "new".to_owned()),
    ];
    assert_eq!(lease(changed).await.header("x-ms-lease-id"), Some("new"));
    assert_eq!(
        lease(vec![action("release"), ("x-ms-lease-id", id)]).await.code(),
        "LeaseIdMismatchWithLeaseOperation"
    );
    let broken = lease(vec![action("break")]).await;
    assert_eq!((broken.status, broken.header("x-ms-lease-time")), (202, Some("0")));
    assert_eq!(
        client.request("HEAD /hello/world.txt", &[], b"").await.header("x-ms-lease-state"),
        Some("broken")
    );
    assert_eq!(client.request("DELETE /hello/world.txt", &[], b"").await.status, 202);
}

#[tokio::test]
async fn a_copy_is_complete_with_the_response() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    let source = ("x-ms-copy-source", "https://contoso.blob.core.windows.net/hello/world.txt");
    let copied = client.put("/hello/copy", &[source], b"").await;
    assert_eq!((copied.status, copied.header("x-ms-copy-status")), (202, Some("success")));
    assert_eq!(
        client.get("/hello/copy").await.header("x-ms-copy-id"),
        copied.header("x-ms-copy-id")
    );
    // Put Blob From URL needs authorization for the source from every caller.
    assert_eq!(
        client.put("/hello/from", &[source, BLOCK], b"").await.code(),
        "CannotVerifyCopySource"
    );
    let leave = ("x-ms-copy-source-authorization", client.bearer.as_str());
    assert_eq!(client.put("/hello/from", &[source, BLOCK, leave], b"").await.status, 201);
    assert_eq!(client.get("/hello/from").await.text(), "Hello, world!");
}

#[tokio::test]
async fn a_large_body_is_streamed_in_and_out() {
    const LENGTH: usize = 80 << 20;
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    assert_eq!(client.put("/hello/large", &[BLOCK], &vec![7; LENGTH]).await.status, 201);
    assert_eq!(emulator.log().for_service("blob")[0].body_bytes, LENGTH);
    let got = client.get("/hello/large").await;
    assert!(got.body.len() == LENGTH && got.body.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn an_unauthorized_request_is_answered_without_reading_its_body() {
    let emulator = start().await;
    let response =
        send(&emulator, BLOB, "PUT /hello/x", &[("x-ms-version", VERSION)], &vec![0; 4 << 20])
            .await;
    assert_eq!(response.status, 401);
    let logged = &emulator.log().for_service("blob")[0];
    assert_eq!((logged.body_bytes, logged.body_unread), (0, true));
}

#[tokio::test]
async fn faults_change_responses() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    let faults = emulator.faults();
    faults.add(Fault::once("blob", FaultKind::DiscardBody));
    assert_eq!(client.put("/hello/x", &[BLOCK], &[1; 1000]).await.status, 201);
    assert_eq!(emulator.log().for_service("blob")[0].body_bytes, 1000);
    assert_eq!(client.get("/hello/x").await.status, 404);

    emulator.log().clear();
    faults.add(Fault::once("blob", FaultKind::Redirect("https://elsewhere.example/".to_owned())));
    let redirected = client.put("/hello/x", &[BLOCK], &[1; 1 << 20]).await;
    assert_eq!(
        (redirected.status, redirected.header("location")),
        (307, Some("https://elsewhere.example/"))
    );
    assert_eq!(emulator.log().for_service("blob")[0].body_bytes, 0);

    emulator.log().clear();
    faults.add(Fault::once("blob", FaultKind::CloseAfterRequestBytes(500)));
    let head = format!("PUT /hello/x HTTP/1.1\r\nhost: {BLOB}\r\ncontent-length: 1000\r\n\r\n");
    assert_eq!(raw(&emulator, &[head.as_bytes(), &[0; 600]].concat()).await, b"");
    let torn = &emulator.log().for_service("blob")[0];
    assert!(torn.body_bytes >= 500 && torn.body_unread && torn.status == 0, "{torn:?}");

    faults.add(Fault::once("blob", FaultKind::Truncate(5)));
    let torn = client.get("/hello/world.txt").await;
    assert_eq!((torn.text().as_str(), torn.header("content-length")), ("Hello", Some("13")));
    faults.add(Fault::once("blob", FaultKind::Bytes(100_000)));
    assert_eq!(client.get("/hello/world.txt").await.body.len(), 100_000);
}

#[tokio::test]
async fn a_held_body_is_read_after_the_faults_change() {
    let emulator = start().await;
    let client = Client::new(&emulator, BLOB, STORAGE).await;
    emulator.faults().add(Fault::always("blob", FaultKind::HoldBody));
    let mut stream = emulator.connect().await.unwrap();
    let head = format!(
        "PUT /hello/held HTTP/1.1\r\nhost: {BLOB}\r\nconnection: close\r\nauthorization: {}\r\n\
         x-ms-version: {VERSION}\r\n\
         x-ms-blob-type: BlockBlob\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n",
        client.bearer
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut early = [0; 1];
    let waited =
        tokio::time::timeout(std::time::Duration::from_millis(200), stream.read_exact(&mut early))
            .await;
    assert!(waited.is_err(), "the body was read");
    emulator.faults().clear();
    let mut next = [0; 25];
    stream.read_exact(&mut next).await.unwrap();
    assert_eq!(&next, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"held").await.unwrap();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest).await);
    assert!(rest.starts_with(b"HTTP/1.1 201"));
    assert_eq!(client.get("/hello/held").await.text(), "held");
}
