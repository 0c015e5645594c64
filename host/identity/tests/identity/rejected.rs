//! Tokens that are removed before they expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use keyward_identity::cache::{CachedToken, PersistKey, Persistence, Policy};
use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::{AccessToken, Audience, Fetch, Issued, TokenCache, TokenError, TokenSource};

const NOW: Duration = Duration::from_secs(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A source of numbered tokens that live for a day.
#[derive(Clone)]
struct Numbers(Arc<Inner>);

struct Inner {
    clock: ManualClock,
    fetches: AtomicUsize,
    /// Returns the first token again.
    repeats: AtomicBool,
    fails: AtomicBool,
}

impl TokenSource for Numbers {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        let number = self.0.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let number = if self.0.repeats.load(Ordering::SeqCst) { 1 } else { number };
        let expires_on = (self.0.clock.wall() + MINUTE * 60 * 24).as_secs();
        let fails = self.0.fails.load(Ordering::SeqCst);
        Box::pin(async move {
            if fails {
                return Err(TokenError::Unavailable { reason: "it is down".to_owned() });
            }
            Ok(Issued::new(AccessToken::new(number.to_string(), expires_on)?, None))
        })
    }

    fn describe(&self) -> String {
        "numbers".to_owned()
    }
}

struct Machine {
    clock: ManualClock,
    source: Numbers,
    cache: TokenCache,
}

impl Machine {
    fn new(persistence: Option<Persistence>) -> Self {
        let clock = ManualClock::at(NOW);
        let (fetches, [repeats, fails]) =
            (AtomicUsize::new(0), [false, false].map(AtomicBool::new));
        let source = Numbers(Arc::new(Inner { clock: clock.clone(), fetches, repeats, fails }));
        let (shared, policy) = (Arc::new(clock.clone()), Policy::default());
        let cache = match persistence {
            Some(file) => TokenCache::persisted(Arc::new(source.clone()), shared, policy, file),
            None => TokenCache::with(Arc::new(source.clone()), shared, policy),
        };
        Self { clock, source, cache }
    }

    fn vault(&self) -> CachedToken {
        self.cache.audience(&vault())
    }

    fn fetches(&self) -> usize {
        self.source.0.fetches.load(Ordering::SeqCst)
    }
}

fn vault() -> Audience {
    Audience::new("https://vault.azure.net").unwrap()
}

fn text(token: &AccessToken) -> String {
    String::from_utf8(token.expose_secret().to_vec()).unwrap()
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_however_many_calls_report_it() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (token, first) = (token.clone(), first.clone());
            tokio::spawn(async move { token.replacement(&first).await.map(|token| text(&token)) })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().as_deref(), Some("2"));
    }
    assert_eq!(machine.fetches(), 2);
    assert_eq!(text(&token.get().await.unwrap()), "2");
}

#[tokio::test]
async fn a_service_that_rejects_every_token_causes_one_request_a_minute() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let mut current = token.get().await.unwrap();
    for minute in 0..5 {
        for _ in 0..100 {
            if let Some(next) = token.replacement(&current).await {
                current = next;
            }
            machine.clock.advance(MINUTE / 101);
        }
        assert_eq!(machine.fetches(), minute + 2, "after {minute} minutes");
        machine.clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn a_rejected_token_that_was_renewed_meanwhile_is_not_replaced_again() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    machine.clock.advance(MINUTE * 60 * 24);
    assert_eq!(text(&token.get().await.unwrap()), "2");
    let replacement = token.replacement(&first).await;
    assert_eq!(replacement.map(|token| text(&token)).as_deref(), Some("2"));
    assert_eq!(machine.fetches(), 2, "nothing was fetched for it");
}

#[tokio::test]
async fn a_rejected_token_is_used_until_there_is_another_one() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    machine.source.0.fails.store(true, Ordering::SeqCst);
    assert!(token.replacement(&first).await.is_none());
    assert_eq!(text(&token.get().await.unwrap()), "1", "other services still accept it");
    machine.source.0.fails.store(false, Ordering::SeqCst);
    machine.clock.advance(MINUTE);
    assert_ne!(text(&token.get().await.unwrap()), "1");
}

#[tokio::test]
async fn an_endpoint_that_returns_the_same_token_again_has_no_replacement() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    machine.source.0.repeats.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(token.replacement(&first).await.is_none());
    }
    assert_eq!(machine.fetches(), 2);
}

#[tokio::test]
async fn a_rejected_token_is_removed_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    let open = || Persistence::open(&path, PersistKey::new([1; 32]));
    let file = open();
    let machine = Machine::new(Some(file.clone()));
    let token = machine.vault();
    let first = token.get().await.unwrap();
    file.flush().unwrap();
    assert_eq!(open().forget("numbers", None), [vault()], "it was in the file");
    machine.source.0.fails.store(true, Ordering::SeqCst);
    assert!(token.replacement(&first).await.is_none());
    file.flush().unwrap();
    assert!(open().forget("numbers", None).is_empty(), "a restart does not find it");
}

#[tokio::test]
async fn forget_removes_tokens_from_memory_and_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    let file = Persistence::open(&path, PersistKey::new([1; 32]));
    let machine = Machine::new(Some(file.clone()));
    let arm = Audience::new("https://management.azure.com/").unwrap();
    machine.cache.token(&vault()).await.unwrap();
    machine.cache.token(&arm).await.unwrap();
    assert_eq!(machine.cache.forget(Some(&arm)).iter().collect::<Vec<_>>(), [&arm]);
    assert!(machine.cache.forget(Some(&arm)).is_empty());
    file.flush().unwrap();
    let found = Persistence::open(&path, PersistKey::new([1; 32])).forget("numbers", None);
    assert_eq!(found, [vault()]);
    assert_eq!(text(&machine.cache.token(&arm).await.unwrap()), "3");
    assert_eq!(machine.cache.forget(None).len(), 2);
    assert_eq!(text(&machine.cache.token(&vault()).await.unwrap()), "4");
}
