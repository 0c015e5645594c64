//! Sealing: a field of an answer that is a credential is replaced by a surrogate before the plugin sees it.
//!
//! A shared access signature, say: the plugin asks Resource Manager for it and spends it at the storage, and never knows it.
//! The way of such an answer: [`egress`](crate::egress) reads it whole, an [`Answer`] holds what of it is no secret beside
//! the [`SealedValue`]s, [`Kept`] has it for the time that its rule allows, and each call that gets it gets surrogates of
//! its own.

mod answer;
pub(crate) mod export;
mod kept;
mod state;
mod value;

pub(crate) use answer::Answer;
pub(crate) use kept::{Kept, Key};
pub(crate) use state::{SealError, StateKey};
pub(crate) use value::SealedValue;
