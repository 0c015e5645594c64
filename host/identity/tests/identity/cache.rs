//! Properties of the cache, with a clock that the tests advance.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward_identity::cache::Policy;
use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::{AccessToken, Audience, Fetch, TokenCache, TokenError, TokenSource};
use tokio::sync::Semaphore;

const NOW: Duration = Duration::from_secs(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A source of tokens `1`, `2`, ..., which live for an hour each, and of scripted errors.
#[derive(Clone)]
struct Script(Arc<Inner>);

struct Inner {
    clock: ManualClock,
    fetches: AtomicUsize,
    errors: Mutex<VecDeque<TokenError>>,
    /// A permit lets one fetch finish.
    gate: Semaphore,
}

impl Script {
    fn new(clock: &ManualClock) -> Self {
        let (fetches, errors) = (AtomicUsize::new(0), Mutex::default());
        let gate = Semaphore::new(1_000_000);
        Self(Arc::new(Inner { clock: clock.clone(), fetches, errors, gate }))
    }

    /// A source whose fetches hang until [`open`](Self::open) lets one finish.
    fn closed(clock: &ManualClock) -> Self {
        let script = Self::new(clock);
        script.0.gate.forget_permits(1_000_000);
        script
    }

    fn open(&self) {
        self.0.gate.add_permits(1);
    }

    /// The next fetches fail, `times` times.
    fn fail(&self, error: TokenError, times: usize) {
        self.0.errors.lock().unwrap().extend(vec![error; times]);
    }

    fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }
}

impl TokenSource for Script {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        Box::pin(async move {
            let number = self.0.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.gate.acquire().await.unwrap().forget();
            if let Some(error) = self.0.errors.lock().unwrap().pop_front() {
                return Err(error);
            }
            let expires_on = (self.0.clock.wall() + MINUTE * 60).as_secs();
            Ok(AccessToken::new(number.to_string(), expires_on)?.into())
        })
    }

    fn describe(&self) -> String {
        "a script".to_owned()
    }
}

fn cache(script: &Script) -> TokenCache {
    TokenCache::with(Arc::new(script.clone()), Arc::new(script.0.clock.clone()), Policy::default())
}

fn vault() -> Audience {
    Audience::new("https://vault.azure.net").unwrap()
}

fn down() -> TokenError {
    TokenError::Unavailable { reason: "status 500".to_owned() }
}

async fn number(cache: &TokenCache) -> Result<usize, TokenError> {
    let token = cache.token(&vault()).await?;
    Ok(String::from_utf8(token.expose_secret().to_vec()).unwrap().parse().unwrap())
}

/// Lets background tasks run until they wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ten_thousand_callers_on_a_cold_cache_make_one_request() {
    let clock = ManualClock::at(NOW);
    let script = Script::closed(&clock);
    let cache = cache(&script);
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { number(&cache).await })
        })
        .collect();
    settle().await;
    script.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(1));
    }
    assert_eq!(script.fetches(), 1);
    let statistics = cache.statistics();
    assert_eq!((statistics[0].used, statistics[0].fetched), (10_000, 1));
}

