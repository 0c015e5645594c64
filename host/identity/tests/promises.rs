//! What must not compile.
#![allow(missing_docs)]

/// Each file tries one thing that would let a token out by accident.
#[test]
fn a_token_cannot_be_printed_serialised_or_compared() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("tests/compile_fail/*.rs");
}
