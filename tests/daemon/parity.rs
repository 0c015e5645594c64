//! Compares clients with and without a mount: runs the operations in `tests/parity` both ways.
//!
//! `make parity` writes `docs/compatibility.md`; `make test` compares it with a run.

use std::path::{Path, PathBuf};
use std::process::Command;

use keyward_emulator::{Directory, Emulator, Identity, Options};
use keyward_tests::Secrets;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::azurite::{ACCOUNT, Azurite};
use crate::process::{Daemon, LISTEN_TLS};
use crate::skip::{node, peer};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The services: the name that a client in `tests/parity` has for each, its plugin, its host and
/// its mount.
///
/// The client for Data Lake Gen2 replaces `.dfs.` by `.blob.` in the address that it is given:
/// hence the mounts' names.
const SERVICES: [(&str, &str, &str, &str); 6] = [
    ("blob", "storage", "devstoreaccount1.blob.core.windows.net", "blobs"),
    ("gen1", "adls", "contoso.azuredatalakestore.net", "lake"),
    ("gen2", "adls", "contoso.dfs.core.windows.net", "contoso.dfs.core"),
    ("gen2 as blobs", "storage", "contoso.blob.core.windows.net", "contoso.blob.core"),
    ("vault", "keyvault", "contoso.vault.azure.net", "vault"),
    ("arm", "arm", "management.azure.com", "arm"),
];

/// The node with the data of Data Lake Gen1.
const NODE: &str = "contoso-node.azuredatalakestore.net";

/// The clients for Node, and where `tests/peers/setup` installs what each needs.
const PACKAGES: [(&str, &str); 3] =
    [("blob.mjs", "blob"), ("secrets.mjs", "keyvault"), ("webhdfs.mjs", "webhdfs")];

/// Prefix of every surrogate.
const SURROGATE: &str = "keyward-surrogate-";

/// The services of one side: an emulator, and Azurite.
struct Services {
    emulator: Emulator,
    azurite: Azurite,
}

impl Services {
    async fn start(azurite: &Path) -> Self {
        let all = ["storage", "vault", "arm"].into_iter();
        let machine =
            all.fold(Identity::system_assigned(), |identity, service| identity.role(service, "/"));
        let mut options = Options::default();
        options.directory = Directory::new().with(machine);
        options.storage.data_node = true;
        let emulator = Emulator::start(options).await.unwrap();
        let azurite = Azurite::start(azurite, &emulator);
        Self { emulator, azurite }
    }

    /// Where each host of the services is.
    fn routes(&self) -> Vec<(String, String)> {
        let names = self.emulator.host_names();
        let emulator = names
            .iter()
            .map(|name| (name.trim_end_matches(":443").to_owned(), self.emulator.tls_address()));
        let mut routes: Vec<_> =
            emulator.map(|(host, address)| (host, address.to_string())).collect();
        routes.push((NODE.to_owned(), self.emulator.tls_address().to_string()));
        routes.push((
            format!("{ACCOUNT}.blob.core.windows.net"),
            format!("127.0.0.1:{}", self.azurite.port),
        ));
        routes
    }

    fn config(&self) -> String {
        let mount = |(_, plugin, host, mount): &(&str, &str, &str, &str)| {
            let more = match *plugin {
                "keyvault" => "hand_out = [\"backup\"]\n".to_owned(),
                "adls" if *mount == "lake" => format!("redirects = [\"https://{NODE}\"]\n"),
                _ => String::new(),
            };
            format!("[mount.{mount:?}]\nplugin = {plugin:?}\nendpoint = \"https://{host}\"\n{more}")
        };
        let mounts: String = SERVICES.iter().map(mount).collect();
        let routes =
            self.routes().into_iter().map(|(host, at)| format!("\"{host}:443\" = {at:?}\n"));
        format!(
            "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n{mounts}[egress.resolve]\n{}\
             [tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n",
            self.emulator.imds_url(),
            routes.collect::<String>(),
        )
    }
}

