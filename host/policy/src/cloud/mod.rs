//! The cloud table: the services of each cloud, with their audiences, hosts and semantics.

mod named_operations;
mod operations;
mod semantics;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

pub use named_operations::{NamedOperation, NamedOperations};
pub(crate) use operations::{FoldedRequest, MatchedOperation, folded_segments};
pub use operations::{Operation, Operations, SignatureScope};
pub use semantics::Semantics;

use crate::endpoint::Protocol;
use crate::host_pattern::{host_matches, is_label};
use crate::path::PathReading;

/// The table in `clouds.toml`, parsed once. A test parses it too, so this does not panic in a
/// release.
#[allow(clippy::expect_used)]
static TABLE: LazyLock<BTreeMap<String, Cloud>> = LazyLock::new(|| {
    toml::from_str(include_str!("clouds.toml")).expect("the cloud table is valid")
});

/// A cloud: public, of a country, or custom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    /// The URL of the directory that issues tokens.
    pub authority: String,
    /// Its services, by the names that manifests use.
    #[serde(rename = "service")]
    pub services: BTreeMap<String, CloudService>,
}

/// A service of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudService {
    /// The exact audience of its tokens.
    pub audience: String,
    /// Other names of the same audience, whose tokens its hosts accept too.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The hosts that its tokens may be sent to, as
    /// [`HostPattern`](crate::host_pattern::HostPattern)s.
    pub hosts: Vec<String>,
    /// The ports of hosts that do not listen at the protocol's default port, by host pattern.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// Further domains of the same service. Their requests have the same semantics, but no token is
    /// sent there.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The service whose API it has, by its name in the public cloud; `None` for its own name.
    #[serde(default)]
    pub like: Option<String>,
    /// The protocol of its hosts.
    #[serde(default)]
    pub protocol: Protocol,
    /// The nodes that its gateways redirect clients to.
    #[serde(default)]
    pub redirect_nodes: Option<RedirectNodes>,
    /// How the service reads paths; `None` for by segments.
    #[serde(default)]
    pub paths: Option<PathReading>,
    /// Whether the service ignores case in paths, so that patterns must ignore it too.
    #[serde(default)]
    pub paths_ignore_case: bool,
    /// Whether its partial responses (206) are parts of what a client stored, with the content
    /// coding that the client gave it.
    #[serde(default)]
    pub returns_stored_content: bool,
    /// The header fields and parameters that refer to a second path, which `allow` must cover too.
    #[serde(default)]
    pub referenced_paths: Vec<ReferencedPath>,
}

/// The nodes that a database's gateways redirect clients to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedirectNodes {
    /// The domain of the nodes, whose names have two or more labels before it. Hosts with one label
    /// before it are customers'.
    pub domain: String,
    /// Their first and last port.
    pub ports: [u16; 2],
    /// Patterns of further hosts in the domain that are customers'.
    #[serde(skip)]
    pub except: Vec<String>,
}

impl RedirectNodes {
    /// Whether this host and port are one of the nodes.
    #[must_use]
    pub fn contains(&self, host: &str, port: u16) -> bool {
        let [first, last] = self.ports;
        let labels =
            host.strip_suffix(self.domain.as_str()).and_then(|labels| labels.strip_suffix('.'));
        (first..=last).contains(&port)
            && !self.except.iter().any(|pattern| host_matches(pattern, host))
            && labels.is_some_and(|labels| labels.contains('.') && labels.split('.').all(is_label))
    }
}

/// A header field or a query parameter with which a request refers to a second path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferencedPath {
    /// The header field, whose value is a path or a URL.
    #[serde(default)]
    pub header: Option<String>,
    /// The parameter, whose value is a path.
    #[serde(default)]
    pub query: Option<String>,
    /// A prefix that the path would have in a request of its own.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Whether the value is a list of paths, separated by commas.
    #[serde(default)]
    pub list: bool,
    /// The method that must be allowed for the path; `None` for the request's method.
    #[serde(default)]
    pub method: Option<String>,
    /// A value of the parameter with which the paths are in the body, where `allow` cannot check
    /// them.
    #[serde(default)]
    pub opaque_when: Option<String>,
}

