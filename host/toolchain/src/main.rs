//! Checks that plugins can be built on this machine: the part of `scripts/setup` that decides.
//!
//! Succeeds with one line about the compiler. Fails with the message of the build scripts on
//! standard error, and with what to install on standard output: `compiler`, or `linker` and the
//! version of LLVM that it must fit.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward_toolchain::{Places, TARGET, Toolchain};

const USAGE: &str = "usage: keyward-toolchain --target-dir DIR [--debian DIR]";

fn main() -> ExitCode {
    match arguments() {
        Some((places, target)) => check(&places, &target),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Option<(Places, PathBuf)> {
    let mut places = Places::of_this_machine();
    let mut target = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(name) = arguments.next() {
        let value = PathBuf::from(arguments.next()?);
        match name.to_str()? {
            "--target-dir" => target = Some(value),
            "--debian" => places.debian = value,
            _ => return None,
        }
    }
    Some((places, target?))
}

fn check(places: &Places, target: &Path) -> ExitCode {
    match Toolchain::find(places, target) {
        Ok(toolchain) => {
            println!("{TARGET}: {toolchain}");
            ExitCode::SUCCESS
        }
        Err(missing) => {
            eprintln!("{missing}");
            match missing.lacks_only_a_linker() {
                Some(Some(llvm)) => println!("linker {llvm}"),
                Some(None) => println!("linker"),
                None => println!("compiler"),
            }
            ExitCode::FAILURE
        }
    }
}
