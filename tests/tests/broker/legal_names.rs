//! Names that the storage services and App Configuration know, and that look odd in a path:
//! written, listed, read back and deleted, with and without `allow`; and names which try to leave
//! what `allow` permits.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward::{CallError, Violation};
use keyward_policy::path::PathError;
use keyward_tests::{CallResponse, Rig, RigBuilder, get};
use percent_encoding::percent_decode_str;

/// Names as clients write them in a path, behind a container.
const NAMES: [&str; 18] = [
    "a//b",
    "a///b",
    "/lead",
    "//lead",
    "back%5Cslash",
    "raw\\backslash",
    "a%252Fb",
    "go%2Fwrites%2fslashes%2Fso",
    "semi;colon",
    "semi%3Bcolon%3b2",
    "100%25",
    "50%25%20off",
    "trail/",
    "dot.",
    "a.b/..c/d..",
    "plus+%2B%20space",
    "%C3%BCber/%e2%82%ac",
    "what%3F/c%23",
];

/// What the service makes of a name in a path.
fn stored(name: &str) -> String {
    percent_decode_str(name).decode_utf8().unwrap().replace('\\', "/")
}

async fn send(rig: &Rig, method: &str, path: &str, body: Vec<u8>) -> CallResponse {
    let request = Request::builder().method(method).uri(path).header("x-ms-blob-type", "BlockBlob");
    rig.call(request.body(Full::new(Bytes::from(body))).unwrap()).await
}

