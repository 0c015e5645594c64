//! The Azure CLI, for a developer's machine ([`az account get-access-token`]). Never chosen by itself.
//!
//! [`az account get-access-token`]: https://learn.microsoft.com/cli/azure/account#az-account-get-access-token

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use zeroize::Zeroizing;

use super::refusal::quotable;
use super::{Fetch, InvalidSource, Issued, Settings, SourceKind, TokenSource, answer};
use crate::clock::{Clock, SystemClock, within};
use crate::{Audience, TokenError};

const KIND: SourceKind = SourceKind::AzureCli;

/// Whoever ran `az login` on this machine.
#[derive(Clone)]
pub struct AzureCli {
    program: PathBuf,
    tenant: Option<String>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Default for AzureCli {
    fn default() -> Self {
        Self::new()
    }
}

impl AzureCli {
    /// `az`, wherever `PATH` has it.
    #[must_use]
    pub fn new() -> Self {
        let program = PathBuf::from(if cfg!(windows) { "az.cmd" } else { "az" });
        // It is a Python program that asks the network: 13 seconds is what the SDKs give it.
        let (timeout, clock) = (Duration::from_secs(13), Arc::new(SystemClock::default()));
        Self { program, tenant: None, timeout, clock }
    }

    /// Another program than `az`.
    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Self {
        program.as_ref().clone_into(&mut self.program);
        self
    }

    /// A tenant other than that of the chosen subscription.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] for what is neither a UUID nor a domain.
    pub fn tenant(mut self, tenant: &str) -> Result<Self, InvalidSource> {
        let fits = tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if tenant.is_empty() || !fits {
            return Err(InvalidSource::Value { kind: KIND, name: "tenant", expected: "a UUID or a domain" });
        }
        self.tenant = Some(tenant.to_owned());
        Ok(self)
    }

    /// How long it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The clock, and the time limit where one was set, of the settings for every source.
    pub(super) fn settings(self, settings: &Settings) -> Self {
        let cli = self.clock(Arc::clone(&settings.clock));
        settings.own_timeout().into_iter().fold(cli, Self::timeout)
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn run(&self, audience: &Audience) -> Result<Issued, TokenError> {
        let failed = |said: String| TokenError::Command { command: "az account get-access-token".to_owned(), said };
        // It is an argument of a program, and on Windows one of a batch file.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
        if !audience.as_str().bytes().all(fits) {
            return Err(failed(format!("{audience} has a character that is not handed to a command")));
        }
        let mut command = Command::new(&self.program);
        command.args(["account", "get-access-token", "--output", "json"]).arg(format!("--resource={audience}"));
        if let Some(tenant) = &self.tenant {
            command.arg(format!("--tenant={tenant}"));
        }
        // Its `expiresOn` is in local time and says no offset: here, local is UTC.
        command.env("TZ", "UTC0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = match within(&*self.clock, self.timeout, command.output()).await {
            Some(output) => output.map_err(|error| failed(format!("{}: {error}", self.program.display())))?,
            None => return Err(failed(format!("no answer within {} s", self.timeout.as_secs_f32()))),
        };
        let stdout = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(failed(format!("{}: {}", output.status, quotable(&String::from_utf8_lossy(&output.stderr)))));
        }
        answer::parse(&stdout, self.clock.wall(), None)
    }
}

impl TokenSource for AzureCli {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(self.run(audience))
    }

    fn describe(&self) -> String {
        match &self.tenant {
            None => "Azure CLI".to_owned(),
            Some(tenant) => format!("Azure CLI, tenant {tenant}"),
        }
    }
}

impl std::fmt::Debug for AzureCli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureCli").field("program", &self.program).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}