#[tokio::test]
async fn each_audience_is_fetched_on_its_own() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    cache.token(&vault()).await.unwrap();
    cache.token(&Audience::new("https://vault.azure.net/").unwrap()).await.unwrap();
    assert_eq!(script.fetches(), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cancel_the_fetch() {
    let clock = ManualClock::at(NOW);
    let script = Script::closed(&clock);
    let cache = cache(&script);
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { number(&cache).await }
    });
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    script.open();
    assert_eq!(number(&cache).await, Ok(1));
    assert_eq!(script.fetches(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_in_the_background_while_calls_get_the_old_one() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.advance(MINUTE * 49);
    assert_eq!(number(&cache).await, Ok(1));
    settle().await;
    assert_eq!(script.fetches(), 1, "no renewal within 49 minutes");
    clock.advance(MINUTE);
    assert_eq!(number(&cache).await, Ok(1));
    settle().await;
    assert_eq!(script.fetches(), 2);
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn within_five_minutes_of_expiry_a_call_gets_the_new_token() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.advance(MINUTE * 55);
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn a_renewal_that_hangs_delays_a_call_for_the_longest_wait() {
    let clock = ManualClock::at(NOW);
    let script = Script::closed(&clock);
    script.open();
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.advance(MINUTE * 56);
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move { number(&cache).await }
    });
    settle().await;
    assert!(!caller.is_finished());
    clock.advance(Policy::default().max_wait);
    assert_eq!(caller.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn a_valid_token_is_used_while_the_endpoint_is_down() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    script.fail(down(), 1000);
    for _ in 0..59 {
        clock.advance(MINUTE);
        assert_eq!(number(&cache).await, Ok(1));
    }
    clock.advance(MINUTE);
    assert_eq!(number(&cache).await, Err(down()));
}

#[tokio::test]
async fn an_endpoint_that_is_down_gets_few_requests() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    script.fail(down(), 1000);
    for _ in 0..600 {
        assert_eq!(number(&cache).await, Err(down()));
        clock.advance(Duration::from_secs(1));
    }
    // Pauses of 1, 2, 4, 8, 16 and then 30 seconds, in ten minutes.
    assert!((20..=26).contains(&script.fetches()), "{}", script.fetches());
}

#[tokio::test]
async fn a_failure_is_remembered_for_the_pause() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    script.fail(down(), 1);
    assert_eq!(number(&cache).await, Err(down()));
    assert_eq!(number(&cache).await, Err(down()), "without a request");
    clock.advance(Duration::from_secs(1));
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn a_throttled_endpoint_gets_no_request_before_retry_after() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    let busy = TokenError::Throttled { retry_after: Duration::from_secs(100) };
    script.fail(busy.clone(), 1);
    assert_eq!(number(&cache).await, Err(busy.clone()));
    clock.advance(Duration::from_secs(99));
    assert_eq!(number(&cache).await, Err(busy));
    assert_eq!(script.fetches(), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn a_clock_set_forward_causes_one_request() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.set_wall(NOW + MINUTE * 60 * 24);
    for _ in 0..100 {
        assert_eq!(number(&cache).await, Ok(2));
    }
    assert_eq!(script.fetches(), 2);
}

#[tokio::test]
async fn a_token_expires_although_the_clock_was_set_back() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.set_wall(NOW - MINUTE * 60 * 24);
    assert_eq!(number(&cache).await, Ok(1));
    clock.advance(MINUTE * 61);
    assert_eq!(number(&cache).await, Ok(2));
}

struct Panics(Arc<AtomicUsize>);

impl TokenSource for Panics {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { panic!("as the source of an embedder may") })
    }

    fn describe(&self) -> String {
        "panics".to_owned()
    }
}

#[tokio::test]
async fn a_source_that_panics_is_an_error_for_its_callers() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let clock = Arc::new(ManualClock::at(NOW));
    let cache = TokenCache::with(Arc::new(Panics(Arc::clone(&fetches))), clock, Policy::default());
    for _ in 0..3 {
        let error = cache.token(&vault()).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1, "the failure is remembered");
}

#[tokio::test]
async fn a_token_that_was_requested_before_tokens_were_forgotten_is_not_stored() {
    let clock = ManualClock::at(NOW);
    let script = Script::closed(&clock);
    let cache = cache(&script);
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { number(&cache).await }
    });
    settle().await;
    assert!(cache.forget(None).is_empty());
    script.open();
    assert_eq!(first.await.unwrap(), Ok(1), "its call gets it");
    assert_eq!(cache.audience(&vault()).peek().map(|_| ()), None);
    script.open();
    assert_eq!(number(&cache).await, Ok(2));
}
