//! The cache against a model of it, by a virtual clock: whatever callers, clocks and the endpoint do, in any order.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward_identity::cache::Policy;
use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::{AccessToken, Audience, Fetch, Issued, TokenCache, TokenError, TokenSource};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// So many callers at once.
    Ask(usize),
    /// A caller who goes away before there is an answer.
    AskAndLeave,
    /// Time passes, in seconds.
    Pass(u64),
    /// Somebody sets the wall clock, by so many seconds.
    Jump(i64),
    /// What the endpoint will do, from here on.
    Endpoint(Does),
}

#[derive(Clone, Copy, Debug)]
enum Does {
    /// Gives tokens that live so long, and says so in one way or both.
    Gives {
        life: u64,
        relative: bool,
    },
    Fails,
    /// Asks for so many seconds of patience.
    Throttles(u64),
}

/// The endpoint. Its own clock is right, whatever this machine's is.
struct Endpoint {
    clock: ManualClock,
    does: Mutex<Does>,
    /// When it was asked, on the steady clock.
    asked: Mutex<Vec<u64>>,
}

impl TokenSource for Endpoint {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        let now = self.clock.steady().as_secs();
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(now);
            asked.len()
        };
        let does = *self.does.lock().unwrap();
        Box::pin(async move {
            match does {
                Does::Gives { life, relative } => {
                    let token = AccessToken::new(number.to_string(), NOW + now + life)?;
                    Ok(Issued::new(token, relative.then_some(Duration::from_secs(life))))
                }
                Does::Fails => Err(TokenError::Unavailable { said: "status 500".to_owned() }),
                Does::Throttles(wait) => Err(TokenError::Throttled { retry_after: Duration::from_secs(wait) }),
            }
        })
    }

    fn describe(&self) -> String {
        "a model".to_owned()
    }
}

/// What the cache should do, written down in the simplest way: whole seconds times four, so that a quarter of any life is
/// exact.
struct Model {
    wall: i64,
    steady: i64,
    does: Does,
    asked: usize,
    held: Option<Held>,
    pause: Option<(i64, bool)>,
    failures: u32,
}

#[derive(Clone, Copy)]
struct Held {
    number: usize,
    wall: i64,
    steady: i64,
    life: i64,
    /// Its end by the endpoint's own clock.
    dies: i64,
}

impl Model {
    /// How much the token has left: the clock on which more has passed counts.
    fn left(&self, held: Held) -> i64 {
        held.life - (self.wall - held.wall).max(self.steady - held.steady)
    }

    fn paused(&self) -> bool {
        self.pause.is_some_and(|(until, _)| self.steady < until)
    }

    /// Asks the endpoint, unless it is left alone for now.
    fn renew(&mut self) -> Option<usize> {
        if self.paused() {
            return None;
        }
        self.asked += 1;
        let failed = |model: &mut Self, patience: i64| {
            let pause = (4 << model.failures.min(16)).min(30 * 4).max(patience);
            model.failures += 1;
            model.pause = Some((model.steady + pause, true));
            None
        };
        match self.does {
            Does::Gives { life, relative } => {
                let life = life as i64 * 4;
                let dies = self.steady + life;
                let left = if relative { life } else { NOW as i64 * 4 + dies - self.wall };
                if left <= 0 {
                    return failed(self, 0);
                }
                let (wall, steady) = (self.wall, self.steady);
                self.held = Some(Held { number: self.asked, wall, steady, life: left, dies });
                (self.failures, self.pause) = (0, None);
                Some(self.asked)
            }
            Does::Fails => failed(self, 0),
            Does::Throttles(seconds) => failed(self, seconds as i64 * 4),
        }
    }

