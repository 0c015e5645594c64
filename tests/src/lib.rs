//! What Keyward's tests share.
//!
//! A [`Rig`] is a broker with one mount beside an emulator; [`Logs`] has everything that was
//! logged, at `trace`; [`Secrets`] searches for what must not be found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod guests;
mod logs;
mod rig;
mod secrets;

pub use guests::{guest, guest_with_manifest};
pub use logs::Logs;
pub use rig::{Answer, Recorded, Rig, RigBuilder, get, post};
pub use secrets::Secrets;
