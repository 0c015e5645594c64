//! Leases on blobs ([Lease Blob](https://learn.microsoft.com/rest/api/storageservices/lease-blob)).

use super::storage_error::{StorageError, invalid_header, missing_header};
use super::time_format::now;
use crate::messages::Request;

/// A blob's lease.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    /// The last id, also that of a lease that has ended.
    id: Option<String>,
    /// The duration in seconds; `None` is infinite.
    duration: Option<u64>,
    /// When it expires, in Unix seconds.
    until: Option<u64>,
    /// When a break takes effect, in Unix seconds.
    broken_at: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    Available,
    Leased,
    Breaking,
    Broken,
    Expired,
}

/// The response to an action: the status, the lease id, and the seconds until a break takes effect.
#[derive(Debug)]
pub(super) struct LeaseResponse {
    pub(super) status: u16,
    pub(super) id: Option<String>,
    pub(super) seconds: Option<u64>,
}

fn conflict(code: &'static str, message: &str) -> StorageError {
    StorageError::new(409, code, message)
}

impl Lease {
    fn state(&self) -> LeaseState {
        match (&self.id, self.broken_at, self.until) {
            (None, ..) => LeaseState::Available,
            (_, Some(broken_at), _) if now() >= broken_at => LeaseState::Broken,
            (_, Some(_), _) => LeaseState::Breaking,
            (_, _, Some(until)) if now() >= until => LeaseState::Expired,
            _ => LeaseState::Leased,
        }
    }

    /// The values of `x-ms-lease-state`, `-status` and `-duration`.
    pub(super) fn header_values(&self) -> (&'static str, &'static str, Option<&'static str>) {
        match self.state() {
            LeaseState::Available => ("available", "unlocked", None),
            LeaseState::Leased => (
                "leased",
                "locked",
                Some(if self.duration.is_some() { "fixed" } else { "infinite" }),
            ),
            LeaseState::Breaking => ("breaking", "locked", None),
            LeaseState::Broken => ("broken", "unlocked", None),
            LeaseState::Expired => ("expired", "unlocked", None),
        }
    }

    /// Checks the lease id of an operation on the blob.
    pub(super) fn check(&self, request: &Request, writing: bool) -> Result<(), StorageError> {
        let failed = |code, message: &str| Err(StorageError::new(412, code, message));
        let locked = matches!(self.state(), LeaseState::Leased | LeaseState::Breaking);
        match (request.header("x-ms-lease-id"), locked) {
            (None, true) if writing => failed(
                "LeaseIdMissing",
                "There is currently a lease on the blob and no lease ID was specified in the \
                 request.",
            ),
            (Some(id), true) if !self.matches_id(id) => failed(
                "LeaseIdMismatchWithBlobOperation",
                "The lease ID specified did not match the lease ID for the blob.",
            ),
            (Some(id), false) if self.matches_id(id) => failed(
                "LeaseLost",
                "A lease ID was specified, but the lease for the blob has expired.",
            ),
            (Some(_), false) => failed(
                "LeaseNotPresentWithBlobOperation",
                "There is currently no lease on the blob.",
            ),
            _ => Ok(()),
        }
    }

    fn matches_id(&self, id: &str) -> bool {
        self.id.as_deref().is_some_and(|lease_id| lease_id.eq_ignore_ascii_case(id))
    }

