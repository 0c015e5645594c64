//! A lake whose data is at a node of a Hadoop cluster, which does not accept Azure's tokens.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use tempfile::TempDir;

use crate::https;
use crate::process::{Daemon, resolve};

const NODE: &str = "dn1.hadoop.example:9865";
const TARGET: &str = "https://dn1.hadoop.example:9865/webhdfs/v1/reports/new.txt?op=CREATE\
                      &delegation=ticket&overwrite=false";

/// A request that the node received: method and target, header fields, body.
type Received = (String, HeaderMap, String);

struct Node {
    address: SocketAddr,
    directory: TempDir,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Node {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let (address, ca_pem) = https::serve("dn1.hadoop.example", move |parts, body| {
            let body = String::from_utf8_lossy(&body).into_owned();
            log.lock().unwrap().push((
                format!("{} {}", parts.method, parts.uri),
                parts.headers,
                body,
            ));
            ready(Response::builder().status(201).body(Full::default()).unwrap())
        })
        .await;
        std::fs::write(directory.path().join("node.pem"), ca_pem).unwrap();
        Self { address, directory, received }
    }

    /// A daemon whose lake redirects one upload to the node.
    async fn daemon(&self, lines: &str) -> Daemon {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let config = format!(
            "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
             [mount.lake]\nplugin = \"adls\"\nendpoint = \
             \"https://contoso.azuredatalakestore.net\"\n{lines}\n\
             [egress.resolve]\n{}{NODE:?} = \"{}\"\n\
             [tls]\nca_files = [\"ca.pem\", {:?}]\nsystem_roots = false\n",
            emulator.imds_url(),
            resolve(&emulator),
            self.address,
            self.directory.path().join("node.pem").display().to_string()
        );
        emulator.faults().add(Fault::once("datalake", FaultKind::Redirect(TARGET.to_owned())));
        Daemon::with_emulator(emulator, &config, "[listen]\nsocket = \"k.sock\"\n").await
    }
}

async fn create(daemon: &Daemon) -> crate::process::Response {
    let request =
        Request::put("/lake/webhdfs/v1/reports/new.txt?op=CREATE").header("cookie", "a=b");
    daemon.send(request.body(Full::from("the text")).unwrap()).await
}

#[tokio::test]
async fn a_node_that_redirects_names_gets_the_upload_and_no_token() {
    let node = Node::start().await;
    let daemon = node.daemon("redirects = [\"https://dn1.hadoop.example:9865\"]").await;
    let response = create(&daemon).await;
    assert_eq!(response.status, 201, "{}", response.text());
    let received = std::mem::take(&mut *node.received.lock().unwrap());
    assert_eq!(received.len(), 1);
    let (line, headers, body) = &received[0];
    assert_eq!(line, "PUT /webhdfs/v1/reports/new.txt?op=CREATE&delegation=ticket&overwrite=false");
    assert_eq!(body, "the text");
    for name in ["authorization", "cookie"] {
        assert!(!headers.contains_key(name), "{headers:?}");
    }
    // Neither a token nor a surrogate.
    assert!(!format!("{headers:?}").contains("Bearer"), "{headers:?}");
    assert_eq!(headers["host"], NODE);
    daemon.stop().await;
}

#[tokio::test]
async fn a_node_that_redirects_does_not_name_gets_nothing() {
    let node = Node::start().await;
    let daemon = node.daemon("").await;
    let response = create(&daemon).await;
    assert_eq!(response.status, 403, "{}", response.text());
    let line = "redirects = [\\\"https://dn1.hadoop.example:9865\\\"] in [mount.lake]";
    assert!(response.text().contains(line), "{}", response.text());
    assert!(!response.text().contains("ticket"), "{}", response.text());
    assert!(node.received.lock().unwrap().is_empty());
    daemon.stop().await;
}
