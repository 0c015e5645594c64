//! Prints to standard output, which may be closed or full, and formats text for the terminal.

mod table;
mod wrap;

use std::io::{self, Write};

pub(crate) use table::table;
pub(crate) use wrap::{fit, plural, wrap};

use crate::environment;
use crate::exit::Failure;

/// The width if neither the terminal nor `COLUMNS` determines it.
const DEFAULT_WIDTH: usize = 80;

/// The minimum width, even if the terminal is narrower.
const MIN_WIDTH: usize = 40;

/// The maximum width: longer lines are hard to read.
const MAX_WIDTH: usize = 120;

/// The width of printed text, in columns: the terminal's, or else `COLUMNS`, within limits.
pub(crate) fn width() -> usize {
    let columns = || environment::var("COLUMNS")?.parse::<usize>().ok();
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    terminal.or_else(columns).unwrap_or(DEFAULT_WIDTH).clamp(MIN_WIDTH, MAX_WIDTH)
}

/// Prints text to standard output, and flushes it.
///
/// # Errors
///
/// If the reader has closed the pipe, as `head` does, the command ends silently with success. Any
/// other error, such as a full disk, is [`Exit::Output`](crate::exit::Exit::Output).
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::output)
}

/// Prints text and a line break.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}
