//! `keyward emulator`: runs an emulator of Azure on loopback.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyward_emulator::{Emulator, Options, State};

use super::shutdown_signal::ShutdownSignal;
use crate::cli::Emulator as Arguments;
use crate::exit::{Exit, Failure};
use crate::output::print;

/// The file with the emulator's state: its addresses and its certificate authority.
const STATE: &str = "emulator.json";
const CONFIG: &str = "keyward.toml";
const CA: &str = "ca.pem";

/// A running emulator, and the files for its clients.
pub(super) struct RunningEmulator {
    pub(super) emulator: Emulator,
    /// The path of Keyward's configuration for it.
    pub(super) config: PathBuf,
    /// The path of its CA certificate.
    pub(super) ca: PathBuf,
    /// Removes the directory on drop, if none was specified.
    _temporary: Option<tempfile::TempDir>,
}

/// The directory of a configuration, if it has an emulator's state.
pub(super) fn state_directory(config: &Path) -> Option<PathBuf> {
    let directory = keyward_policy::config::base_directory(config);
    directory.join(STATE).exists().then(|| directory.to_owned())
}

/// Starts an emulator, and writes the files for its clients.
///
/// If the directory has the state of an earlier emulator, this one has the same addresses and
/// certificate authority. Existing files are not overwritten.
pub(super) async fn start(arguments: &Arguments) -> Result<RunningEmulator, Failure> {
    let (directory, temporary) = match &arguments.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| cannot_write(directory, &error))?;
            (directory.clone(), None)
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("keyward-").tempdir();
            let temporary = temporary.map_err(Failure::system)?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let previous = read_state(&directory)?;
    let options = options(arguments, previous.as_ref(), &directory)?;
    let emulator = Emulator::start(options).await.map_err(|error| {
        let failure = Failure::system(error);
        match &previous {
            Some(_) => failure.help(format!(
                "the configuration in {} uses these addresses: stop the other emulator that uses \
                 them, or use another directory",
                directory.display()
            )),
            None => failure,
        }
    })?;
    let (ca, config) = (directory.join(CA), directory.join(CONFIG));
    if previous.is_none() {
        // First: if a later step fails, the next start has the same addresses.
        write_state(&directory, &emulator.state())?;
    }
    write_new(&ca, emulator.ca_pem())?;
    let text = emulator.config(Path::new(CA));
    write_new(&config, &format!("{text}\n[listen]\nsocket = \"keyward.sock\"\n"))?;
    Ok(RunningEmulator { emulator, config, ca, _temporary: temporary })
}

/// Reads the state of an earlier emulator from its directory; `None` in a new directory.
///
/// # Errors
///
/// The directory has files with the names of an emulator's files, and no state.
fn read_state(directory: &Path) -> Result<Option<State>, Failure> {
    let path = directory.join(STATE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let names = [CONFIG, CA].map(|name| directory.join(name));
            if let Some(existing) = names.iter().find(|path| path.exists()) {
                let existing = existing.display();
                let failure = Failure::system(format!(
                    "{existing} already exists, and was not written by an emulator"
                ));
                return Err(failure.help("use another directory, or move the file"));
            }
            return Ok(None);
        }
        Err(error) => {
            return Err(Failure::system(format!("cannot read {}: {error}", path.display())));
        }
    };
    // The parser's error is not shown: it could quote the private key.
    serde_json::from_str(&text).map(Some).map_err(|_| {
        let failure = Failure::system(format!("{} is invalid", path.display()));
        failure.help("remove it, or use another directory")
    })
}

fn options(
    arguments: &Arguments,
    previous: Option<&State>,
    directory: &Path,
) -> Result<Options, Failure> {
    let mut options = previous.map_or_else(Options::default, Options::resuming);
    let addresses = [
        ("--imds", arguments.imds, &mut options.imds),
        ("--tls", arguments.tls, &mut options.tls),
        ("--sql", arguments.sql, &mut options.sql),
    ];
    for (name, argument, address) in addresses {
        let Some(argument) = argument else { continue };
        if previous.is_some() && *address != argument {
            let failure = Failure::usage(format!(
                "the emulator in {} and its configuration use {address}, not {argument}",
                directory.display()
            ));
            return Err(failure.help(format!("omit {name}, or use another directory")));
        }
        *address = argument;
    }
    Ok(options)
}

fn write_state(directory: &Path, state: &State) -> Result<(), Failure> {
    let path = directory.join(STATE);
    let text = serde_json::to_string_pretty(state).map_err(Failure::software)?;
    // A temporary file can be read only by its owner.
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.persist_noclobber(&path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|error| cannot_write(&path, &error))
}

/// Writes a file, unless it exists.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let created = std::fs::File::create_new(path);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(cannot_write(path, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("cannot write {}: {error}", path.display()))
}

pub(crate) async fn emulator(arguments: Arguments) -> Result<Exit, Failure> {
    let mut shutdown = ShutdownSignal::install()?;
    let running = start(&arguments).await?;
    let text = std::fs::read_to_string(&running.config).map_err(Failure::system)?;
    let (config, imds) = (running.config.display(), running.emulator.imds_url());
    print(&format!(
        "# The emulator is running; press Ctrl-C to stop it. Keyward's configuration for it is in\n\
         # {config}:\n\n\
         {text}\n\
         # For other programs, such as the Azure SDKs:\n\n\
         export AZURE_POD_IDENTITY_AUTHORITY_HOST={imds}\n\
         export SSL_CERT_FILE={}\n\n\
         # To inject faults: curl -X PUT {imds}/emulator/faults -d '[...]'\n",
        running.ca.display()
    ))?;
    shutdown.wait().await;
    Ok(Exit::Success)
}

/// Whether an address in `[egress.resolve]` is right: the emulator's, if the name is the
/// emulator's.
pub(super) fn serves(emulator: &Emulator, name: &(String, u16), address: SocketAddr) -> bool {
    let name = format!("{}:{}", name.0, name.1);
    if emulator.sql_host_names().contains(&name) {
        return address == emulator.sql_address();
    }
    !emulator.host_names().contains(&name) || address == emulator.tls_address()
}
