//! `keyward emulator`: a small Azure on loopback.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyward_emulator::{Emulator as Azure, Options, State};

use super::serve::Stop;
use crate::cli::Emulator;
use crate::exit::{Exit, Failure};
use crate::output::print;

/// In an emulator's directory: what it needs to come back at the same addresses, with the same
/// certificate authority.
const STATE: &str = "emulator.json";
const CONFIG: &str = "keyward.toml";
const CA: &str = "ca.pem";

/// An emulator, with its configuration and certificate in files.
pub(super) struct Running {
    pub(super) azure: Azure,
    /// The configuration for it.
    pub(super) config: PathBuf,
    pub(super) ca: PathBuf,
    /// Removed at the end, where nobody named a directory.
    _temporary: Option<tempfile::TempDir>,
}

/// The directory of the emulator that a configuration is for, where it is in one.
pub(super) fn directory_of(config: &Path) -> Option<PathBuf> {
    let directory = keyward_policy::config::base_directory(config);
    directory.join(STATE).exists().then(|| directory.to_owned())
}

/// Starts an emulator, and writes what is needed to use it. In the directory of one that ran before,
/// it comes back as the same, and nothing is written over.
pub(super) async fn start(arguments: &Emulator) -> Result<Running, Failure> {
    let (directory, temporary) = match &arguments.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| cannot_write(directory, &error))?;
            (directory.clone(), None)
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("keyward-").tempdir().map_err(Failure::system)?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let before = state(&directory)?;
    let options = options(arguments, before.as_ref(), &directory)?;
    let azure = Azure::start(options).await.map_err(|error| match &before {
        Some(_) => Failure::system(format!(
            "{error}. The configuration in {} is for these addresses: end the emulator that uses them, or name another \
             directory",
            directory.display()
        )),
        None => Failure::system(error),
    })?;
    let (ca, config) = (directory.join(CA), directory.join(CONFIG));
    if before.is_none() {
        // First, so that a later start goes on where this one may break off.
        write_state(&directory, &azure.state())?;
    }
    write_new(&ca, azure.ca_pem())?;
    let text = format!("{}\n[listen]\nsocket = \"keyward.sock\"\n", azure.config(Path::new(CA)));
    write_new(&config, &text)?;
    Ok(Running { azure, config, ca, _temporary: temporary })
}

/// What an earlier emulator left in this directory. Files that are not an emulator's stay as they are.
fn state(directory: &Path) -> Result<Option<State>, Failure> {
    let path = directory.join(STATE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mine = [CONFIG, CA].map(|name| directory.join(name));
            if let Some(existing) = mine.iter().find(|path| path.exists()) {
                return Err(Failure::system(format!(
                    "{} exists already, and no emulator wrote it: name another directory, or move the file away",
                    existing.display()
                )));
            }
            return Ok(None);
        }
        Err(error) => return Err(Failure::system(format!("cannot read {}: {error}", path.display()))),
    };
    // The error of the parser could quote the key.
    let state = serde_json::from_str(&text)
        .map_err(|_| Failure::system(format!("{} is damaged: remove it, or name another directory", path.display())))?;
    Ok(Some(state))
}

fn options(arguments: &Emulator, before: Option<&State>, directory: &Path) -> Result<Options, Failure> {
    let mut options = before.map_or_else(Options::default, Options::resuming);
    let wanted = [
        ("--imds", arguments.imds, &mut options.imds),
        ("--tls", arguments.tls, &mut options.tls),
        ("--sql", arguments.sql, &mut options.sql),
    ];
    for (name, argument, address) in wanted {
        let Some(argument) = argument else { continue };
        if before.is_some() && *address != argument {
            return Err(Failure::usage(format!(
                "the emulator of {} has {address}, and its configuration too: leave out {name}, or name another directory",
                directory.display()
            )));
        }
        *address = argument;
    }
    Ok(options)
}

fn write_state(directory: &Path, state: &State) -> Result<(), Failure> {
    let path = directory.join(STATE);
    let failed = |error: &dyn std::fmt::Display| Failure::system(format!("cannot write {}: {error}", path.display()));
    let text = serde_json::to_string_pretty(state).map_err(|error| failed(&error))?;
    // A temporary file is its owner's alone, and so is what becomes of it.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    file.persist_noclobber(&path).map_err(|error| failed(&error.error))?;
    Ok(())
}

/// Writes a file, unless there is one.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    match std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(cannot_write(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("cannot write {}: {error}", path.display()))
}

pub(crate) async fn emulator(arguments: Emulator) -> Result<Exit, Failure> {
    let mut stop = Stop::new()?;
    let running = start(&arguments).await?;
    let text = std::fs::read_to_string(&running.config).map_err(Failure::system)?;
    let (config, imds) = (running.config.display(), running.azure.imds_url());
    print(&format!(
        "# A small Azure runs until it is interrupted. Keyward's configuration for it is in {config}:\n\n\
         {text}\n\
         # For other programs, such as the Azure SDKs:\n\n\
         export AZURE_POD_IDENTITY_AUTHORITY_HOST={imds}\n\
         export SSL_CERT_FILE={}\n\n\
         # Faults are switched on with: curl -X PUT {imds}/emulator/faults -d '[...]'\n",
        running.ca.display()
    ))?;
    stop.wait().await;
    Ok(Exit::Success)
}

/// Whether an address that a configuration has for a name of the emulator's is the emulator's.
pub(super) fn serves(azure: &Azure, name: &(String, u16), address: SocketAddr) -> bool {
    let name = format!("{}:{}", name.0, name.1);
    if azure.sql_host_names().contains(&name) {
        return address == azure.sql_address();
    }
    !azure.host_names().contains(&name) || address == azure.tls_address()
}
