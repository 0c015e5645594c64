//! Persisted tokens after a restart, and files that are damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyward_identity::cache::{PersistKey, Persistence, Policy};
use keyward_identity::clock::ManualClock;
use keyward_identity::{AccessToken, Audience, Fetch, Issued, TokenCache, TokenSource};

const NOW: Duration = Duration::from_secs(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A source of tokens that live for a day. It counts them.
struct Counting {
    name: &'static str,
    fetches: Arc<AtomicUsize>,
    clock: ManualClock,
}

impl TokenSource for Counting {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let secret = format!("eyJsecret.{}.{audience}.{number}", self.name);
        let expires_on = (keyward_identity::clock::Clock::wall(&self.clock) + HOUR * 24).as_secs();
        Box::pin(
            async move { Ok(Issued::new(AccessToken::new(secret, expires_on)?, Some(HOUR * 24))) },
        )
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }
}

/// A machine on which the program is restarted.
struct Machine {
    disk: tempfile::TempDir,
    clock: ManualClock,
    fetches: Arc<AtomicUsize>,
}

impl Machine {
    fn new() -> Self {
        let disk = tempfile::tempdir().unwrap();
        Self { disk, clock: ManualClock::at(NOW), fetches: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.disk.path().join("tokens")
    }

    /// Starts the program, gets a token, and ends it. Returns the token and the number of fetches.
    async fn run_as(&self, name: &'static str, audience: &str, key: u8) -> (String, usize) {
        let before = self.fetches.load(Ordering::SeqCst);
        let persistence = Persistence::open(self.path(), PersistKey::new([key; 32]));
        let source =
            Counting { name, fetches: Arc::clone(&self.fetches), clock: self.clock.clone() };
        let (source, clock) = (Arc::new(source), Arc::new(self.clock.clone()));
        let cache = TokenCache::persisted(source, clock, Policy::default(), persistence.clone());
        let token = cache.token(&Audience::new(audience).unwrap()).await.unwrap();
        let restored = cache.statistics().first().unwrap().restored;
        persistence.flush().unwrap();
        let fetched = self.fetches.load(Ordering::SeqCst) - before;
        assert_eq!(restored + fetched as u64, 1, "the token was either restored or fetched");
        (String::from_utf8(token.expose_secret().to_vec()).unwrap(), fetched)
    }

    async fn run(&self) -> usize {
        self.run_as("system", "https://vault.azure.net", 1).await.1
    }
}

#[tokio::test]
async fn a_restart_needs_no_request() {
    let machine = Machine::new();
    let (first, fetched) = machine.run_as("system", "https://vault.azure.net", 1).await;
    assert_eq!(fetched, 1);
    for _ in 0..3 {
        machine.clock.advance(HOUR);
        assert_eq!(
            machine.run_as("system", "https://vault.azure.net", 1).await,
            (first.clone(), 0)
        );
    }
}

#[tokio::test]
async fn a_token_is_restored_for_its_identity_and_exact_audience_only() {
    let machine = Machine::new();
    assert_eq!(machine.run_as("system", "https://vault.azure.net", 1).await.1, 1);
    assert_eq!(machine.run_as("reports", "https://vault.azure.net", 1).await.1, 1);
    assert_eq!(machine.run_as("system", "https://vault.azure.net/", 1).await.1, 1);
    for (name, audience) in [
        ("system", "https://vault.azure.net"),
        ("reports", "https://vault.azure.net"),
        ("system", "https://vault.azure.net/"),
    ] {
        let (token, fetched) = machine.run_as(name, audience, 1).await;
        assert_eq!(fetched, 0, "{name}, {audience}");
        assert!(token.starts_with(&format!("eyJsecret.{name}.{audience}.")), "{token}");
    }
}

#[tokio::test]
async fn an_expired_token_is_not_restored() {
    let machine = Machine::new();
    assert_eq!(machine.run().await, 1);
    machine.clock.advance(HOUR * 24);
    assert_eq!(machine.run().await, 1);
}

#[tokio::test]
async fn a_token_near_its_expiry_is_renewed_as_without_a_restart() {
    let machine = Machine::new();
    assert_eq!(machine.run().await, 1);
    machine.clock.advance(HOUR * 24 - Duration::from_secs(200));
    let persistence = Persistence::open(machine.path(), PersistKey::new([1; 32]));
    let source = Counting {
        name: "system",
        fetches: Arc::clone(&machine.fetches),
        clock: machine.clock.clone(),
    };
    let clock = Arc::new(machine.clock.clone());
    let cache = TokenCache::persisted(Arc::new(source), clock, Policy::default(), persistence);
    let token = cache.token(&Audience::new("https://vault.azure.net").unwrap()).await.unwrap();
    assert!(token.expose_secret().ends_with(b".2"), "within the margin of five minutes");
}

#[tokio::test]
async fn nothing_is_restored_if_the_clock_was_set_back() {
    let machine = Machine::new();
    assert_eq!(machine.run().await, 1);
    machine.clock.set_wall(NOW - HOUR);
    assert_eq!(machine.run().await, 1);
}

#[tokio::test]
async fn nothing_is_restored_with_another_key() {
    let machine = Machine::new();
    assert_eq!(machine.run_as("system", "a", 1).await.1, 1);
    assert_eq!(machine.run_as("system", "a", 2).await.1, 1);
    assert_eq!(machine.run_as("system", "a", 2).await.1, 0);
    assert_eq!(machine.run_as("system", "a", 1).await.1, 1);
}

#[tokio::test]
async fn nothing_is_restored_from_a_truncated_changed_or_foreign_file() {
    let machine = Machine::new();
    assert_eq!(machine.run().await, 1);
    let good = std::fs::read(machine.path()).unwrap();
    for length in (0..good.len()).step_by(7) {
        std::fs::write(machine.path(), &good[..length]).unwrap();
        assert_eq!(machine.run().await, 1, "truncated at {length}");
    }
    for at in (0..good.len()).step_by(5) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        std::fs::write(machine.path(), changed).unwrap();
        assert_eq!(machine.run().await, 1, "changed at {at}");
    }
    let longer = [&good[..], b"x"].concat();
    for other in [&longer[..], b"{}", &[0; 10_000]] {
        std::fs::write(machine.path(), other).unwrap();
        assert_eq!(machine.run().await, 1);
    }
    std::fs::write(machine.path(), &good).unwrap();
    assert_eq!(machine.run().await, 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_affects_no_call() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path()).unwrap();
    for path in [machine.path(), PathBuf::from("/nowhere/tokens"), PathBuf::from("/")] {
        let persistence = Persistence::open(&path, PersistKey::new([1; 32]));
        let source =
            Counting { name: "system", fetches: Arc::default(), clock: machine.clock.clone() };
        let clock = Arc::new(machine.clock.clone());
        let cache =
            TokenCache::persisted(Arc::new(source), clock, Policy::default(), persistence.clone());
        assert!(cache.token(&Audience::new("a").unwrap()).await.is_ok());
        assert!(persistence.flush().is_err(), "{path:?}");
    }
    // The caches also write in the background.
    for _ in 0..6000 {
        if files(machine.disk.path()) == ["tokens"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a temporary file is left behind: {:?}", files(machine.disk.path()));
}

#[tokio::test]
async fn the_file_is_private_encrypted_and_replaced_atomically() {
    let machine = Machine::new();
    for audience in ["a", "b", "c"] {
        machine.run_as("system", audience, 1).await;
    }
    let contents = std::fs::read(machine.path()).unwrap();
    for clear in [&b"eyJsecret"[..], b"system"] {
        assert!(!contents.windows(clear.len()).any(|window| window == clear));
    }
    assert_eq!(files(machine.disk.path()), ["tokens"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(machine.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = contents;
    machine.run_as("system", "d", 1).await;
    let after = std::fs::read(machine.path()).unwrap();
    assert_ne!(before[15..27], after[15..27], "every file has a nonce of its own");
}

#[tokio::test]
async fn many_caches_and_tasks_share_one_file() {
    let machine = Machine::new();
    let persistence = Persistence::open(machine.path(), PersistKey::new([1; 32]));
    let mut tasks = Vec::new();
    for name in ["one", "two", "three"] {
        let source =
            Counting { name, fetches: Arc::clone(&machine.fetches), clock: machine.clock.clone() };
        let clock = Arc::new(machine.clock.clone());
        let cache =
            TokenCache::persisted(Arc::new(source), clock, Policy::default(), persistence.clone());
        for number in 0..20 {
            let (cache, audience) =
                (cache.clone(), Audience::new(&format!("audience-{number}")).unwrap());
            tasks.push(tokio::spawn(async move { cache.token(&audience).await.map(drop) }));
        }
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    persistence.flush().unwrap();
    for name in ["one", "two", "three"] {
        for number in 0..20 {
            assert_eq!(machine.run_as(name, &format!("audience-{number}"), 1).await.1, 0);
        }
    }
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
