//! Request bodies that come too slowly.

/// The error of a request's body whose caller sends it too slowly.
///
/// A server that finds a body too slow ends it with this error, and the call is answered with
/// `408 Request Timeout` ([RFC 9110,
/// 15.5.9](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its body came too slowly: at less than {min_rate} bytes per second, or with too long a pause"
)]
pub struct SlowBody {
    /// How fast it must come, in bytes per second.
    pub min_rate: u64,
}
