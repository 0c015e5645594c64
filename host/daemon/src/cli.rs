//! The command line: what can be written there.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use keyward_policy::cloud::Cloud;
use tracing::Level;

use crate::{exit, output};

/// A credential broker for Azure managed identities: programs act through sandboxed plugins, and tokens never leave it.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, term_width = output::width(), after_help = exit::HELP)]
pub(crate) struct Cli {
    /// How much is logged, on standard error: error, warn, info, debug or trace. No level logs a credential.
    #[arg(long, global = true, env = "KEYWARD_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<Level>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve callers, as a configuration says.
    Serve(Serve),
    /// Show what each mount of a configuration may do, and start nothing.
    Check(Check),
    /// Diagnose this machine: identities, clock, network and socket permissions.
    Doctor(Doctor),
    /// Show what a plugin wants: a bundled one by its name, or a component by its file.
    Inspect(Inspect),
    /// Call a mount of a running daemon, or of a configuration.
    Call(Call),
    /// Explain a problem type or an exit code: its cause, and the fix.
    Explain(Explain),
    /// Print the keys of a configuration or of a manifest, as a JSON Schema for editors.
    Schema(Schema),
    /// Forget tokens, so that the next call fetches new ones.
    #[command(subcommand)]
    Token(Token),
    /// Run a small Azure on loopback, for development and tests.
    #[cfg(feature = "emulator")]
    Emulator(Emulator),
    /// Serve callers beside an emulator, to develop against.
    #[cfg(feature = "emulator")]
    Dev(Dev),
    /// Show what Keyward does, in a minute, against the emulator.
    #[cfg(feature = "emulator")]
    Demo,
}

/// A configuration file.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// The configuration.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text.
    #[default]
    Table,
    /// JSON.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// A configuration, whose identities and mounts are looked at too.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to look for the metadata service, in place of where it is: for tests.
    #[arg(long, hide = true, default_value = "169.254.169.254:80")]
    pub(crate) metadata: SocketAddr,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A bundled plugin's name, or the file of a component.
    pub(crate) plugin: String,
    /// The cloud whose audiences and hosts are shown: public, china or usgov.
    #[arg(long, default_value = "public", value_parser = PossibleValuesParser::new(Cloud::names()))]
    pub(crate) cloud: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The mount.
    pub(crate) mount: String,
    /// The method.
    pub(crate) method: String,
    /// The path behind the mount, with its query.
    pub(crate) path: String,
    /// A header field, `name: value`. May be given several times.
    #[arg(long, short = 'H', value_name = "FIELD")]
    pub(crate) header: Vec<String>,
    /// The body: a text, @FILE, or @- for standard input.
    #[arg(long, short, value_name = "BODY")]
    pub(crate) data: Option<String>,
    /// Print the status and the header fields too.
    #[arg(long, short)]
    pub(crate) include: bool,
    /// Write the body to a file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The socket of the daemon.
    #[arg(long, env = "KEYWARD_SOCKET", value_name = "PATH", conflicts_with = "config")]
    pub(crate) socket: Option<PathBuf>,
    /// A configuration: the call is made in this process, without a daemon.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The last part of a problem's `type`, such as `busy`, or all of it; or `exit` and a code.
    #[arg(required = true, value_name = "KIND|exit CODE")]
    pub(crate) topic: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// What the schema is of.
    #[arg(value_enum, default_value_t)]
    pub(crate) document: Document,
    /// Print Markdown in place of JSON: the page of the documentation.
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// A kind of document that has a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// The daemon's configuration.
    #[default]
    Configuration,
    /// A plugin's manifest.
    Manifest,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Forget an identity's tokens, or the one for an audience: in the daemon that runs, and on disk.
    ///
    /// Asks the daemon over its Unix socket, as its own user or root. Where none runs, removes what is on disk. The platform's
    /// endpoints have caches of their own: they may give the same token again until it ends.
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The identity: `NAME` of [identity.NAME].
    pub(crate) identity: String,
    /// The audience, as in `keyward check`; all of them where none is named.
    pub(crate) audience: Option<String>,
    /// The configuration.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The daemon's socket, in place of the configuration's.
    #[arg(long, env = "KEYWARD_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

/// Where an emulator listens.
#[cfg(feature = "emulator")]
#[derive(Clone, Debug, Args)]
pub(crate) struct Emulator {
    /// Where the metadata service listens, a loopback address. By default, any free port.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) imds: Option<SocketAddr>,
    /// Where all services with TLS listen: Key Vault, Resource Manager, storage.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tls: Option<SocketAddr>,
    /// Where the database server listens.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sql: Option<SocketAddr>,
    /// A directory for the configuration, the certificate and what is needed to come back at the same addresses. Files
    /// that are there already are kept. Without it, a temporary directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
}

#[cfg(feature = "emulator")]
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// A configuration for the emulator, in place of its own. `keyward emulator --directory` writes one to begin with.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) emulator: Emulator,
}
