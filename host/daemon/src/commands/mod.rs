//! The commands, one module each.
#![allow(clippy::print_stderr, reason = "progress and hints")]

mod administer;
mod call;
mod check;
mod daemon_client;
#[cfg(feature = "emulator")]
mod demo;
#[cfg(feature = "emulator")]
mod dev;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod explain;
mod hangup_signal;
mod inspect;
mod lock;
mod schema;
mod serve;
mod shutdown_signal;
mod start;
mod token;

pub(crate) use administer::{reload, status, stop, wait};
pub(crate) use call::call;
pub(crate) use check::check;
#[cfg(feature = "emulator")]
pub(crate) use demo::demo;
#[cfg(feature = "emulator")]
pub(crate) use dev::dev;
pub(crate) use doctor::doctor;
#[cfg(feature = "emulator")]
pub(crate) use emulator::emulator;
pub(crate) use explain::explain;
pub(crate) use inspect::inspect;
pub(crate) use lock::{lock, unlock};
pub(crate) use schema::schema;
pub(crate) use serve::serve;
pub(crate) use token::token;
