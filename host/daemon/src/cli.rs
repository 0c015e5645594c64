//! The command line: its commands and their arguments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use keyward_policy::cloud::Cloud;
use tracing::Level;

use crate::{exit, output};

/// A credential broker for Azure managed identities: programs act through sandboxed plugins, and
/// tokens never leave it.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, term_width = output::width(), after_help = exit::HELP)]
pub(crate) struct Cli {
    /// The level of the log on standard error: error, warn, info, debug or trace. No level logs a
    /// credential.
    #[arg(long, global = true, env = "KEYWARD_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<Level>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon.
    Serve(Serve),
    /// Check a configuration, and show what each mount may do.
    Check(Check),
    /// Diagnose this machine: identities, clock, network and socket permissions.
    Doctor(Doctor),
    /// Show what a plugin declares in its manifest.
    Inspect(Inspect),
    /// Send a request to a mount of a running daemon, or of a configuration.
    Call(Call),
    /// Explain a problem type or an exit code, or what a caller's request would lead to.
    Explain(Explain),
    /// Print the keys of a configuration or of a manifest, as a JSON Schema for editors.
    Schema(Schema),
    /// Deny at once: everything, or one mount, caller or identity.
    ///
    /// Ends running calls, closes pooled database sessions, drops sealed values, and removes the
    /// tokens from memory and disk. The lock survives a restart. Tokens that were issued before stay
    /// valid at Azure until they expire.
    ///
    /// Sends the request to the daemon's Unix socket, which requires its own user or root. If no
    /// daemon is running, the next one starts locked.
    Lock(Lock),
    /// Read the configuration of a running daemon again, and put it in use.
    ///
    /// Mounts that did not change keep their connections and calls. An invalid configuration changes
    /// nothing.
    Reload(Reload),
    /// Show what a running daemon is doing.
    Status(Status),
    /// Wait until a daemon serves callers.
    Wait(Wait),
    /// Stop a running daemon gracefully, and wait until it has ended.
    Stop(Stop),
    /// Lift a lock, with the authority that `lock` needs.
    Unlock(Unlock),
    /// Manage cached tokens.
    #[command(subcommand)]
    Token(Token),
    /// Run a small Azure on loopback, for development and tests.
    #[cfg(feature = "emulator")]
    Emulator(Emulator),
    /// Run the daemon and an emulator together, for development.
    #[cfg(feature = "emulator")]
    Dev(Dev),
    /// Demonstrate Keyward against the emulator, in a minute.
    #[cfg(feature = "emulator")]
    Demo,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// The output format.
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
    /// The configuration file.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The configuration file. Its identities and mounts are diagnosed too.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address of the metadata service, for tests.
    #[arg(long, hide = true, default_value = "169.254.169.254:80")]
    pub(crate) metadata: SocketAddr,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The name of a bundled plugin, or the path of a component.
    pub(crate) plugin: String,
    /// The cloud that audiences and hosts are resolved in: public, china or usgov.
    #[arg(long, default_value = "public", value_parser = PossibleValuesParser::new(Cloud::names()))]
    pub(crate) cloud: String,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The name of the mount.
    pub(crate) mount: String,
    /// The HTTP method.
    pub(crate) method: String,
    /// The path after the mount, with the query.
    pub(crate) path: String,
    /// A header field, `name: value`. Can be repeated.
    #[arg(long, short = 'H', value_name = "FIELD")]
    pub(crate) header: Vec<String>,
    /// The request body: text, @FILE, or @- for standard input. JSON is sent as application/json,
    /// unless --header has another content-type.
    #[arg(long, short, value_name = "BODY")]
    pub(crate) data: Option<String>,
    /// Include the status and the header fields in the output.
    #[arg(long, short)]
    pub(crate) include: bool,
    /// Write the response body to a file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The daemon's Unix socket.
    #[arg(long, env = "KEYWARD_SOCKET", value_name = "PATH", conflicts_with = "config")]
    pub(crate) socket: Option<PathBuf>,
    /// A configuration file. The call runs in this process, without a daemon, on behalf of this user.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The last part of a problem's `type`, such as `busy`, or all of it; or `exit` and a code. With
    /// --caller, the method and the path of a request, the path with the mount's name.
    #[arg(required = true, value_name = "KIND|exit CODE|METHOD PATH")]
    pub(crate) topic: Vec<String>,
    /// The name of a caller, or `*` for one that no section matches. Shows whether its request is
    /// served, what may be sent on its behalf, and by which lines.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) caller: Option<String>,
    /// The configuration file.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The kind of document.
    #[arg(value_enum, default_value_t)]
    pub(crate) document: Document,
    /// Print the page of the documentation, in Markdown, instead of JSON.
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
    /// Remove the tokens of an identity, or its token for one audience, from memory and disk.
    ///
    /// Sends the request to the daemon's Unix socket, which requires its own user or root. If no
    /// daemon is running, it removes the tokens on disk. Azure's endpoints have caches of their
    /// own and may return the same token again until it expires.
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The name of the identity: `NAME` of [identity.NAME].
    pub(crate) identity: String,
    /// The audience, as `keyward check` prints it. By default, all audiences.
    pub(crate) audience: Option<String>,
    /// The configuration file.
    #[arg(long, short, env = "KEYWARD_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The daemon's Unix socket, if it is not the configuration's.
    #[arg(long, env = "KEYWARD_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

/// What is locked or unlocked. By default, everything.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct LockSelection {
    /// Only a mount: `NAME` of [mount.NAME].
    #[arg(long, value_name = "NAME")]
    pub(crate) mount: Option<String>,
    /// Only a caller: `NAME` of [caller.NAME], or `*` for callers that no section matches.
    #[arg(long, value_name = "NAME")]
    pub(crate) caller: Option<String>,
    /// Only an identity, with its mounts: `NAME` of [identity.NAME].
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) selection: LockSelection,
    /// Why, for the audit and for `--list`.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Show what is locked, and lock nothing.
    #[arg(long, conflicts_with_all = ["mount", "caller", "identity", "reason"])]
    pub(crate) list: bool,
    /// The configuration file.
    #[arg(
        long,
        short,
        env = "KEYWARD_CONFIG",
        value_name = "FILE",
        required_unless_present = "socket"
    )]
    pub(crate) config: Option<PathBuf>,
    /// The daemon's Unix socket, if it is not the configuration's.
    #[arg(long, env = "KEYWARD_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

