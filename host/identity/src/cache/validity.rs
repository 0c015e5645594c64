//! How long a token is good for, on two clocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Policy;
use super::entry::Entry;
use super::places::Places;
use crate::clock::{Clock, Moment};
use crate::{AccessToken, Issued, TokenError};

/// A token with the moments at which something changes. Each moment is on both clocks, and the one that comes first
/// counts: so a wall clock that is set back does not keep a dead token alive, and a machine that slept, and whose steady
/// clock stood still, does not either.
pub(super) struct Held {
    token: Places<AccessToken>,
    /// From here on it is renewed in the background.
    renew_ahead: Moment,
    /// From here on a call waits for the renewal.
    margin: Moment,
    end: Moment,
    /// A service rejected it: it is within its margin now.
    rejected: AtomicBool,
}

/// What a token is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Fresh,
    RenewAhead,
    Margin,
    Dead,
}

impl Held {
    /// # Errors
    ///
    /// [`TokenError::Expired`] where nothing is left.
    pub(super) fn new(issued: Issued, clock: &dyn Clock, policy: Policy) -> Result<Self, TokenError> {
        let now = Moment { wall: clock.wall(), steady: clock.steady() };
        let expires_on = Duration::from_secs(issued.token.expires_on());
        let left = issued.expires_in.unwrap_or_else(|| expires_on.saturating_sub(now.wall));
        if left.is_zero() {
            let seconds_ago = now.wall.saturating_sub(expires_on).as_secs();
            return Err(TokenError::Expired { seconds_ago });
        }
        Ok(Self::from(issued.token, now, left, left, policy))
    }

    /// A token that was kept on disk. Its margins are those of its whole life.
    pub(super) fn restored(entry: Entry, clock: &dyn Clock, policy: Policy) -> Self {
        let now = Moment { wall: clock.wall(), steady: clock.steady() };
        let left = Duration::from_secs(entry.until).saturating_sub(now.wall);
        let life = Duration::from_secs(entry.until.saturating_sub(entry.from));
        Self::from(entry.token, now, left, life, policy)
    }

    /// What is kept on disk of it. Its end by the wall clock is rounded down.
    pub(super) fn entry(&self, wall: Duration) -> Entry {
        Entry { token: self.token(), from: wall.as_secs(), until: self.end.wall.as_secs() }
    }

    fn from(token: AccessToken, now: Moment, left: Duration, life: Duration, policy: Policy) -> Self {
        let margin = policy.margin.min(life / 4);
        let at = |before_end: Duration| {
            let after = left.saturating_sub(before_end);
            Moment { wall: now.wall.saturating_add(after), steady: now.steady.saturating_add(after) }
        };
        let token = Places::new(|| token.counted_apart());
        Self {
            token,
            renew_ahead: at(margin * 2),
            margin: at(margin),
            end: at(Duration::ZERO),
            rejected: AtomicBool::new(false),
        }
    }

    pub(super) fn token(&self) -> AccessToken {
        self.token.mine().clone()
    }

    /// A service rejected it.
    pub(super) fn reject(&self) {
        self.rejected.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// When it ends by the wall clock, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn ends(&self) -> u64 {
        self.end.wall.as_secs()
    }

    pub(super) fn phase(&self, clock: &dyn Clock) -> Phase {
        let now = Moment { wall: clock.wall(), steady: clock.steady() };
        if passed(self.end, now) {
            Phase::Dead
        } else if passed(self.margin, now) || self.is_rejected() {
            Phase::Margin
        } else if passed(self.renew_ahead, now) {
            Phase::RenewAhead
        } else {
            Phase::Fresh
        }
    }

    /// Whether it was fresh some milliseconds ago, which is good enough: minutes pass until a call has to wait.
    pub(super) fn was_fresh(&self, lately: Moment) -> bool {
        !passed(self.renew_ahead, lately) && !self.is_rejected()
    }
}

fn passed(moment: Moment, now: Moment) -> bool {
    now.wall >= moment.wall || now.steady >= moment.steady
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn held(clock: &ManualClock, minutes: u32) -> Held {
        let expires_on = (clock.wall() + MINUTE * minutes).as_secs();
        let token = AccessToken::new("x".to_owned(), expires_on).unwrap();
        Held::new(token.into(), clock, Policy::default()).unwrap()
    }

    #[test]
    fn a_token_is_renewed_ahead_of_five_minutes_before_its_end() {
        let clock = ManualClock::at(NOW);
        let held = held(&clock, 60);
        let phase_after = |minutes: u32| {
            clock.set_wall(NOW + MINUTE * minutes);
            held.phase(&clock)
        };
        assert_eq!(phase_after(49), Phase::Fresh);
        assert_eq!(phase_after(50), Phase::RenewAhead);
        assert_eq!(phase_after(54), Phase::RenewAhead);
        assert_eq!(phase_after(55), Phase::Margin);
        assert_eq!(phase_after(59), Phase::Margin);
        assert_eq!(phase_after(60), Phase::Dead);
    }

    #[test]
    fn a_short_lived_token_is_still_fresh_for_half_its_life() {
        let clock = ManualClock::at(NOW);
        let held = held(&clock, 4);
        clock.advance(MINUTE);
        assert_eq!(held.phase(&clock), Phase::Fresh);
        clock.advance(MINUTE);
        assert_eq!(held.phase(&clock), Phase::RenewAhead);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_keeps_no_dead_token_alive() {
        let clock = ManualClock::at(NOW);
        let held = held(&clock, 60);
        clock.advance(MINUTE * 61);
        clock.set_wall(NOW);
        assert_eq!(held.phase(&clock), Phase::Dead);
    }

    #[test]
    fn what_was_fresh_lately_is_told_by_both_clocks_too() {
        let clock = ManualClock::at(NOW);
        let held = held(&clock, 60);
        assert!(held.was_fresh(clock.lately()));
        clock.advance(MINUTE * 50);
        assert!(!held.was_fresh(clock.lately()));
        clock.set_wall(NOW);
        assert!(!held.was_fresh(clock.lately()), "by the steady clock");
        let held = self::held(&clock, 60);
        clock.set_wall(NOW + MINUTE * 50);
        assert!(!held.was_fresh(clock.lately()), "by the wall clock");
    }

    #[test]
    fn a_token_that_has_ended_is_an_error_that_names_the_clock() {
        let clock = ManualClock::at(NOW);
        let token = AccessToken::new("x".to_owned(), (NOW - MINUTE).as_secs()).unwrap();
        let error = Held::new(token.into(), &clock, Policy::default()).err().unwrap();
        assert_eq!(error, TokenError::Expired { seconds_ago: 60 });
    }

    #[test]
    fn a_source_that_says_how_long_needs_no_right_wall_clock() {
        let clock = ManualClock::at(NOW + MINUTE * 10_000);
        let token = AccessToken::new("x".to_owned(), NOW.as_secs()).unwrap();
        let held = Held::new(Issued::new(token, Some(MINUTE * 60)), &clock, Policy::default()).unwrap();
        assert_eq!(held.phase(&clock), Phase::Fresh);
    }
}
