//! Reloads: what changes, what stays, and what becomes of running calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use keyward::audit::Outcome;
use keyward::{
    Broker, CallError, Caller, Changes, CutOff, Lock, LockTarget, Options, Plan, Plugins, Reloaded,
};
use keyward_emulator::{Emulator, Fault, FaultKind};
use keyward_policy::config::{CompileCache, Config};
use keyward_tests::{Recorded, get};
use tokio::task::JoinHandle;

/// A broker that is reloaded, with two mounts, `vault` and `arm`.
struct Reloading {
    emulator: Emulator,
    broker: Broker,
    audit: Recorded,
    directory: tempfile::TempDir,
}

const IDENTITY: &str = "[identity.default]\nsource = \"imds\"\nendpoint = \"IMDS\"\n";
const VAULT: &str = "[mount.vault]\nplugin = \"keyvault\"\n\
                     endpoint = \"https://contoso.vault.azure.net\"\n";
const ARM: &str = "[mount.arm]\nplugin = \"arm\"\n";

impl Reloading {
    async fn start() -> Self {
        Self::with(&format!("{IDENTITY}{VAULT}{ARM}")).await
    }

    /// A broker of these sections.
    async fn with(sections: &str) -> Self {
        let emulator = Emulator::start(keyward_emulator::Options::default()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        let audit = Recorded::new();
        let plan = plan(&emulator, directory.path(), sections);
        let options = Options { audit: Arc::new(audit.clone()), ..Options::default() };
        let broker = Broker::start_with(plan, options).unwrap();
        Self { emulator, broker, audit, directory }
    }

    fn plan(&self, sections: &str) -> Plan {
        plan(&self.emulator, self.directory.path(), sections)
    }

    /// Reloads it with these sections.
    fn reload(&self, sections: &str) -> Reloaded {
        self.broker.reload(self.plan(sections)).unwrap()
    }

    async fn call(&self, path: &str) -> Result<u16, CallError> {
        call(&self.broker, "vault", path).await
    }

    /// A call that has begun, and to which the service responds when the faults are cleared.
    async fn hanging_call(&self, path: &'static str) -> JoinHandle<Result<u16, CallError>> {
        let running = self.broker.count_running();
        self.emulator.faults().add(Fault::once("vault", FaultKind::Hang).at(path));
        let broker = self.broker.clone();
        let call = tokio::spawn(async move { call(&broker, "vault", path).await });
        while self.broker.count_running() == running {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        call
    }
}

fn plan(emulator: &Emulator, directory: &Path, sections: &str) -> Plan {
    let names = emulator.host_names().into_iter();
    let resolve: String =
        names.map(|name| format!("{name:?} = \"{}\"\n", emulator.tls_address())).collect();
    let text = format!(
        "{sections}\n[egress.resolve]\n{resolve}[tls]\nsystem_roots = false\nca_files = \
         [\"ca.pem\"]\n"
    );
    let text = text.replace("\"IMDS\"", &format!("{:?}", emulator.imds_url()));
    let mut config = Config::from_toml(&directory.join("keyward.toml"), &text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let compiled = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled-plugins");
    config.compile_cache = CompileCache::Directory(compiled);
    let plugins = keyward_bundle::PLUGINS.iter();
    let plugins =
        plugins.fold(Plugins::new(), |plugins, plugin| plugins.with(plugin.name, plugin.component));
    keyward::plan(config, &plugins).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

async fn call(broker: &Broker, mount: &str, path: &str) -> Result<u16, CallError> {
    let response = broker.call(mount, &Caller::named("test"), get(path, &[])).await?;
    let status = response.status().as_u16();
    drop(response.into_body().collect().await);
    Ok(status)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The local ports of open connections to a port.
#[cfg(target_os = "linux")]
fn connections(port: u16) -> std::collections::BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Local address, remote address, and 01 for an established connection.
    let open = lines.filter(|line| line[2].ends_with(&format!(":{port:04X}")) && line[3] == "01");
    let open: std::collections::BTreeSet<String> = open.map(|line| line[1].to_owned()).collect();
    assert!(!open.is_empty());
    open
}

#[tokio::test]
async fn a_mount_that_did_not_change_keeps_its_connections_and_tokens() {
    let rig = Reloading::start().await;
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
    #[cfg(target_os = "linux")]
    let before = connections(rig.emulator.tls_address().port());
    // A line above moves all others.
    let reloaded = rig.reload(&format!("# changed\n{IDENTITY}{VAULT}{ARM}allow = [\"GET /**\"]\n"));
    assert_eq!(reloaded.mounts.changed, names(&["arm"]));
    assert_eq!(reloaded.mounts.unchanged, names(&["vault"]));
    assert_eq!(reloaded.identities.unchanged, names(&["default"]));
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
    assert_eq!(rig.emulator.log().for_service("vault").len(), 2);
    #[cfg(target_os = "linux")]
    assert_eq!(connections(rig.emulator.tls_address().port()), before, "another connection");
    assert_eq!(rig.emulator.log().for_service("imds").len(), 1, "another token");
}

#[tokio::test]
async fn the_same_configuration_changes_nothing() {
    let rig = Reloading::start().await;
    let reloaded = rig.reload(&format!("{ARM}{IDENTITY}{VAULT}"));
    assert!(reloaded.is_unchanged(), "{reloaded:?}");
    assert_eq!(reloaded.mounts.unchanged, names(&["arm", "vault"]));
}

#[tokio::test]
async fn mounts_and_identities_come_and_go() {
    let rig = Reloading::start().await;
    let other = IDENTITY.replace("default", "other");
    let reloaded = rig.reload(&format!(
        "{other}{VAULT}identity = \"other\"\n{}identity = \"other\"\n",
        ARM.replace("arm]", "more]")
    ));
    let expected = |added: &[&str], changed: &[&str], removed: &[&str]| {
        let mut changes = Changes::default();
        (changes.added, changes.changed, changes.removed) =
            (names(added), names(changed), names(removed));
        changes
    };
    assert_eq!(reloaded.mounts, expected(&["more"], &["vault"], &["arm"]));
    assert_eq!(reloaded.identities, expected(&["other"], &[], &["default"]));
    assert_eq!(rig.broker.mounts(), names(&["more", "vault"]));
    let gone = call(&rig.broker, "arm", "/subscriptions").await;
    assert!(matches!(gone, Err(CallError::UnknownMount { .. })), "{gone:?}");
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
}

#[tokio::test]
async fn a_running_call_finishes_by_the_plan_that_it_began_with() {
    let rig = Reloading::start().await;
    let running = rig.hanging_call("/secrets/db").await;
    let narrow = format!("{IDENTITY}{VAULT}allow = [\"GET /secrets/web\"]\n");
    let reloaded = rig.reload(&narrow);
    assert_eq!(reloaded.mounts.changed, names(&["vault"]));
    let denied = rig.call("/secrets/db").await;
    assert!(matches!(denied, Err(CallError::NotAllowed(_))), "{denied:?}");
    assert_eq!(rig.call("/secrets/web").await, Ok(200));
    assert_eq!(rig.broker.count_running(), 1, "the former mount's");
    rig.emulator.faults().clear();
    assert_eq!(running.await.unwrap(), Ok(200));
    assert_eq!(rig.broker.end_replaced(Duration::from_secs(30)).await, 0);
    assert_eq!(rig.broker.count_running(), 0);
}

#[tokio::test]
async fn a_call_of_a_replaced_mount_is_cut_off_after_the_grace_time_and_recorded() {
    let rig = Reloading::start().await;
    let running = rig.hanging_call("/secrets/db").await;
    rig.reload(&format!("{IDENTITY}{ARM}"));
    assert_eq!(rig.broker.end_replaced(Duration::ZERO).await, 1);
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error, CallError::CutOff { mount: "vault".to_owned(), reason: CutOff::Replaced });
    assert_eq!((error.status().as_u16(), error.retry_after()), (503, None));
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Failed, Some("cut-off")));
}

#[tokio::test]
async fn a_lock_stays_in_force_and_ends_calls_of_replaced_mounts_too() {
    let rig = Reloading::start().await;
    let running = rig.hanging_call("/secrets/db").await;
    rig.reload(&format!("{IDENTITY}{VAULT}allow = [\"GET /secrets/*\"]\n"));
    let lock = Lock::new(LockTarget::Mount("vault".to_owned()), &"a test", None);
    assert_eq!(rig.broker.lock(lock).await.unwrap().calls_ended, 1);
    assert!(matches!(running.await.unwrap(), Err(CallError::Locked { .. })));
    rig.reload(&format!("{IDENTITY}{VAULT}{ARM}"));
    assert!(matches!(rig.call("/secrets/db").await, Err(CallError::Locked { .. })));
}

#[tokio::test]
async fn calls_by_the_former_plan_count_for_the_concurrency() {
    let limits = "[mount.vault.limits]\nconcurrency = 1\nqueue = 1\nqueue_time = \"10ms\"\n";
    let rig = Reloading::with(&format!("{IDENTITY}{VAULT}{limits}")).await;
    let running = rig.hanging_call("/secrets/db").await;
    rig.reload(&format!("{IDENTITY}{VAULT}allow = [\"GET /secrets/*\"]\n{limits}"));
    assert!(matches!(rig.call("/secrets/db").await, Err(CallError::Waited { .. })));
    // With other limits it has sandboxes of its own.
    let limits = limits.replace("concurrency = 1", "concurrency = 2");
    rig.reload(&format!("{IDENTITY}{VAULT}allow = [\"GET /secrets/*\"]\n{limits}"));
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
    rig.emulator.faults().clear();
    assert_eq!(running.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn trust_anchors_are_read_again_and_invalid_ones_change_nothing() {
    let rig = Reloading::start().await;
    let (file, sections) = (rig.directory.path().join("ca.pem"), format!("{IDENTITY}{VAULT}{ARM}"));
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
    std::fs::write(&file, "no certificate").unwrap();
    let error = rig.broker.reload(rig.plan(&sections)).unwrap_err();
    assert!(error.to_string().contains("ca.pem"), "{error}");
    assert_eq!(rig.call("/secrets/db").await, Ok(200));

    let other = Emulator::start(keyward_emulator::Options::default()).await.unwrap();
    std::fs::write(&file, other.ca_pem()).unwrap();
    let reloaded = rig.reload(&sections);
    assert!(reloaded.trust_anchors_changed);
    assert_eq!(reloaded.mounts.changed, names(&["arm", "vault"]));
    assert_eq!(reloaded.identities.unchanged, names(&["default"]), "IMDS has no TLS");
    let untrusted = rig.call("/secrets/db").await;
    assert_ne!(untrusted, Ok(200), "the service has the certificate of another authority");
    std::fs::write(&file, rig.emulator.ca_pem()).unwrap();
    rig.reload(&sections);
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_of_a_token_file_is_read_again() {
    use std::os::unix::fs::OpenOptionsExt;

    let persist = "persist = \"tokens\"\npersist_key = \"key\"\n";
    let sections = format!("{IDENTITY}{persist}{VAULT}");
    let rig = Reloading::with(&format!("{IDENTITY}{VAULT}")).await;
    let write_key = |digit: &str| {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(rig.directory.path().join("key"));
        std::io::Write::write_all(&mut file.unwrap(), digit.repeat(64).as_bytes()).unwrap();
    };
    write_key("1");
    assert_eq!(rig.reload(&sections).identities.changed, names(&["default"]));
    assert_eq!(rig.reload(&sections).identities.unchanged, names(&["default"]));
    write_key("2");
    let reloaded = rig.reload(&sections);
    assert_eq!(reloaded.identities.changed, names(&["default"]));
    assert_eq!(reloaded.mounts.changed, names(&["vault"]), "it has another token cache");
}

#[tokio::test]
async fn other_callers_are_matched_after_a_reload() {
    let rig = Reloading::start().await;
    let caller = "[caller.web]\nembedded = \"another\"\n";
    let mount = format!("{VAULT}callers = [\"web\"]\n");
    let reloaded = rig.reload(&format!("{IDENTITY}{caller}{mount}"));
    assert!(reloaded.callers_changed);
    let denied = rig.call("/secrets/db").await;
    assert!(matches!(denied, Err(CallError::CallerDenied(_))), "{denied:?}");
    let caller = caller.replace("another", "test");
    let reloaded = rig.reload(&format!("{IDENTITY}{caller}{mount}"));
    assert!(reloaded.callers_changed);
    assert_eq!(reloaded.mounts.unchanged, names(&["vault"]));
    assert_eq!(rig.call("/secrets/db").await, Ok(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_fail_no_call() {
    let rig = Reloading::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (broker, stop) = (rig.broker.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(call(&broker, "vault", "/secrets/db").await, Ok(200));
                    count += 1;
                }
                count
            })
        })
        .collect();
    for number in 0..50 {
        // Every part changes at some time: grants, sandboxes, tokens, nothing.
        let lines = match number % 4 {
            0 => "allow = [\"GET /secrets/*\"]\n",
            1 => "[mount.vault.limits]\nconcurrency = 100\n",
            2 => "identity = \"other\"\n",
            _ => "",
        };
        let other = IDENTITY.replace("default", "other");
        let plan = rig.plan(&format!("{IDENTITY}{other}{ARM}{VAULT}{lines}"));
        let broker = rig.broker.clone();
        tokio::task::spawn_blocking(move || broker.reload(plan).unwrap()).await.unwrap();
        rig.broker.end_replaced(Duration::from_secs(30)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn a_broker_that_drains_refuses_new_calls_and_lets_running_ones_finish() {
    let rig = Reloading::start().await;
    let running = rig.hanging_call("/secrets/db").await;
    let mut drained = std::pin::pin!(rig.broker.drain());
    let is_drained = futures_poll(drained.as_mut()).await;
    assert!(!is_drained, "a call runs");
    let refused = rig.call("/secrets/web").await.unwrap_err();
    assert_eq!(refused, CallError::Stopping { mount: "vault".to_owned() });
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
    rig.emulator.faults().clear();
    assert_eq!(running.await.unwrap(), Ok(200));
    drained.await;
    let refused = rig.call("/secrets/web").await;
    assert!(matches!(refused, Err(CallError::Stopping { .. })), "also afterwards");
    rig.reload(&format!("{IDENTITY}{VAULT}allow = [\"GET /**\"]\n"));
    let refused = rig.call("/secrets/web").await;
    assert!(matches!(refused, Err(CallError::Stopping { .. })), "a reload opens it again");
    rig.audit.wait(4).await;
    let rules: Vec<_> = rig.audit.all().iter().filter_map(|record| record.rule).collect();
    assert_eq!(rules, ["stopping"; 3]);
}

/// Polls a future once. Returns whether it is ready.
async fn futures_poll(mut future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[tokio::test]
async fn calls_that_are_cut_off_by_the_end_are_recorded() {
    let rig = Reloading::start().await;
    let first = rig.hanging_call("/secrets/db").await;
    rig.reload(&format!("{IDENTITY}{VAULT}allow = [\"GET /secrets/*\"]\n"));
    let second = rig.hanging_call("/secrets/web").await;
    assert_eq!(rig.broker.cut_off(), 2, "one of a mount that was replaced");
    for call in [first, second] {
        let error = call.await.unwrap().unwrap_err();
        let expected = CallError::CutOff { mount: "vault".to_owned(), reason: CutOff::Stopping };
        assert_eq!(error, expected);
    }
    rig.broker.drain().await;
    rig.audit.wait(2).await;
    assert!(rig.audit.all().iter().all(|record| record.rule == Some("cut-off")));
}
