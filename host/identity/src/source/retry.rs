//! When to try again, and when to give up.

use std::time::Duration;

use http::HeaderMap;

use crate::TokenError;
use crate::clock::{Clock, within};

/// The documented waits before the second and each later attempt, in seconds ([retry guidance]).
///
/// [retry guidance]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance
const WAITS: [u64; 5] = [0, 2, 6, 14, 30];

/// While its endpoint is being updated, IMDS answers 410 and is back within 70 seconds.
const GONE: Duration = Duration::from_secs(70);

/// How long an endpoint that does not answer well is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// For how long at most, from the first attempt on, the waits included.
    pub deadline: Duration,
    /// The same, for an endpoint that answers 410.
    pub gone_deadline: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), gone_deadline: GONE }
    }
}

impl Retry {
    /// Gives up after so long, whatever the endpoint answers.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, gone_deadline: deadline }
    }
}

/// What one attempt came to.
pub(crate) enum Attempt<T> {
    Done(T),
    /// Trying again would change nothing.
    Final(TokenError),
    /// It may work later: after so long at least, where the endpoint said.
    Later {
        error: TokenError,
        after: Option<Duration>,
        gone: bool,
    },
}

/// Tries until it works, fails for good, or takes too long. No wait goes past the deadline, and no attempt either, but
/// that a first one always has the time of one request.
pub(crate) async fn run<T, F: Future<Output = Attempt<T>>>(
    retry: Retry,
    request: Duration,
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> F,
) -> Result<T, TokenError> {
    let start = clock.steady();
    let mut waits = WAITS.into_iter();
    let mut deadline = retry.deadline;
    let mut last = None;
    loop {
        let most = deadline.max(request);
        let left = most.saturating_sub(clock.steady().saturating_sub(start));
        let Some(attempted) = within(clock, left, attempt()).await else {
            let said = format!("no answer within {} s", most.as_secs_f32());
            return Err(last.unwrap_or(TokenError::Unavailable { said }));
        };
        let (error, after, gone) = match attempted {
            Attempt::Done(value) => return Ok(value),
            Attempt::Final(error) => return Err(error),
            Attempt::Later { error, after, gone } => (error, after, gone),
        };
        if gone {
            // It comes back with other errors first, perhaps: the 70 seconds are for these too.
            deadline = deadline.max(retry.gone_deadline);
        }
        // While it is gone for an update, it is asked every 10 seconds until the 70 are over.
        let Some(seconds) = waits.next().or_else(|| gone.then_some(10)) else { return Err(error) };
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
        tracing::debug!(wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), %error, "trying again");
        last = Some(error);
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }
}

/// The time that the last attempt has, where the endpoint is gone for an update.
const LAST_ATTEMPT: Duration = Duration::from_secs(2);

/// Up to a fifth more, so that machines that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + fastrand::f64() / 5.0)
}

