//! A configuration of Keyward that uses an emulator.

use std::path::Path;

use crate::{CLOUDS, Emulator, SUBSCRIPTION};

/// The hosts of the vault and of the resource manager, for each cloud.
const HOSTS: [(&str, &str, &str); 3] = [
    ("public", "contoso.vault.azure.net", "management.azure.com"),
    ("china", "contoso.vault.azure.cn", "management.chinacloudapi.cn"),
    ("usgov", "contoso.vault.usgovcloudapi.net", "management.usgovcloudapi.net"),
];

/// The hosts of the storage account in all clouds: Blob, Data Lake Gen2, and Gen1, which is in the
/// public cloud only.
const STORAGE_HOSTS: [&str; 7] = [
    "contoso.blob.core.windows.net",
    "contoso.dfs.core.windows.net",
    "contoso.azuredatalakestore.net",
    "contoso.blob.core.chinacloudapi.cn",
    "contoso.dfs.core.chinacloudapi.cn",
    "contoso.blob.core.usgovcloudapi.net",
    "contoso.dfs.core.usgovcloudapi.net",
];

/// The host names that lead to the emulator, as `host:port`.
pub(crate) fn host_names() -> Vec<String> {
    debug_assert_eq!(CLOUDS.len(), HOSTS.len());
    let hosts = HOSTS.iter().flat_map(|(_, vault, arm)| [*vault, *arm]).chain(STORAGE_HOSTS);
    hosts.map(|host| format!("{host}:443")).collect()
}

/// The mounts of the storage services.
fn storage_mounts() -> String {
    let account = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/demo\
         /providers/Microsoft.Storage/storageAccounts/contoso"
    );
    format!(
        r#"[mount.hello]
plugin = "storage"
endpoint = "https://contoso.blob.core.windows.net"
allow = ["GET /hello/*"]

[mount.sas]
plugin = "storage"
endpoint = "https://contoso.blob.core.windows.net"
[mount.sas.settings]
auth = "sas"
account = "{account}"
[mount.sas.audience.arm]

[mount.lake]
plugin = "adls"
endpoint = "https://contoso.azuredatalakestore.net"

[mount.lake2]
plugin = "adls"
endpoint = "https://contoso.dfs.core.windows.net"
"#
    )
}

/// The mounts of the database: one that reads, with a token, and one with a password.
const DATABASE_MOUNTS: &str = r#"[mount.orders]
plugin = "sql"
endpoint = "sqlserver://contoso.database.windows.net"
allow = ["CONNECT /shop"]
[mount.orders.settings]
database = "shop"
read_only = true
[mount.orders.settings.queries]
of-customer = "select id, total from orders where customer = @customer order by id"

[mount.old-orders]
plugin = "sql"
endpoint = "sqlserver://contoso.database.windows.net"
[mount.old-orders.settings]
database = "shop"
auth = "password"
user = "app"
password_secret = "sql-password"
[mount.old-orders.audience.vault]
endpoint = "https://contoso.vault.azure.net"
allow = ["GET /secrets/sql-password"]
"#;

/// Writes the configuration.
pub(crate) fn config(emulator: &Emulator, ca_file: &Path) -> String {
    let imds = emulator.imds_url();
    let tls = emulator.tls_address();
    let identities = &emulator.azure.directory;
    let reports = identities.identity("reports").map_or("", |identity| identity.client_id.as_str());
    let resolve = host_names().into_iter().map(|name| format!("{name:?} = \"{tls}\"\n"));
    let sql = emulator
        .sql_host_names()
        .into_iter()
        .map(|name| format!("{name:?} = \"{}\"\n", emulator.sql_address()));
    let resolve: String = resolve.chain(sql).collect();
    let storage = storage_mounts();
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

{storage}
{DATABASE_MOUNTS}
[egress.resolve]
{resolve}
[tls]
system_roots = false
ca_files = [{ca_file:?}]
"#
    )
}
