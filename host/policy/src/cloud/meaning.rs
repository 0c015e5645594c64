//! What a host's requests mean, whatever a manifest calls the service.

use std::collections::BTreeSet;

use super::{Cloud, CloudService, Operations, Routes, SecondPath, TABLE, is_host_of};
use crate::path::PathReading;

/// How the requests of a host are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The services that it is, by their names in the public cloud.
    pub services: BTreeSet<String>,
    /// How paths are read.
    pub paths: PathReading,
    /// Whether paths are read without regard to case.
    pub paths_ignore_case: bool,
    /// Whether partial responses are parts of what a client stored.
    pub returns_stored_content: bool,
    /// Where requests refer to a second path.
    pub second_paths: Vec<SecondPath>,
    /// The nodes that gateways redirect to.
    pub routes: Option<Routes>,
}

/// A row of a cloud's table, with its name.
type Row<'c> = (&'c str, &'c CloudService);

impl Cloud {
    /// What requests to a host mean. `audience` is what its tokens are for: it counts where no
    /// cloud has the host.
    #[must_use]
    pub fn meaning(&self, host: &str, audience: &str) -> Meaning {
        let own: Vec<Row<'_>> = self.rows().filter(|(_, row)| row.has(host)).collect();
        let mut rows = own.clone();
        // A row of the operator's that is like no known service, at a host of Azure's, does not
        // change what the host is.
        if !rows.iter().any(|row| kind(*row).is_some()) {
            rows.extend(closest(self, host));
        }
        if !rows.iter().any(|row| kind(*row).is_some()) {
            let same = |(_, row): &Row<'_>| bare(&row.audience) == bare(audience);
            rows.extend(self.rows().chain(TABLE.values().flat_map(Self::rows)).filter(same));
        }
        let mut meaning = Meaning::default();
        for row in &rows {
            meaning.add(*row);
        }
        // A row of the operator's that says nothing leaves it to what the host is known to be.
        let said =
            |row: &Row<'_>| row.1.paths.or_else(|| kind(*row).map(|_| PathReading::Segments));
        meaning.paths = rows.iter().filter_map(said).reduce(common).unwrap_or_default();
        // Tokens follow redirects only where the configured cloud has the host, and not merely its
        // domain.
        meaning.routes = own.iter().find_map(|(_, row)| {
            let routes = row.routes.clone()?;
            Some(Routes { except: row.hosts.clone(), ..routes })
        });
        meaning
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.services.iter().map(|(name, row)| (name.as_str(), row))
    }
}

impl CloudService {
    /// Whether its tokens may be sent to a host.
    fn has(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| is_host_of(pattern, host))
    }

    /// The longest of its domains that a host is in.
    fn domain_of(&self, host: &str) -> Option<usize> {
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

impl Meaning {
    fn add(&mut self, row: Row<'_>) {
        self.services.extend(kind(row).map(str::to_owned));
        let (_, row) = row;
        self.paths_ignore_case |= row.paths_ignore_case;
        self.returns_stored_content |= row.returns_stored_content;
        for path in &row.second_paths {
            if !self.second_paths.contains(path) {
                self.second_paths.push(path.clone());
            }
        }
    }

    /// The operations of the services that it is, and those of every service.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &'static Operations> {
        self.services.iter().map(String::as_str).chain(["any"]).filter_map(Operations::of)
    }

    /// Adds what another host of the same grant means.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.services.extend(other.services);
        self.paths = common(self.paths, other.paths);
        self.paths_ignore_case |= other.paths_ignore_case;
        self.returns_stored_content &= other.returns_stored_content;
        self.second_paths.extend(
            other
                .second_paths
                .into_iter()
                .filter(|path| !self.second_paths.contains(path))
                .collect::<Vec<_>>(),
        );
        self.routes = self.routes.or(other.routes);
        self
    }
}

/// The reading of paths that two services have in common. By segments, what passes is the same to
/// both.
fn common(one: PathReading, other: PathReading) -> PathReading {
    if one == other { one } else { PathReading::Segments }
}

/// The known service that a row is. A known service may be like another one itself.
fn kind<'c>((name, row): Row<'c>) -> Option<&'c str> {
    let kind = row.like.as_deref().unwrap_or(name);
    let known = TABLE.get("public")?.services.get(kind)?;
    Some(known.like.as_deref().unwrap_or(kind))
}

