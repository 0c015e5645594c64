//! Retries of requests that fail.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::TokenError;
use crate::clock::{Clock, timeout};

/// The documented waits before the second and each later attempt, in seconds ([retry guidance]).
///
/// [retry guidance]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance
const WAITS: [u64; 5] = [0, 2, 6, 14, 30];

/// The further waits while the endpoint responds with 410, in seconds.
const WAIT_WHILE_GONE: u64 = 10;

/// The time that is left for the last attempt while the endpoint responds with 410.
const LAST_ATTEMPT: Duration = Duration::from_secs(2);

/// IMDS responds with 410 while it is updated, for up to 70 seconds.
const GONE: Duration = Duration::from_secs(70);

/// The longest `Retry-After`. Endpoints ask for minutes at most; a wrong value, or a wrong clock,
/// must not disable an identity for longer.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long failing requests are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The time limit from the first attempt on, waits included.
    pub deadline: Duration,
    /// The same, once the endpoint responded with 410.
    pub gone_deadline: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), gone_deadline: GONE }
    }
}

impl Retry {
    /// One time limit for all failures.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, gone_deadline: deadline }
    }
}

/// The result of one attempt.
pub(super) enum Attempt<T> {
    Done(T),
    /// The failure is permanent.
    Final(TokenError),
    /// The failure may be temporary.
    Retry {
        error: TokenError,
        /// The delay that the endpoint requested.
        after: Option<Duration>,
        /// Whether the endpoint responded with 410.
        gone: bool,
    },
}

/// Repeats attempts until one succeeds or fails permanently, or the deadline is over. The deadline
/// cuts off waits and attempts, except that the first attempt always has the time of one request.
pub(super) async fn run<T, F: Future<Output = Attempt<T>>>(
    retry: Retry,
    request_timeout: Duration,
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> F,
) -> Result<T, TokenError> {
    let start = clock.steady();
    let mut waits = WAITS.into_iter();
    let mut deadline = retry.deadline;
    let mut last = None;
    loop {
        let limit = deadline.max(request_timeout);
        let left = limit.saturating_sub(clock.steady().saturating_sub(start));
        let Some(attempted) = timeout(clock, left, attempt()).await else {
            let reason = format!("no response within {} s", limit.as_secs_f32());
            return Err(last.unwrap_or(TokenError::Unavailable { reason }));
        };
        let (error, after, gone) = match attempted {
            Attempt::Done(value) => return Ok(value),
            Attempt::Final(error) => return Err(error),
            Attempt::Retry { error, after, gone } => (error, after, gone),
        };
        if gone {
            // For the rest of the attempts: an endpoint that comes back may fail otherwise first.
            deadline = deadline.max(retry.gone_deadline);
        }
        let Some(seconds) = waits.next().or_else(|| gone.then_some(WAIT_WHILE_GONE)) else {
            return Err(error);
        };
        let mut wait = jittered(Duration::from_secs(seconds)).max(after.unwrap_or_default());
        let left = deadline.saturating_sub(clock.steady().saturating_sub(start));
        if gone && after.is_none() && wait > left {
            // The last attempt is made before the deadline, not skipped because of it.
            wait = left.saturating_sub(LAST_ATTEMPT);
            if wait.is_zero() {
                return Err(error);
            }
        }
        if wait > left {
            return Err(error);
        }
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(wait_ms, %error, "retrying");
        last = Some(error);
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }
}

/// Adds up to a fifth, so that machines that failed together do not retry together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(1.0..1.2))
}

