//! A configuration of Keyward for an emulator.

use std::path::Path;

use crate::{CLOUDS, Emulator};

/// The vault and the resource manager of each cloud.
const HOSTS: [(&str, &str, &str); 3] = [
    ("public", "contoso.vault.azure.net", "management.azure.com"),
    ("china", "contoso.vault.azure.cn", "management.chinacloudapi.cn"),
    ("usgov", "contoso.vault.usgovcloudapi.net", "management.usgovcloudapi.net"),
];

pub(crate) fn names() -> Vec<String> {
    debug_assert_eq!(CLOUDS.len(), HOSTS.len());
    HOSTS.iter().flat_map(|(_, vault, arm)| [format!("{vault}:443"), format!("{arm}:443")]).collect()
}

pub(crate) fn config(emulator: &Emulator, ca_file: &Path) -> String {
    let imds = emulator.imds_url();
    let tls = emulator.tls_address();
    let identities = &emulator.azure.directory;
    let reports = identities.identity("reports").map_or("", |identity| identity.client_id.as_str());
    let resolve: String = names().iter().map(|name| format!("{name:?} = \"{tls}\"\n")).collect();
    format!(
        r#"cloud = "public"

[identity.default]                       # the machine's system-assigned identity
source = "imds"
endpoint = "{imds}"

[identity.reports]                       # a user-assigned identity
source = "imds"
endpoint = "{imds}"
client_id = "{reports}"

[mount.vault]
plugin = "keyvault"
endpoint = "https://contoso.vault.azure.net"
allow = ["GET /secrets", "GET /secrets/**"]

[mount.arm]
plugin = "arm"
allow = ["GET /subscriptions/*/resourceGroups/*"]

[mount.reports]
plugin = "arm"
identity = "reports"
allow = ["GET /subscriptions/*/resourceGroups/*"]

[egress.resolve]
{resolve}
[tls]
system_roots = false
ca_files = [{ca_file:?}]
"#
    )
}
