//! What a configuration comes to on this machine: whether its identities answer, and its endpoints
//! can be reached.
//!
//! Everything is done as the broker does it, by the same sources, rules and trust, but once, with
//! no plugin and no cache, and without trying for long. No token comes out. `keyward doctor` prints
//! what is found here; a service may look at it when it starts.

mod endpoint_probe;
mod identity_probe;
mod needs;
mod start_problems;

pub use endpoint_probe::{Endpoints, NotReached};
pub use identity_probe::{Answered, Identities, NoToken};
pub use needs::needs;
pub use start_problems::{identity_problems, trust};