/// Parses `Retry-After`, in seconds or as a date ([RFC 9110, 10.2.3]); an hour at most.
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub(super) fn retry_after(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let until = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    Some(until.saturating_sub(wall).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn failed(gone: bool, after: Option<u64>) -> Attempt<()> {
        let error = TokenError::Unavailable { reason: "500".to_owned() };
        Attempt::Retry { error, after: after.map(Duration::from_secs), gone }
    }

    fn clock() -> ManualClock {
        ManualClock::skipping_sleeps(Duration::ZERO)
    }

    fn seconds(seconds: u64) -> Retry {
        Retry::within(Duration::from_secs(seconds))
    }

    /// Runs attempts that may take no time at all.
    async fn run<F: Future<Output = Attempt<()>>>(
        retry: Retry,
        clock: &ManualClock,
        attempt: impl FnMut() -> F,
    ) -> Result<(), TokenError> {
        super::run(retry, Duration::ZERO, clock, attempt).await
    }

    fn whole_seconds(clock: &ManualClock) -> Vec<u64> {
        clock.slept().iter().map(Duration::as_secs).collect()
    }

    #[tokio::test]
    async fn waits_are_the_documented_ones_plus_up_to_a_fifth() {
        let clock = clock();
        assert!(run(seconds(600), &clock, || async { failed(false, None) }).await.is_err());
        let slept = clock.slept();
        assert_eq!(slept.len(), 4, "the first retry is immediate");
        for (slept, wait) in slept.iter().zip([2.0, 6.0, 14.0, 30.0]) {
            assert!((wait..=wait * 1.2).contains(&slept.as_secs_f64()), "{slept:?} for {wait}");
        }
    }

    #[tokio::test]
    async fn no_wait_ends_after_the_deadline() {
        let clock = clock();
        assert!(run(seconds(10), &clock, || async { failed(false, None) }).await.is_err());
        assert!(clock.steady() <= Duration::from_secs(10));
        assert_eq!(whole_seconds(&clock).len(), 2);
    }

    #[tokio::test]
    async fn an_endpoint_that_is_gone_is_retried_for_seventy_seconds() {
        // Whatever the jitter of the waits.
        for _ in 0..1000 {
            let clock = clock();
            let back_at = Duration::from_secs(67);
            let attempt = || async {
                if clock.steady() < back_at { failed(true, None) } else { Attempt::Done(()) }
            };
            assert!(run(Retry::default(), &clock, attempt).await.is_ok());
            assert!(clock.steady() <= Duration::from_secs(70));
        }
    }

    #[tokio::test]
    async fn waits_are_at_least_retry_after() {
        let clock = clock();
        let _ = run(seconds(30), &clock, || async { failed(false, Some(9)) }).await;
        assert_eq!(whole_seconds(&clock), [9, 9, 9]);
    }

    #[tokio::test]
    async fn an_endpoint_that_was_gone_and_fails_otherwise_is_retried_for_the_rest_of_the_time() {
        let clock = clock();
        let attempt = || async {
            match clock.steady().as_secs() {
                0..20 => failed(true, None),
                20..50 => failed(false, None),
                _ => Attempt::Done(()),
            }
        };
        assert!(run(Retry::default(), &clock, attempt).await.is_ok());
    }

    #[tokio::test]
    async fn an_endpoint_that_stays_gone_fails_within_seventy_seconds() {
        let clock = clock();
        let result = run(Retry::default(), &clock, || async { failed(true, None) }).await;
        assert!(result.is_err());
        assert!(clock.steady() <= GONE, "{:?}", clock.steady());
        assert!(clock.steady() >= Duration::from_secs(50), "{:?}", clock.steady());
    }

    #[tokio::test]
    async fn a_retry_after_beyond_the_deadline_is_not_waited_for() {
        let clock = clock();
        let result = run(Retry::default(), &clock, || async { failed(false, Some(31)) }).await;
        assert!(result.is_err());
        assert!(clock.slept().is_empty());
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_ends_at_the_deadline() {
        let clock = ManualClock::at(Duration::ZERO);
        let attempt = || async {
            clock.advance(Duration::from_secs(30));
            std::future::pending::<Attempt<()>>().await
        };
        let error = run(seconds(30), &clock, attempt).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable { .. }));
    }

    #[tokio::test]
    async fn a_permanent_failure_is_not_retried() {
        let clock = clock();
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            let error = TokenError::Rejected { status: 400, message: String::new() };
            async { Attempt::Final(error) }
        };
        assert!(run(Retry::default(), &clock, attempt).await.is_err());
        assert_eq!(attempts, 1);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let parse = |value: &str| {
            let headers = [(RETRY_AFTER, value.parse().unwrap())].into_iter().collect();
            retry_after(&headers, Duration::from_secs(784_111_770))
        };
        assert_eq!(parse("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:40:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
        assert_eq!(parse("31536000"), Some(MAX_RETRY_AFTER));
        assert_eq!(parse("Sat, 06 Nov 2094 08:49:37 GMT"), Some(MAX_RETRY_AFTER));
    }
}
