//! Findings of checks.

use std::fmt;

/// What a finding is about. The names in the JSON are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Configuration,
    Source,
    Token,
    TokensOnDisk,
    Clock,
    Memory,
    Proxy,
    Name,
    Tls,
    Socket,
    Listener,
    Caller,
    Confinement,
    Metadata,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    /// It works, with a risk.
    Warning,
    /// It does not work, or does not protect.
    Problem,
    /// There is nothing to check.
    NotApplicable,
}

/// The result of one check.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) status: Status,
    pub(super) subject: String,
    pub(super) found: String,
    /// What to do about it. Lines that start with spaces are commands.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn about(check: Check, subject: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::NotApplicable,
            subject: subject.into(),
            found: String::new(),
            fix: None,
        }
    }

    pub(super) fn ok(self, found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), ..self }
    }

    pub(super) fn warning(self, found: impl Into<String>) -> Self {
        Self { status: Status::Warning, found: found.into(), ..self }
    }

    pub(super) fn problem(self, found: impl Into<String>) -> Self {
        Self { status: Status::Problem, found: found.into(), ..self }
    }

    pub(super) fn skipped(self, found: impl Into<String>) -> Self {
        Self { status: Status::NotApplicable, found: found.into(), ..self }
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// Adds the help of an error, if it has any.
    pub(super) fn help(self, help: Option<impl Into<String>>) -> Self {
        help.into_iter().fold(self, Self::fix)
    }
}

impl Check {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Source => "source",
            Self::Token => "token",
            Self::TokensOnDisk => "tokens-on-disk",
            Self::Clock => "clock",
            Self::Memory => "memory",
            Self::Proxy => "proxy",
            Self::Name => "name",
            Self::Tls => "tls",
            Self::Socket => "socket",
            Self::Listener => "listener",
            Self::Caller => "caller",
            Self::Confinement => "confinement",
            Self::Metadata => "metadata",
        }
    }
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::NotApplicable => "not-applicable",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
