//! Unmodified WebHDFS clients, which perform the two steps of an upload themselves, through a
//! mount.

use std::process::Command;

use keyward_emulator::{Emulator, Options};

use crate::process::{Daemon, LISTEN_TLS, resolve, run_steps};
use crate::skip::{node, peer};

/// A daemon in front of a lake whose node accepts content only in the second step.
async fn start() -> (Daemon, String, String) {
    let mut options = Options::default();
    options.storage.data_node = true;
    let emulator = Emulator::start(options).await.unwrap();
    let config = format!(
        "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n\
         [mount.lake]\nplugin = \"adls\"\nendpoint = \"https://contoso.azuredatalakestore.net\"\n\
         redirects = [\"https://contoso-node.azuredatalakestore.net\"]\n\
         [egress.resolve]\n{}\"contoso-node.azuredatalakestore.net:443\" = \"{}\"\n\
         [tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
        emulator.imds_url(),
        resolve(&emulator),
        emulator.tls_address()
    );
    let mut daemon = Daemon::with_emulator(emulator, &config, LISTEN_TLS).await;
    let (url, ca) = daemon.tls_listener().await;
    (daemon, format!("{url}/lake"), ca)
}

#[tokio::test]
async fn the_python_client_of_webhdfs_writes_in_two_steps_through_a_mount() {
    let Some(python) = peer("python", "the client hdfs for Python") else { return };
    let (daemon, url, ca) = start().await;
    let mut command = Command::new(python.join("bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/python/hdfs_client.py"));
    command.args(["--url", &url, "--ca", &ca]);
    run_steps(command, 10).await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_node_client_of_webhdfs_writes_in_two_steps_through_a_mount() {
    let Some(directory) = peer("webhdfs", "the client webhdfs for Node") else { return };
    let (daemon, url, ca) = start().await;
    let mut command = Command::new(node());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/webhdfs.mjs"));
    command.arg(directory).args([url, ca]);
    run_steps(command, 8).await;
    daemon.stop().await;
}
