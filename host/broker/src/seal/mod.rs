//! Sealing: a field of a response that is a credential is replaced by a surrogate before the plugin
//! sees it.
//!
//! A shared access signature, for example: the plugin requests it from Resource Manager and spends
//! it at the storage, and never sees it. [`egress`](crate::egress) reads such a response whole, a
//! [`SealedResponse`] separates the secrets from the rest, [`ResponseCache`] holds it for the time
//! that its rule allows, and each call gets surrogates of its own.

mod response_cache;
mod sealed_response;
mod state_key;

pub(crate) use response_cache::{Key, ResponseCache};
pub(crate) use sealed_response::SealedResponse;
pub(crate) use state_key::{SealError, StateKey};
