//! Data Lake Gen1: WebHDFS, with data in two steps.
use crate::client::{Client, LAKE, raw, send};
use keyward_emulator::{Emulator, Options};

const DATALAKE: &str = "https%3A%2F%2Fdatalake.azure.net%2F";

async fn start() -> Emulator {
    Emulator::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn a_write_is_redirected_before_its_body_is_read() {
    let emulator = start().await;
    let client = Client::new(&emulator, LAKE, DATALAKE).await;
    let first = client
        .put("/webhdfs/v1/new/a%20b?op=CREATE&overwrite=true&x=%2F", &[], &[7; 1 << 20])
        .await;
    assert_eq!(first.status, 307);
    let location = "https://contoso.azuredatalakestore.net/webhdfs/v1/new/a%20b?op=CREATE\
                    &write=true&overwrite=true&x=%2F";
    assert_eq!(first.header("location"), Some(location));
    let logged = &emulator.log().for_service("datalake")[0];
    assert_eq!(
        (logged.body_bytes, logged.body_unread, logged.header("content-length")),
        (0, true, Some("1048576"))
    );

    // A client that sent `expect: 100-continue` sends no body.
    let head = format!(
        "PUT /webhdfs/v1/new/c?op=CREATE HTTP/1.1\r\nhost: {LAKE}\r\nauthorization: {}\r\n\
         connection: close\r\n\
         content-length: 5\r\nexpect: 100-continue\r\n\r\n",
        client.bearer
    );
    assert!(raw(&emulator, head.as_bytes()).await.starts_with(b"HTTP/1.1 307"));

    let second = client
        .put(location.strip_prefix("https://contoso.azuredatalakestore.net").unwrap(), &[], b"data")
        .await;
    assert_eq!(second.status, 201);
    assert!(second.header("location").unwrap().contains("/webhdfs/v1/new/a%20b"));
    let open = client.get("/webhdfs/v1/new/a%20b?op=OPEN").await;
    assert_eq!(
        open.header("location").unwrap(),
        "https://contoso.azuredatalakestore.net/webhdfs/v1/new/a%20b?op=OPEN&read=true"
    );
    assert_eq!(client.get("/webhdfs/v1/new/a%20b?op=OPEN&read=true").await.text(), "data");
    assert_eq!(
        client.get("/webhdfs/v1/new/a%20b?op=OPEN&read=true&offset=1&length=2").await.text(),
        "at"
    );
}

#[tokio::test]
async fn files_are_appended_concatenated_renamed_and_deleted() {
    let emulator = start().await;
    let client = Client::new(&emulator, LAKE, DATALAKE).await;
    for name in ["a", "b"] {
        let made = client
            .put(&format!("/webhdfs/v1/d/{name}?op=CREATE&write=true"), &[], name.as_bytes())
            .await;
        assert_eq!(made.status, 201);
    }
    let again = client.put("/webhdfs/v1/d/a?op=CREATE&write=true&overwrite=false", &[], b"").await;
    assert_eq!(
        (again.status, again.json()["RemoteException"]["exception"].as_str()),
        (409, Some("FileAlreadyExistsException"))
    );
    let post = |query: &'static str, body: &'static [u8]| {
        let client = &client;
        async move { client.request(&format!("POST /webhdfs/v1/{query}"), &[], body).await }
    };
    assert_eq!(post("d/a?op=APPEND", b"").await.status, 307);
    assert_eq!(post("d/a?op=APPEND&append=true&offset=1", b"++").await.status, 200);
    assert_eq!(post("d/a?op=APPEND&append=true&offset=1", b"x").await.status, 400);
    assert_eq!(post("d/a?op=CONCAT&sources=/d/b", b"").await.status, 200);
    assert_eq!(client.get("/webhdfs/v1/d/a?op=OPEN&read=true").await.text(), "a++b");
    assert_eq!(client.get("/webhdfs/v1/d/b?op=GETFILESTATUS").await.status, 404);
    assert_eq!(post("d/all?op=MSCONCAT", b"sources=/d/a").await.status, 200);
    assert_eq!(
        client.put("/webhdfs/v1/d/all?op=RENAME&destination=/e", &[], b"").await.json()["boolean"],
        true
    );
    assert_eq!(client.get("/webhdfs/v1/e?op=OPEN&read=true").await.text(), "a++b");
    let full = client.request("DELETE /webhdfs/v1/reports?op=DELETE", &[], b"").await;
    assert_eq!(full.status, 403);
    let recursive =
        client.request("DELETE /webhdfs/v1/reports?op=DELETE&recursive=true", &[], b"").await;
    assert_eq!(recursive.json()["boolean"], true);
}

#[tokio::test]
async fn files_have_status_and_content_summaries() {
    let emulator = start().await;
    let client = Client::new(&emulator, LAKE, DATALAKE).await;
    assert_eq!(
        client.put("/webhdfs/v1/reports/old?op=MKDIRS", &[], b"").await.json()["boolean"],
        true
    );
    let list = client.get("/webhdfs/v1/reports?op=LISTSTATUS").await.json();
    let list = list["FileStatuses"]["FileStatus"].as_array().unwrap().clone();
    let names: Vec<_> = list
        .iter()
        .map(|s| (s["pathSuffix"].as_str().unwrap(), s["type"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [("2026.csv", "FILE"), ("old", "DIRECTORY")]);
    let summary = client.get("/webhdfs/v1/?op=GETCONTENTSUMMARY").await.json();
    assert_eq!(
        (&summary["ContentSummary"]["fileCount"], &summary["ContentSummary"]["directoryCount"]),
        (&1.into(), &3.into())
    );
    let missing = client.get("/webhdfs/v1/none?op=GETFILESTATUS").await;
    assert_eq!(
        (missing.status, missing.json()["RemoteException"]["exception"].as_str()),
        (404, Some("FileNotFoundException"))
    );
    let unknown = client.get("/webhdfs/v1/?op=DANCE").await;
    assert_eq!(
        (unknown.status, unknown.json()["RemoteException"]["exception"].as_str()),
        (400, Some("IllegalArgumentException"))
    );
}

#[tokio::test]
async fn permissions_owners_and_acls_are_stored() {
    let emulator = start().await;
    let client = Client::new(&emulator, LAKE, DATALAKE).await;
    for query in [
        "op=SETPERMISSION&permission=640",
        "op=SETOWNER&owner=me&group=us",
        "op=SETACL&aclspec=user::rwx,group::r-x,other::---,user:you:r--,default:user:you:rwx",
        "op=MODIFYACLENTRIES&aclspec=user:they:rw-",
        "op=REMOVEACLENTRIES&aclspec=user:you:",
        "op=REMOVEDEFAULTACL",
    ] {
        assert_eq!(
            client.put(&format!("/webhdfs/v1/reports?{query}"), &[], b"").await.status,
            200,
            "{query}"
        );
    }
    let status =
        client.get("/webhdfs/v1/reports?op=GETACLSTATUS").await.json()["AclStatus"].clone();
    assert_eq!(status["entries"], serde_json::json!(["user:they:rw-"]));
    assert_eq!(
        (status["owner"].as_str(), status["permission"].as_str()),
        (Some("me"), Some("750"))
    );
    assert_eq!(client.put("/webhdfs/v1/reports?op=REMOVEACL", &[], b"").await.status, 200);
    assert_eq!(client.get("/webhdfs/v1/reports?op=CHECKACCESS&fsaction=r-x").await.status, 200);
    assert_eq!(client.get("/webhdfs/v1/reports?op=CHECKACCESS&fsaction=abc").await.status, 400);
}

#[tokio::test]
async fn a_token_for_blobs_is_not_valid_for_data_lake_gen1() {
    let emulator = start().await;
    let storage = Client::new(&emulator, LAKE, crate::client::STORAGE).await;
    let rejected = storage.get("/webhdfs/v1/?op=LISTSTATUS").await;
    assert_eq!(
        (rejected.status, rejected.json()["error"]["code"].as_str()),
        (401, Some("AuthenticationFailed"))
    );
    assert!(rejected.header("www-authenticate").unwrap().starts_with("Bearer authorization_uri="));
    let reports =
        format!("&client_id={}", keyward_emulator::Identity::user_assigned("reports", 1).client_id);
    let bearer = format!("Bearer {}", crate::client::token(&emulator, DATALAKE, &reports).await);
    let denied =
        send(&emulator, LAKE, "GET /webhdfs/v1/?op=LISTSTATUS", &[("authorization", &bearer)], b"")
            .await;
    assert_eq!(
        (denied.status, denied.json()["RemoteException"]["exception"].as_str()),
        (403, Some("AccessControlException"))
    );
}

#[tokio::test]
async fn a_page_of_a_list_has_a_continuation_token() {
    let emulator = start().await;
    let client = Client::new(&emulator, LAKE, DATALAKE).await;
    for name in ["a", "b", "c"] {
        assert_eq!(
            client
                .put(&format!("/webhdfs/v1/p/{name}?op=CREATE&write=true"), &[], b"x")
                .await
                .status,
            201
        );
    }
    let list =
        async |query: &str| client.get(&format!("/webhdfs/v1/p?op=LISTSTATUS{query}")).await.json();
    let first = list("&listSize=2").await;
    assert_eq!(first["FileStatuses"]["continuationToken"], "b");
    let second = list("&listSize=2&listAfter=b").await;
    assert_eq!(second["FileStatuses"]["continuationToken"], "");
    assert_eq!(second["FileStatuses"]["FileStatus"][0]["pathSuffix"], "c");
    assert!(list("").await["FileStatuses"].get("continuationToken").is_none());
}

#[tokio::test]
async fn with_a_data_node_a_direct_transfer_is_not_redirected() {
    let mut options = Options::default();
    options.storage.data_node = true;
    let emulator = Emulator::start(options).await.unwrap();
    let client = Client::new(&emulator, LAKE, DATALAKE).await;
    let two = client.put("/webhdfs/v1/a?op=CREATE", &[], b"").await;
    assert!(two.header("location").unwrap().starts_with("https://contoso-node."));
    assert_eq!(client.put("/webhdfs/v1/a?op=CREATE&write=true", &[], b"data").await.status, 201);
    assert_eq!(client.get("/webhdfs/v1/a?op=OPEN&read=true").await.text(), "data");
}
