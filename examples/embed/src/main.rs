//! A service that embeds the broker: `cargo run --package embed`.
//!
//! It needs no configuration file: mounts are created in code. On an Azure machine, remove the
//! emulator and `connect_to`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use keyward::cloud::Cloud;
use keyward::config::{Config, IdentityConfig, IdentitySource, MountConfig, PluginRef};
use keyward::endpoint::Endpoint;
use keyward::pattern::Pattern;
use keyward::{Broker, Caller, Plugins};
use keyward_emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::new(Cloud::named("public").ok_or("no such cloud")?.clone());
    config.identities.insert("default".to_owned(), IdentityConfig::system_assigned());
    let vault = MountConfig::new(PluginRef::Bundled("keyvault".to_owned()))
        .endpoint(Endpoint::parse("https://contoso.vault.azure.net")?)
        .allow([Pattern::parse("GET /secrets/*")?]);
    config.mounts.insert("vault".to_owned(), vault);

    let emulator = Emulator::start(keyward_emulator::Options::default()).await?;
    connect_to(&emulator, &mut config);

    let plugins = keyward_bundle::PLUGINS
        .iter()
        .fold(Plugins::new(), |all, one| all.with(one.name, one.component));
    let broker = Broker::start(keyward::plan(config, &plugins)?)?;

    let request = Request::get("/secrets/db").body(Empty::<Bytes>::new())?;
    let response = broker.call("vault", &Caller::named("the nightly report"), request).await?;
    println!("{}", response.status());
    println!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}

/// Connects the machine's identity and the vault's name to an emulator.
fn connect_to(emulator: &Emulator, config: &mut Config) {
    for identity in config.identities.values_mut() {
        if let IdentitySource::Imds(imds) = &mut identity.source {
            imds.endpoint = Some(emulator.imds_url());
        }
    }
    config
        .egress
        .resolve
        .insert(("contoso.vault.azure.net".to_owned(), 443), emulator.tls_address());
    config.tls.ca_pem.push(emulator.ca_pem().to_owned());
}