/// The known services, in this cloud or another, whose domain a host is in: those of the longest
/// such domain. So private links, secondary locations and other clouds' hosts are what they are,
/// though no token of this cloud goes there.
fn closest<'c>(cloud: &'c Cloud, host: &str) -> Vec<Row<'c>> {
    let rows =
        cloud.rows().chain(TABLE.values().flat_map(Cloud::rows)).filter(|row| kind(*row).is_some());
    let in_domains: Vec<(usize, Row<'_>)> =
        rows.filter_map(|row| Some((row.1.domain_of(host)?, row))).collect();
    let longest = in_domains.iter().map(|(length, _)| *length).max();
    in_domains
        .into_iter()
        .filter(|(length, _)| Some(*length) == longest)
        .map(|(_, row)| row)
        .collect()
}

/// An audience without what its spellings differ in.
fn bare(audience: &str) -> String {
    let lower = audience.to_ascii_lowercase();
    let lower = lower.trim_end_matches('/');
    lower.strip_suffix(":443").unwrap_or(lower).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(cloud: &Cloud, host: &str, audience: &str) -> Vec<String> {
        cloud.meaning(host, audience).services.into_iter().collect()
    }

    #[test]
    fn a_host_is_the_same_service_in_all_its_forms() {
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
    fn a_host_that_nobody_knows_is_what_its_audience_says() {
        let public = Cloud::named("public").unwrap();
        assert_eq!(
            services(public, "files.contoso.example", "https://storage.azure.com"),
            ["blob", "dfs"]
        );
        assert_eq!(services(public, "x.example", "HTTPS://Vault.azure.net:443/"), ["vault"]);
        assert!(
            !public
                .meaning("files.contoso.example", "https://storage.azure.com/")
                .second_paths
                .is_empty()
        );
    }

    #[test]
    fn an_operator_says_what_a_host_is_like() {
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
            "which is like another itself"
        );
        row.like = None;
        row.hosts = vec!["contoso.blob.core.windows.net".to_owned()];
        cloud.services.insert("files".to_owned(), row);
        assert_eq!(
            services(&cloud, "contoso.blob.core.windows.net", ""),
            ["blob"],
            "a name does not hide what it is"
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
            assert_eq!(public.meaning(host, audience).paths, paths, "{host} {audience}");
        }
        let (blob, vault) = (
            public.meaning("a.blob.core.windows.net", ""),
            public.meaning("a.vault.azure.net", ""),
        );
        assert_eq!(blob.clone().and(blob.clone()).paths, names);
        assert_eq!(
            blob.and(vault).paths,
            PathReading::Segments,
            "a mount of both is as strict as one of them"
        );
    }

    #[test]
    fn an_operator_says_how_a_host_of_his_own_reads_paths_and_not_how_azures_do() {
        let mut cloud = Cloud::named("public").unwrap().clone();
        let mut row = cloud.services["vault"].clone();
        (row.audience, row.domains) = ("https://own.example".to_owned(), Vec::new());
        row.hosts = ["*.own.example", "a.vault.azure.net", "a.blob.core.windows.net"]
            .map(str::to_owned)
            .to_vec();
        row.paths = Some(PathReading::Keys { after: 1 });
        cloud.services.insert("own".to_owned(), row.clone());
        assert_eq!(cloud.meaning("a.own.example", "").paths, PathReading::Keys { after: 1 });
        assert_eq!(cloud.meaning("a.vault.azure.net", "").paths, PathReading::Segments);
        assert_eq!(
            cloud.meaning("a.blob.core.windows.net", "").paths,
            PathReading::Segments,
            "they differ"
        );
        row.paths = None;
        cloud.services.insert("own".to_owned(), row);
        assert_eq!(cloud.meaning("a.own.example", "").paths, PathReading::Segments);
        assert_eq!(
            cloud.meaning("a.blob.core.windows.net", "").paths,
            PathReading::Names { after: 1 }
        );
    }

    #[test]
    fn nodes_are_followed_only_from_the_clouds_own_hosts() {
        let public = Cloud::named("public").unwrap();
        assert!(public.meaning("contoso.database.windows.net", "").routes.is_some());
        assert!(public.meaning("contoso.database.chinacloudapi.cn", "").routes.is_none());
    }
}
