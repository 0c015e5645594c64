//! Kubernetes service accounts as callers: verifies their projected tokens.
//!
//! A pod sends the token that its kubelet writes for the audience `keyward`, and
//! [`Verifier::verify`] returns the service account that it proves. Tokens are verified here with
//! the cluster's public keys, so no call waits for the API server:
//!
//! 1. A token that was verified before is found in the [`cache`](verified) by its digest.
//! 2. [`jws`] splits the token and reads its header. Only `alg`, `kid` and `typ` may be in it.
//! 3. [`key_cache`] has the issuer's keys; [`fetch`] gets them from a file or over HTTPS. A `kid`
//!    that is not among them causes at most one request in [`key_cache::RETRY_INTERVAL`].
//! 4. [`public_key`] checks the signature, with an algorithm that fits the key.
//! 5. [`claims`] checks issuer, audience, times and names.
//!
//! The signature is checked with `ring` and the rest here, since it is less code than an adapter to
//! a JWT library would be. `jsonwebtoken`, for one, takes its cryptography from a provider that is
//! global to the process, compares times with the system's clock only, and accepts header members
//! and forms of claims that no API server writes.
//!
//! What this cannot know is whether the pod still exists: a token is valid until it expires.

mod claims;
mod config;
mod error;
mod fetch;
mod jws;
mod key_cache;
mod key_set;
mod public_key;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;

pub(crate) use claims::ServiceAccount;
pub(crate) use config::{Access, IssuerConfig, KeySource};
pub(crate) use error::TokenError;
pub(crate) use fetch::MAX_FILE;
pub(crate) use verifier::Verifier;