/// The addresses of the services, by the names that clients have for them.
fn urls(url: impl Fn(&str, &str) -> String) -> Value {
    SERVICES
        .iter()
        .map(|(name, _, host, mount)| ((*name).to_owned(), url(host, mount).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A description of both sides, for `tests/parity/run.py`.
fn stage(
    direct: &Services,
    ca: &Path,
    mount: &Daemon,
    (url, mount_ca): (String, String),
    packages: &Value,
) -> Value {
    let routes: serde_json::Map<_, _> =
        direct.routes().into_iter().map(|(host, at)| (host, at.into())).collect();
    json!({
        "direct": {
            "ca": ca,
            "faults": direct.emulator.imds_url(),
            "routes": routes,
            "urls": urls(|host, _| format!("https://{host}")),
        },
        "mount": {
            "ca": mount_ca,
            "faults": mount.emulator.imds_url(),
            "urls": urls(|_, mount| format!("{url}/{mount}")),
        },
        "node": node(),
        "packages": packages,
    })
}

/// The recordings of a directory whose names end so, in one.
fn recordings(directory: &Path, ending: &str) -> String {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let recordings = files.filter(|path| path.to_string_lossy().ends_with(ending));
    recordings.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Both sides, as they run.
struct Stage {
    _direct: Services,
    mount: Daemon,
    _azurite: Azurite,
    directory: TempDir,
    python: PathBuf,
}

impl Stage {
    /// Starts both sides; `None`, noted, where this machine cannot. The daemon logs at this level.
    async fn start(level: &str) -> Option<Self> {
        let what = "what clients see through a mount, beside what they see without one";
        let (azurite, python) = (peer("azurite", what)?, peer("python", what)?);
        let found =
            PACKAGES.iter().filter_map(|(script, package)| Some((*script, peer(package, what)?)));
        let packages: serde_json::Map<_, _> =
            found.map(|(script, at)| (script.to_owned(), json!(at))).collect();
        let (direct, services) = (Services::start(&azurite).await, Services::start(&azurite).await);
        let config = services.config();
        let Services { emulator, azurite } = services;
        let mut mount = Daemon::with_emulator_logging(level, emulator, &config, LISTEN_TLS).await;
        let listener = mount.tls_listener().await;
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, direct.emulator.ca_pem()).unwrap();
        let stage = stage(&direct, &ca, &mount, listener, &packages.into());
        std::fs::write(directory.path().join("stage.json"), stage.to_string()).unwrap();
        Some(Self { _direct: direct, mount, _azurite: azurite, directory, python })
    }

    /// Runs `tests/parity/run.py`, and gives what it prints.
    async fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.python.join("bin/python"));
        command
            .arg(format!("{ROOT}/tests/parity/run.py"))
            .args(["--table", &format!("{ROOT}/docs/compatibility.md")]);
        command.arg("--stage").arg(self.directory.path().join("stage.json"));
        command.arg("--out").arg(self.directory.path()).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().expect("Python runs"))
            .await
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{text}");
        text
    }
}

/// What `make parity` runs: `write` or `large`. `make test` sets nothing.
fn mode() -> Option<String> {
    std::env::var("KEYWARD_PARITY").ok()
}

#[tokio::test]
async fn clients_see_through_a_mount_what_they_see_without_one() {
    let writes = mode().is_some_and(|mode| mode == "write");
    let Some(stage) = Stage::start("trace").await else { return };
    let text = stage.run(if writes { &["--write"] } else { &[] }).await;
    println!("{text}");
    let seen = recordings(stage.directory.path(), ".mount.jsonl");
    assert!(!seen.is_empty() && !seen.contains(SURROGATE), "a surrogate left its sandbox");
    let secrets = Secrets::tokens(stage.mount.emulator.issued_tokens());
    assert!(secrets.count() > 0);
    secrets.assert_absent("what clients saw", seen.as_bytes());
    stage.mount.stop().await;
}

#[tokio::test]
async fn large_bodies_are_timed() {
    // Only on request, since times on a busy machine are meaningless.
    if mode().is_some_and(|mode| mode == "large")
        && let Some(stage) = Stage::start("info").await
    {
        println!("{}", stage.run(&["--large"]).await);
        stage.mount.stop().await;
    }
}

#[test]
fn the_comparison_finds_differences() {
    let Some(python) = peer("python", "the comparison of what clients see") else { return };
    let tests: PathBuf = [ROOT, "tests/parity/test_compare.py"].iter().collect();
    let output = Command::new(python.join("bin/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(tests)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
