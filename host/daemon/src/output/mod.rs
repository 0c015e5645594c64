//! What commands print: standard output that may be closed or full, and text that fits the terminal.

mod table;
mod wrap;

use std::io::{self, Write};

pub(crate) use table::table;
pub(crate) use wrap::{fit, plural, wrap};

use crate::exit::Failure;

/// The width of text where nothing tells the terminal's.
const WIDTH: usize = 80;

/// No text is set narrower, however narrow the terminal is.
const LEAST_WIDTH: usize = 40;

/// No text is set wider: long lines are hard to read.
const MOST_WIDTH: usize = 120;

/// How many columns printed text may take: the terminal's width, or what `COLUMNS` says.
pub(crate) fn width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse::<usize>().ok();
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    terminal.or_else(columns).unwrap_or(WIDTH).clamp(LEAST_WIDTH, MOST_WIDTH)
}

/// Prints text to standard output, and flushes it.
///
/// # Errors
///
/// A reader that has closed the pipe, as `head` does, ends the command quietly. Anything else, such
/// as a full disk, is a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::output)
}

/// The same, with a line break behind it.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}
