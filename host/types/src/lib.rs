//! Names that Keyward's identities and its policy share.
//!
//! `keyward-identity` gets tokens, `keyward-policy` decides which mount may use them. Both speak of
//! audiences, kinds of sources and user-assigned identities, and neither depends on the other. The
//! types here are data: this crate does no I/O, and depends on no runtime.

mod audience;
mod source_kind;
mod user_assigned;

pub use audience::{Audience, InvalidAudience, InvalidScope};
pub use source_kind::SourceKind;
pub use user_assigned::UserAssigned;
