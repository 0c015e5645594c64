//! Any request is denied, or is sent as `allow` covers it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_policy::fuzzing::check_authorize(input));
