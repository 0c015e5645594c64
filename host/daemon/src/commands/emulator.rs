//! `keyward emulator`: a small Azure on loopback.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward_emulator::{Emulator as Azure, Options};

use super::serve::Stop;
use crate::cli::Emulator;
use crate::exit::Failure;

/// An emulator, with its configuration and certificate in files.
pub(super) struct Running {
    pub(super) azure: Azure,
    /// The configuration for it.
    pub(super) config: PathBuf,
    pub(super) ca: PathBuf,
    /// Removed at the end, where nobody named a directory.
    _temporary: Option<tempfile::TempDir>,
}

/// Starts an emulator, and writes what is needed to use it.
pub(super) async fn start(arguments: &Emulator) -> Result<Running, Failure> {
    let mut options = Options::default();
    (options.imds, options.tls) = (arguments.imds, arguments.tls);
    let azure = Azure::start(options).await.map_err(Failure::system)?;
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
    let (ca, config) = (directory.join("ca.pem"), directory.join("keyward.toml"));
    std::fs::write(&ca, azure.ca_pem()).map_err(|error| cannot_write(&ca, &error))?;
    let text = format!("{}\n[listen]\nsocket = \"keyward.sock\"\n", azure.config(Path::new("ca.pem")));
    std::fs::write(&config, text).map_err(|error| cannot_write(&config, &error))?;
    Ok(Running { azure, config, ca, _temporary: temporary })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("cannot write {}: {error}", path.display()))
}

pub(crate) async fn emulator(arguments: Emulator) -> Result<ExitCode, Failure> {
    let mut stop = Stop::new()?;
    let running = start(&arguments).await?;
    let text = std::fs::read_to_string(&running.config).map_err(Failure::system)?;
    println!(
        "# A small Azure runs until it is interrupted. Keyward's configuration for it is in {}:\n",
        running.config.display()
    );
    println!("{text}");
    println!("# For other programs, such as the Azure SDKs:\n");
    println!("export AZURE_POD_IDENTITY_AUTHORITY_HOST={}", running.azure.imds_url());
    println!("export SSL_CERT_FILE={}", running.ca.display());
    println!("\n# Faults are switched on with: curl -X PUT {}/emulator/faults -d '[...]'", running.azure.imds_url());
    stop.wait().await;
    Ok(ExitCode::SUCCESS)
}
