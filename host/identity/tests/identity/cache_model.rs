//! The cache compared with a model of it, in arbitrary sequences of calls and of changes of the
//! clocks and of the endpoint's behavior.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward_identity::cache::Policy;
use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::{AccessToken, Audience, Fetch, Issued, TokenCache, TokenError, TokenSource};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;

/// A step of a sequence.
#[derive(Clone, Debug)]
enum Event {
    /// Concurrent calls.
    Call(usize),
    /// A call that is cancelled before it gets a token.
    CancelledCall,
    /// Both clocks advance, by seconds.
    Advance(u64),
    /// The wall clock jumps, by seconds.
    Jump(i64),
    /// The endpoint's behavior changes.
    Endpoint(Behavior),
}

#[derive(Clone, Copy, Debug)]
enum Behavior {
    /// Issues tokens that live for `life` seconds, with an absolute expiry or with both.
    Issue {
        life: u64,
        relative: bool,
    },
    Fail,
    /// Throttles, with this `Retry-After` in seconds.
    Throttle(u64),
}

/// The endpoint. Its own clock is correct, even if this machine's jumps.
struct Endpoint {
    clock: ManualClock,
    behavior: Mutex<Behavior>,
    requests: Mutex<usize>,
}

impl TokenSource for Endpoint {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        let now = self.clock.steady().as_secs();
        let number = {
            let mut requests = self.requests.lock().unwrap();
            *requests += 1;
            *requests
        };
        let behavior = *self.behavior.lock().unwrap();
        Box::pin(async move {
            match behavior {
                Behavior::Issue { life, relative } => {
                    let token = AccessToken::new(number.to_string(), NOW + now + life)?;
                    Ok(Issued::new(token, relative.then_some(Duration::from_secs(life))))
                }
                Behavior::Fail => Err(TokenError::Unavailable { reason: "status 500".to_owned() }),
                Behavior::Throttle(seconds) => {
                    Err(TokenError::Throttled { retry_after: Duration::from_secs(seconds) })
                }
            }
        })
    }

    fn describe(&self) -> String {
        "a model".to_owned()
    }
}

/// What the cache should do, in quarters of a second, so that a quarter of any life is exact.
struct Model {
    wall: i64,
    steady: i64,
    behavior: Behavior,
    requests: usize,
    entry: Option<Entry>,
    /// When the pause ends, and whether a failure caused it.
    pause: Option<(i64, bool)>,
    failures: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    number: usize,
    wall: i64,
    steady: i64,
    life: i64,
    /// When it expires by the endpoint's own clock.
    expires: i64,
}

impl Model {
    /// How long the token is valid, by the clock that advanced more.
    fn left(&self, entry: Entry) -> i64 {
        entry.life - (self.wall - entry.wall).max(self.steady - entry.steady)
    }

    fn is_paused(&self) -> bool {
        self.pause.is_some_and(|(until, _)| self.steady < until)
    }

    /// Sends a request, unless there is a pause.
    fn renew(&mut self) -> Option<usize> {
        if self.is_paused() {
            return None;
        }
        self.requests += 1;
        let failed = |model: &mut Self, retry_after: i64| {
            let pause = (4 << model.failures.min(16)).min(30 * 4).max(retry_after);
            model.failures += 1;
            model.pause = Some((model.steady + pause, true));
            None
        };
        match self.behavior {
            Behavior::Issue { life, relative } => {
                let life = life as i64 * 4;
                let expires = self.steady + life;
                let left = if relative { life } else { NOW as i64 * 4 + expires - self.wall };
                if left <= 0 {
                    return failed(self, 0);
                }
                let (wall, steady) = (self.wall, self.steady);
                let number = self.requests;
                self.entry = Some(Entry { number, wall, steady, life: left, expires });
                (self.failures, self.pause) = (0, None);
                Some(number)
            }
            Behavior::Fail => failed(self, 0),
            Behavior::Throttle(seconds) => failed(self, seconds as i64 * 4),
        }
    }

