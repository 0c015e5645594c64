//! Any pattern is invalid, or matches what its documentation says.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_policy::fuzzing::check_pattern(input));
