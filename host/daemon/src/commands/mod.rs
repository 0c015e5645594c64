//! What the command line can do. One file a command.
#![allow(clippy::print_stderr, reason = "progress")]

mod call;
mod check;
mod demo;
mod dev;
mod doctor;
mod emulator;
mod inspect;
mod serve;
mod start;
mod token;

pub(crate) use call::call;
pub(crate) use check::check;
pub(crate) use demo::demo;
pub(crate) use dev::dev;
pub(crate) use doctor::doctor;
pub(crate) use emulator::emulator;
pub(crate) use inspect::inspect;
pub(crate) use serve::serve;
pub(crate) use token::token;
