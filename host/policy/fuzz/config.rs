//! Any configuration has a plan, or mistakes with positions in its text.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_policy::fuzzing::check_config(input));
