//! Whatever an identity endpoint answers, there is a token or an error that says nothing of one.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_identity::source::fuzzing::read(input));
