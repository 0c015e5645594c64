//! `keyward dev`: the daemon beside an emulator.

use std::path::Path;

use keyward_policy::config::{Config, IdentitySource};

use super::emulator::Running;
use super::serve::Stop;
use super::{emulator, serve, start};
use crate::cli::Dev;
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::listen;
use crate::output::{print, width};

pub(crate) async fn dev(dev: Dev) -> Result<Exit, Failure> {
    let mut arguments = dev.emulator;
    if arguments.directory.is_none() {
        arguments.directory = dev.config.as_deref().and_then(emulator::directory_of);
    }
    let running = emulator::start(&arguments).await?;
    if let Some(file) = dev.config {
        let config = DaemonConfig::load(&file)?;
        is_for(&running, &file, &config.broker)?;
        return serve::run(config).await;
    }
    let mut stop = Stop::new()?;
    let (plan, listen, audit) = DaemonConfig::load(&running.config)?.plan()?;
    print(&super::check::grants_table(&plan.mounts, width()))?;
    let broker = start::broker(plan, start::audit(&audit)?)?;
    let listening = listen::open(&listen, broker).await?;
    if let Some(socket) = &listen.socket {
        let socket = socket.display();
        print(&format!(
            "\nReady, until it is interrupted. The configuration is in {}. Try:\n    \
             keyward call --socket {socket} vault GET /secrets/db\n    \
             curl --unix-socket {socket} http://localhost/vault/secrets/db\n\n",
            running.config.display()
        ))?;
    }
    stop.wait().await;
    listening.close().await;
    Ok(Exit::Success)
}

/// Whether a configuration is for this emulator: otherwise each call would fail, or go to Azure.
fn is_for(running: &Running, file: &Path, config: &Config) -> Result<(), Failure> {
    let (file, imds) = (file.display(), running.azure.imds_url());
    for (name, identity) in &config.identities {
        let is_here = match &identity.source {
            IdentitySource::Imds(source) => {
                source.endpoint.as_deref().is_some_and(|endpoint| endpoint.trim_end_matches('/') == imds)
            }
            IdentitySource::Platform(..) | IdentitySource::Auto(_) | IdentitySource::Supplied => false,
        };
        if !is_here {
            return Err(Failure::config(format!(
                "{file}: the identity `{name}` does not get its tokens from this emulator\n    \
                 write:    [identity.{name}]\n              source = \"imds\"\n              endpoint = \"{imds}\""
            )));
        }
    }
    for (name, address) in &config.egress.resolve {
        if !emulator::serves(&running.azure, name, *address) {
            return Err(Failure::config(format!(
                "{file}: [egress.resolve] has another emulator's address for {}:{}, {address}\n    \
                 expected: the lines of {}",
                name.0,
                name.1,
                running.config.display()
            )));
        }
    }
    let ca = running.azure.ca_pem().trim();
    let trusts = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(ca));
    if !config.tls.ca_files.iter().any(|file| trusts(&file.value)) {
        let ca = running.ca.display();
        return Err(Failure::config(format!(
            "{file}: it does not trust this emulator's certificates\n    \
             write:    [tls]\n              ca_files = [\"{ca}\"]"
        )));
    }
    Ok(())
}
