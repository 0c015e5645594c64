//! Configurations, and the plans that are made from them.

use std::path::Path;

use super::sample_plugin::component;
use super::{diagnostics, naive};
use crate::cloud::{Cloud, CloudService};
use crate::config::{Config, base_directory};
use crate::endpoint::Endpoint;
use crate::grant::Grant;
use crate::plan::{Plan, Plugins};

const FILE: &str = "keyward.toml";

/// What precedes the manifest of the plugin `it`.
const MANIFEST: &str = "# manifest\n";

/// The manifests of bundled plugins.
const BUNDLED: [(&str, &str); 4] = [
    ("arm", include_str!("../../fuzz/corpus/manifest/arm")),
    ("keyvault", include_str!("../../fuzz/corpus/manifest/keyvault")),
    ("sql", include_str!("../../fuzz/corpus/manifest/sql")),
    ("storage", include_str!("../../fuzz/corpus/manifest/storage")),
];

pub(super) fn check(input: &str) {
    let (text, manifest) = input.split_once(MANIFEST).unwrap_or((input, ""));
    let file = Path::new(FILE);
    assert_eq!(base_directory(file), Path::new("."));
    let config = match Config::from_toml(file, text) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.diagnostics().is_empty(), "an error has a mistake");
            diagnostics::check(error.diagnostics(), FILE, text);
            return;
        }
    };
    diagnostics::check(&config.warnings, FILE, text);
    let bundled = BUNDLED
        .into_iter()
        .fold(Plugins::new(), |plugins, (name, manifest)| plugins.with(name, component(manifest)));
    let it = component(manifest);
    let plugins = config.plugin_files().fold(bundled.with("it", it.clone()), |plugins, file| {
        plugins.with_file(file, Ok(it.clone()))
    });
    let mounts = config.mounts.len();
    match Plan::new(config, &plugins) {
        Ok(plan) => {
            assert_eq!(plan.mounts.len(), mounts, "every mount is planned");
            let grants = plan.mounts.iter().flat_map(|mount| &mount.grants);
            grants.for_each(|grant| check_grant(grant, plan.cloud()));
        }
        Err(error) => {
            assert!(!error.diagnostics().is_empty(), "an error has a mistake");
            diagnostics::check(error.diagnostics(), FILE, text);
        }
    }
}

/// Checks that the tokens of a service are sent to its hosts only.
fn check_grant(grant: &Grant, cloud: &Cloud) {
    let endpoint = &grant.endpoint;
    assert_eq!(Endpoint::parse(&endpoint.to_string()).as_ref(), Ok(endpoint));
    let redirects = grant.redirects.iter().filter(|redirect| redirect.takes_token);
    for endpoint in redirects.map(|redirect| &redirect.endpoint).chain([endpoint]) {
        let rows: Vec<&CloudService> = rows_of(cloud, grant).collect();
        let is_host = |row: &&CloudService| {
            row.hosts.iter().any(|pattern| naive::host_covers(pattern, &endpoint.host))
        };
        let azure = Cloud::names().filter_map(Cloud::named);
        let is_azures = azure.flat_map(|cloud| rows_of(cloud, grant)).next().is_some();
        assert!(
            rows.iter().any(is_host) || rows.is_empty() && !is_azures,
            "a token for {} would be sent to {endpoint}",
            grant.audience
        );
    }
}

/// The services of a cloud that have a grant's audience, however it is written.
fn rows_of<'c>(cloud: &'c Cloud, grant: &Grant) -> impl Iterator<Item = &'c CloudService> {
    let plain = |text: &str| text.to_ascii_lowercase().trim_end_matches('/').to_owned();
    let audience = plain(grant.audience.as_str());
    cloud.services.values().filter(move |row| {
        [&row.audience].into_iter().chain(&row.aliases).any(|own| plain(own) == audience)
    })
}
