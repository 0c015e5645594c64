//! Third-party peers: Azurite as the storage, the official Python SDK as the client.
//! `make test` installs both.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward_emulator::{Emulator, Options, SUBSCRIPTION};
use keyward_tests::Secrets;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::azurite::{ACCOUNT, Azurite, KEY};
use crate::listeners::read_until;
use crate::process::{Daemon, LISTEN_TLS, run_steps};
use crate::skip::peer;

/// A daemon in front of Azurite, with tokens and signatures of the emulator.
async fn start(azurite: &Path, sections: &str) -> (Daemon, Azurite) {
    start_with(azurite, "", sections).await
}

/// The same, with an additional line in the mounts.
async fn start_with(azurite: &Path, line: &str, sections: &str) -> (Daemon, Azurite) {
    let mut options = Options::default();
    options.storage.account = ACCOUNT.to_owned();
    options.storage.key = STANDARD.decode(KEY).unwrap();
    let emulator = Emulator::start(options).await.unwrap();
    let azurite = Azurite::start(azurite, &emulator);
    let config = format!(
        "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
         [mount.blobs]\nplugin = \"storage\"\nendpoint = \
         \"https://{ACCOUNT}.blob.core.windows.net\"\n{line}\n\
         [mount.sas]\nplugin = \"storage\"\nendpoint = \
         \"https://{ACCOUNT}.blob.core.windows.net\"\n{line}\n\
         [mount.sas.settings]\nauth = \"sas\"\n\
         account = \"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/\
         Microsoft.Storage/storageAccounts/{ACCOUNT}\"\n\
         [mount.sas.audience.arm]\n\
         [egress.resolve]\n\"{ACCOUNT}.blob.core.windows.net:443\" = \"127.0.0.1:{}\"\n\
         \"management.azure.com:443\" = \"{}\"\n\
         [tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.imds_url(),
        azurite.port,
        emulator.tls_address(),
    );
    (Daemon::with_emulator(emulator, &config, sections).await, azurite)
}

async fn send(
    daemon: &Daemon,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, Bytes) {
    let request = Request::builder().method(method).uri(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = daemon.send(request.body(Full::new(Bytes::from(body))).unwrap()).await;
    (response.status.as_u16(), response.body)
}

#[tokio::test]
async fn azurite_accepts_tokens_and_signatures() {
    let Some(azurite) = peer("azurite", "a mount in front of Azurite") else { return };
    let (daemon, _azurite) = start(&azurite, "[listen]\nsocket = \"k.sock\"\n").await;
    let (status, response) =
        send(&daemon, "PUT", "/blobs/peers?restype=container", &[], Vec::new()).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&response));
    let block = [("x-ms-blob-type", "BlockBlob")];
    for mount in ["blobs", "sas"] {
        let at = |path: &str| format!("/{mount}/peers/{path}");
        assert_eq!(
            send(&daemon, "PUT", &at("a.txt"), &block, b"Hello from Keyward".to_vec()).await.0,
            201,
            "{mount}"
        );
        let part =
            send(&daemon, "GET", &at("a.txt"), &[("x-ms-range", "bytes=6-9")], Vec::new()).await;
        assert_eq!((part.0, &part.1[..]), (206, b"from".as_slice()), "{mount}");
        // A large one, block by block.
        let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        for number in 0..8_u8 {
            let id = STANDARD.encode([number; 6]);
            list.push_str(&format!("<Latest>{id}</Latest>"));
            let path = at(&format!(
                "large?comp=block&blockid={}",
                id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
            ));
            assert_eq!(
                send(&daemon, "PUT", &path, &[], vec![number; 4 << 20]).await.0,
                201,
                "{mount} {number}"
            );
        }
        list.push_str("</BlockList>");
        assert_eq!(
            send(&daemon, "PUT", &at("large?comp=blocklist"), &[], list.into_bytes()).await.0,
            201,
            "{mount}"
        );
        let (status, large) = send(&daemon, "GET", &at("large"), &[], Vec::new()).await;
        assert_eq!((status, large.len()), (200, 32 << 20), "{mount}");
        assert!(
            large
                .chunks(4 << 20)
                .zip(0..8)
                .all(|(chunk, number)| chunk.iter().all(|byte| *byte == number))
        );
        let lease = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "60")];
        assert_eq!(
            send(&daemon, "PUT", &at("a.txt?comp=lease"), &lease, Vec::new()).await.0,
            201,
            "{mount}"
        );
        assert_eq!(
            send(&daemon, "DELETE", &at("a.txt"), &[], Vec::new()).await.0,
            412,
            "{mount}: it is leased"
        );
        let broken = [("x-ms-lease-action", "break"), ("x-ms-lease-break-period", "0")];
        assert_eq!(
            send(&daemon, "PUT", &at("a.txt?comp=lease"), &broken, Vec::new()).await.0,
            202,
            "{mount}"
        );
        assert_eq!(send(&daemon, "DELETE", &at("a.txt"), &[], Vec::new()).await.0, 202, "{mount}");
        let (status, missing) = send(&daemon, "GET", &at("a.txt"), &[], Vec::new()).await;
        assert!(
            status == 404 && String::from_utf8_lossy(&missing).contains("BlobNotFound"),
            "{mount}: {missing:?}"
        );
        let (status, list) = send(
            &daemon,
            "GET",
            &format!("/{mount}/peers?restype=container&comp=list"),
            &[],
            Vec::new(),
        )
        .await;
        assert!(
            status == 200 && String::from_utf8_lossy(&list).contains("<Name>large</Name>"),
            "{mount}: {list:?}"
        );
    }
    let secrets = Secrets::default().and_signatures(daemon.emulator.issued_sas());
    assert!(secrets.count() > 0);
    secrets.assert_absent("the log", daemon.log().as_bytes());
    daemon.stop().await;
}

