//! Fixtures of Keyward's tests.
//!
//! A [`Rig`] is a broker with one mount and an emulator; [`Logs`] collects the log at level
//! `trace`; [`Secrets`] searches for leaked tokens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod guests;
mod logs;
mod rig;
mod secrets;

pub use guests::{guest, guest_with_manifest};
pub use logs::{LogReader, Logs};
pub use rig::{CallResponse, Recorded, Rig, RigBuilder, get, post};
pub use secrets::Secrets;
