//! Code that must not compile.

/// Each file does one thing that could disclose a token by mistake.
#[test]
fn a_token_cannot_be_printed_serialized_or_compared() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("tests/compile_fail/*.rs");
}
