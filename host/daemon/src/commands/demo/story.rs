//! How the demo tells its story, and remembers what was not as it says.

use crate::exit::Failure;
use crate::output::{fit, print_line, width, wrap};

/// A story on standard output. Once that is closed or full, nothing more is told, and the end says so.
pub(super) struct Story {
    colours: bool,
    failed: Option<Failure>,
    steps: u32,
    wrong: Vec<String>,
}

impl Story {
    pub(super) fn new(colours: bool) -> Self {
        Self { colours, failed: None, steps: 0, wrong: Vec::new() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = print_line(text).err();
        }
    }

    pub(super) fn title(&mut self, text: &str) {
        let text = self.paint("1", text);
        self.line(&format!("\n{text}\n"));
    }

    pub(super) fn heading(&mut self, text: &str) {
        let text = self.paint("1;36", &wrap(text, "", "", width()));
        self.line(&format!("\n{text}\n"));
    }

    pub(super) fn say(&mut self, text: &str) {
        self.line(&wrap(text, "", "", width()));
    }

    /// A text, set in from the margin.
    pub(super) fn text(&mut self, text: &str) {
        for line in fit(text, 0, width() - 2).lines() {
            self.line(&format!("  {line}"));
        }
    }

    /// A step: what was done, what came of it, and whether that is as it should be.
    pub(super) fn step(&mut self, what: &str, came: &str, right: bool) {
        self.steps += 1;
        let mark = if right { self.paint("32", "ok") } else { self.paint("31", "WRONG") };
        self.line(&format!("  {mark}  {}", wrap(what, "", "      ", width() - 6)));
        for line in wrap(came, "", "", width() - 6).lines() {
            self.line(&format!("      {line}"));
        }
        if !right {
            self.wrong.push(what.to_owned());
        }
    }

    /// The end: an error where a step did not do what it says, or where nobody could read it.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        if !self.wrong.is_empty() {
            let (wrong, steps) = (self.wrong.len(), self.steps);
            let which = self.wrong.join("; ");
            return Err(Failure::software(format!("{wrong} of {steps} steps did not do what they say: {which}")));
        }
        let text = self.paint("1;32", &format!("All {} steps did what they say.", self.steps));
        self.line(&format!("\n{text}\n"));
        self.failed.map_or(Ok(()), Err)
    }
}
