//! Runs the emulator until its input ends, for clients of the database server that are no Rust: `tests/peers`.
//!
//! It writes its certificate into the file that is named, and prints where the database and the metadata service are.

use std::io::{Read, Write};

use keyward_emulator::{Emulator, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name a file for the certificate")?;
    let emulator = Emulator::start(Options::default()).await?;
    std::fs::write(file, emulator.ca_pem())?;
    writeln!(std::io::stdout(), "{} {}", emulator.sql_address(), emulator.imds_url())?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
