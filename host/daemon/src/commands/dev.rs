//! `keyward dev`: the daemon and an emulator in one process.

use std::path::Path;
use std::time::Instant;

use keyward_policy::config::{Config, IdentitySource};

use super::emulator::RunningEmulator;
use super::shutdown_signal::ShutdownSignal;
use super::{emulator, serve, start};
use crate::cli::Dev;
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::inherited::Inherited;
use crate::listen::{self, Wanted};
use crate::lock_store::{self, LockStore};
use crate::output::{print, width};

pub(crate) async fn dev(dev: Dev) -> Result<Exit, Failure> {
    let mut arguments = dev.emulator;
    if arguments.directory.is_none() {
        arguments.directory = dev.config.as_deref().and_then(emulator::state_directory);
    }
    let running = emulator::start(&arguments).await?;
    if let Some(file) = dev.config {
        let config = DaemonConfig::load(&file)?;
        check_matches(&running, &file, &config.broker)?;
        let planned = serve::Planned::new(&file, config)?;
        return serve::run(planned, None, Instant::now(), None, Inherited::default()).await;
    }
    let mut shutdown = ShutdownSignal::install()?;
    let config = DaemonConfig::load(&running.config)?;
    let lock_file = config.lock.file.clone();
    let read = lock_store::read(lock_file.as_deref())?;
    let (plan, listen, audit) = config.plan()?;
    print(&super::check::grants_table(&plan.mounts, width()))?;
    let wanted = Wanted::by(&plan.callers);
    let broker = start::broker(plan, start::audit(&audit)?.lines, read.stored.locks.clone())?;
    let locks = LockStore::start(broker.clone(), lock_file, read).await;
    let server =
        listen::start(&listen, wanted, (broker.clone(), locks.clone()), &mut Inherited::default())
            .await?;
    if let Some(socket) = &listen.socket {
        let socket = socket.display();
        print(&format!(
            "\nRunning; press Ctrl-C to stop. The configuration is in {}. Try:\n    \
             keyward call --socket {socket} vault GET /secrets/db\n    \
             curl --unix-socket {socket} http://localhost/vault/secrets/db\n\n",
            running.config.display()
        ))?;
    }
    let mut follow = std::pin::pin!(locks.follow());
    tokio::select! {
        _ = shutdown.wait() => {}
        never = &mut follow => match never {},
    }
    tokio::select! {
        exit = serve::stop(&server, &broker, &mut shutdown, listen.grace) => Ok(exit),
        never = &mut follow => match never {},
    }
}

/// Checks that a configuration uses this emulator. Otherwise calls would fail, or go to Azure.
fn check_matches(running: &RunningEmulator, file: &Path, config: &Config) -> Result<(), Failure> {
    let (file, imds) = (file.display(), running.emulator.imds_url());
    for (name, identity) in &config.identities {
        let matches = match &identity.source {
            IdentitySource::Imds(source) => {
                let endpoint = source.endpoint.as_deref();
                endpoint.is_some_and(|endpoint| endpoint.trim_end_matches('/') == imds)
            }
            IdentitySource::Platform(..) | IdentitySource::Auto(_) | IdentitySource::Supplied => {
                false
            }
        };
        if !matches {
            return Err(Failure::config(format!(
                "{file}: the identity `{name}` does not get its tokens from this emulator\n    \
                 write:    [identity.{name}]\n              \
                 source = \"imds\"\n              \
                 endpoint = \"{imds}\""
            )));
        }
    }
    for (name, address) in &config.egress.resolve {
        if !emulator::serves(&running.emulator, name, *address) {
            return Err(Failure::config(format!(
                "{file}: {address} for {}:{} in [egress.resolve] is not an address of this \
                 emulator\n    \
                 expected: the lines of {}",
                name.0,
                name.1,
                running.config.display()
            )));
        }
    }
    let ca = running.emulator.ca_pem().trim();
    let trusts = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(ca));
    if !config.tls.ca_files.iter().any(|file| trusts(&file.value)) {
        let ca = running.ca.display();
        return Err(Failure::config(format!(
            "{file}: the CA certificate of this emulator is not trusted\n    \
             write:    [tls]\n              ca_files = [\"{ca}\"]"
        )));
    }
    Ok(())
}
