//! Caches of tokens: one request however many calls wait, renewed ahead of expiry.
//!
//! A cache has a slot for each audience. What a call does depends on how long the slot's token is
//! still valid:
//!
//! | time left | the call |
//! |---|---|
//! | more than twice the margin | gets the token |
//! | more than the margin | gets the token; a renewal runs in the background |
//! | less | waits a moment for the renewal; gets the old token if that takes longer or fails |
//! | none, or no token yet | waits for the renewal, and gets its error if it fails |
//!
//! A slot runs one renewal at a time, as a task of its own: a caller that goes away does not cancel
//! it. After a failure the source is left alone for a pause, which doubles with each further
//! failure.
//!
//! A token that a service rejected ([`CachedToken::reject`]) counts as one within its margin, and
//! is removed from the file at once. It is used until there is another one, so that a service that
//! wrongly rejects tokens does not affect other services.
//!
//! With a [`Persistence`], tokens are also stored in an encrypted file, and a restart needs no
//! request.

mod cache_entry;
mod invalidation;
mod per_thread;
mod persist_key;
mod persisted_token;
mod persistence;
mod policy;
mod renew;
mod shared;
mod slot;
mod slot_map;
mod token_cache;

pub use crate::key_file::InvalidKey;
pub use persist_key::PersistKey;
pub use persistence::Persistence;
pub use policy::Policy;
pub use slot::Statistics;
pub use token_cache::{CachedToken, TokenCache};
