//! `keyward token forget`, with a daemon that runs and without one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyward_emulator::{Emulator, Options};

use crate::process::{Daemon, keyward, resolve};

/// A configuration whose tokens are kept in `directory`.
fn config(emulator: &Emulator, directory: &Path) -> String {
    let [tokens, key] = ["tokens", "tokens.key"].map(|name| directory.join(name));
    std::fs::write(&key, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
        .unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\npersist = \
         {tokens:?}\npersist_key = {key:?}\n\
         [mount.vault]\nplugin = \"keyvault\"\nendpoint = \
         \"https://contoso.vault.azure.net\"\n[mount.arm]\nplugin = \"arm\"\n\
         [egress.resolve]\n{}[tls]\nca_files = [\"ca.pem\"]\nsystem_roots = \
         false\n[listen]\nsocket = \"k.sock\"\n",
        emulator.imds_url(),
        resolve(emulator)
    )
}

/// Runs the command. Returns its code, and what it printed.
async fn forget(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = keyward();
    command.args(["token", "forget"]).args(arguments).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (output.status.code(), text)
}

#[tokio::test]
async fn a_running_daemon_forgets_tokens_in_memory_and_on_disk() {
    let files = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let text = config(&emulator, files.path());
    let daemon = Daemon::with_emulator(emulator, &text, "").await;
    let imds = || daemon.emulator.log().for_service("imds").len();
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    assert_eq!(imds(), 1);

    let (code, printed) =
        forget(&daemon.config(), &["default", "https://management.azure.com/"]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("has no such token"), "{printed}");
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    assert_eq!(imds(), 1, "another audience's token stays");

    let (code, printed) = forget(&daemon.config(), &["default"]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("forgot the token of `default` for https://vault.azure.net"),
        "{printed}"
    );
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 200);
    assert_eq!(imds(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_daemon_tokens_on_disk_are_forgotten() {
    let files = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let file = files.path().join("keyward.toml");
    std::fs::write(&file, config(&emulator, files.path())).unwrap();
    std::fs::write(files.path().join("ca.pem"), emulator.ca_pem()).unwrap();
    let call = || async {
        let mut command = keyward();
        command.args(["call", "--config"]).arg(&file).args(["vault", "GET", "/secrets/db"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    call().await;
    let (code, printed) = forget(&file, &["default"]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("no daemon is listening")
            && printed.contains("on disk for https://vault.azure.net"),
        "{printed}"
    );
    call().await;
    assert_eq!(emulator.log().for_service("imds").len(), 2);
    let (code, printed) = forget(&file, &["defualt"]).await;
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("the configuration has default"), "{printed}");
}
