//! Prints the demo's steps, and records which of them failed.

use crate::exit::Failure;
use crate::output::{fit, print_line, width, wrap};

/// What the demo prints. After an error of standard output nothing more is printed, and
/// [`finish`](Self::finish) returns the error.
pub(super) struct Transcript {
    colors: bool,
    output_error: Option<Failure>,
    steps: usize,
    failed_steps: Vec<String>,
}

impl Transcript {
    pub(super) fn new(colors: bool) -> Self {
        Self { colors, output_error: None, steps: 0, failed_steps: Vec::new() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        if self.output_error.is_none() {
            self.output_error = print_line(text).err();
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

    pub(super) fn paragraph(&mut self, text: &str) {
        self.line(&wrap(text, "", "", width()));
    }

    /// Prints indented text.
    pub(super) fn indented(&mut self, text: &str) {
        for line in fit(text, 0, width() - 2).lines() {
            self.line(&format!("  {line}"));
        }
    }

    /// Prints a step and its outcome, and records whether it passed.
    pub(super) fn step(&mut self, step: &str, outcome: &str, passed: bool) {
        self.steps += 1;
        let mark = if passed { self.paint("32", "ok") } else { self.paint("31", "FAILED") };
        self.line(&format!("  {mark}  {}", wrap(step, "", "      ", width() - 6)));
        for line in wrap(outcome, "", "", width() - 6).lines() {
            self.line(&format!("      {line}"));
        }
        if !passed {
            self.failed_steps.push(step.to_owned());
        }
    }

    /// Prints the result.
    ///
    /// # Errors
    ///
    /// A step failed, or standard output cannot be written.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if !self.failed_steps.is_empty() {
            let (failed, steps) = (self.failed_steps.len(), self.steps);
            let names = self.failed_steps.join("; ");
            return Err(Failure::software(format!("{failed} of {steps} steps failed: {names}")));
        }
        let text = self.paint("1;32", &format!("All {} steps passed.", self.steps));
        self.line(&format!("\n{text}\n"));
        self.output_error.map_or(Ok(()), Err)
    }
}
