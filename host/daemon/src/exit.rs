//! Exit codes, and the errors that end the program.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// The exit codes. From 69 on they are those of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Success,
    /// `call`: the response's status is 400 or above. `doctor`: it found a problem. `explain
    /// --caller`: the request is denied.
    Negative,
    /// The command line is invalid. `clap` exits with the same code.
    Usage,
    /// A daemon or service is unreachable.
    Unavailable,
    /// An internal error.
    Software,
    /// An error of the operating system.
    System,
    /// Standard output cannot be written.
    Output,
    /// A second signal ended active calls during a graceful stop.
    Aborted,
    /// The configuration is invalid, or a file that it names.
    Config,
}

/// The exit codes in the help of the command line.
pub(crate) const HELP: &str = "\
Exit codes:
   0  success
   1  `call`: the response's status is 400 or above; `doctor`: it found a problem;
      `explain --caller`: the request is denied
   2  the command line is invalid
  69  a daemon or service is unreachable
  70  an internal error
  71  an operating system error: a file, a permission, an address in use
  74  standard output cannot be written
  75  a second signal ended active calls during a graceful stop
  78  the configuration is invalid, or a file that it names

`keyward explain exit CODE` prints the cause and the fix of one, and `keyward explain KIND` those \
of a response whose `type` is urn:keyward:problem:KIND.";

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
            Self::Aborted => 75,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends the program, with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// `None` ends the program silently, as after a closed pipe.
    message: Option<String>,
    help: Option<String>,
}

impl Failure {
    fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: Some(message.to_string()), help: None }
    }

    /// Adds what to do about it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The message. Empty if the program ends silently.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The command line is invalid.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The configuration is invalid, or a file that it names.
    pub(crate) fn config(error: impl Display) -> Self {
        Self::new(Exit::Config, error)
    }

    /// A daemon or service is unreachable.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// An error of the operating system.
    pub(crate) fn system(message: impl Display) -> Self {
        Self::new(Exit::System, message)
    }

    /// An internal error.
    pub(crate) fn software(message: impl Display) -> Self {
        Self::new(Exit::Software, message)
    }

    /// Standard output cannot be written. A closed pipe ends the program silently with success,
    /// because its reader has all that it wants.
    #[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { exit: Exit::Success, message: None, help: None },
            _ => Self::new(Exit::Output, format!("cannot write to standard output: {error}")),
        }
    }

    /// Prints the message and the help to standard error, and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        use io::Write;
        if let Some(message) = self.message {
            let help = self.help.map(|help| format!("\n    help:     {help}")).unwrap_or_default();
            // Standard error may be closed as well.
            drop(writeln!(io::stderr().lock(), "keyward: {message}{help}"));
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
    fn the_help_lists_every_exit_code() {
        for exit in [
            Exit::Success,
            Exit::Negative,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Software,
            Exit::System,
            Exit::Output,
            Exit::Aborted,
            Exit::Config,
        ] {
            assert!(HELP.contains(&format!("\n{:>4}  ", exit.code())), "{exit:?}");
        }
    }
}
