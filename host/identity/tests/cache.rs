//! What the cache promises, by a clock that stands still until it is told to go.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

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

/// A source that gives one token after the other, named `1`, `2`, ..., for an hour each, or the errors it was told to.
#[derive(Clone)]
struct Script(Arc<Inner>);

struct Inner {
    clock: ManualClock,
    fetches: AtomicUsize,
    errors: Mutex<VecDeque<Option<TokenError>>>,
    gate: Semaphore,
}

impl Script {
    fn new(clock: &ManualClock) -> Self {
        let (fetches, errors) = (AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(Inner { clock: clock.clone(), fetches, errors, gate: Semaphore::new(1_000_000) }))
    }

    fn closed(clock: &ManualClock) -> Self {
        let script = Self::new(clock);
        script.0.gate.forget_permits(1_000_000);
        script
    }

    fn open(&self) {
        self.0.gate.add_permits(1);
    }

    /// From here on every fetch fails, `times` times.
    fn fail(&self, error: TokenError, times: usize) {
        self.0.errors.lock().unwrap().extend(vec![Some(error); times]);
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
            if let Some(Some(error)) = self.0.errors.lock().unwrap().pop_front() {
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
    TokenError::Unavailable { said: "status 500".to_owned() }
}

async fn number(cache: &TokenCache) -> Result<usize, TokenError> {
    let token = cache.token(&vault()).await?;
    Ok(String::from_utf8(token.expose_secret().to_vec()).unwrap().parse().unwrap())
}

/// Lets the background do all that it can.
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
async fn two_audiences_are_fetched_side_by_side() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    cache.token(&vault()).await.unwrap();
    cache.token(&Audience::new("https://vault.azure.net/").unwrap()).await.unwrap();
    assert_eq!(script.fetches(), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_neither_cancels_nor_loses_the_fetch() {
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
async fn a_token_is_renewed_in_the_background_while_the_old_one_is_served() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.advance(MINUTE * 49);
    assert_eq!(number(&cache).await, Ok(1));
    settle().await;
    assert_eq!(script.fetches(), 1, "49 minutes in, nothing is renewed yet");
    clock.advance(MINUTE);
    assert_eq!(number(&cache).await, Ok(1));
    settle().await;
    assert_eq!(script.fetches(), 2);
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn within_five_minutes_of_the_end_a_caller_gets_the_new_token() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    assert_eq!(number(&cache).await, Ok(1));
    clock.advance(MINUTE * 55);
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn a_renewal_that_hangs_keeps_a_caller_for_a_moment_only() {
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
    clock.advance(Policy::default().patience);
    assert_eq!(caller.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn a_valid_token_keeps_serving_while_the_endpoint_is_down() {
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
async fn a_dead_endpoint_is_not_hammered() {
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
async fn the_first_success_after_a_failure_is_served_to_all() {
    let clock = ManualClock::at(NOW);
    let script = Script::new(&clock);
    let cache = cache(&script);
    script.fail(down(), 1);
    assert_eq!(number(&cache).await, Err(down()));
    assert_eq!(number(&cache).await, Err(down()), "remembered");
    clock.advance(Duration::from_secs(1));
    assert_eq!(number(&cache).await, Ok(2));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_patience_is_left_alone_for_so_long() {
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
async fn a_clock_set_forward_costs_one_request_and_no_storm() {
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
async fn a_clock_set_back_serves_no_dead_token() {
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
        Box::pin(async { panic!("a source of an embedder's may") })
    }

    fn describe(&self) -> String {
        "panics".to_owned()
    }
}

#[tokio::test]
async fn a_source_that_panics_is_an_error_for_its_callers_and_no_more() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let clock = Arc::new(ManualClock::at(NOW));
    let cache = TokenCache::with(Arc::new(Panics(Arc::clone(&fetches))), clock, Policy::default());
    for _ in 0..3 {
        let error = cache.token(&vault()).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1, "its failure is remembered");
}