/// The names in a list of blobs, without their XML.
fn listed(response: &CallResponse) -> Vec<String> {
    let text = response.text();
    let names = text.split("<Name>").skip(1).filter_map(|rest| rest.split("</Name>").next());
    names.map(|name| name.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")).collect()
}

/// What was written is what is read back, byte by byte.
async fn assert_kept(rig: &Rig, names: &[&str]) {
    let mut content: Vec<u8> = (0..=255).cycle().take(1000).collect();
    for name in names {
        let path = format!("/hello/{name}");
        content.extend_from_slice(name.as_bytes());
        let written = send(rig, "PUT", &path, content.clone()).await;
        assert_eq!(written.status, 201, "{name}: {:?} {}", written.error, written.text());
        let list = send(rig, "GET", "/hello?restype=container&comp=list", Vec::new()).await;
        assert!(listed(&list).contains(&stored(name)), "{name}: {}", list.text());
        let read = send(rig, "GET", &path, Vec::new()).await;
        assert_eq!((read.status.as_u16(), &read.body[..]), (200, content.as_slice()), "{name}");
        let head = send(rig, "HEAD", &path, Vec::new()).await;
        assert_eq!(head.headers["content-length"], content.len().to_string(), "{name}");
        let deleted = send(rig, "DELETE", &path, Vec::new()).await;
        assert_eq!(deleted.status, 202, "{name}: {}", deleted.text());
        assert_eq!(send(rig, "GET", &path, Vec::new()).await.status, 404, "{name}");
        rig.assert_no_token_in(&read);
    }
    let list = send(rig, "GET", "/hello?restype=container&comp=list", Vec::new()).await;
    assert_eq!(listed(&list), ["world.txt"], "nothing is left, under whatever name");
}

#[tokio::test]
async fn without_allow_a_name_is_sent_as_it_was_written() {
    let rig = Rig::storage("").start().await;
    assert_kept(&rig, &NAMES).await;
    for name in NAMES {
        let sent = format!("/hello/{name}");
        assert!(
            rig.emulator.log().for_service("blob").iter().any(|seen| seen.path == sent),
            "{sent}"
        );
    }
}

#[tokio::test]
async fn with_allow_a_name_is_sent_as_the_service_reads_it() {
    let rig = Rig::storage("allow = [\"* /hello/**\", \"GET /hello\"]").start().await;
    assert_kept(&rig, &NAMES).await;
    for seen in rig.emulator.log().for_service("blob") {
        assert!(
            !seen.path.contains(['\\', ';'])
                && !seen.path.contains("%5C")
                && !seen.path.contains("%2F"),
            "{}",
            seen.path
        );
    }
}

#[tokio::test]
async fn with_signatures_a_name_is_signed_as_the_service_reads_it() {
    for allow in ["", "allow = [\"* /hello/**\", \"GET /hello\"]"] {
        let rig = Rig::storage_with_sas(allow).start().await;
        assert_kept(&rig, &NAMES).await;
        assert!(!rig.emulator.issued_sas().is_empty());
    }
}

#[tokio::test]
async fn a_signature_that_is_handed_out_is_for_the_name_that_the_service_reads() {
    for (allow, handed_out) in
        [("", true), ("allow = [\"GET /hello/**\"]", true), ("allow = [\"GET /other/**\"]", false)]
    {
        let rig = Rig::storage_with_sas(&format!("{allow}\nhand_out = [\"listServiceSas\"]"))
            .start()
            .await;
        for name in NAMES {
            let response =
                send(&rig, "POST", &format!("/$sas/hello/{name}?permissions=r"), Vec::new()).await;
            assert_eq!(
                response.status.as_u16(),
                if handed_out { 200 } else { 403 },
                "{allow} {name}: {}",
                response.text()
            );
            if handed_out {
                let response: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
                let (sas, path) =
                    (response["sas"].as_str().unwrap(), format!("/hello/{}", stored(name)));
                assert!(rig.emulator.verify_sas(sas, &path, 'r').is_ok(), "{name}");
                assert!(rig.emulator.verify_sas(sas, "/hello/world.txt", 'r').is_err(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_copy_source_is_read_like_a_blob_name() {
    let rig = Rig::storage("allow = [\"* /hello/**\"]").start().await;
    for name in NAMES {
        let (path, text) = (format!("/hello/{name}"), format!("text of {name}"));
        assert_eq!(send(&rig, "PUT", &path, text.clone().into_bytes()).await.status, 201, "{name}");
        for source in ["https://contoso.blob.core.windows.net", "http://localhost/blobs"] {
            let request =
                Request::put("/hello/copy").header("x-ms-copy-source", format!("{source}{path}"));
            let copied = rig.call(request.body(Full::default()).unwrap()).await;
            assert!(copied.status.is_success(), "{name}: {:?} {}", copied.error, copied.text());
            assert_eq!(send(&rig, "GET", "/hello/copy", Vec::new()).await.text(), text, "{name}");
            send(&rig, "DELETE", "/hello/copy", Vec::new()).await;
        }
    }
}

#[tokio::test]
async fn a_file_of_the_second_generation_may_have_such_a_name() {
    for allow in ["", "allow = [\"* /lake/**\", \"GET /lake\"]"] {
        let rig = Rig::lake("contoso.dfs.core.windows.net").mount_lines(allow).start().await;
        for name in
            ["a//b", "back%5Cslash", "a%252Fb", "go%2Fwrites%2Fso", "semi;colon", "100%25", "dot."]
        {
            let (path, text) = (format!("/lake/{name}"), format!("text of {name}"));
            let created = send(&rig, "PUT", &format!("{path}?resource=file"), Vec::new()).await;
            assert_eq!(created.status, 201, "{name}: {:?} {}", created.error, created.text());
            let append = format!("{path}?action=append&position=0");
            assert_eq!(
                send(&rig, "PATCH", &append, text.clone().into_bytes()).await.status,
                202,
                "{name}"
            );
            let flush = format!("{path}?action=flush&position={}", text.len());
            assert_eq!(send(&rig, "PATCH", &flush, Vec::new()).await.status, 200, "{name}");
            assert_eq!(send(&rig, "GET", &path, Vec::new()).await.text(), text, "{name}");
            let list =
                send(&rig, "GET", "/lake?resource=filesystem&recursive=true", Vec::new()).await;
            assert!(
                list.text().contains(&format!("\"name\":\"{}\"", stored(name))),
                "{name}: {}",
                list.text()
            );
            let request = Request::put("/lake/renamed").header("x-ms-rename-source", &path);
            let renamed = rig.call(request.body(Full::default()).unwrap()).await;
            assert_eq!(renamed.status, 201, "{name}: {:?} {}", renamed.error, renamed.text());
            assert_eq!(send(&rig, "GET", "/lake/renamed", Vec::new()).await.text(), text, "{name}");
            assert_eq!(
                send(&rig, "DELETE", "/lake/renamed", Vec::new()).await.status,
                200,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn an_absolute_path_of_webhdfs_begins_with_two_slashes() {
    for allow in ["", "allow = [\"* /webhdfs/v1/reports/**\"]"] {
        let rig = Rig::lake("contoso.azuredatalakestore.net").mount_lines(allow).start().await;
        for name in
            ["//reports/new.txt", "//reports//new.txt", "/reports%2Fnew.txt", "/reports/a%252Fb;c"]
        {
            let path = format!("/webhdfs/v1{name}");
            let created = send(
                &rig,
                "PUT",
                &format!("{path}?op=CREATE&overwrite=true"),
                b"text\0\xff".to_vec(),
            )
            .await;
            assert_eq!(created.status, 201, "{name}: {:?} {}", created.error, created.text());
            let read = send(&rig, "GET", &format!("{path}?op=OPEN"), Vec::new()).await;
            assert_eq!(
                (read.status.as_u16(), &read.body[..]),
                (200, b"text\0\xff".as_slice()),
                "{name}"
            );
            let rename = format!("{path}?op=RENAME&destination=//reports//renamed");
            assert_eq!(
                send(&rig, "PUT", &rename, Vec::new()).await.text(),
                "{\"boolean\":true}",
                "{name}"
            );
            let delete = "/webhdfs/v1/reports/renamed?op=DELETE";
            assert_eq!(
                send(&rig, "DELETE", delete, Vec::new()).await.text(),
                "{\"boolean\":true}",
                "{name}"
            );
        }
    }
}

/// A vault in a cloud of one's own that reads its paths as the line says.
fn own(lines: &str) -> RigBuilder {
    let section = format!(
        "[cloud]\nbase = \"public\"\n[cloud.service.vault]\naudience = \
         \"https://vault.azure.net\"\n\
         hosts = [\"*.vault.azure.net\"]\n{lines}"
    );
    Rig::hostile("path_escape").in_own_cloud(&section, "https://contoso.vault.azure.net")
}

#[tokio::test]
async fn a_custom_service_may_have_keys_with_slashes() {
    let rig = own("paths = \"keys\"")
        .mount_lines("allow = [\"GET /secrets/app*\", \"GET /secrets/a%2Fb\"]")
        .start()
        .await;
    for (path, sent) in [
        ("/secrets/app%2Fk1", "/secrets/app%2Fk1"),
        ("/secrets/app%2fk%5c1;x", "/secrets/app%2Fk%5C1%3Bx"),
        ("/secrets/a%2Fb", "/secrets/a%2Fb"),
    ] {
        let response = rig.call(get("/", &[("x-path", path)])).await;
        assert!(response.error.is_none(), "{path}: {:?}", response.error);
        assert_eq!(rig.emulator.log().for_service("vault").last().unwrap().path, sent);
    }
    for path in [
        "/secrets/app/k1",
        "/secrets/b%2Fa",
        "/secrets/app%2F..%2Fb",
        "/secrets/app%2F%2e%2e",
        "/secrets/app/../b",
    ] {
        let response = rig.call(get("/", &[("x-path", path)])).await;
        assert!(response.error.is_some(), "{path}: {}", response.text());
    }
    assert_eq!(rig.emulator.log().for_service("vault").len(), 3, "nothing else was sent");
}

#[tokio::test]
async fn a_custom_service_may_set_names_after() {
    let rig = own("paths = \"names\"\nnames_after = 2")
        .mount_lines("allow = [\"GET /secrets/db/**\"]")
        .start()
        .await;
    let response = rig.call(get("/", &[("x-path", "/secrets/db/a%2Fb//c")])).await;
    assert!(response.error.is_none(), "{:?}", response.error);
    assert_eq!(rig.emulator.log().for_service("vault")[0].path, "/secrets/db/a/b//c");
    for path in ["/secrets//db/a", "/secrets/db%2Fa/b", "/secrets/db/../a/b", "/secrets/db//"] {
        let response = rig.call(get("/", &[("x-path", path)])).await;
        assert!(response.error.is_some(), "{path}: {}", response.text());
    }
    assert_eq!(rig.emulator.log().for_service("vault").len(), 1, "nothing else was sent");
}

/// What a name of another container may look like behind `/public/`.
const ESCAPES: [&str; 34] = [
    "/public/../hello/world.txt",
    "/public/%2e%2e/hello/world.txt",
    "/public/.%2E/hello/world.txt",
    "/public/..%2fhello/world.txt",
    "/public%2f..%2fhello%2fworld.txt",
    "/public%2F..%2Fhello/world.txt",
    "/public/a/../../hello/world.txt",
    "/public/a%2f..%2f..%2fhello/world.txt",
    "/public/..%5chello%5cworld.txt",
    "/public/..\\hello\\world.txt",
    "/public\\..\\hello\\world.txt",
    "/public%5C..%5Chello%5Cworld.txt",
    "/public/a%5c..%5c..%5chello/world.txt",
    "/public/%252e%252e/hello/world.txt",
    "/public/%25252e%25252e/hello/world.txt",
    "/public/%25%32%65%25%32%65/hello/world.txt",
    "/public/..%252fhello%252fworld.txt",
    "/public/..%255chello%255cworld.txt",
    "/public/..;/hello/world.txt",
    "/public/..%3b/hello/world.txt",
    "/public/..%20/hello/world.txt",
    "/public/..%00/hello/world.txt",
    "/public/%c0%ae%c0%ae/hello/world.txt",
    "/public/%u002e%u002e/hello/world.txt",
    "/public/%25u002e%25u002e/hello/world.txt",
    "/public/..%c0%afhello/world.txt",
    "/public/./../hello/world.txt",
    "/public//../hello/world.txt",
    "/public/...%2f../../hello/world.txt",
    "//hello/world.txt",
    "/./hello/world.txt",
    "/%2fhello/world.txt",
    "/hello/world.txt",
    "/hello%2fworld.txt",
];

#[tokio::test]
async fn a_caller_that_hides_another_container_in_a_name_is_rejected() {
    let rig = Rig::storage("allow = [\"GET /public/**\"]").start().await;
    for path in ESCAPES {
        let response = rig.call(get(path, &[])).await;
        match &response.error {
            Some(CallError::Caller { violation: Violation::Path(_), .. }) => {
                assert_eq!(response.status, 400, "{path}");
            }
            Some(CallError::NotAllowed(_)) => assert_eq!(response.status, 403, "{path}"),
            other => panic!("{path}: {other:?} {}", response.text()),
        }
        rig.assert_no_token_in(&response);
    }
    assert!(rig.emulator.log().for_service("blob").is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_caller_that_hides_another_container_in_a_copys_source_is_rejected() {
    let rig = Rig::storage("allow = [\"* /public/**\"]").start().await;
    for path in ESCAPES {
        for source in ["https://contoso.blob.core.windows.net", "http://localhost/blobs", ""] {
            let source = format!("{source}{path}");
            let request = Request::put("/public/copy").header("x-ms-copy-source", source.as_str());
            let response = rig.call(request.body(Full::default()).unwrap()).await;
            let is_known = matches!(
                &response.error,
                Some(CallError::Caller { .. } | CallError::NotAllowed(_))
            );
            assert!(
                is_known && response.status.is_client_error(),
                "{source}: {:?} {}",
                response.error,
                response.text()
            );
        }
    }
    assert!(rig.emulator.log().for_service("blob").is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_caller_that_hides_another_directory_in_a_path_of_webhdfs_is_rejected() {
    let rig = Rig::lake("contoso.azuredatalakestore.net")
        .mount_lines("allow = [\"* /webhdfs/v1/public/**\"]")
        .start()
        .await;
    for path in ESCAPES {
        let path = path.replace("hello/world.txt", "reports/2026.csv").replace("hello", "reports");
        for (method, path) in [
            ("GET", format!("/webhdfs/v1{path}?op=OPEN")),
            ("PUT", format!("/webhdfs/v1/public/new?op=RENAME&destination={path}")),
            ("POST", format!("/webhdfs/v1/public/new?op=CONCAT&sources=/public/a,{path}")),
        ] {
            let response = send(&rig, method, &path, Vec::new()).await;
            let is_known = matches!(
                &response.error,
                Some(CallError::Caller { .. } | CallError::NotAllowed(_))
            );
            assert!(
                is_known && response.status.is_client_error(),
                "{path}: {:?} {}",
                response.error,
                response.text()
            );
        }
    }
    assert!(rig.emulator.log().for_service("datalake").is_empty(), "nothing was sent");
}

#[tokio::test]
async fn without_allow_a_name_does_not_leave_its_container_and_no_path_the_endpoints_prefix() {
    let rig = Rig::storage("").at("https://contoso.blob.core.windows.net/account").start().await;
    for path in [
        "/c/../../hello/world.txt",
        "/c/a/../../../hello/world.txt",
        "/../hello/world.txt",
        "/c/..%2f..%2fhello",
    ] {
        let response = rig.call(get(path, &[])).await;
        assert!(
            matches!(response.error, Some(CallError::Caller { .. })),
            "{path}: {:?}",
            response.error
        );
        assert_eq!(response.status, 400, "{path}");
    }
    assert!(rig.emulator.log().for_service("blob").is_empty(), "nothing was sent");
    let response = rig.call(get("/c/a/../b", &[])).await;
    assert!(response.error.is_none(), "{:?}", response.error);
    assert_eq!(rig.emulator.log().for_service("blob")[0].path, "/account/c/a/../b");
}

#[tokio::test]
async fn a_denial_of_a_name_with_several_readings_names_a_line_that_allows_it() {
    let denied = Rig::storage("allow = [\"GET /hello/*\"]").start().await;
    for path in ["/hello/a//b", "/hello/a%252Fb"] {
        let response = denied.call(get(path, &[])).await;
        assert_eq!(response.status, 403, "{path}");
        let text = response.text();
        let line =
            text.split("add \\\"").nth(1).and_then(|rest| rest.split("\\\" to").next()).unwrap();
        let allowed = Rig::storage(&format!("allow = [{line:?}]")).start().await;
        let response = allowed.call(get(path, &[])).await;
        assert_eq!((response.status.as_u16(), response.error), (404, None), "{path} with {line}");
    }
}

#[tokio::test]
async fn a_callers_malformed_request_is_a_bad_request() {
    let allow = "allow = [\"* /hello/**\"]";
    for (rig, path) in [
        (Rig::keyvault(), "/secrets/../keys/signing"),
        (Rig::keyvault(), "/secrets//db"),
        (Rig::keyvault(), "/secrets/a%2Fb"),
        (Rig::keyvault(), "/secrets/%zz"),
        (Rig::arm(), "/subscriptions/../x"),
        (Rig::storage(""), "//hello/world.txt"),
        (Rig::storage(""), "/hello/../x/y"),
        (Rig::storage(allow), "/hello/a%zz"),
        (Rig::storage(allow), "/hello/a%00"),
        (Rig::storage(allow), "/hello/a%80"),
        (Rig::storage(""), "/hello/a?comp=list&comp=batch"),
        (Rig::storage(""), "/hello/a?comp=li%73t"),
    ] {
        let rig = rig.start().await;
        let response = rig.call(get(path, &[])).await;
        assert_eq!(response.status, 400, "{path}: {}", response.text());
        assert!(
            matches!(response.error, Some(CallError::Caller { .. })),
            "{path}: {:?}",
            response.error
        );
        assert!(
            response.text().contains("urn:keyward:problem:bad-request"),
            "{path}: {}",
            response.text()
        );
        assert!(!response.text().contains("plugin"), "{path}: {}", response.text());
    }
    let rig = Rig::storage("").start().await;
    let overridden = rig.call(get("/hello/world.txt", &[("x-original-url", "/")])).await;
    assert_eq!(overridden.status, 400, "{}", overridden.text());
}

#[tokio::test]
async fn a_second_path_of_the_callers_that_allow_cannot_check_is_denied_to_the_caller() {
    let rig = Rig::storage("allow = [\"* /hello/**\"]").start().await;
    for (source, status) in
        [("https://public.example/a", 403), ("https://contoso.blob.core.windows.net/hello/..", 400)]
    {
        let request = Request::put("/hello/copy").header("x-ms-copy-source", source);
        let response = rig.call(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status, status, "{source}: {}", response.text());
        assert!(
            matches!(response.error, Some(CallError::Caller { .. })),
            "{source}: {:?}",
            response.error
        );
    }
    let lake = Rig::lake("contoso.azuredatalakestore.net")
        .mount_lines("allow = [\"* /webhdfs/v1/**\"]")
        .start()
        .await;
    let response = send(&lake, "POST", "/webhdfs/v1/reports/a?op=MSCONCAT", Vec::new()).await;
    assert_eq!(response.status, 403, "{}", response.text());
}

#[tokio::test]
async fn a_malformed_path_of_the_plugin_is_a_plugin_error() {
    let rig = Rig::hostile("path_escape").start().await;
    for caller in ["/", "/secrets/db", "/secrets/a%2Fb"] {
        let response = rig.call(get(caller, &[("x-path", "/secrets/../keys/signing")])).await;
        let expected = Violation::Path(PathError::DotSegment);
        assert!(
            matches!(
                &response.error,
                Some(CallError::Violation { violation, .. }) if *violation == expected
            ),
            "{caller}"
        );
        assert_eq!(response.status, 502, "{caller}");
    }
}
