//! The Azure CLI, for a developer's machine ([`az account get-access-token`]). `auto` never chooses
//! it.
//!
//! [`az account get-access-token`]: https://learn.microsoft.com/cli/azure/account#az-account-get-access-token

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::SourceKind;
use super::invalid::InvalidSource;
use super::issued::Issued;
use super::needs::Needs;
use super::quote::quotable;
use super::response;
use super::settings::Settings;
use super::token_source::{Fetch, TokenSource};
use crate::clock::{Clock, SystemClock, timeout};
use crate::{Audience, TokenError};

const KIND: SourceKind = SourceKind::AzureCli;
const COMMAND: &str = "az account get-access-token";

/// The default time limit, that of the SDKs. The CLI is a Python program that sends requests.
const TIMEOUT: Duration = Duration::from_secs(13);

/// The longest output, in bytes.
const MAX_OUTPUT: usize = 64 * 1024;

/// The user who ran `az login` on this machine.
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
    /// The `az` in `PATH`.
    #[must_use]
    pub fn new() -> Self {
        let program = PathBuf::from(if cfg!(windows) { "az.cmd" } else { "az" });
        let clock = Arc::new(SystemClock::default());
        Self { program, tenant: None, timeout: TIMEOUT, clock }
    }

    /// Another program than `az`.
    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Self {
        program.as_ref().clone_into(&mut self.program);
        self
    }

    /// A tenant other than that of the selected subscription.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if it is neither a UUID nor a domain.
    pub fn tenant(mut self, tenant: &str) -> Result<Self, InvalidSource> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if tenant.is_empty() || !tenant.bytes().all(is_allowed) {
            let (name, expected) = ("tenant", "a UUID or a domain");
            return Err(InvalidSource::Value { kind: KIND, name, expected });
        }
        self.tenant = Some(tenant.to_owned());
        Ok(self)
    }

    /// The time limit of the command.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The clock of the settings, and their time limit if it was set.
    pub(super) fn settings(self, settings: &Settings) -> Self {
        let cli = self.clock(Arc::clone(&settings.clock));
        settings.explicit_timeout().into_iter().fold(cli, Self::timeout)
    }

    /// The clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn run(&self, audience: &Audience) -> Result<Issued, TokenError> {
        let error = |reason: String| TokenError::Command { command: COMMAND.to_owned(), reason };
        // On Windows the program is a batch file, whose arguments a shell parses.
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
        if !audience.as_str().bytes().all(is_allowed) {
            let reason = format!("{audience} has a character that is not allowed in an argument");
            return Err(error(reason));
        }
        let mut command = Command::new(&self.program);
        command.args(["account", "get-access-token", "--output", "json"]);
        command.arg(format!("--resource={audience}"));
        if let Some(tenant) = &self.tenant {
            command.arg(format!("--tenant={tenant}"));
        }
        // `expiresOn` is in local time without an offset.
        command.env("TZ", "UTC0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let output = timeout(&*self.clock, self.timeout, Output::of(command)).await;
        let output = output
            .ok_or_else(|| error(format!("no output within {} s", self.timeout.as_secs_f32())))?
            .map_err(|failed| error(format!("{}: {failed}", self.program.display())))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(error(format!("{}: {}", output.status, quotable(&stderr))));
        }
        response::parse(&output.stdout, self.clock.wall(), None)
    }
}

/// What a command printed, zeroed on drop: it contains a token.
struct Output {
    status: ExitStatus,
    stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
}

impl Output {
    async fn of(mut command: Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr, status) = tokio::try_join!(read(stdout), read(stderr), child.wait())?;
        Ok(Self { status, stdout, stderr })
    }
}

/// Reads a pipe to its end. The buffer is never moved, which would leave a copy behind.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut pipe = pipe.ok_or_else(|| io::Error::other("its output is not a pipe"))?;
    let mut buffer = Zeroizing::new(vec![0; MAX_OUTPUT]);
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match pipe.read(rest).await? {
            0 => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            read => length += read,
        }
    }
    Err(io::Error::other(format!("it prints more than {MAX_OUTPUT} bytes")))
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

    fn needs(&self) -> Needs {
        Needs { runs_programs: true, ..Needs::default() }
    }
}

impl std::fmt::Debug for AzureCli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzureCli")
            .field("program", &self.program)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
