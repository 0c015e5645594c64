//! The choice of a compiler, and the scripts that install one, on simulated machines: directories
//! with shell scripts in place of compilers, linkers and package managers.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod choice;
mod machine;
mod peers;
mod setup;
