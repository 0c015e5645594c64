//! Files that other users can read, write or replace.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::process::{Daemon, LISTEN_TLS, keyward_nowhere, run};
use crate::storage;

/// A mount that reaches nothing.
const MOUNT: &str = "[identity.default]\nsource = \"imds\"\nendpoint = \"http://127.0.0.1:1\"\n\
                     [mount.arm]\nplugin = \"arm\"\n\
                     [egress.resolve]\n\"management.azure.com:443\" = \"127.0.0.1:1\"\n";

const TLS: &str = "[listen.tls]\naddress = \"127.0.0.1:0\"\n\
                   callers = \"anybody-on-this-machine\"\n\
                   certificate = \"server.pem\"\nkey = \"server.key\"\n";

/// A configuration with a certificate and a key beside it.
fn written(listen: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keyward.toml"), format!("{MOUNT}{listen}")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(directory.path().join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.path().join("server.key"), key.serialize_pem()).unwrap();
    directory
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The messages of `serve`, `check` and `doctor`, without line breaks, and the exit code of
/// `serve`.
fn messages(directory: &TempDir) -> (Option<i32>, [String; 3]) {
    let config = directory.path().join("keyward.toml");
    let mut code = None;
    let texts = ["serve", "check", "doctor"].map(|name| {
        let mut command = keyward_nowhere();
        command.args([name, "--config"]).arg(&config);
        if name == "doctor" {
            command.args(["--metadata", "127.0.0.1:1"]);
        }
        let output = command.output().unwrap();
        if name == "serve" {
            code = output.status.code();
        }
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    (code, texts)
}

#[test]
fn a_tls_key_that_others_can_read_or_replace_is_refused() {
    let directory = written(TLS);
    let key = directory.path().join("server.key");
    for (key_mode, directory_mode, found, fix) in [
        (0o644, 0o700, "its mode is 644", "chmod g-wx,o-rwx"),
        (0o660, 0o700, "its mode is 660", "chmod g-wx,o-rwx"),
        (0o600, 0o777, "replace the key", "chmod go-w"),
    ] {
        set_mode(&key, key_mode);
        set_mode(directory.path(), directory_mode);
        let (code, texts) = messages(&directory);
        assert_eq!(code, Some(78), "{}", texts[0]);
        for text in texts {
            assert!(text.contains("`key` in [listen.tls]: the key cannot be used"), "{text}");
            assert!(text.contains(found) && text.contains(fix), "{text}");
            assert!(!text.contains("PRIVATE KEY"), "a key is in a message");
        }
    }
    set_mode(&key, 0o640);
    set_mode(directory.path(), 0o700);
    let file = directory.path().join("keyward.toml");
    let checked = run(&["check", "--config", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(!text.contains("[listen.tls]"), "its group may read a key: {text}");
}

#[test]
fn a_socket_that_others_can_replace_is_refused() {
    let directory = written("[listen]\nsocket = \"d/k.sock\"\n");
    let inner = directory.path().join("d");
    std::fs::create_dir(&inner).unwrap();
    set_mode(&inner, 0o777);
    let (code, texts) = messages(&directory);
    assert_eq!(code, Some(71), "{}", texts[0]);
    for text in texts {
        assert!(text.contains("(mode 0777), and replace the socket"), "{text}");
        assert!(text.contains("chmod go-w"), "{text}");
    }
    assert!(!inner.join("k.sock").exists());
}

#[tokio::test]
async fn a_socket_in_a_sticky_directory_works_with_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o1777);
    let socket = directory.path().join("k.sock");
    let with = |emulator: &keyward_emulator::Emulator| {
        storage::config("public", "core.windows.net", emulator)
    };
    let daemon = Daemon::quiet(with, &format!("[listen]\nsocket = {socket:?}\n")).await;
    assert!(daemon.log().contains("and listen there while the broker is not running"));
    assert!(socket.exists());
}

#[tokio::test]
async fn a_generated_pair_that_is_about_to_expire_is_renewed_at_the_start() {
    let with = |emulator: &keyward_emulator::Emulator| {
        storage::config("public", "core.windows.net", emulator)
    };
    let tls = tempfile::tempdir().unwrap();
    let (at, config) = (|name: &str| tls.path().join(name), tls.path().display().to_string());
    let old = expiring_pair();
    for (name, text) in ["server.pem", "server.key", "ca.pem"].iter().zip(&old) {
        std::fs::write(at(name), text).unwrap();
        set_mode(&at(name), 0o600);
    }
    let listen = LISTEN_TLS.replace("\"tls\"", &format!("{config:?}"));
    let mut daemon = Daemon::quiet(with, &listen).await;
    let (_, ca) = daemon.tls_listener().await;
    let new = std::fs::read_to_string(&ca).unwrap();
    assert_ne!(new, old[2], "the CA is another one");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(Path::new(&ca)), mode(&at("server.key"))), (0o644, 0o600));
}

/// PEM of a certificate, its key and its CA, valid until ten days from now.
fn expiring_pair() -> [String; 3] {
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    let days = |count: u64| std::time::Duration::from_secs(count * 24 * 3600);
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (now - days(300), now + days(10));
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (now - days(300), now + days(10));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    [certificate, key.serialize_pem(), ca]
}
