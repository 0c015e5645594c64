//! Runs the command that the command line selects.

use tracing::Level;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::{commands, log};

/// Runs a command. `hardened` is the result of [`harden::process`](crate::harden::process).
pub(crate) fn run(cli: Cli, hardened: Result<(), &'static str>) -> Result<Exit, Failure> {
    let default_level = if cli.command.serves() { Level::INFO } else { Level::WARN };
    log::init(cli.log.unwrap_or(default_level));
    if let Err(risk) = hardened {
        tracing::warn!("could not disable core dumps and ptrace: {risk}");
    }
    match cli.command {
        Command::Check(check) => commands::check(&check),
        Command::Doctor(doctor) => commands::doctor(&doctor),
        Command::Inspect(inspect) => commands::inspect(&inspect),
        Command::Serve(serve) => block_on(commands::serve(serve)),
        Command::Call(call) => block_on(commands::call(call)),
        Command::Explain(explain) => commands::explain(&explain),
        Command::Schema(schema) => commands::schema(&schema),
        Command::Lock(lock) => block_on(commands::lock(lock)),
        Command::Unlock(unlock) => block_on(commands::unlock(unlock)),
        Command::Reload(reload) => block_on(commands::reload(reload)),
        Command::Status(status) => block_on(commands::status(status)),
        Command::Wait(wait) => block_on(commands::wait(wait)),
        Command::Stop(stop) => block_on(commands::stop(stop)),
        Command::Token(token) => block_on(commands::token(token)),
        #[cfg(feature = "emulator")]
        Command::Emulator(emulator) => block_on(commands::emulator(emulator)),
        #[cfg(feature = "emulator")]
        Command::Dev(dev) => block_on(commands::dev(dev)),
        #[cfg(feature = "emulator")]
        Command::Demo => block_on(commands::demo()),
    }
}

impl Command {
    /// Whether it runs until a shutdown signal.
    fn serves(&self) -> bool {
        match self {
            Self::Serve(_) => true,
            #[cfg(feature = "emulator")]
            Self::Emulator(_) | Self::Dev(_) => true,
            #[cfg(feature = "emulator")]
            Self::Demo => false,
            Self::Check(_) | Self::Doctor(_) | Self::Inspect(_) | Self::Call(_) => false,
            Self::Explain(_) | Self::Schema(_) | Self::Token(_) => false,
            Self::Lock(_) | Self::Unlock(_) => false,
            Self::Reload(_) | Self::Status(_) | Self::Wait(_) | Self::Stop(_) => false,
        }
    }
}

/// Runs a command on this thread. Connections are served on other threads: see [`crate::listen`].
fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::system)?.block_on(command)
}
