//! How the program ends. Codes are those of `sysexits.h`.

use std::fmt::Display;
use std::process::ExitCode;

/// The command line was used wrongly, as `clap` ends it: 2. A service could not be reached.
const UNAVAILABLE: u8 = 69;
/// The program failed in a way that should not be.
const SOFTWARE: u8 = 70;
/// A file or the system is not as it must be.
const SYSTEM: u8 = 71;
/// The configuration is wrong.
const CONFIG: u8 = 78;

/// Why the program ends, in words for a person, and its code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The code of a configuration that is wrong.
    pub(crate) const CONFIG: u8 = CONFIG;

    /// Why, in words for a person.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The configuration is wrong (78).
    pub(crate) fn config(error: impl Display) -> Self {
        Self { code: CONFIG, message: error.to_string() }
    }

    /// Something that must be reached cannot be (69).
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self { code: UNAVAILABLE, message: message.to_string() }
    }

    /// The system does not give what is needed (71).
    pub(crate) fn system(message: impl Display) -> Self {
        Self { code: SYSTEM, message: message.to_string() }
    }

    /// It did not do what it says (70).
    pub(crate) fn software(message: impl Display) -> Self {
        Self { code: SOFTWARE, message: message.to_string() }
    }

    /// Tells the person, on standard error.
    #[allow(clippy::print_stderr)]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("keyward: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<keyward::StartError> for Failure {
    fn from(error: keyward::StartError) -> Self {
        Self::config(error)
    }
}

impl From<keyward::config::ConfigError> for Failure {
    fn from(error: keyward::config::ConfigError) -> Self {
        Self::config(error)
    }
}
