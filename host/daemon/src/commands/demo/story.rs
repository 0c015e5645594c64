//! How the demo tells its story, and remembers what was not as it says.

/// A story on standard output.
pub(super) struct Story {
    colours: bool,
    steps: u32,
    wrong: Vec<String>,
}

impl Story {
    pub(super) fn new(colours: bool) -> Self {
        Self { colours, steps: 0, wrong: Vec::new() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn title(&self, text: &str) {
        println!("\n{}\n", self.paint("1", text));
    }

    pub(super) fn heading(&self, text: &str) {
        println!("\n{}\n", self.paint("1;36", text));
    }

    pub(super) fn say(&self, text: &str) {
        println!("{text}");
    }

    /// A text, set in from the margin.
    pub(super) fn text(&self, text: &str) {
        for line in text.lines() {
            println!("  {line}");
        }
    }

    /// A step: what was done, what came of it, and whether that is as it should be.
    pub(super) fn step(&mut self, what: &str, came: &str, right: bool) {
        self.steps += 1;
        let mark = if right { self.paint("32", "ok") } else { self.paint("31", "WRONG") };
        println!("  {mark}  {what}");
        for line in came.lines() {
            println!("      {line}");
        }
        if !right {
            self.wrong.push(what.to_owned());
        }
    }

    /// The end: an error where a step did not do what it says.
    pub(super) fn end(self) -> Result<(), String> {
        if self.wrong.is_empty() {
            println!("\n{}\n", self.paint("1;32", &format!("All {} steps did what they say.", self.steps)));
            return Ok(());
        }
        Err(format!("{} of {} steps did not do what they say: {}", self.wrong.len(), self.steps, self.wrong.join("; ")))
    }
}