impl Cloud {
    /// The cloud of this name in the table: `public`, `china`, `usgov`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.get(name)
    }

    /// Whether it is a cloud of the table, and not a custom one.
    #[must_use]
    pub fn is_named(&self) -> bool {
        TABLE.values().any(|cloud| cloud == self)
    }

    /// The names of all clouds in the table.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_pattern::HostPattern;
    use keyward_types::Audience;

    #[test]
    fn the_table_is_well_formed_and_every_cloud_has_every_service() {
        assert_eq!(Cloud::names().collect::<Vec<_>>(), ["china", "public", "usgov"]);
        let names = |cloud: &Cloud| cloud.services.keys().cloned().collect::<Vec<_>>();
        let public = names(Cloud::named("public").unwrap());
        assert_eq!(
            public,
            ["appconfig", "arm", "blob", "datalake", "dfs", "managedhsm", "sql", "vault"]
        );
        for cloud in TABLE.values() {
            assert_eq!(names(cloud), public);
            for service in cloud.services.values() {
                Audience::new(&service.audience).unwrap();
                for host in service.hosts.iter().chain(service.ports.keys()) {
                    assert!(host.contains('.') && HostPattern::parse(host).is_ok(), "{host}");
                }
                assert!(service.ports.keys().all(|host| service.hosts.contains(host)));
            }
        }
    }

    #[test]
    fn the_redirect_nodes_are_the_services_own_and_not_customers_hosts() {
        let public = Cloud::named("public").unwrap();
        let redirect_nodes =
            public.semantics("contoso.database.windows.net", "").redirect_nodes.unwrap();
        for node in [
            "a1.tr17.westeurope1-a.worker",
            "tr17.westeurope1-a.worker.vnet",
            "tr17.westeurope1-a.worker",
        ] {
            assert!(
                redirect_nodes.contains(&format!("{node}.database.windows.net"), 11001),
                "{node}"
            );
        }
        for (host, port) in [
            ("evil.database.windows.net", 11001),
            ("evil.a1b2c3d4e5f6.database.windows.net", 11001),
            ("evil.public.a1b2c3d4e5f6.database.windows.net", 11001),
            ("evil.secondary.a1b2c3d4e5f6.database.windows.net", 11001),
            ("a.worker.database.windows.net", 1433),
            ("a.worker.database.windows.net.evil", 11001),
            ("a.b.evildatabase.windows.net", 11001),
            ("..database.windows.net", 11001),
            ("database.windows.net", 11001),
        ] {
            assert!(!redirect_nodes.contains(host, port), "{host}:{port}");
        }
    }

    /// The values of the platform's documentation and tutorials, including slashes at their ends.
    #[test]
    fn authorities_audiences_and_hosts_are_those_of_the_platforms_documentation() {
        /// The name of a row, its audience and its hosts.
        type Expected = (&'static str, &'static str, &'static [&'static str]);
        const STORAGE: &str = "https://storage.azure.com/";
        const LAKE: Expected =
            ("datalake", "https://datalake.azure.net/", &["*.azuredatalakestore.net"]);
        let expected: [(&str, &str, [Expected; 8]); 3] = [
            (
                "public",
                "https://login.microsoftonline.com",
                [
                    ("appconfig", "https://appconfig.azure.com", &["*.azconfig.io"]),
                    ("arm", "https://management.azure.com/", &["management.azure.com"]),
                    ("blob", STORAGE, &["*.blob.core.windows.net", "*.z##.blob.storage.azure.net"]),
                    LAKE,
                    ("dfs", STORAGE, &["*.dfs.core.windows.net", "*.z##.dfs.storage.azure.net"]),
                    ("managedhsm", "https://managedhsm.azure.net", &["*.managedhsm.azure.net"]),
                    (
                        "sql",
                        "https://database.windows.net/",
                        &[
                            "*.database.windows.net",
                            "*.secondary.database.windows.net",
                            "*.<hex>.database.windows.net",
                            "*.public.<hex>.database.windows.net",
                            "*.secondary.<hex>.database.windows.net",
                            "*.sql.azuresynapse.net",
                        ],
                    ),
                    ("vault", "https://vault.azure.net", &["*.vault.azure.net"]),
                ],
            ),
            (
                "china",
                "https://login.partner.microsoftonline.cn",
                [
                    ("appconfig", "https://appconfig.azure.cn", &["*.azconfig.azure.cn"]),
                    (
                        "arm",
                        "https://management.chinacloudapi.cn/",
                        &["management.chinacloudapi.cn"],
                    ),
                    ("blob", STORAGE, &["*.blob.core.chinacloudapi.cn"]),
                    LAKE,
                    ("dfs", STORAGE, &["*.dfs.core.chinacloudapi.cn"]),
                    ("managedhsm", "https://managedhsm.azure.cn", &["*.managedhsm.azure.cn"]),
                    (
                        "sql",
                        "https://database.chinacloudapi.cn/",
                        &[
                            "*.database.chinacloudapi.cn",
                            "*.secondary.database.chinacloudapi.cn",
                            "*.<hex>.database.chinacloudapi.cn",
                            "*.public.<hex>.database.chinacloudapi.cn",
                            "*.secondary.<hex>.database.chinacloudapi.cn",
                            "*.sql.azuresynapse.azure.cn",
                        ],
                    ),
                    ("vault", "https://vault.azure.cn", &["*.vault.azure.cn"]),
                ],
            ),
            (
                "usgov",
                "https://login.microsoftonline.us",
                [
                    ("appconfig", "https://appconfig.azure.us", &["*.azconfig.azure.us"]),
                    (
                        "arm",
                        "https://management.usgovcloudapi.net/",
                        &["management.usgovcloudapi.net"],
                    ),
                    ("blob", STORAGE, &["*.blob.core.usgovcloudapi.net"]),
                    LAKE,
                    ("dfs", STORAGE, &["*.dfs.core.usgovcloudapi.net"]),
                    (
                        "managedhsm",
                        "https://managedhsm.usgovcloudapi.net",
                        &["*.managedhsm.usgovcloudapi.net"],
                    ),
                    (
                        "sql",
                        "https://database.usgovcloudapi.net/",
                        &[
                            "*.database.usgovcloudapi.net",
                            "*.secondary.database.usgovcloudapi.net",
                            "*.<hex>.database.usgovcloudapi.net",
                            "*.public.<hex>.database.usgovcloudapi.net",
                            "*.secondary.<hex>.database.usgovcloudapi.net",
                            "*.sql.azuresynapse.usgovcloudapi.net",
                        ],
                    ),
                    ("vault", "https://vault.usgovcloudapi.net", &["*.vault.usgovcloudapi.net"]),
                ],
            ),
        ];
        assert_eq!(expected.len(), Cloud::names().count());
        for (name, authority, services) in expected {
            let cloud = Cloud::named(name).unwrap();
            assert_eq!(cloud.authority, authority);
            assert_eq!(cloud.services.len(), services.len());
            for (service, audience, hosts) in services {
                let found = &cloud.services[service];
                let found_hosts: Vec<&str> = found.hosts.iter().map(String::as_str).collect();
                assert_eq!(
                    (found.audience.as_str(), found_hosts.as_slice()),
                    (audience, hosts),
                    "{name}: {service}"
                );
                let nodes = found
                    .redirect_nodes
                    .as_ref()
                    .map(|redirect_nodes| format!("*.{}", redirect_nodes.domain));
                assert_eq!(nodes.is_some(), service == "sql");
                assert!(nodes.is_none_or(|nodes| nodes == hosts[0]));
                let ports: Vec<(&str, u16)> =
                    found.ports.iter().map(|(host, port)| (host.as_str(), *port)).collect();
                let expected = if service == "sql" { vec![(hosts[3], 3342)] } else { Vec::new() };
                assert_eq!(ports, expected, "{name}: {service}");
            }
        }
    }
}
