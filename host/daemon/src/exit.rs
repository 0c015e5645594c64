//! How the program ends.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// The exit codes. But for the first three, which every program has, they are those of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked to.
    Success,
    /// `call`: the response's status is 400 or above. `doctor`: there is a problem.
    Negative,
    /// The command line is wrong. `clap` ends the program with the same code.
    Usage,
    /// A daemon or service could not be reached.
    Unavailable,
    /// The program failed in a way that it should not.
    Software,
    /// A file or the system is not as it must be.
    System,
    /// Output could not be written.
    Output,
    /// The configuration is invalid, or something that it names.
    Config,
}

/// The exit codes, for the help.
pub(crate) const HELP: &str = "\
Exit codes:
   0  success
   1  `call`: the response's status is 400 or above; `doctor`: there is a problem
   2  the command line is wrong
  69  a daemon or service could not be reached
  70  an internal error
  71  a file, a permission or the operating system
  74  output could not be written
  78  the configuration is invalid, or something that it names

`keyward explain exit CODE` prints the cause and the fix of one, and `keyward explain KIND` those of \
a response whose `type` is urn:keyward:problem:KIND.";

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Negative => 1,
            Self::Usage => 2,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::System => 71,
            Self::Output => 74,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the program ends early: its exit code, and a message on standard error.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// `None` where there is nothing to say: nobody reads the output any more.
    message: Option<String>,
}

impl Failure {
    fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: Some(message.to_string()) }
    }

    /// The message; empty where there is nothing to say.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The configuration is invalid.
    pub(crate) fn config(error: impl Display) -> Self {
        Self::new(Exit::Config, error)
    }

    /// Something that must be reached cannot be.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// The system does not give what is needed.
    pub(crate) fn system(message: impl Display) -> Self {
        Self::new(Exit::System, message)
    }

    /// An internal error.
    pub(crate) fn software(message: impl Display) -> Self {
        Self::new(Exit::Software, message)
    }

    /// Standard output could not be written. A closed pipe ends the program quietly, with success:
    /// its reader has all that it wants.
    #[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { exit: Exit::Success, message: None },
            _ => Self::new(Exit::Output, format!("cannot write to standard output: {error}")),
        }
    }

    /// Tells the user, on standard error, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        use io::Write;
        if let Some(message) = self.message {
            // Standard error may be closed as well.
            drop(writeln!(io::stderr().lock(), "keyward: {message}"));
        }
        self.exit.into()
    }
}

impl From<keyward::StartError> for Failure {
    fn from(error: keyward::StartError) -> Self {
        Self::config(error)
    }
}

impl From<keyward_policy::diagnostic::ConfigError> for Failure {
    fn from(error: keyward_policy::diagnostic::ConfigError) -> Self {
        Self::config(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_every_code() {
        for exit in [
            Exit::Success,
            Exit::Negative,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Software,
            Exit::System,
            Exit::Output,
            Exit::Config,
        ] {
            assert!(HELP.contains(&format!("\n{:>4}  ", exit.code())), "{exit:?}");
        }
    }
}
