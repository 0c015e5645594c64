//! Checks that plugins can be built on this machine, for `scripts/setup`.
//!
//! Succeeds with one line about the compiler. Fails with the message of the build scripts on
//! standard error, and with what to install on standard output: `compiler`, or `linker` and its
//! version of LLVM.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward_toolchain::{SearchPaths, TARGET, Toolchain};

const USAGE: &str = "usage: keyward-toolchain --target-dir DIR [--debian DIR]";

fn main() -> ExitCode {
    match arguments() {
        Some((paths, target)) => check(&paths, &target),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Option<(SearchPaths, PathBuf)> {
    let mut paths = SearchPaths::from_env();
    let mut target = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(name) = arguments.next() {
        let value = PathBuf::from(arguments.next()?);
        match name.to_str()? {
            "--target-dir" => target = Some(value),
            "--debian" => paths.debian = value,
            _ => return None,
        }
    }
    Some((paths, target?))
}

fn check(paths: &SearchPaths, target: &Path) -> ExitCode {
    match Toolchain::find(paths, target) {
        Ok(toolchain) => {
            println!("{TARGET}: {toolchain}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            match error.lacks_only_a_linker() {
                Some(Some(llvm)) => println!("linker {llvm}"),
                Some(None) => println!("linker"),
                None => println!("compiler"),
            }
            ExitCode::FAILURE
        }
    }
}
