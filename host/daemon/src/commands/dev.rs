//! `keyward dev`: the daemon beside an emulator.

use std::process::ExitCode;

use super::serve::{Stop, serve};
use super::{emulator, start};
use crate::cli::{Dev, Serve};
use crate::config::DaemonConfig;
use crate::exit::Failure;
use crate::listen;

pub(crate) async fn dev(dev: Dev) -> Result<ExitCode, Failure> {
    let running = emulator::start(&dev.emulator).await?;
    if let Some(config) = dev.config {
        return serve(Serve { config }).await;
    }
    let mut stop = Stop::new()?;
    let (plan, listen, audit) = DaemonConfig::load(&running.config)?.plan()?;
    print!("{}", super::check::grants_table(&plan.mounts));
    let broker = start::broker(plan, start::audit(&audit)?)?;
    let listening = listen::open(&listen, broker).await?;
    if let Some(socket) = &listen.socket {
        let socket = socket.display();
        println!("\nReady, until it is interrupted. The configuration is in {}. Try:", running.config.display());
        println!("    keyward call --socket {socket} vault GET /secrets/db");
        println!("    curl --unix-socket {socket} http://localhost/vault/secrets/db\n");
    }
    stop.wait().await;
    listening.close().await;
    Ok(ExitCode::SUCCESS)
}
