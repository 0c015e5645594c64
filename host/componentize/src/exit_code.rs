//! The end of a build script.

use std::error::Error;
use std::process::ExitCode;

/// Converts the result of a build script to its exit code, and reports an error to Cargo with its
/// sources. Each line is an error message of its own.
pub fn exit_code(result: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    for line in report(&*error).lines() {
        // Build scripts report to Cargo on standard output.
        #[allow(clippy::print_stdout)]
        {
            println!("cargo::error={line}");
        }
    }
    ExitCode::FAILURE
}

fn report(error: &dyn Error) -> String {
    let mut report = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        report.push_str(": ");
        report.push_str(&error.to_string());
        source = error.source();
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_contains_the_sources_of_an_error() {
        let source = std::io::Error::other("the disk is full");
        let error = crate::error::Error::Read { path: "a.wasm".into(), source };
        assert_eq!(report(&error), "cannot read a.wasm: the disk is full");
    }
}