#[tokio::test]
async fn azurite_stores_blobs_under_every_legal_name() {
    let Some(azurite) = peer("azurite", "odd names of blobs, through a mount in front of Azurite")
    else {
        return;
    };
    let names = [
        ("a//b", "a//b"),
        ("/lead", "/lead"),
        ("back%5Cslash", "back/slash"),
        ("raw\\slash", "raw/slash"),
        ("a%252Fb", "a%2Fb"),
        ("go%2Fwrites%2fso", "go/writes/so"),
        ("semi;colon", "semi;colon"),
        ("100%25", "100%"),
        ("trail/", "trail/"),
        ("dot.", "dot."),
        ("plus%2Band+plus", "plus+and+plus"),
    ];
    for line in ["", "allow = [\"* /peers\", \"* /peers/**\"]"] {
        let (daemon, _azurite) =
            start_with(&azurite, line, "[listen]\nsocket = \"k.sock\"\n").await;
        assert_eq!(
            send(&daemon, "PUT", "/blobs/peers?restype=container", &[], Vec::new()).await.0,
            201
        );
        for mount in ["blobs", "sas"] {
            for (path, name) in names {
                let at = format!("/{mount}/peers/{path}");
                let content: Vec<u8> = (0..=255).cycle().take(5000).chain(path.bytes()).collect();
                let block = [("x-ms-blob-type", "BlockBlob")];
                let (status, response) = send(&daemon, "PUT", &at, &block, content.clone()).await;
                assert_eq!(status, 201, "{at}: {}", String::from_utf8_lossy(&response));
                let list = format!("/{mount}/peers?restype=container&comp=list");
                let (_, list) = send(&daemon, "GET", &list, &[], Vec::new()).await;
                let list = String::from_utf8_lossy(&list).into_owned();
                assert!(list.contains(&format!("<Name>{name}</Name>")), "{at}: {list}");
                let (status, read) = send(&daemon, "GET", &at, &[], Vec::new()).await;
                assert_eq!((status, &read[..]), (200, content.as_slice()), "{at}");
                assert_eq!(send(&daemon, "DELETE", &at, &[], Vec::new()).await.0, 202, "{at}");
            }
        }
        daemon.stop().await;
    }
}

#[tokio::test]
async fn azurites_early_rejection_of_an_upload_arrives() {
    let Some(azurite) = peer("azurite", "uploads to a container that Azurite does not have") else {
        return;
    };
    let (daemon, _azurite) = start(&azurite, "[listen]\nsocket = \"k.sock\"\n").await;
    for number in 0..20 {
        let (length, body) = (4 << 20, vec![7; 4 << 20]);
        let head = format!(
            "PUT /blobs/nowhere/{number} HTTP/1.1\r\nhost: localhost\r\nx-ms-blob-type: \
             BlockBlob\r\n\
             content-length: {length}\r\n\r\n"
        );
        let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut response = String::new();
        read_until(&mut stream, &mut response, "</Error>").await;
        assert!(
            response.starts_with("HTTP/1.1 404 ") && response.contains("ContainerNotFound"),
            "{number}: {response}"
        );
    }
    daemon.stop().await;
}

#[tokio::test]
async fn the_official_python_sdk_works_through_a_mount_unchanged() {
    let what = "Microsoft's blob client for Python, through a mount in front of Azurite";
    let (Some(azurite), Some(python)) = (peer("azurite", what), peer("python", what)) else {
        return;
    };
    let (mut daemon, _azurite) = start(&azurite, LISTEN_TLS).await;
    let (url, ca) = daemon.tls_listener().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/python/blob_sdk.py");
    let mut command = Command::new(python.join("bin/python"));
    command.arg(script).args(["--url", &format!("{url}/blobs"), "--ca", &ca]);
    run_steps(command, 17).await;
    daemon.stop().await;
}