/// Where a running daemon is controlled.
#[derive(Debug, Args)]
pub(crate) struct AdminPlace {
    /// The configuration file, which says where the admin socket is.
    #[arg(
        long,
        short,
        env = "KEYWARD_CONFIG",
        value_name = "FILE",
        required_unless_present = "socket"
    )]
    pub(crate) config: Option<PathBuf>,
    /// The daemon's admin socket, if it is not the configuration's.
    #[arg(long, env = "KEYWARD_ADMIN_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    pub(crate) place: AdminPlace,
    /// Reload only if the configuration in use has this digest, which `keyward status` prints: so
    /// that two operators do not undo each other's changes.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) if_match: Option<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) place: AdminPlace,
    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) place: AdminPlace,
    /// How long to wait: `500ms`, `30s`, `5m`.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    pub(crate) place: AdminPlace,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    pub(crate) selection: LockSelection,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The configuration file.
    #[arg(
        long,
        short,
        env = "KEYWARD_CONFIG",
        value_name = "FILE",
        required_unless_present = "socket"
    )]
    pub(crate) config: Option<PathBuf>,
    /// The daemon's Unix socket, if it is not the configuration's.
    #[arg(long, env = "KEYWARD_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

#[cfg(feature = "emulator")]
#[derive(Clone, Debug, Args)]
pub(crate) struct Emulator {
    /// The loopback address of the metadata service. By default, a free port.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) imds: Option<SocketAddr>,
    /// The loopback address of all services with TLS: Key Vault, Resource Manager, storage.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tls: Option<SocketAddr>,
    /// The loopback address of the database server.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sql: Option<SocketAddr>,
    /// The directory for the configuration, the CA certificate and the emulator's state. Existing
    /// files are not overwritten, and an emulator restarted there has the same addresses. By
    /// default, a temporary directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) directory: Option<PathBuf>,
}

#[cfg(feature = "emulator")]
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// A configuration file, instead of the emulator's own. `keyward emulator --directory` writes
    /// one to start from.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) emulator: Emulator,
}