    /// The number of the token that a call gets, if there is one.
    fn call(&mut self) -> Option<usize> {
        let Some(entry) = self.entry else { return self.renew() };
        let margin = (entry.life / 4).min(5 * 60 * 4);
        match self.left(entry) {
            left if left <= 0 => self.renew(),
            left if left <= margin => self.renew().or(Some(entry.number)),
            left if left <= margin * 2 => {
                self.renew();
                Some(entry.number)
            }
            _ => Some(entry.number),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let life = prop_oneof![Just(1_u64), 2_u64..600, 600_u64..90_000];
    let issue = (life, any::<bool>());
    let issue = issue.prop_map(|(life, relative)| Behavior::Issue { life, relative });
    let throttle = (1_u64..200).prop_map(Behavior::Throttle);
    let behavior = prop_oneof![4 => issue, 2 => Just(Behavior::Fail), 1 => throttle];
    let seconds = prop_oneof![
        1 => Just(0_u64), 3 => 1_u64..4, 2 => 4_u64..40, 1 => 40_u64..600, 1 => 600_u64..100_000
    ];
    let jump = prop_oneof![-5_i64..5, -1000_i64..1000, -200_000_i64..200_000];
    prop_oneof![
        6 => (1_usize..4).prop_map(Event::Call),
        1 => Just(Event::CancelledCall),
        5 => seconds.prop_map(Event::Advance),
        2 => jump.prop_map(Event::Jump),
        1 => behavior.prop_map(Event::Endpoint),
    ]
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn endpoint(clock: &ManualClock, behavior: Behavior) -> (Arc<Endpoint>, TokenCache) {
    let (behavior, requests) = (Mutex::new(behavior), Mutex::new(0));
    let endpoint = Arc::new(Endpoint { clock: clock.clone(), behavior, requests });
    let source = Arc::clone(&endpoint) as Arc<dyn TokenSource>;
    (endpoint, TokenCache::with(source, Arc::new(clock.clone()), Policy::default()))
}

async fn play(events: Vec<Event>) -> Result<(), TestCaseError> {
    let clock = ManualClock::at(Duration::from_secs(NOW));
    let behavior = Behavior::Issue { life: 3600, relative: true };
    let (endpoint, cache) = endpoint(&clock, behavior);
    let audience = Audience::new("https://vault.azure.net").unwrap();
    let start = NOW as i64 * 4;
    let mut model = Model {
        wall: start,
        steady: 0,
        behavior,
        requests: 0,
        entry: None,
        pause: None,
        failures: 0,
    };
    let call = || {
        let (cache, audience) = (cache.clone(), audience.clone());
        tokio::spawn(async move { cache.token(&audience).await })
    };

    for event in events {
        match &event {
            Event::Call(calls) => {
                // The first call may start a renewal, and the others may get its token.
                let mut waiting: VecDeque<_> = (0..*calls).map(|_| call()).collect();
                let before = model.entry.map(|entry| entry.number);
                let expected = model.call();
                let now = model.entry.map(|entry| entry.number);
                while let Some(call) = waiting.pop_front() {
                    let got = call.await.unwrap();
                    let number = got.as_ref().ok().map(number);
                    let is_known = number.is_some() && [before, now].contains(&number);
                    let is_right = number == expected || is_known;
                    prop_assert!(is_right, "{event:?}: {got:?} is {number:?}, not {expected:?}");
                    if let (Some(number), Some(entry)) = (number, model.entry)
                        && entry.number == number
                    {
                        prop_assert!(model.left(entry) > 0, "an expired token");
                        let never_jumped = model.wall - start == model.steady;
                        let is_valid = !never_jumped || model.steady < entry.expires;
                        prop_assert!(is_valid, "a token that has expired for its service");
                    }
                }
            }
            Event::CancelledCall => {
                let call = call();
                tokio::task::yield_now().await;
                call.abort();
                let _ = call.await;
                model.call();
            }
            Event::Advance(seconds) => {
                clock.advance(Duration::from_secs(*seconds));
                model.wall += *seconds as i64 * 4;
                model.steady += *seconds as i64 * 4;
            }
            Event::Jump(seconds) => {
                let to = (model.wall / 4 + seconds).max(0);
                clock.set_wall(Duration::from_secs(to as u64));
                model.wall = to * 4;
            }
            Event::Endpoint(behavior) => {
                *endpoint.behavior.lock().unwrap() = *behavior;
                model.behavior = *behavior;
            }
        }
        settle().await;
        let requests = *endpoint.requests.lock().unwrap();
        prop_assert_eq!(requests, model.requests, "requests after {:?}", event);
    }
    let statistics = cache.statistics();
    let total: u64 = statistics.iter().map(|of| of.fetched + of.failed).sum();
    prop_assert_eq!(total, model.requests as u64);
    Ok(())
}

fn number(token: &AccessToken) -> usize {
    String::from_utf8(token.expose_secret().to_vec()).unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_cache_behaves_like_its_model(events in proptest::collection::vec(event(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(events))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The steady clock stands still, so the first failure ends all requests. Further requests are
    /// due to tokens that are about to expire by the wall clock.
    #[test]
    fn a_wall_clock_that_jumps_before_every_call_causes_few_requests(
        jumps in proptest::collection::vec(-100_000_i64..100_000, 100)
    ) {
        const LIFE: i64 = 86_400;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let requests = runtime.block_on(async {
            let clock = ManualClock::at(Duration::from_secs(NOW));
            let behavior = Behavior::Issue { life: LIFE as u64, relative: false };
            let (endpoint, cache) = endpoint(&clock, behavior);
            for jump in &jumps {
                clock.set_wall(Duration::from_secs(NOW.saturating_add_signed(*jump)));
                let _ = cache.token(&Audience::new("a").unwrap()).await;
                settle().await;
            }
            *endpoint.requests.lock().unwrap()
        });
        let about_to_expire = jumps.iter().filter(|jump| (LIFE - 600..LIFE).contains(*jump));
        prop_assert!(requests <= 2 + about_to_expire.count(), "{requests} requests");
    }
}
