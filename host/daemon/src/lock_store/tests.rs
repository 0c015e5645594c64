//! A daemon and other processes that write the file of locks at the same time.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use keyward::audit::{AuditSink, Record};
use keyward::{Options, Plugins};
use keyward_policy::config::Config;
use tempfile::TempDir;

use super::*;

/// An audit that keeps who did what.
#[derive(Clone, Debug, Default)]
struct Audit(Arc<Mutex<Vec<String>>>);

impl AuditSink for Audit {
    fn record(&self, record: &Record) {
        let Record { outcome, lock, caller, .. } = record;
        let target = lock.as_ref().map(ToString::to_string).unwrap_or_default();
        self.0.lock().unwrap().push(format!("{outcome:?} {target} by {caller}"));
    }
}

/// A directory with a file of locks, and the broker of a daemon.
struct Machine {
    directory: TempDir,
    audit: Audit,
}

impl Machine {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), audit: Audit::default() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("locks.json")
    }

    /// Starts a daemon with what it read.
    async fn daemon(&self, read: LockFile) -> LockStore {
        let config = Config::from_toml(Path::new("keyward.toml"), "").unwrap();
        let plan = keyward::plan(config, &Plugins::new()).unwrap();
        let locks = read.stored.locks.clone();
        let options = Options { audit: Arc::new(self.audit.clone()), locks, ..Options::default() };
        let broker = Broker::start_with(plan, options).unwrap();
        LockStore::start(broker, Some(self.file()), read).await
    }

    fn read(&self) -> LockFile {
        read(Some(&self.file())).unwrap()
    }

    /// What `keyward lock` does without a daemon, but for the right to do so.
    fn lock_without_right(&self, target: LockTarget) {
        let mut stored = self.read().stored;
        let lock = Lock::new(target, &"root", None);
        stored.unrecorded.push(LockEvent::from(&lock));
        stored.locks.push(lock);
        lock_file::write(&self.file(), &stored).unwrap();
    }

    fn lock(&self, target: LockTarget) {
        let _exclusive = Exclusive::take(&self.file()).unwrap();
        self.lock_without_right(target);
    }

    fn stored(&self) -> BTreeSet<LockTarget> {
        targets(&self.read().stored.locks)
    }

    fn audit(&self) -> Vec<String> {
        self.audit.0.lock().unwrap().clone()
    }
}

fn mount(name: &str) -> LockTarget {
    LockTarget::Mount(name.to_owned())
}

fn both() -> BTreeSet<LockTarget> {
    [mount("a"), mount("b")].into()
}

fn locked(store: &LockStore) -> BTreeSet<LockTarget> {
    targets(&store.0.broker.locks())
}

#[tokio::test]
async fn a_lock_that_is_written_while_the_daemon_starts_is_applied_and_stays() {
    let machine = Machine::new();
    machine.lock(mount("a"));
    let read = machine.read();
    machine.lock(mount("b"));
    let store = machine.daemon(read).await;
    assert_eq!(machine.stored(), both(), "nothing is erased");
    store.look(&machine.file()).await;
    assert_eq!(locked(&store), both());
    assert_eq!(machine.stored(), both());
    assert_eq!(machine.read().stored.unrecorded, []);
    let audit = machine.audit();
    assert_eq!(audit, ["Locked mount `a` by root", "Locked mount `b` by root"], "each once");
}

#[tokio::test]
async fn a_file_that_appears_while_the_daemon_starts_is_applied() {
    let machine = Machine::new();
    let read = machine.read();
    machine.lock(mount("a"));
    let store = machine.daemon(read).await;
    store.look(&machine.file()).await;
    assert_eq!(locked(&store), [mount("a")].into());
}

