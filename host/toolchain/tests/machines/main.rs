//! The search for a compiler, and the scripts that install, on machines of all kinds: each is a directory
//! with small shell scripts in the place of compilers, linkers and package managers.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod find;
mod machine;
mod peers;
mod setup;
