//! Any text is an endpoint, a host pattern or an address in one way, or none of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyward_policy::fuzzing::check_host(input));