#[tokio::test]
async fn a_lock_that_is_written_while_another_is_applied_stays() {
    let machine = Machine::new();
    let store = machine.daemon(machine.read()).await;
    machine.lock(mount("a"));
    let file = machine.file();
    let exclusive = Exclusive::take(&file).unwrap();
    let mut looking = pin!(store.look(&file));
    let begun = std::future::poll_fn(|context| Poll::Ready(looking.as_mut().poll(context)));
    assert!(begun.await.is_pending(), "it waits for the right to remove the event");
    assert_eq!(locked(&store), [mount("a")].into());
    machine.lock_without_right(mount("b"));
    drop(exclusive);
    looking.await;
    assert_eq!(machine.stored(), both());
    store.look(&file).await;
    assert_eq!(locked(&store), both());
    assert_eq!(machine.audit().len(), 2, "each once: {:?}", machine.audit());
}

#[tokio::test]
async fn a_request_does_not_overwrite_what_another_process_wrote() {
    let machine = Machine::new();
    let store = machine.daemon(machine.read()).await;
    machine.lock(mount("a"));
    let (_, stored) = store.lock(Lock::new(LockTarget::All, &"uid=0", None)).await.unwrap();
    stored.unwrap();
    let all = [LockTarget::All, mount("a")].into();
    assert_eq!((locked(&store), machine.stored()), (machine.stored(), all));

    machine.lock(mount("b"));
    let event = LockEvent::now(LockAction::Unlock, LockTarget::All, &"uid=0", None);
    assert!(store.unlock(&event).await.unwrap().is_some());
    assert_eq!((locked(&store), machine.stored()), (both(), both()));
    // What another process lifted is not locked again either.
    lock_file::write(&machine.file(), &StoredLocks::default()).unwrap();
    let (_, stored) = store.lock(Lock::new(LockTarget::All, &"uid=0", None)).await.unwrap();
    stored.unwrap();
    assert_eq!(
        (locked(&store), machine.stored()),
        ([LockTarget::All].into(), [LockTarget::All].into())
    );
}

#[tokio::test]
async fn a_lock_that_is_not_stored_stays_when_the_file_changes() {
    let machine = Machine::new();
    let store = machine.daemon(machine.read()).await;
    std::fs::create_dir(machine.file()).unwrap();
    let (_, stored) = store.lock(Lock::new(LockTarget::All, &"uid=0", None)).await.unwrap();
    assert!(stored.is_err());
    std::fs::remove_dir(machine.file()).unwrap();
    machine.lock(mount("a"));
    store.look(&machine.file()).await;
    assert_eq!(locked(&store), [LockTarget::All, mount("a")].into());
}

#[tokio::test]
async fn a_lock_that_is_lifted_before_it_is_stored_is_reported() {
    let machine = Machine::new();
    let store = machine.daemon(machine.read()).await;
    let error = store.store(&LockTarget::All).await.unwrap_err();
    assert!(error.to_string().contains("unlocked before it was stored"), "{error}");
}

#[tokio::test]
async fn a_change_without_an_event_is_in_the_audit() {
    let machine = Machine::new();
    machine.lock(mount("a"));
    let store = machine.daemon(machine.read()).await;
    let lock = Lock::new(mount("b"), &"somebody", None);
    lock_file::write(&machine.file(), &StoredLocks::of(vec![lock])).unwrap();
    store.look(&machine.file()).await;
    assert_eq!(locked(&store), [mount("b")].into());
    let unknown = format!("by {UNKNOWN_WRITER}");
    let [_, b, a] = &machine.audit()[..] else { panic!("{:?}", machine.audit()) };
    assert_eq!(*b, format!("Locked mount `b` {unknown}"));
    assert_eq!(*a, format!("Unlocked mount `a` {unknown}"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_running_daemon_does_not_use_a_file_that_others_can_write() {
    use std::os::unix::fs::PermissionsExt;

    let machine = Machine::new();
    machine.lock(mount("a"));
    let store = machine.daemon(machine.read()).await;
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    lock_file::write(&machine.file(), &StoredLocks::default()).unwrap();
    for (file, directory) in [(0o606, 0o700), (0o600, 0o777)] {
        set_mode(&machine.file(), file);
        set_mode(machine.directory.path(), directory);
        store.look(&machine.file()).await;
        assert_eq!(locked(&store), [mount("a")].into(), "{file:o} {directory:o}");
    }
    set_mode(machine.directory.path(), 0o700);
    store.look(&machine.file()).await;
    assert_eq!(locked(&store), BTreeSet::new());
}