    /// Runs the action of a request: acquire, renew, change, release or break.
    pub(super) fn run(
        &mut self,
        request: &Request,
        new_id: impl FnOnce() -> String,
    ) -> Result<LeaseResponse, StorageError> {
        let action = request
            .header("x-ms-lease-action")
            .ok_or_else(|| missing_header("x-ms-lease-action"))?;
        let respond = |status, id: Option<String>| Ok(LeaseResponse { status, id, seconds: None });
        match action.to_ascii_lowercase().as_str() {
            "acquire" => {
                let proposed = request.header("x-ms-proposed-lease-id");
                match self.state() {
                    LeaseState::Leased if !proposed.is_some_and(|id| self.matches_id(id)) => {
                        let message = "There is already a lease present.";
                        return Err(conflict("LeaseAlreadyPresent", message));
                    }
                    LeaseState::Breaking => {
                        let message = "There is already a breaking lease, and can't be acquired \
                                       until it's broken.";
                        return Err(conflict("LeaseIsBreakingAndCannotBeAcquired", message));
                    }
                    LeaseState::Available
                    | LeaseState::Leased
                    | LeaseState::Broken
                    | LeaseState::Expired => {}
                }
                let duration = request.header("x-ms-lease-duration");
                let duration = duration.ok_or_else(|| missing_header("x-ms-lease-duration"))?;
                let seconds = match duration.parse::<i64>() {
                    Ok(-1) => None,
                    Ok(seconds @ 15..=60) => Some(seconds.unsigned_abs()),
                    _ => return Err(invalid_header("x-ms-lease-duration", duration)),
                };
                let id = proposed.map_or_else(new_id, str::to_owned);
                *self = Self {
                    id: Some(id.clone()),
                    duration: seconds,
                    until: seconds.map(|seconds| now() + seconds),
                    broken_at: None,
                };
                respond(201, Some(id))
            }
            "break" => self.start_break(request),
            action => {
                let id = request
                    .header("x-ms-lease-id")
                    .ok_or_else(|| missing_header("x-ms-lease-id"))?
                    .to_owned();
                if self.id.is_none() {
                    let message = "There is currently no lease on the resource.";
                    return Err(conflict("LeaseNotPresentWithLeaseOperation", message));
                }
                let proposed = request.header("x-ms-proposed-lease-id");
                let is_repeated =
                    action == "change" && proposed.is_some_and(|id| self.matches_id(id));
                if !self.matches_id(&id) && !is_repeated {
                    let message =
                        "The lease ID specified did not match the lease ID for the resource.";
                    return Err(conflict("LeaseIdMismatchWithLeaseOperation", message));
                }
                match (action, self.state()) {
                    ("renew", LeaseState::Breaking | LeaseState::Broken) => {
                        let message = "The lease ID matched, but the lease has been broken \
                                       explicitly and can't be renewed.";
                        return Err(conflict("LeaseIsBrokenAndCannotBeRenewed", message));
                    }
                    ("renew", _) => self.until = self.duration.map(|seconds| now() + seconds),
                    ("change", LeaseState::Breaking) => {
                        let message = "The lease ID matched, but the lease is currently in \
                                       breaking state and can't be changed.";
                        return Err(conflict("LeaseIsBreakingAndCannotBeChanged", message));
                    }
                    ("change", LeaseState::Broken | LeaseState::Expired) => {
                        let message = "There is currently no lease on the resource.";
                        return Err(conflict("LeaseNotPresentWithLeaseOperation", message));
                    }
                    ("change", _) => {
                        let proposed =
                            proposed.ok_or_else(|| missing_header("x-ms-proposed-lease-id"))?;
                        self.id = Some(proposed.to_owned());
                    }
                    ("release", _) => {
                        *self = Self::default();
                        return respond(200, None);
                    }
                    _ => return Err(invalid_header("x-ms-lease-action", action)),
                }
                respond(200, self.id.clone())
            }
        }
    }

    fn start_break(&mut self, request: &Request) -> Result<LeaseResponse, StorageError> {
        let period = match request.header("x-ms-lease-break-period") {
            Some(text) => match text.parse::<u64>() {
                Ok(seconds @ 0..=60) => Some(seconds),
                _ => return Err(invalid_header("x-ms-lease-break-period", text)),
            },
            None => None,
        };
        let remaining = |until: Option<u64>| until.map(|until| until.saturating_sub(now()));
        let seconds = match self.state() {
            LeaseState::Available => {
                let message = "There is currently no lease on the resource.";
                return Err(conflict("LeaseNotPresentWithLeaseOperation", message));
            }
            LeaseState::Broken | LeaseState::Expired => 0,
            LeaseState::Breaking => {
                remaining(self.broken_at).unwrap_or(0).min(period.unwrap_or(u64::MAX))
            }
            // The default for an infinite lease is to break at once, for others to expire.
            LeaseState::Leased => {
                remaining(self.until).unwrap_or(period.unwrap_or(0)).min(period.unwrap_or(u64::MAX))
            }
        };
        self.broken_at = Some(now() + seconds);
        Ok(LeaseResponse { status: 202, id: None, seconds: Some(seconds) })
    }
}
