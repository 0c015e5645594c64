//! Web pages in a real browser against a running daemon.

use std::path::PathBuf;
use std::process::Command;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward_emulator::Emulator;
use serde_json::json;

use crate::listeners::{LISTEN, start_with};
use crate::process::{Daemon, resolve_with_sql, run_steps};
use crate::skip::{node, peer, skip};

/// The steps of `tests/peers/browser.mjs`.
const STEPS: usize = 20;

fn config(emulator: &Emulator) -> String {
    let resolve = resolve_with_sql(emulator);
    format!(
        "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
         [mount.orders]\nplugin = \"sql\"\nendpoint = \"sqlserver://contoso.database.windows.net\"\n\
         [mount.orders.settings]\ndatabase = \"shop\"\n\
         [mount.orders.settings.queries]\nclear = \"delete from orders\"\n\
         [mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://contoso.vault.azure.net\"\n\
         [mount.blobs]\nplugin = \"storage\"\nendpoint = \"https://contoso.blob.core.windows.net\"\n\
         [egress.resolve]\n{resolve}[tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.imds_url()
    )
}

/// The browser: Debian's `chromium`, or another build of it.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut programs =
        std::env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name)));
    programs.find(|program| program.is_file())
}

async fn upload(daemon: &Daemon, name: &str, content_type: &str, text: &'static str) {
    let request = Request::put(format!("/blobs/hello/{name}"))
        .header("x-ms-blob-type", "BlockBlob")
        .header("content-type", content_type);
    let response = daemon.send(request.body(Full::from(text)).unwrap()).await;
    assert_eq!(response.status, 201, "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_a_real_browser_is_a_caller() {
    let what = "web pages in Chromium, which try to call";
    let Some(directory) = peer("browser", what) else { return };
    let Some(chromium) = chromium() else {
        return skip(what, "there is no chromium", "KEYWARD_PEERS");
    };
    let origins = "origins = [\"https://app.example\"]\n";
    let listen = LISTEN
        .replace("tcp_callers", &format!("{origins}tcp_callers"))
        .replace("directory", &format!("{origins}directory"));
    let (mut daemon, listeners) = start_with(config, &listen).await;
    let page = "<!doctype html><title>a page</title><script>document.title = 'the script \
                ran'</script>";
    upload(&daemon, "page.html", "text/html", page).await;
    upload(&daemon, "script.js", "text/javascript", "document.title = 'the script ran'").await;
    let image = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>";
    upload(&daemon, "image.svg", "image/svg+xml", image).await;

    let mut command = Command::new(node());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/browser.mjs"));
    command.arg(directory).arg(chromium);
    command.arg(listeners.tcp.to_string()).arg(listeners.tls.to_string());
    run_steps(command, STEPS).await;
    assert_eq!(daemon.get("/nowhere/last").await.status, 404);

    // Each attack was made at three addresses, and refused.
    daemon.record("\"path\":\"/last\"").await;
    let audit = daemon.audit();
    for (mount, path, attacks) in [
        ("orders", "/execute", 5),
        ("orders", "/queries/clear", 1),
        ("vault", "/secrets/db", 2),
        ("blobs", "/hello/world.txt", 3),
        ("blobs", "/hello/page.html", 3),
        ("blobs", "/hello/web-socket", 1),
    ] {
        let refused = audit.iter().filter(|record| {
            let rules = ["origin", "sec-fetch-site"];
            (&record["mount"], &record["path"], &record["status"])
                == (&mount.into(), &path.into(), &403.into())
                && record["rule"].as_str().is_some_and(|rule| rules.contains(&rule))
        });
        let count = refused.count();
        assert!(count >= 3 * attacks, "{count} of {mount}{path} were refused: {audit:#?}");
    }
    // None of the pages deleted anything.
    let body = Bytes::from(json!({ "sql": "select count(*) from orders" }).to_string());
    let request = Request::post("/orders/query").header("content-type", "application/json");
    let response = daemon.send(request.body(Full::new(body)).unwrap()).await;
    assert_eq!(response.json()["rows"], json!([[3]]), "{}", response.text());
    let read = daemon.emulator.log().for_service("vault");
    assert!(read.is_empty(), "no page read a secret");
    daemon.stop().await;
}
