//! The semantics of requests to a host. They depend on the host, not on the name that a manifest
//! has for the service.

use std::collections::BTreeSet;

use super::{
    Cloud, CloudService, NamedOperations, Operations, RedirectNodes, ReferencedPath, TABLE,
    host_matches,
};
use crate::path::PathReading;

/// The semantics of requests to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Semantics {
    /// The host's services, by their names in the public cloud.
    pub services: BTreeSet<String>,
    /// How paths are read.
    pub paths: PathReading,
    /// Whether case is ignored in paths.
    pub paths_ignore_case: bool,
    /// Whether partial responses (206) are parts of what a client stored.
    pub returns_stored_content: bool,
    /// The header fields and parameters that refer to a second path.
    pub referenced_paths: Vec<ReferencedPath>,
    /// The nodes that gateways redirect to.
    pub redirect_nodes: Option<RedirectNodes>,
}

/// A service of a cloud, with its name.
type Row<'c> = (&'c str, &'c CloudService);

impl Cloud {
    /// The semantics of requests to a host. `audience` is that of its tokens, which selects the
    /// service if no cloud has the host.
    #[must_use]
    pub fn semantics(&self, host: &str, audience: &str) -> Semantics {
        let own: Vec<Row<'_>> = self.rows().filter(|(_, row)| row.has_host(host)).collect();
        let mut rows = own.clone();
        // A custom service without `like`, at a host of Azure's, does not change the host's
        // semantics.
        if !rows.iter().any(|row| public_service(*row).is_some()) {
            rows.extend(services_by_domain(self, host));
        }
        if !rows.iter().any(|row| public_service(*row).is_some()) {
            let has_audience = |(_, row): &Row<'_>| {
                canonical_audience(&row.audience) == canonical_audience(audience)
            };
            rows.extend(
                self.rows().chain(TABLE.values().flat_map(Self::rows)).filter(has_audience),
            );
        }
        let mut semantics = Semantics::default();
        for row in &rows {
            semantics.add(*row);
        }
        // A custom service without `paths` leaves them to the known services of the host.
        let configured = |row: &Row<'_>| {
            row.1.paths.or_else(|| public_service(*row).map(|_| PathReading::Segments))
        };
        semantics.paths =
            rows.iter().filter_map(configured).reduce(common_reading).unwrap_or_default();
        // Sessions are redirected, with their tokens, only if the configured cloud has the host
        // itself, and not only its domain.
        semantics.redirect_nodes = own.iter().find_map(|(_, row)| {
            let redirect_nodes = row.redirect_nodes.clone()?;
            Some(RedirectNodes { except: row.hosts.clone(), ..redirect_nodes })
        });
        semantics
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.services.iter().map(|(name, row)| (name.as_str(), row))
    }
}

impl CloudService {
    /// Whether its tokens may be sent to a host.
    fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| host_matches(pattern, host))
    }

    /// The length of the longest of its domains that contains a host.
    fn matching_domain_length(&self, host: &str) -> Option<usize> {
        let domains = self
            .hosts
            .iter()
            .map(|pattern| pattern.trim_start_matches("*."))
            .chain(self.domains.iter().map(String::as_str));
        let is_in = |domain: &&str| {
            host.strip_suffix(domain)
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        domains.filter(is_in).map(str::len).max()
    }
}

impl Semantics {
    fn add(&mut self, row: Row<'_>) {
        self.services.extend(public_service(row).map(str::to_owned));
        let (_, row) = row;
        self.paths_ignore_case |= row.paths_ignore_case;
        self.returns_stored_content |= row.returns_stored_content;
        for path in &row.referenced_paths {
            if !self.referenced_paths.contains(path) {
                self.referenced_paths.push(path.clone());
            }
        }
    }

    /// The operations of the host's services, and those of every service.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &'static Operations> {
        self.services.iter().map(String::as_str).chain(["any"]).filter_map(Operations::of)
    }

    /// The named operations of the host's services.
    pub(crate) fn named_operations(&self) -> impl Iterator<Item = &'static NamedOperations> {
        self.services.iter().filter_map(|service| NamedOperations::of(service))
    }

    /// The semantics of a grant with a further host: of both hosts together.
    #[must_use]
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.services.extend(other.services);
        self.paths = common_reading(self.paths, other.paths);
        self.paths_ignore_case |= other.paths_ignore_case;
        self.returns_stored_content &= other.returns_stored_content;
        self.referenced_paths.extend(
            other
                .referenced_paths
                .into_iter()
                .filter(|path| !self.referenced_paths.contains(path))
                .collect::<Vec<_>>(),
        );
        self.redirect_nodes = self.redirect_nodes.or(other.redirect_nodes);
        self
    }
}

/// A reading of paths that is valid for two services. Paths that are valid by segments have one
/// reading at both.
fn common_reading(one: PathReading, other: PathReading) -> PathReading {
    if one == other { one } else { PathReading::Segments }
}

