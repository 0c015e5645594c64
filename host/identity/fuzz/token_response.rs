//! Any response of an identity endpoint gives a token, or an error that quotes no token.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_identity::source::fuzzing::check(input));