    /// The number of the token that a caller gets, where there is one.
    fn ask(&mut self) -> Option<usize> {
        let Some(held) = self.held else { return self.renew() };
        let margin = (held.life / 4).min(5 * 60 * 4);
        match self.left(held) {
            left if left <= 0 => self.renew(),
            left if left <= margin => self.renew().or(Some(held.number)),
            left if left <= margin * 2 => {
                self.renew();
                Some(held.number)
            }
            _ => Some(held.number),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let life = prop_oneof![Just(1_u64), 2_u64..600, 600_u64..90_000];
    let gives = (life, any::<bool>()).prop_map(|(life, relative)| Does::Gives { life, relative });
    let does = prop_oneof![4 => gives, 2 => Just(Does::Fails), 1 => (1_u64..200).prop_map(Does::Throttles)];
    let second = prop_oneof![
        1 => Just(0_u64), 3 => 1_u64..4, 2 => 4_u64..40, 1 => 40_u64..600, 1 => 600_u64..100_000
    ];
    let jump = prop_oneof![-5_i64..5, -1000_i64..1000, -200_000_i64..200_000];
    prop_oneof![
        6 => (1_usize..4).prop_map(Event::Ask),
        1 => Just(Event::AskAndLeave),
        5 => second.prop_map(Event::Pass),
        2 => jump.prop_map(Event::Jump),
        1 => does.prop_map(Event::Endpoint),
    ]
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn play(events: Vec<Event>) -> Result<(), TestCaseError> {
    let clock = ManualClock::at(Duration::from_secs(NOW));
    let does = Does::Gives { life: 3600, relative: true };
    let endpoint = Arc::new(Endpoint { clock: clock.clone(), does: Mutex::new(does), asked: Mutex::default() });
    let cache =
        TokenCache::with(Arc::clone(&endpoint) as Arc<dyn TokenSource>, Arc::new(clock.clone()), Policy::default());
    let audience = Audience::new("https://vault.azure.net").unwrap();
    let wall = NOW as i64 * 4;
    let mut model = Model { wall, steady: 0, does, asked: 0, held: None, pause: None, failures: 0 };

    for event in events {
        match &event {
            Event::Ask(callers) => {
                // The first is served by what is there and may start a renewal, which the others may find done.
                let mut waiting: VecDeque<_> = (0..*callers)
                    .map(|_| {
                        let (cache, audience) = (cache.clone(), audience.clone());
                        tokio::spawn(async move { cache.token(&audience).await })
                    })
                    .collect();
                let before = model.held.map(|held| held.number);
                let expected = model.ask();
                let now = model.held.map(|held| held.number);
                while let Some(caller) = waiting.pop_front() {
                    let got = caller.await.unwrap();
                    let number = got.as_ref().ok().map(number);
                    let fits = number == expected || (number.is_some() && [before, now].contains(&number));
                    prop_assert!(fits, "{event:?}: {got:?} is {number:?}, not {expected:?}");
                    if let (Some(number), Some(held)) = (number, model.held)
                        && held.number == number
                    {
                        prop_assert!(model.left(held) > 0, "a dead token");
                        let honest = model.wall - wall == model.steady;
                        prop_assert!(!honest || model.steady < held.dies, "a token that is dead for its service");
                    }
                }
            }
            Event::AskAndLeave => {
                let caller = tokio::spawn({
                    let (cache, audience) = (cache.clone(), audience.clone());
                    async move { cache.token(&audience).await }
                });
                tokio::task::yield_now().await;
                caller.abort();
                let _ = caller.await;
                model.ask();
            }
            Event::Pass(seconds) => {
                clock.advance(Duration::from_secs(*seconds));
                model.wall += *seconds as i64 * 4;
                model.steady += *seconds as i64 * 4;
            }
            Event::Jump(seconds) => {
                let to = (model.wall / 4 + seconds).max(0);
                clock.set_wall(Duration::from_secs(to as u64));
                model.wall = to * 4;
            }
            Event::Endpoint(does) => {
                *endpoint.does.lock().unwrap() = *does;
                model.does = *does;
            }
        }
        settle().await;
        let asked = endpoint.asked.lock().unwrap().len();
        prop_assert_eq!(asked, model.asked, "after {:?}, the endpoint was asked", event);
    }
    let statistics = cache.statistics();
    let total: u64 = statistics.iter().map(|of| of.fetched + of.failed).sum();
    prop_assert_eq!(total, model.asked as u64);
    Ok(())
}

fn number(token: &AccessToken) -> usize {
    String::from_utf8(token.expose_secret().to_vec()).unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_does_what_its_model_does(events in proptest::collection::vec(event(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(events))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// No model: time stands still but for a wall clock that is set before every call. A failure ends the asking, since its
    /// pause is on the steady clock; what else is asked for is a token that is about to end by the wall clock.
    #[test]
    fn a_clock_that_jumps_at_every_call_makes_no_storm(jumps in proptest::collection::vec(-100_000_i64..100_000, 100)) {
        const LIFE: i64 = 86_400;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(async {
            let clock = ManualClock::at(Duration::from_secs(NOW));
            let does = Mutex::new(Does::Gives { life: LIFE as u64, relative: false });
            let endpoint = Arc::new(Endpoint { clock: clock.clone(), does, asked: Mutex::default() });
            let source = Arc::clone(&endpoint) as Arc<dyn TokenSource>;
            let cache = TokenCache::with(source, Arc::new(clock.clone()), Policy::default());
            for jump in &jumps {
                clock.set_wall(Duration::from_secs(NOW.saturating_add_signed(*jump)));
                let _ = cache.token(&Audience::new("a").unwrap()).await;
                settle().await;
            }
            endpoint.asked.lock().unwrap().len()
        });
        let about_to_end = jumps.iter().filter(|jump| (LIFE - 600..LIFE).contains(*jump)).count();
        prop_assert!(asked <= 2 + about_to_end, "{asked} requests");
    }
}