/// The service of the public cloud whose API a service has. That one may have `like` too.
fn public_service<'c>((name, row): Row<'c>) -> Option<&'c str> {
    let name = row.like.as_deref().unwrap_or(name);
    let known = TABLE.get("public")?.services.get(name)?;
    Some(known.like.as_deref().unwrap_or(name))
}

/// The known services, in this cloud or another, with the longest domain that contains a host. So
/// private links, secondary locations and hosts of other clouds have their service's semantics,
/// although no token of this cloud is sent there.
fn services_by_domain<'c>(cloud: &'c Cloud, host: &str) -> Vec<Row<'c>> {
    let rows = cloud
        .rows()
        .chain(TABLE.values().flat_map(Cloud::rows))
        .filter(|row| public_service(*row).is_some());
    let in_domains: Vec<(usize, Row<'_>)> =
        rows.filter_map(|row| Some((row.1.matching_domain_length(host)?, row))).collect();
    let longest = in_domains.iter().map(|(length, _)| *length).max();
    in_domains
        .into_iter()
        .filter(|(length, _)| Some(*length) == longest)
        .map(|(_, row)| row)
        .collect()
}

/// The canonical spelling of an audience: in lower case, without the default port and the slash at
/// the end.
fn canonical_audience(audience: &str) -> String {
    let lower = audience.to_ascii_lowercase();
    let lower = lower.trim_end_matches('/');
    lower.strip_suffix(":443").unwrap_or(lower).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(cloud: &Cloud, host: &str, audience: &str) -> Vec<String> {
        cloud.semantics(host, audience).services.into_iter().collect()
    }

    #[test]
    fn all_hosts_of_a_service_have_its_semantics() {
        let public = Cloud::named("public").unwrap();
        for (host, service) in [
            ("contoso.blob.core.windows.net", "blob"),
            ("contoso-secondary.blob.core.windows.net", "blob"),
            ("contoso.privatelink.blob.core.windows.net", "blob"),
            ("contoso.z12.blob.storage.azure.net", "blob"),
            ("contoso.blob.core.chinacloudapi.cn", "blob"),
            ("contoso.dfs.core.usgovcloudapi.net", "dfs"),
            ("contoso.vault.azure.net", "vault"),
            ("contoso.privatelink.vaultcore.azure.net", "vault"),
            ("contoso.managedhsm.azure.net", "vault"),
            ("contoso.privatelink.managedhsm.azure.net", "vault"),
            ("contoso.managedhsm.azure.cn", "vault"),
            ("contoso.managedhsm.usgovcloudapi.net", "vault"),
            ("contoso-secondary.dfs.core.windows.net", "dfs"),
            ("contoso.z12.dfs.storage.azure.net", "dfs"),
            ("contoso.a1b2c3d4e5f6.database.windows.net", "sql"),
            ("contoso.public.a1b2c3d4e5f6.database.windows.net", "sql"),
            ("contoso-ondemand.sql.azuresynapse.net", "sql"),
            ("contoso.privatelink.sql.azuresynapse.net", "sql"),
            ("contoso.sql.azuresynapse.azure.cn", "sql"),
            ("management.azure.com", "arm"),
            ("westeurope.management.azure.com", "arm"),
            ("management.chinacloudapi.cn", "arm"),
            ("contoso.privatelink.azconfig.io", "appconfig"),
            ("contoso.appconfig.azure.us", "appconfig"),
        ] {
            assert_eq!(services(public, host, "https://own.example"), [service], "{host}");
        }
        for host in
            ["contoso.example", "blob.core.windows.net.evil.example", "evilblob.core.windows.net"]
        {
            assert!(services(public, host, "https://own.example").is_empty(), "{host}");
        }
    }

    #[test]
    fn an_unknown_host_has_the_semantics_of_its_audience() {
        let public = Cloud::named("public").unwrap();
        assert_eq!(
            services(public, "files.contoso.example", "https://storage.azure.com"),
            ["blob", "dfs"]
        );
        assert_eq!(services(public, "x.example", "HTTPS://Vault.azure.net:443/"), ["vault"]);
        assert!(
            !public
                .semantics("files.contoso.example", "https://storage.azure.com/")
                .referenced_paths
                .is_empty()
        );
    }

    #[test]
    fn a_custom_service_has_the_semantics_of_the_service_in_like() {
        let mut cloud = Cloud::named("public").unwrap().clone();
        let mut row = cloud.services["vault"].clone();
        (row.hosts, row.domains) = (vec!["*.files.contoso.example".to_owned()], Vec::new());
        (row.audience, row.like) =
            ("https://files.contoso.example".to_owned(), Some("blob".to_owned()));
        cloud.services.insert("files".to_owned(), row.clone());
        assert_eq!(services(&cloud, "a.files.contoso.example", ""), ["blob"]);
        row.like = Some("managedhsm".to_owned());
        cloud.services.insert("files".to_owned(), row.clone());
        assert_eq!(
            services(&cloud, "a.files.contoso.example", ""),
            ["vault"],
            "the service in `like` has `like` itself"
        );
        row.like = None;
        row.hosts = vec!["contoso.blob.core.windows.net".to_owned()];
        cloud.services.insert("files".to_owned(), row);
        assert_eq!(
            services(&cloud, "contoso.blob.core.windows.net", ""),
            ["blob"],
            "a new name does not change the semantics of a known host"
        );
    }

    #[test]
    fn a_host_reads_paths_as_its_service_does() {
        let public = Cloud::named("public").unwrap();
        let names = PathReading::Names { after: 1 };
        for (host, audience, paths) in [
            ("contoso.blob.core.windows.net", "", names),
            ("contoso.privatelink.blob.core.windows.net", "", names),
            ("contoso.blob.core.chinacloudapi.cn", "", names),
            ("contoso.dfs.core.windows.net", "", names),
            ("files.contoso.example", "https://storage.azure.com", names),
            ("contoso.azuredatalakestore.net", "", PathReading::Files { after: 1 }),
            ("contoso.azconfig.io", "", PathReading::Keys { after: 1 }),
            ("contoso.vault.azure.net", "", PathReading::Segments),
            ("management.azure.com", "", PathReading::Segments),
            ("contoso.example", "https://own.example", PathReading::Segments),
        ] {
            assert_eq!(public.semantics(host, audience).paths, paths, "{host} {audience}");
        }
        let (blob, vault) = (
            public.semantics("a.blob.core.windows.net", ""),
            public.semantics("a.vault.azure.net", ""),
        );
        assert_eq!(blob.clone().merge(blob.clone()).paths, names);
        assert_eq!(
            blob.merge(vault).paths,
            PathReading::Segments,
            "a grant with both hosts reads paths by segments"
        );
    }

    #[test]
    fn the_configuration_sets_how_custom_hosts_read_paths_and_not_how_azures_do() {
        let mut cloud = Cloud::named("public").unwrap().clone();
        let mut row = cloud.services["vault"].clone();
        (row.audience, row.domains) = ("https://own.example".to_owned(), Vec::new());
        row.hosts = ["*.own.example", "a.vault.azure.net", "a.blob.core.windows.net"]
            .map(str::to_owned)
            .to_vec();
        row.paths = Some(PathReading::Keys { after: 1 });
        cloud.services.insert("own".to_owned(), row.clone());
        assert_eq!(cloud.semantics("a.own.example", "").paths, PathReading::Keys { after: 1 });
        assert_eq!(cloud.semantics("a.vault.azure.net", "").paths, PathReading::Segments);
        assert_eq!(
            cloud.semantics("a.blob.core.windows.net", "").paths,
            PathReading::Segments,
            "the two readings differ"
        );
        row.paths = None;
        cloud.services.insert("own".to_owned(), row);
        assert_eq!(cloud.semantics("a.own.example", "").paths, PathReading::Segments);
        assert_eq!(
            cloud.semantics("a.blob.core.windows.net", "").paths,
            PathReading::Names { after: 1 }
        );
    }

    #[test]
    fn only_hosts_of_the_configured_cloud_have_redirect_nodes() {
        let public = Cloud::named("public").unwrap();
        assert!(public.semantics("contoso.database.windows.net", "").redirect_nodes.is_some());
        assert!(public.semantics("contoso.database.chinacloudapi.cn", "").redirect_nodes.is_none());
    }

    #[test]
    fn every_service_has_named_operations_in_every_cloud() {
        for (cloud, storage, vault, sql, arm) in [
            ("public", "core.windows.net", "vault.azure.net", "database.windows.net", "azure.com"),
            (
                "china",
                "core.chinacloudapi.cn",
                "vault.azure.cn",
                "database.chinacloudapi.cn",
                "chinacloudapi.cn",
            ),
            (
                "usgov",
                "core.usgovcloudapi.net",
                "vault.usgovcloudapi.net",
                "database.usgovcloudapi.net",
                "usgovcloudapi.net",
            ),
        ] {
            let cloud = Cloud::named(cloud).unwrap();
            for (host, operation) in [
                (format!("contoso.blob.{storage}"), "set-tier"),
                (format!("contoso.dfs.{storage}"), "create-with-acl"),
                (format!("contoso.{vault}"), "unwrap-key"),
                (format!("contoso.{sql}"), "connect"),
                (format!("management.{arm}"), "act"),
            ] {
                let semantics = cloud.semantics(&host, "");
                let mut all = semantics.named_operations().flat_map(|operations| operations.iter());
                assert!(all.any(|one| one.name == operation), "{host}: {operation}");
            }
        }
        let lake = Cloud::named("public").unwrap().semantics("a.azuredatalakestore.net", "");
        assert_eq!(lake.named_operations().count(), 1);
        let own = Cloud::named("public").unwrap().semantics("own.example", "https://own.example");
        assert_eq!(own.named_operations().count(), 0);
    }
}