/// No endpoint asks for more than minutes. One that is wrong about it, or about the date, does not silence an identity.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// `Retry-After`, in seconds or as a date, an hour at most ([RFC 9110, 10.2.3]).
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub(crate) fn retry_after(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let value = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_ASKED));
    }
    let at = httpdate::parse_http_date(value).ok()?.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(now).min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn later(gone: bool, after: Option<u64>) -> Attempt<()> {
        let error = TokenError::Unavailable { said: "500".to_owned() };
        Attempt::Later { error, after: after.map(Duration::from_secs), gone }
    }

    fn whole_seconds(clock: &ManualClock) -> Vec<u64> {
        clock.slept().iter().map(Duration::as_secs).collect()
    }

    #[tokio::test]
    async fn the_documented_waits_with_up_to_a_fifth_more() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let result =
            run(Retry::within(Duration::from_secs(600)), Duration::ZERO, &clock, || async { later(false, None) }).await;
        assert!(result.is_err());
        let slept = clock.slept();
        assert_eq!(slept.len(), 4, "the first retry is at once");
        for (slept, wait) in slept.iter().zip([2.0, 6.0, 14.0, 30.0]) {
            assert!((wait..=wait * 1.2).contains(&slept.as_secs_f64()), "{slept:?} for {wait}");
        }
    }

    #[tokio::test]
    async fn no_wait_goes_past_the_deadline() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let result =
            run(Retry::within(Duration::from_secs(10)), Duration::ZERO, &clock, || async { later(false, None) }).await;
        assert!(result.is_err());
        assert!(clock.steady() <= Duration::from_secs(10));
        assert_eq!(whole_seconds(&clock).len(), 2);
    }

    #[tokio::test]
    async fn an_endpoint_that_is_gone_has_seventy_seconds() {
        // However the waits are jittered.
        for _ in 0..1000 {
            let clock = ManualClock::skipping_sleeps(Duration::ZERO);
            let back_at = Duration::from_secs(67);
            let attempt = || async { if clock.steady() < back_at { later(true, None) } else { Attempt::Done(()) } };
            assert!(run(Retry::default(), Duration::ZERO, &clock, attempt).await.is_ok());
            assert!(clock.steady() <= Duration::from_secs(70));
        }
    }

    #[tokio::test]
    async fn retry_after_is_honoured_and_never_shortened() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let retry = Retry::within(Duration::from_secs(30));
        let _ = run(retry, Duration::ZERO, &clock, || async { later(false, Some(9)) }).await;
        assert_eq!(whole_seconds(&clock), [9, 9, 9]);
    }

    #[tokio::test]
    async fn an_endpoint_that_comes_back_with_other_errors_has_the_rest_of_the_seventy_seconds() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let attempt = || async {
            match clock.steady().as_secs() {
                0..20 => later(true, None),
                20..50 => later(false, None),
                _ => Attempt::Done(()),
            }
        };
        assert!(run(Retry::default(), Duration::ZERO, &clock, attempt).await.is_ok());
    }

    #[tokio::test]
    async fn an_endpoint_that_stays_gone_is_given_up_within_seventy_seconds() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        assert!(run(Retry::default(), Duration::ZERO, &clock, || async { later(true, None) }).await.is_err());
        assert!(clock.steady() <= GONE, "{:?}", clock.steady());
        assert!(clock.steady() >= Duration::from_secs(50), "{:?}", clock.steady());
    }

    #[tokio::test]
    async fn a_wait_that_is_asked_for_and_goes_past_the_deadline_is_not_begun() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        assert!(run(Retry::default(), Duration::ZERO, &clock, || async { later(false, Some(31)) }).await.is_err());
        assert!(clock.slept().is_empty());
    }

    #[tokio::test]
    async fn an_attempt_that_never_ends_is_ended_by_the_deadline() {
        let clock = ManualClock::at(Duration::ZERO);
        let deadline = Duration::from_secs(30);
        let attempt = || async {
            clock.advance(deadline);
            std::future::pending::<Attempt<()>>().await
        };
        let error = run(Retry::within(deadline), Duration::ZERO, &clock, attempt).await.unwrap_err();
        assert!(matches!(error, TokenError::Unavailable { .. }));
    }

    #[tokio::test]
    async fn what_is_final_is_not_tried_again() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            async { Attempt::<()>::Final(TokenError::Refused { status: 400, said: String::new() }) }
        };
        assert!(run(Retry::default(), Duration::ZERO, &clock, attempt).await.is_err());
        assert_eq!(attempts, 1);
    }

    #[test]
    fn retry_after_comes_in_two_forms() {
        let parse = |value: &str| {
            let headers = [(http::header::RETRY_AFTER, value.parse().unwrap())].into_iter().collect();
            retry_after(&headers, Duration::from_secs(784_111_770))
        };
        assert_eq!(parse("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:40:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
        assert_eq!(parse("31536000"), Some(LONGEST_ASKED));
        assert_eq!(parse("Sat, 06 Nov 2094 08:49:37 GMT"), Some(LONGEST_ASKED));
    }
}
