//! Egress: the only way out of a sandbox.
//!
//! A plugin's request comes to [`hooks`] or [`exchange`], and goes through these stages, each in a
//! file of its name:
//!
//! 1. [`admit`]: the policy decides whether it may leave, and with which credential.
//! 2. [`attach_credential`]: the token, or a sealed value, takes the surrogate's place.
//! 3. [`transmit`]: it is sent on a connection of the mount's own ([`upstream`](crate::upstream)).
//! 4. [`filter_response`]: what comes back is redacted as it streams.
//!
//! [`pipeline`] takes it from one to the next. A response with a credential in it is [`sealed`]
//! instead of streamed.

mod admit;
mod attach_credential;
mod fault;
mod filter_response;
mod hooks;
mod pipeline;
mod redirect;
mod rejected;
mod request_body;
mod sealed;
mod signature_request;
mod transmit;
mod upload;

use std::sync::Arc;

use keyward_policy::authorize;

pub(crate) use hooks::{EgressHooks, exchange, queued_bytes, request_bytes};
pub(crate) use upload::BodyOf;

use crate::running_grant::RunningGrant;
use crate::sealed_value::SealedValue;

/// A request that may leave.
type Authorized = authorize::Authorized<RunningGrant, Arc<SealedValue>>;
