//! Microsoft's clients for Key Vault, unmodified, through a mount.

use std::process::Command;

use crate::process::{Daemon, LISTEN_TLS, config, run_steps};
use crate::skip::{node, peer};

async fn start() -> (Daemon, String, String) {
    let vault = |emulator: &_| {
        let config = config("public", "contoso.vault.azure.net", emulator);
        config.replace("[mount.vault]\n", "[mount.vault]\nhand_out = [\"backup\"]\n")
    };
    let mut daemon = Daemon::with(vault, LISTEN_TLS).await;
    let (url, ca) = daemon.tls_listener().await;
    (daemon, format!("{url}/vault"), ca)
}

#[tokio::test]
async fn the_python_clients_of_key_vault_do_every_operation_through_a_mount() {
    let Some(python) = peer("python", "Microsoft's Key Vault clients for Python") else { return };
    let (daemon, url, ca) = start().await;
    let mut command = Command::new(python.join("bin/python"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/python/keyvault_sdk.py"));
    command.args(["--url", &url, "--ca", &ca]);
    run_steps(command, 19).await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_node_client_of_key_vault_does_every_operation_through_a_mount() {
    let Some(directory) = peer("keyvault", "Microsoft's client for secrets for Node") else {
        return;
    };
    let (daemon, url, ca) = start().await;
    let mut command = Command::new(node());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/keyvault.mjs"));
    command.arg(directory).arg(url).env("NODE_EXTRA_CA_CERTS", ca);
    run_steps(command, 9).await;
    daemon.stop().await;
}
