//! Leases on blobs ([Lease Blob](https://learn.microsoft.com/rest/api/storageservices/lease-blob)).

use super::clock::now;
use super::failure::{Failure, bad_header, missing_header};
use crate::exchange::Received;

/// A blob's lease.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    /// The last id, also of a lease that ended.
    id: Option<String>,
    /// The seconds it was taken for; `None` for good.
    duration: Option<u64>,
    /// When it ends by itself.
    until: Option<u64>,
    /// Set when it was broken: when that becomes true.
    broken_at: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Available,
    Leased,
    Breaking,
    Broken,
    Expired,
}

/// What an action did: the status, the id to tell, the seconds to tell.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) id: Option<String>,
    pub(super) seconds: Option<u64>,
}

fn conflict(code: &'static str, message: &str) -> Failure {
    Failure::new(409, code, message)
}

impl Lease {
    fn state(&self) -> State {
        match (&self.id, self.broken_at, self.until) {
            (None, ..) => State::Available,
            (_, Some(at), _) if now() >= at => State::Broken,
            (_, Some(_), _) => State::Breaking,
            (_, _, Some(until)) if now() >= until => State::Expired,
            _ => State::Leased,
        }
    }

    /// The values of `x-ms-lease-state`, `-status` and `-duration`.
    pub(super) fn describe(&self) -> (&'static str, &'static str, Option<&'static str>) {
        match self.state() {
            State::Available => ("available", "unlocked", None),
            State::Leased => ("leased", "locked", Some(if self.duration.is_some() { "fixed" } else { "infinite" })),
            State::Breaking => ("breaking", "locked", None),
            State::Broken => ("broken", "unlocked", None),
            State::Expired => ("expired", "unlocked", None),
        }
    }

    /// Checks the id that comes with an operation on the blob.
    pub(super) fn check(&self, request: &Received, writing: bool) -> Result<(), Failure> {
        let failed = |code, message: &str| Err(Failure::new(412, code, message));
        let locked = matches!(self.state(), State::Leased | State::Breaking);
        match (request.header("x-ms-lease-id"), locked) {
            (None, true) if writing => failed(
                "LeaseIdMissing",
                "There is currently a lease on the blob and no lease ID was specified in the request.",
            ),
            (Some(id), true) if !self.is(id) => failed(
                "LeaseIdMismatchWithBlobOperation",
                "The lease ID specified did not match the lease ID for the blob.",
            ),
            (Some(id), false) if self.is(id) => {
                failed("LeaseLost", "A lease ID was specified, but the lease for the blob has expired.")
            }
            (Some(_), false) => failed("LeaseNotPresentWithBlobOperation", "There is currently no lease on the blob."),
            _ => Ok(()),
        }
    }

    fn is(&self, id: &str) -> bool {
        self.id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id))
    }

    /// Acquires, renews, changes, releases or breaks it, as the request says.
    pub(super) fn act(&mut self, request: &Received, new_id: impl FnOnce() -> String) -> Result<Outcome, Failure> {
        let action = request.header("x-ms-lease-action").ok_or_else(|| missing_header("x-ms-lease-action"))?;
        let outcome = |status, id: Option<String>| Ok(Outcome { status, id, seconds: None });
        match action.to_ascii_lowercase().as_str() {
            "acquire" => {
                let proposed = request.header("x-ms-proposed-lease-id");
                match self.state() {
                    State::Leased if !proposed.is_some_and(|id| self.is(id)) => {
                        let message = "There is already a lease present.";
                        return Err(conflict("LeaseAlreadyPresent", message));
                    }
                    State::Breaking => {
                        let message = "There is already a breaking lease, and can't be acquired until it's broken.";
                        return Err(conflict("LeaseIsBreakingAndCannotBeAcquired", message));
                    }
                    State::Available | State::Leased | State::Broken | State::Expired => {}
                }
                let duration = request.header("x-ms-lease-duration");
                let duration = duration.ok_or_else(|| missing_header("x-ms-lease-duration"))?;
                let seconds = match duration.parse::<i64>() {
                    Ok(-1) => None,
                    Ok(seconds @ 15..=60) => Some(seconds.unsigned_abs()),
                    _ => return Err(bad_header("x-ms-lease-duration", duration)),
                };
                let id = proposed.map_or_else(new_id, str::to_owned);
                *self = Self {
                    id: Some(id.clone()),
                    duration: seconds,
                    until: seconds.map(|seconds| now() + seconds),
                    broken_at: None,
                };
                outcome(201, Some(id))
            }
            "break" => self.break_up(request),
            action => {
                let id = request.header("x-ms-lease-id").ok_or_else(|| missing_header("x-ms-lease-id"))?.to_owned();
                if self.id.is_none() {
                    let message = "There is currently no lease on the resource.";
                    return Err(conflict("LeaseNotPresentWithLeaseOperation", message));
                }
                let proposed = request.header("x-ms-proposed-lease-id");
                let again = action == "change" && proposed.is_some_and(|id| self.is(id));
                if !self.is(&id) && !again {
                    let message = "The lease ID specified did not match the lease ID for the resource.";
                    return Err(conflict("LeaseIdMismatchWithLeaseOperation", message));
                }
                match (action, self.state()) {
                    ("renew", State::Breaking | State::Broken) => {
                        let message =
                            "The lease ID matched, but the lease has been broken explicitly and can't be renewed.";
                        return Err(conflict("LeaseIsBrokenAndCannotBeRenewed", message));
                    }
                    ("renew", _) => self.until = self.duration.map(|seconds| now() + seconds),
                    ("change", State::Breaking) => {
                        let message =
                            "The lease ID matched, but the lease is currently in breaking state and can't be changed.";
                        return Err(conflict("LeaseIsBreakingAndCannotBeChanged", message));
                    }
                    ("change", State::Broken | State::Expired) => {
                        let message = "There is currently no lease on the resource.";
                        return Err(conflict("LeaseNotPresentWithLeaseOperation", message));
                    }
                    ("change", _) => {
                        let proposed = proposed.ok_or_else(|| missing_header("x-ms-proposed-lease-id"))?;
                        self.id = Some(proposed.to_owned());
                    }
                    ("release", _) => {
                        *self = Self::default();
                        return outcome(200, None);
                    }
                    _ => return Err(bad_header("x-ms-lease-action", action)),
                }
                outcome(200, self.id.clone())
            }
        }
    }

    fn break_up(&mut self, request: &Received) -> Result<Outcome, Failure> {
        let period = match request.header("x-ms-lease-break-period") {
            Some(text) => match text.parse::<u64>() {
                Ok(seconds @ 0..=60) => Some(seconds),
                _ => return Err(bad_header("x-ms-lease-break-period", text)),
            },
            None => None,
        };
        let left = |until: Option<u64>| until.map(|until| until.saturating_sub(now()));
        let seconds = match self.state() {
            State::Available => {
                let message = "There is currently no lease on the resource.";
                return Err(conflict("LeaseNotPresentWithLeaseOperation", message));
            }
            State::Broken | State::Expired => 0,
            State::Breaking => left(self.broken_at).unwrap_or(0).min(period.unwrap_or(u64::MAX)),
            // A lease without an end breaks at once where the request says nothing; another one when it would end.
            State::Leased => left(self.until).unwrap_or(period.unwrap_or(0)).min(period.unwrap_or(u64::MAX)),
        };
        self.broken_at = Some(now() + seconds);
        Ok(Outcome { status: 202, id: None, seconds: Some(seconds) })
    }
}
