//! Data Lake Gen2: the containers of Blob as filesystems.
use crate::client::{BLOB, Client, DFS, STORAGE, VERSION, send};
use keyward_emulator::{Emulator, Options};

async fn start() -> Emulator {
    Emulator::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn a_file_is_created_appended_flushed_and_read() {
    let emulator = start().await;
    let client = Client::new(&emulator, DFS, STORAGE).await;
    assert_eq!(
        client
            .put(
                "/lake/new/deep/file.txt?resource=file",
                &[("x-ms-content-type", "text/plain")],
                b""
            )
            .await
            .status,
        201
    );
    let patch = |query: &'static str, body: &'static [u8]| {
        let client = &client;
        async move {
            let line = format!("PATCH /lake/new/deep/file.txt?{query}");
            client.request(&line, &[], body).await
        }
    };
    assert_eq!(patch("action=append&position=0", b"Hello, ").await.status, 202);
    assert_eq!(patch("action=append&position=7", b"lake!").await.status, 202);
    assert_eq!(client.get("/lake/new/deep/file.txt").await.body, b"");
    assert_eq!(patch("action=flush&position=11", b"").await.code(), "InvalidFlushPosition");
    assert_eq!(patch("action=flush&position=12", b"").await.status, 200);
    let part = client.request("GET /lake/new/deep/file.txt", &[("range", "bytes=7-10")], b"").await;
    assert_eq!((part.status, part.text().as_str()), (206, "lake"));
    let status = client.request("HEAD /lake/new/deep/file.txt", &[], b"").await;
    assert_eq!(
        (status.header("content-length"), status.header("x-ms-resource-type")),
        (Some("12"), Some("file"))
    );
    assert_eq!(status.header("content-type"), Some("text/plain"));
    let blob = Client::new(&emulator, BLOB, STORAGE).await.get("/lake/new/deep/file.txt").await;
    assert_eq!(blob.text(), "Hello, lake!");
    let none =
        client.put("/lake/new/deep/file.txt?resource=file", &[("if-none-match", "*")], b"").await;
    assert_eq!((none.status, none.code()), (409, "PathAlreadyExists"));
}

#[tokio::test]
async fn paths_are_listed_in_pages_with_implicit_directories() {
    let emulator = start().await;
    let blob = Client::new(&emulator, BLOB, STORAGE).await;
    assert_eq!(
        blob.put("/hello/a/b/c", &[("x-ms-blob-type", "BlockBlob")], b"123").await.status,
        201
    );
    let client = Client::new(&emulator, DFS, STORAGE).await;
    let names = |response: &crate::client::Response| -> Vec<String> {
        response.json()["paths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|path| path["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = client.get("/hello?resource=filesystem&recursive=true").await;
    assert_eq!(names(&all), ["a", "a/b", "a/b/c", "world.txt"]);
    assert_eq!(all.json()["paths"][0]["isDirectory"], "true");
    assert_eq!(all.json()["paths"][2]["contentLength"], "3");
    let first = client.get("/hello?resource=filesystem&recursive=false&maxResults=1").await;
    assert_eq!(names(&first), ["a"]);
    let token = first.header("x-ms-continuation").unwrap().replace('=', "%3D");
    let rest = client
        .get(&format!("/hello?resource=filesystem&recursive=false&continuation={token}"))
        .await;
    assert_eq!(
        (names(&rest), rest.header("x-ms-continuation")),
        (vec!["world.txt".to_owned()], None)
    );
    assert_eq!(
        names(&client.get("/hello?resource=filesystem&recursive=false&directory=a").await),
        ["a/b"]
    );
    assert_eq!(
        client.get("/hello?resource=filesystem&recursive=false&directory=x").await.code(),
        "PathNotFound"
    );
}

#[tokio::test]
async fn a_directory_is_renamed_with_its_content_and_deleted_recursively() {
    let emulator = start().await;
    let client = Client::new(&emulator, DFS, STORAGE).await;
    let moved = client.put("/lake/archive", &[("x-ms-rename-source", "/lake/reports")], b"").await;
    assert_eq!(moved.status, 201, "{}", moved.text());
    assert_eq!(client.get("/lake/archive/2026.csv").await.status, 200);
    assert_eq!(client.get("/lake/reports/2026.csv").await.code(), "PathNotFound");
    assert_eq!(client.request("DELETE /lake/archive", &[], b"").await.code(), "DirectoryNotEmpty");
    assert_eq!(client.request("DELETE /lake/archive?recursive=true", &[], b"").await.status, 200);
    assert_eq!(
        client.put("/lake/x", &[("x-ms-rename-source", "/lake/none")], b"").await.code(),
        "SourcePathNotFound"
    );
}

#[tokio::test]
async fn access_control_and_properties_are_stored() {
    let emulator = start().await;
    let client = Client::new(&emulator, DFS, STORAGE).await;
    let acl = [("x-ms-acl", "user::rwx,user:me:r--,group::r-x,other::---"), ("x-ms-owner", "me")];
    assert_eq!(
        client
            .request("PATCH /lake/reports/2026.csv?action=setAccessControl", &acl, b"")
            .await
            .status,
        200
    );
    let got = client.request("HEAD /lake/reports/2026.csv?action=getAccessControl", &[], b"").await;
    assert_eq!((got.header("x-ms-acl"), got.header("x-ms-owner")), (Some(acl[0].1), Some("me")));
    assert_eq!(got.header("x-ms-permissions"), Some("rwxr-x---+"));
    let properties = [("x-ms-properties", "who=bWU=")];
    assert_eq!(
        client
            .request("PATCH /lake/reports/2026.csv?action=setProperties", &properties, b"")
            .await
            .status,
        200
    );
    assert_eq!(
        client.request("HEAD /lake/reports/2026.csv", &[], b"").await.header("x-ms-properties"),
        Some("who=bWU=")
    );
}

#[tokio::test]
async fn filesystems_are_created_listed_and_deleted_and_errors_are_json() {
    let emulator = start().await;
    let client = Client::new(&emulator, DFS, STORAGE).await;
    assert_eq!(client.put("/new?resource=filesystem", &[], b"").await.status, 201);
    let again = client.put("/new?resource=filesystem", &[], b"").await;
    assert_eq!((again.status, again.code()), (409, "FilesystemAlreadyExists"));
    assert_eq!(again.json()["error"]["code"], "FilesystemAlreadyExists");
    let list = client.get("/?resource=account&prefix=n").await.json();
    assert_eq!(list["filesystems"][0]["name"], "new");
    assert_eq!(client.request("DELETE /new?resource=filesystem", &[], b"").await.status, 202);
    let rejected =
        send(&emulator, DFS, "GET /lake/reports/2026.csv", &[("x-ms-version", VERSION)], b"").await;
    assert_eq!((rejected.status, rejected.code()), (401, "NoAuthenticationInformation"));
    assert!(rejected.header("www-authenticate").unwrap().starts_with("Bearer authorization_uri="));
}
