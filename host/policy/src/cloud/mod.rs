//! The clouds, as data: which audience a service's tokens are for, and where they may be sent.

mod meaning;
mod operations;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

pub use meaning::Meaning;
pub(crate) use operations::{Found, Looked, folded_segments};
pub use operations::{Operation, Operations, Signs};

use crate::endpoint::Protocol;
use crate::host_pattern::{is_host_of, is_label};
use crate::path::PathReading;

/// The table in `clouds.toml`. It is read once; a test reads it too, so a release that panics here
/// has not been tested.
#[allow(clippy::expect_used)]
static TABLE: LazyLock<BTreeMap<String, Cloud>> = LazyLock::new(|| {
    toml::from_str(include_str!("clouds.toml")).expect("the cloud table is valid")
});

/// A cloud.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    /// Where its directory issues tokens.
    pub authority: String,
    /// Its services, by the name that a manifest calls them by.
    #[serde(rename = "service")]
    pub services: BTreeMap<String, CloudService>,
}

/// A service of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudService {
    /// What its tokens are for, exactly.
    pub audience: String,
    /// Other names of the same audience, whose tokens its hosts take too.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The hosts that its tokens may be sent to, as
    /// [`HostPattern`](crate::host_pattern::HostPattern)s.
    pub hosts: Vec<String>,
    /// The port of hosts that do not listen at the protocol's usual one, by pattern.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// Further domains whose requests mean the same, though no token is sent there.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The service whose requests its own are like, by its name in the public cloud, where its own
    /// name is another.
    #[serde(default)]
    pub like: Option<String>,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// Where its gateways send clients on to.
    #[serde(default)]
    pub routes: Option<Routes>,
    /// How the service reads paths; by segments where nothing is said.
    #[serde(default)]
    pub paths: Option<PathReading>,
    /// Whether the service reads paths without regard to case, so that a pattern must too.
    #[serde(default)]
    pub paths_ignore_case: bool,
    /// Whether its partial responses are parts of what a client stored, with the content coding
    /// that the client gave it.
    #[serde(default)]
    pub returns_stored_content: bool,
    /// Where its requests name paths beside their own. A pattern that narrows what may be sent
    /// narrows these too.
    #[serde(default)]
    pub second_paths: Vec<SecondPath>,
}

/// The nodes behind a service's gateways, to which a gateway sends a client on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// The domain that they are in, two labels or more below it. What is one label below it is a
    /// customer's.
    pub domain: String,
    /// The first and the last of their ports.
    pub ports: [u16; 2],
    /// Hosts in the domain that are customers' too, by pattern.
    #[serde(skip)]
    pub except: Vec<String>,
}

impl Routes {
    /// Whether a gateway may send clients there.
    #[must_use]
    pub fn cover(&self, host: &str, port: u16) -> bool {
        let [first, last] = self.ports;
        let below =
            host.strip_suffix(self.domain.as_str()).and_then(|below| below.strip_suffix('.'));
        (first..=last).contains(&port)
            && !self.except.iter().any(|pattern| is_host_of(pattern, host))
            && below.is_some_and(|below| below.contains('.') && below.split('.').all(is_label))
    }
}

/// A place where a request names a path beside its own: a header field, or a parameter of the
/// query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondPath {
    /// The header field: it holds a path, or a URL.
    #[serde(default)]
    pub header: Option<String>,
    /// The parameter: it holds a path.
    #[serde(default)]
    pub query: Option<String>,
    /// What stands before the path in a request of its own.
    #[serde(default)]
    pub under: Option<String>,
    /// Whether it holds several, with commas between.
    #[serde(default)]
    pub list: bool,
    /// The method that must be allowed for the path; the request's own where there is none.
    #[serde(default)]
    pub method: Option<String>,
    /// A value of the parameter with which the paths are in the body, where nobody looks.
    #[serde(default)]
    pub unseen: Option<String>,
}

impl Cloud {
    /// The cloud of this name: `public`, `china`, `usgov`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.get(name)
    }

    /// Whether it is one of those, and not one's own.
    #[must_use]
    pub fn is_named(&self) -> bool {
        TABLE.values().any(|cloud| cloud == self)
    }

    /// The names of all clouds.
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
    fn a_gateway_sends_on_to_the_services_own_nodes_only() {
        let public = Cloud::named("public").unwrap();
        let routes = public.meaning("contoso.database.windows.net", "").routes.unwrap();
        for node in [
            "a1.tr17.westeurope1-a.worker",
            "tr17.westeurope1-a.worker.vnet",
            "tr17.westeurope1-a.worker",
        ] {
            assert!(routes.cover(&format!("{node}.database.windows.net"), 11001), "{node}");
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
            assert!(!routes.cover(host, port), "{host}:{port}");
        }
    }

    /// As the platform's documentation and tutorials have them, to the slash.
    #[test]
    fn authorities_audiences_and_hosts_are_the_platforms() {
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
                let nodes = found.routes.as_ref().map(|routes| format!("*.{}", routes.domain));
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
