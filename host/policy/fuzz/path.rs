//! Any path is rejected, or all readings that a service may have of it are known.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_policy::fuzzing::check_path(input));
