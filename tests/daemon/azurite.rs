//! Azurite, Microsoft's emulator of Blob Storage, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyward_emulator::Emulator;

use crate::skip::node;

/// The account's name, which is the same for everybody.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
/// The account's key, which is the same for everybody.
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Azurite, with the emulator's certificate.
pub(crate) struct Azurite {
    child: Child,
    pub port: u16,
    _files: tempfile::TempDir,
}

impl Azurite {
    pub(crate) fn start(directory: &Path, emulator: &Emulator) -> Self {
        let files = tempfile::tempdir().unwrap();
        let [certificate, key] = ["server.pem", "server.key"].map(|name| files.path().join(name));
        std::fs::write(&certificate, emulator.certificate_pem()).unwrap();
        std::fs::write(&key, emulator.key_pem()).unwrap();
        let mut command = Command::new(node());
        command.arg(directory.join("node_modules/azurite/dist/src/blob/main.js"));
        command.args([
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            "0",
            "--oauth",
            "basic",
            "--inMemoryPersistence",
        ]);
        command
            .args(["--disableTelemetry", "--silent", "--skipApiVersionCheck", "--cert"])
            .arg(certificate);
        command.arg("--key").arg(key).current_dir(files.path()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("node runs");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line =
            lines.map_while(Result::ok).find(|line| line.contains("successfully listens on"));
        let line = line.expect("Azurite listens");
        let port = line.rsplit(':').next().unwrap().trim().trim_end_matches('/').parse().unwrap();
        Self { child, port, _files: files }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
