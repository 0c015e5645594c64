//! Tokens that end before their time.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use keyward_identity::cache::{CachedToken, PersistKey, Persistence, Policy};
use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::{AccessToken, Audience, Fetch, Issued, TokenCache, TokenError, TokenSource};

const NOW: Duration = Duration::from_secs(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// Numbered tokens for a day, the same one again, or none.
#[derive(Clone)]
struct Endpoint(Arc<State>);

struct State {
    clock: ManualClock,
    fetches: AtomicUsize,
    repeats: AtomicBool,
    fails: AtomicBool,
}

impl TokenSource for Endpoint {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        let number = self.0.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let number = if self.0.repeats.load(Ordering::SeqCst) { 1 } else { number };
        let expires_on = (self.0.clock.wall() + MINUTE * 60 * 24).as_secs();
        let fails = self.0.fails.load(Ordering::SeqCst);
        Box::pin(async move {
            if fails {
                return Err(TokenError::Unavailable { said: "it is down".to_owned() });
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
    endpoint: Endpoint,
    cache: TokenCache,
}

impl Machine {
    fn new(persistence: Option<Persistence>) -> Self {
        let clock = ManualClock::at(NOW);
        let (fetches, [repeats, fails]) = (AtomicUsize::new(0), [false, false].map(AtomicBool::new));
        let endpoint = Endpoint(Arc::new(State { clock: clock.clone(), fetches, repeats, fails }));
        let (source, shared) = (Arc::new(endpoint.clone()), Arc::new(clock.clone()));
        let cache = match persistence {
            Some(file) => TokenCache::persisted(source, shared, Policy::default(), file),
            None => TokenCache::with(source, shared, Policy::default()),
        };
        Self { clock, endpoint, cache }
    }

    fn vault(&self) -> CachedToken {
        self.cache.audience(&vault())
    }

    fn fetches(&self) -> usize {
        self.endpoint.0.fetches.load(Ordering::SeqCst)
    }
}

fn vault() -> Audience {
    Audience::new("https://vault.azure.net").unwrap()
}

fn text(token: &AccessToken) -> String {
    String::from_utf8(token.expose_secret().to_vec()).unwrap()
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_however_many_say_so() {
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
async fn a_service_that_rejects_every_token_costs_one_request_a_minute() {
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
async fn a_token_that_was_renewed_meanwhile_is_not_the_one_that_was_rejected() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    machine.clock.advance(MINUTE * 60 * 24);
    assert_eq!(text(&token.get().await.unwrap()), "2");
    assert_eq!(token.replacement(&first).await.map(|token| text(&token)).as_deref(), Some("2"));
    assert_eq!(machine.fetches(), 2, "nothing was fetched for that");
}

#[tokio::test]
async fn a_rejected_token_is_served_while_there_is_no_other() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    machine.endpoint.0.fails.store(true, Ordering::SeqCst);
    assert!(token.replacement(&first).await.is_none());
    assert_eq!(text(&token.get().await.unwrap()), "1", "a service that lies takes no token from its neighbours");
    machine.endpoint.0.fails.store(false, Ordering::SeqCst);
    machine.clock.advance(MINUTE);
    assert_ne!(text(&token.get().await.unwrap()), "1");
}

#[tokio::test]
async fn an_endpoint_with_a_cache_of_its_own_may_give_the_same_token_again() {
    let machine = Machine::new(None);
    let token = machine.vault();
    let first = token.get().await.unwrap();
    machine.endpoint.0.repeats.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(token.replacement(&first).await.is_none());
    }
    assert_eq!(machine.fetches(), 2);
}

#[tokio::test]
async fn a_rejected_token_is_on_no_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    let open = || Persistence::open(&path, PersistKey::new([1; 32]));
    let file = open();
    let machine = Machine::new(Some(file.clone()));
    let token = machine.vault();
    let first = token.get().await.unwrap();
    file.flush().unwrap();
    assert_eq!(open().forget("numbers", None), [vault()], "it was on the disk");
    machine.endpoint.0.fails.store(true, Ordering::SeqCst);
    assert!(token.replacement(&first).await.is_none());
    file.flush().unwrap();
    assert!(open().forget("numbers", None).is_empty(), "a restart does not find it");
}

#[tokio::test]
async fn what_is_forgotten_by_hand_is_gone_from_memory_and_disk() {
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
