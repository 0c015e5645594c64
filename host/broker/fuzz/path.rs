//! Whatever a path is, it is refused, or it has one reading.
#![no_main]

#[allow(dead_code)]
#[path = "../src/grant/path/mod.rs"]
mod path;

libfuzzer_sys::fuzz_target!(|input: &[u8]| path::property::check(&String::from_utf8_lossy(input)));
