//! A cached token, and how long it is valid by two clocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::per_thread::PerThread;
use super::persisted_token::PersistedToken;
use super::policy::Policy;
use crate::clock::{Clock, Moment};
use crate::{AccessToken, Issued, TokenError};

/// A token, and the moments at which its phase changes. Each moment is on both clocks, and the
/// earlier one counts: a token expires although the wall clock was set back, and although the
/// steady clock stood still while the machine slept.
pub(super) struct CacheEntry {
    token: PerThread<AccessToken>,
    /// From here on the token is renewed in the background.
    renew_ahead: Moment,
    /// From here on calls wait for the renewal.
    margin: Moment,
    expiry: Moment,
    /// A service rejected the token, so it counts as within its margin.
    is_rejected: AtomicBool,
}

/// How far a token is from its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Fresh,
    RenewAhead,
    Margin,
    Expired,
}

impl CacheEntry {
    /// # Errors
    ///
    /// [`TokenError::Expired`] if the token has expired.
    pub(super) fn new(
        issued: Issued,
        clock: &dyn Clock,
        policy: Policy,
    ) -> Result<Self, TokenError> {
        let now = Moment::now(clock);
        let expires_on = Duration::from_secs(issued.token.expires_on());
        let left = issued.expires_in.unwrap_or_else(|| expires_on.saturating_sub(now.wall));
        if left.is_zero() {
            let seconds_ago = now.wall.saturating_sub(expires_on).as_secs();
            return Err(TokenError::Expired { seconds_ago });
        }
        Ok(Self::with_life(issued.token, now, left, left, policy))
    }

    /// A persisted token. Its margins are those of its whole life.
    pub(super) fn restored(persisted: PersistedToken, clock: &dyn Clock, policy: Policy) -> Self {
        let now = Moment::now(clock);
        let left = Duration::from_secs(persisted.until).saturating_sub(now.wall);
        let life = Duration::from_secs(persisted.until.saturating_sub(persisted.from));
        Self::with_life(persisted.token, now, left, life, policy)
    }

    /// The token in its persisted form. Its expiry by the wall clock is rounded down.
    pub(super) fn persisted(&self, wall: Duration) -> PersistedToken {
        PersistedToken { token: self.token(), from: wall.as_secs(), until: self.expires_on() }
    }

    fn with_life(
        token: AccessToken,
        now: Moment,
        left: Duration,
        life: Duration,
        policy: Policy,
    ) -> Self {
        let margin = policy.margin.min(life / 4);
        let before_expiry = |duration: Duration| {
            let after = left.saturating_sub(duration);
            Moment {
                wall: now.wall.saturating_add(after),
                steady: now.steady.saturating_add(after),
            }
        };
        Self {
            token: PerThread::new(|| token.clone_unshared()),
            renew_ahead: before_expiry(margin * 2),
            margin: before_expiry(margin),
            expiry: before_expiry(Duration::ZERO),
            is_rejected: AtomicBool::new(false),
        }
    }

    pub(super) fn token(&self) -> AccessToken {
        self.token.get().clone()
    }

    /// Notes that a service rejected the token.
    pub(super) fn reject(&self) {
        self.is_rejected.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.is_rejected.load(Ordering::Relaxed)
    }

    /// When the token expires by the wall clock, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn expires_on(&self) -> u64 {
        self.expiry.wall.as_secs()
    }

    pub(super) fn phase(&self, clock: &dyn Clock) -> Phase {
        let now = Moment::now(clock);
        if self.expiry.has_passed(now) {
            Phase::Expired
        } else if self.margin.has_passed(now) || self.is_rejected() {
            Phase::Margin
        } else if self.renew_ahead.has_passed(now) {
            Phase::RenewAhead
        } else {
            Phase::Fresh
        }
    }

    /// Whether the token was fresh a few milliseconds ago. That suffices to hand it out: from the
    /// end of this phase it takes minutes until a call has to wait.
    pub(super) fn was_fresh(&self, recently: Moment) -> bool {
        !self.renew_ahead.has_passed(recently) && !self.is_rejected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn entry(clock: &ManualClock, minutes: u32) -> CacheEntry {
        let expires_on = (clock.wall() + MINUTE * minutes).as_secs();
        let token = AccessToken::new("x".to_owned(), expires_on).unwrap();
        CacheEntry::new(token.into(), clock, Policy::default()).unwrap()
    }

    #[test]
    fn a_token_is_renewed_ahead_of_five_minutes_before_its_expiry() {
        let clock = ManualClock::at(NOW);
        let entry = entry(&clock, 60);
        let phase_after = |minutes: u32| {
            clock.set_wall(NOW + MINUTE * minutes);
            entry.phase(&clock)
        };
        assert_eq!(phase_after(49), Phase::Fresh);
        assert_eq!(phase_after(50), Phase::RenewAhead);
        assert_eq!(phase_after(54), Phase::RenewAhead);
        assert_eq!(phase_after(55), Phase::Margin);
        assert_eq!(phase_after(59), Phase::Margin);
        assert_eq!(phase_after(60), Phase::Expired);
    }

    #[test]
    fn a_short_lived_token_is_fresh_for_half_its_life() {
        let clock = ManualClock::at(NOW);
        let entry = entry(&clock, 4);
        clock.advance(MINUTE);
        assert_eq!(entry.phase(&clock), Phase::Fresh);
        clock.advance(MINUTE);
        assert_eq!(entry.phase(&clock), Phase::RenewAhead);
    }

    #[test]
    fn a_token_expires_although_the_wall_clock_was_set_back() {
        let clock = ManualClock::at(NOW);
        let entry = entry(&clock, 60);
        clock.advance(MINUTE * 61);
        clock.set_wall(NOW);
        assert_eq!(entry.phase(&clock), Phase::Expired);
    }

    #[test]
    fn was_fresh_compares_both_clocks() {
        let clock = ManualClock::at(NOW);
        let first = entry(&clock, 60);
        assert!(first.was_fresh(clock.recently()));
        clock.advance(MINUTE * 50);
        assert!(!first.was_fresh(clock.recently()));
        clock.set_wall(NOW);
        assert!(!first.was_fresh(clock.recently()), "by the steady clock");
        let second = entry(&clock, 60);
        clock.set_wall(NOW + MINUTE * 50);
        assert!(!second.was_fresh(clock.recently()), "by the wall clock");
    }

    #[test]
    fn a_token_that_has_expired_is_an_error() {
        let clock = ManualClock::at(NOW);
        let token = AccessToken::new("x".to_owned(), (NOW - MINUTE).as_secs()).unwrap();
        let error = CacheEntry::new(token.into(), &clock, Policy::default()).err().unwrap();
        assert_eq!(error, TokenError::Expired { seconds_ago: 60 });
    }

    #[test]
    fn a_relative_expiry_does_not_depend_on_the_wall_clock() {
        let clock = ManualClock::at(NOW + MINUTE * 10_000);
        let token = AccessToken::new("x".to_owned(), NOW.as_secs()).unwrap();
        let issued = Issued::new(token, Some(MINUTE * 60));
        let entry = CacheEntry::new(issued, &clock, Policy::default()).unwrap();
        assert_eq!(entry.phase(&clock), Phase::Fresh);
    }
}
