//! Why there is no token, and what to do about it.

use std::time::Duration;

use crate::{Audience, InvalidToken};

/// Why there is no token.
///
/// The messages say what to do, in the words of the platform's guidance. None of them ever holds a token, a part of one,
/// or the text of an answer that should have held one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The endpoint does not know the identity.
    #[error(
        "the machine has no such identity ({said}). Assign the managed identity to this machine (Identity, in the \
         machine's settings), or correct client_id, object_id or resource_id in the configuration"
    )]
    IdentityNotFound {
        /// What the endpoint said.
        said: String,
    },
    /// The machine has several identities, and the request names none.
    #[error(
        "the machine has several user-assigned identities and no system-assigned one ({said}). Say which: set client_id, \
         object_id or resource_id of this identity in the configuration"
    )]
    SeveralIdentities {
        /// What the endpoint said.
        said: String,
    },
    /// The directory does not know the resource.
    #[error(
        "the directory knows no resource {audience} ({said}). An audience is an exact string, the slash at its end \
         included; compare it with what the service documents for this cloud"
    )]
    ResourceUnknown {
        /// The audience.
        audience: Audience,
        /// What the endpoint said.
        said: String,
    },
    /// Nothing answers at the endpoint.
    #[error(
        "no identity endpoint answers at {endpoint} ({said}). On an Azure virtual machine, check that the machine has a \
         managed identity and that no firewall or route keeps 169.254.169.254 from the broker; elsewhere, configure \
         another source"
    )]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        said: String,
    },
    /// The endpoint refuses.
    #[error("the identity endpoint refuses with status {status} ({said})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the endpoint said.
        said: String,
    },
    /// The endpoint asks for patience.
    #[error("the identity endpoint is busy and asks to wait {} s", retry_after.as_secs())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The endpoint fails, time after time.
    #[error("the identity endpoint fails ({said}). It usually recovers within a minute or two; this is tried again")]
    Unavailable {
        /// What the endpoint said last.
        said: String,
    },
    /// The answer is no token answer.
    #[error("the identity endpoint's answer cannot be used: {what}. Something else may be answering in its place")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The answer's token has ended already.
    #[error(
        "the identity endpoint gave a token that ended {seconds_ago} s ago by this machine's clock. Check the clock (timedatectl)"
    )]
    Expired {
        /// How long ago.
        seconds_ago: u64,
    },
}

impl From<InvalidToken> for TokenError {
    fn from(error: InvalidToken) -> Self {
        Self::Malformed { what: error.to_string() }
    }
}
