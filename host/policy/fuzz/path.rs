//! Any path is rejected, or all readings that a service may have of it are known.
#![no_main]

#[allow(dead_code)]
#[path = "../src/path/mod.rs"]
mod path;

libfuzzer_sys::fuzz_target!(|input: &[u8]| path::property::check(&String::from_utf8_lossy(input)));
