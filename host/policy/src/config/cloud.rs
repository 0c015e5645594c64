//! `cloud`, the name of one of Azure's clouds, or `[cloud]`, a custom cloud: Azure Stack, or a
//! private one.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use keyward_types::Audience;

use crate::cloud::{Cloud, CloudService, RedirectNodes, ReferencedPath};
use crate::diagnostic::{Diagnostic, Location, Spanned};
use crate::document::{DefaultValue, InvalidValue, Key, Section, SectionKeys, WithDefault};
use crate::endpoint::{Endpoint, Protocol};
use crate::host_pattern::HostPattern;
use crate::path::PathReading;

const DEFAULT: &str = "public";

/// The version without the old names of keys.
const REMOVED_IN: &str = "0.2.0";

const NAMES: fn() -> Vec<&'static str> = || Cloud::names().collect();

const NAME: Key = Key::one_of(
    "cloud",
    NAMES,
    DEFAULT,
    "selects the audiences and hosts of Azure's services; `[cloud]` describes others",
)
.default(DefaultValue::String(DEFAULT));

/// The keys before the first section.
pub(super) const TOP: SectionKeys = SectionKeys::new(&[], "Keys at the top of the file.", &[&NAME]);

const BASE: Key = Key::one_of(
    "base",
    NAMES,
    DEFAULT,
    "the cloud whose services this one has too, unless they are listed here",
)
.default_is("none");
const AUTHORITY_EXPECTED: &str =
    "\"https://host\", where the directory issues tokens, with its path if it has one";
const AUTHORITY: Key = Key::form(
    "authority",
    AUTHORITY_EXPECTED,
    Some("^https://"),
    "https://login.contoso.example",
    "where the directory issues tokens, for workload identity; required without `base`",
)
.default_is("that of `base`");

/// `[cloud]`.
pub(super) const CLOUD: SectionKeys = SectionKeys::new(
    &["cloud"],
    "A custom cloud instead of `cloud = \"...\"`: Azure Stack, or a private one. See \
     [clouds.md](clouds.md).",
    &[&AUTHORITY, &BASE],
);

const HOSTS_EXAMPLE: &str = "*.vault.contoso.example";

const AUDIENCE: Key = Key::form(
    "audience",
    "the audience of its tokens, exactly, including a slash at its end",
    None,
    "https://vault.contoso.example",
    "the exact audience of the service's tokens; required for a service that `base` does not have",
);
const HOSTS: Key = Key::strings(
    "hosts",
    HOSTS_EXAMPLE,
    "where its tokens may be sent; required for a service that `base` does not have",
);
const LIKE: Key =
    Key::one_of("like", public_services, "blob", "the service of Azure whose API this one has")
        .default_is("the service of the same name");
const PROTOCOLS: [(&str, Protocol); 2] =
    [("https", Protocol::Https), ("sqlserver", Protocol::SqlServer)];
const PROTOCOL: Key = Key::one_of(
    "protocol",
    || PROTOCOLS.iter().map(|(name, _)| *name).collect(),
    "https",
    "the protocol of its hosts",
)
.default_is("that of `base` or `like`, or else `\"https\"`");
const PATHS: Key = Key::one_of(
    "paths",
    || readings(0).iter().map(|(name, _)| *name).collect(),
    "names",
    "how the service reads the paths of its requests ([clouds.md](clouds.md))",
)
.default_is("that of `base` or `like`, or else `\"segments\"`");
const NAMES_AFTER: WithDefault<u32> = WithDefault::<u32>::integer(
    "names_after",
    (0, 8),
    1,
    "how many segments precede the names, with `paths`",
);
const IGNORE_CASE: Key =
    Key::boolean("paths_ignore_case", "whether `allow` is compared without regard to case")
        .default_is("that of `base` or `like`, or else `false`");
const REFERENCED_PATHS_EXAMPLE: &str = "header = \"x-ms-copy-source\"";
const REFERENCED_PATHS: Key = Key::tables(
    "referenced_paths",
    &REFERENCED_PATH,
    REFERENCED_PATHS_EXAMPLE,
    "the header fields and parameters that refer to a second path, which `allow` must cover too",
)
.default_is("those of `base` or `like`");
const SECOND_PATHS: Key = Key::tables(
    "second_paths",
    &REFERENCED_PATH,
    REFERENCED_PATHS_EXAMPLE,
    "the old name of `referenced_paths`",
)
.deprecated("referenced_paths = [...]", REMOVED_IN);

/// `[cloud.service.NAME]`.
pub(super) const SERVICE: SectionKeys = SectionKeys::new(
    &["cloud", "service", "NAME"],
    "A service of a custom cloud, by the name that manifests use.",
    &[
        &AUDIENCE,
        &HOSTS,
        &PROTOCOL,
        &LIKE,
        &PATHS,
        &NAMES_AFTER.key,
        &IGNORE_CASE,
        &REFERENCED_PATHS,
        &SECOND_PATHS,
    ],
);

const DOMAIN: Key = Key::form(
    "domain",
    "the domain of the nodes",
    None,
    "database.contoso.example",
    "the domain of the nodes",
)
.required();
const PORTS: Key =
    Key::integers("ports", (2, 1, u16::MAX as u64), "[11000, 11999]", "their first and last port")
        .required();

/// `[cloud.service.NAME.redirect_nodes]`.
pub(super) const REDIRECT_NODES: SectionKeys = SectionKeys::new(
    &["cloud", "service", "NAME", "redirect_nodes"],
    "The nodes that a database's gateways redirect to.",
    &[&DOMAIN, &PORTS],
);

/// `[cloud.service.NAME.routes]`.
pub(super) const ROUTES: SectionKeys = SectionKeys::new(
    &["cloud", "service", "NAME", "routes"],
    "The old name of `[cloud.service.NAME.redirect_nodes]`.",
    &[&DOMAIN, &PORTS],
)
.deprecated("redirect_nodes = { domain = \"...\", ports = [...] }", REMOVED_IN);

const HEADER: Key = Key::form(
    "header",
    "the name of a header field",
    None,
    "x-ms-copy-source",
    "the header field with the path; exactly one of `header` and `query` is required",
);
const QUERY: Key = Key::string("query", "destination", "the parameter with the path");
const METHOD: Key = Key::form(
    "method",
    "a method, in capitals",
    Some("^[A-Z]+$"),
    "GET",
    "the method that `allow` is compared with, in place of the request's",
);
const LIST: Key = Key::boolean("list", "whether commas separate several paths")
    .default(DefaultValue::Boolean(false));
const PREFIX_EXAMPLE: &str = "/webhdfs/v1";
const PREFIX: Key = Key::string("prefix", PREFIX_EXAMPLE, "a prefix that is added to each path");
const UNDER: Key = Key::string("under", PREFIX_EXAMPLE, "the old name of `prefix`")
    .deprecated("prefix = \"...\"", REMOVED_IN);
const OPAQUE_WHEN_EXAMPLE: &str = "MSCONCAT";
const OPAQUE_WHEN: Key = Key::string(
    "opaque_when",
    OPAQUE_WHEN_EXAMPLE,
    "a value of the parameter with which the paths are in the body, which `allow` cannot check",
);
const UNSEEN: Key = Key::string("unseen", OPAQUE_WHEN_EXAMPLE, "the old name of `opaque_when`")
    .deprecated("opaque_when = \"...\"", REMOVED_IN);

/// An entry of `referenced_paths`.
const REFERENCED_PATH: SectionKeys = SectionKeys::new(
    &[],
    "",
    &[&HEADER, &QUERY, &METHOD, &LIST, &PREFIX, &OPAQUE_WHEN, &UNDER, &UNSEEN],
);

pub(super) fn read(root: &Section<'_>) -> Cloud {
    if root.has_table("cloud") {
        return custom(root.section(&CLOUD));
    }
    let cloud = root.one_of(&NAME, &names()).map_or(DEFAULT, |cloud| cloud.value);
    named(cloud).cloned().unwrap_or_else(empty)
}

fn names() -> Vec<(&'static str, &'static str)> {
    Cloud::names().map(|name| (name, name)).collect()
}

fn named(name: &str) -> Option<&'static Cloud> {
    Cloud::named(name)
}

fn public_services() -> Vec<&'static str> {
    let services = named(DEFAULT).into_iter().flat_map(|cloud| cloud.services.keys());
    services.map(String::as_str).collect()
}

fn empty() -> Cloud {
    Cloud { authority: String::new(), services: BTreeMap::new() }
}

fn custom(section: Section<'_>) -> Cloud {
    let base = section.one_of(&BASE, &names()).and_then(|base| named(base.value));
    let authority = section.parsed(&AUTHORITY, |text| match Endpoint::parse(text) {
        Ok(endpoint) if endpoint.protocol == Protocol::Https => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Err(error) if text.starts_with("https://") => Err(InvalidValue::because(error.to_string())),
        _ => Err(InvalidValue::default()),
    });
    if authority.is_none()
        && section.location_of(&BASE).is_none()
        && section.location_of(&AUTHORITY).is_none()
    {
        let message = format!("{} has neither an `authority` nor a `base`", section.header());
        let write = format!("authority = {}", AUTHORITY.example_toml());
        section.push(
            Diagnostic::new(section.location(), message).expected(AUTHORITY_EXPECTED).write(write),
        );
    }
    let mut cloud = base.cloned().unwrap_or_else(empty);
    if let Some(authority) = authority {
        cloud.authority = authority.value;
    }
    for (name, inner) in section.sections(&SERVICE) {
        let service = service(&name.value, inner, cloud.services.get(&name.value));
        cloud.services.extend(service.map(|service| (name.value, service)));
    }
    section.finish();
    cloud
}

/// Reads a service. A key that is absent has the value of `base`. Without one, the protocol and the
/// meaning of requests are those of the service with this name in the public cloud, since a
/// service's API is the same in every cloud.
fn service(name: &str, section: Section<'_>, base: Option<&CloudService>) -> Option<CloudService> {
    let kinds: Vec<(&str, &str)> = public_services().into_iter().map(|kind| (kind, kind)).collect();
    let like = section.one_of(&LIKE, &kinds).map(|kind| kind.value);
    let alike = base.or_else(|| named(DEFAULT)?.services.get(like.unwrap_or(name)));
    let audience = section.parsed(&AUDIENCE, |text| {
        Audience::new(text)
            .map(|_| text.to_owned())
            .map_err(|error| InvalidValue::because(error.to_string()))
    });
    let hosts = hosts(&section);
    let protocol = section.one_of(&PROTOCOL, &PROTOCOLS);
    let redirect_nodes = redirect_nodes(section.renamed_section(&REDIRECT_NODES, &ROUTES));
    let paths = paths(&section);
    let paths_ignore_case = section.boolean(&IGNORE_CASE).map(|value| value.value);
    let key = section.renamed(&REFERENCED_PATHS, &SECOND_PATHS);
    let entries = section.tables(key).into_iter();
    let referenced_paths: Vec<ReferencedPath> = entries.filter_map(referenced_path).collect();
    let referenced_paths = section.location_of(key).map(|_| referenced_paths);
    let missing = |key: &Key, example: &str| {
        if section.location_of(key).is_none() && base.is_none() {
            let message = format!("{} has no `{}`", section.header(), key.name);
            let write = format!("{} = {example}", key.name);
            section.push(Diagnostic::new(section.location(), message).write(write));
        }
    };
    missing(&AUDIENCE, &format!("\"https://{name}.contoso.example\""));
    missing(&HOSTS, &format!("[\"*.{name}.contoso.example\"]"));
    section.finish();
    Some(CloudService {
        audience: audience
            .map(|audience| audience.value)
            .or_else(|| Some(base?.audience.clone()))?,
        aliases: base.map(|base| base.aliases.clone()).unwrap_or_default(),
        ports: base.filter(|_| hosts.is_none()).map(|base| base.ports.clone()).unwrap_or_default(),
        // Other hosts are other gateways, which have other nodes.
        redirect_nodes: redirect_nodes
            .or_else(|| base.filter(|_| hosts.is_none())?.redirect_nodes.clone()),
        hosts: hosts.or_else(|| Some(base?.hosts.clone()))?,
        domains: base.map(|base| base.domains.clone()).unwrap_or_default(),
        like: like.map(str::to_owned).or_else(|| base?.like.clone()),
        protocol: protocol
            .map(|protocol| protocol.value)
            .or_else(|| Some(alike?.protocol))
            .unwrap_or_default(),
        paths: paths.or_else(|| alike?.paths),
        paths_ignore_case: paths_ignore_case
            .unwrap_or_else(|| alike.is_some_and(|alike| alike.paths_ignore_case)),
        returns_stored_content: alike.is_some_and(|alike| alike.returns_stored_content),
        referenced_paths: referenced_paths.unwrap_or_else(|| {
            alike.map(|alike| alike.referenced_paths.clone()).unwrap_or_default()
        }),
    })
}

/// Reads `paths`, and `names_after` with it.
fn paths(section: &Section<'_>) -> Option<PathReading> {
    let names_after = u8::try_from(section.integer(&NAMES_AFTER)).unwrap_or(u8::MAX);
    let paths = section.one_of(&PATHS, &readings(names_after));
    let reading = paths.map(|paths| paths.value);
    if section.location_of(&NAMES_AFTER).is_some()
        && (reading == Some(PathReading::Segments) || section.location_of(&PATHS).is_none())
    {
        let message = format!(
            "`names_after` in {} needs `paths = \"names\"`, \"files\" or \"keys\"",
            section.header()
        );
        let diagnostic = Diagnostic::new(section.location_of(&NAMES_AFTER), message);
        section.push(
            diagnostic
                .expected("`paths` with one of these values, or no `names_after`")
                .write("paths = \"names\""),
        );
    }
    reading
}

/// The values of `paths`, by name.
fn readings(after: u8) -> [(&'static str, PathReading); 4] {
    let readings = [
        PathReading::Segments,
        PathReading::Names { after },
        PathReading::Files { after },
        PathReading::Keys { after },
    ];
    readings.map(|reading| (reading.as_str(), reading))
}

fn hosts(section: &Section<'_>) -> Option<Vec<String>> {
    let Spanned { value: hosts, location } = section.strings(&HOSTS)?;
    let wrong = |location: Option<Location>, message: String| {
        let expected = "host names in lower case, where a label may be * or <hex>, and a digit #; \
                        the last two labels without them";
        section.push(
            Diagnostic::new(location, message)
                .expected(expected)
                .write(format!("hosts = [{HOSTS_EXAMPLE:?}]")),
        );
    };
    if hosts.is_empty() {
        wrong(
            location,
            format!("`hosts` in {} is empty: no token could be sent anywhere", section.header()),
        );
    }
    for host in &hosts {
        if HostPattern::parse(&host.value).is_err() {
            wrong(
                host.location.clone(),
                format!("{:?} in {} is not a valid host pattern", host.value, section.header()),
            );
        }
    }
    Some(hosts.into_iter().map(|host| host.value).collect())
}

fn redirect_nodes(section: Section<'_>) -> Option<RedirectNodes> {
    if !section.exists() {
        return None;
    }
    let domain = section.parsed(&DOMAIN, |text| match HostPattern::parse(text) {
        Ok(pattern) if pattern.only_host().is_some() && text.contains('.') => Ok(text.to_owned()),
        _ => Err(InvalidValue::default()),
    });
    let ports = section.integers::<2>(&PORTS);
    for key in [DOMAIN, PORTS] {
        if section.location_of(&key).is_none() {
            let message = format!("{} has no `{}`", section.header(), key.name);
            let write = format!("{} = {}", key.name, key.example_toml());
            section.push(Diagnostic::new(section.location(), message).write(write));
        }
    }
    section.finish();
    let ports = ports?.map(|port| u16::try_from(port).unwrap_or(u16::MAX));
    Some(RedirectNodes { domain: domain?.value, ports, except: Vec::new() })
}

fn referenced_path(section: Section<'_>) -> Option<ReferencedPath> {
    let string = |key: &Key| section.string(key).map(|string| string.value);
    let header = section.parsed(&HEADER, |text| {
        text.parse::<HeaderName>()
            .map(|name| name.as_str().to_owned())
            .map_err(|_| InvalidValue::default())
    });
    let header = header.map(|header| header.value);
    let query = string(&QUERY);
    let method = section.parsed(&METHOD, |text| match text.parse::<Method>() {
        Ok(_) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(text.to_owned()),
        _ => Err(InvalidValue::default()),
    });
    let path = ReferencedPath {
        prefix: string(section.renamed(&PREFIX, &UNDER)),
        list: section.boolean(&LIST).is_some_and(|list| list.value),
        method: method.map(|method| method.value),
        opaque_when: string(section.renamed(&OPAQUE_WHEN, &UNSEEN)),
        header,
        query,
    };
    let is_valid = path.header.is_some() != path.query.is_some();
    if !is_valid
        && (section.location_of(&HEADER).is_some() == section.location_of(&QUERY).is_some())
    {
        let message =
            format!("an entry of {} needs exactly one of `header` and `query`", section.header());
        section.push(Diagnostic::new(section.location(), message).expected("one of them"));
    }
    section.finish();
    is_valid.then_some(path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn cloud(text: &str) -> Cloud {
        Config::from_toml(Path::new("k.toml"), text).unwrap_or_else(|error| panic!("{error}")).cloud
    }

    #[test]
    fn a_cloud_has_a_name_or_a_table() {
        assert_eq!(cloud(""), *named("public").unwrap());
        assert_eq!(cloud("cloud = \"china\"\n"), *named("china").unwrap());
        assert_eq!(cloud("[cloud]\nbase = \"usgov\"\n"), *named("usgov").unwrap());
        let own = cloud("[cloud]\nauthority = \"https://adfs.local.azurestack.external/adfs/\"\n");
        assert_eq!(own.authority, "https://adfs.local.azurestack.external/adfs");
        assert!(own.services.is_empty(), "only the services that are listed");
    }

    #[test]
    fn an_absent_key_has_the_value_of_the_base() {
        let own = cloud(
            "[cloud]\nauthority = \"https://login.contoso.example\"\nbase = \"public\"\n\
             [cloud.service.vault]\naudience = \"https://vault.contoso.example\"\n\
             hosts = [\"*.vault.contoso.example\"]\n\
             [cloud.service.sql]\nhosts = [\"*.sql.contoso.example\"]\n",
        );
        let public = named("public").unwrap();
        assert_eq!(own.authority, "https://login.contoso.example");
        let vault = &own.services["vault"];
        assert_eq!(
            (vault.audience.as_str(), vault.hosts.len()),
            ("https://vault.contoso.example", 1)
        );
        assert_eq!(own.services["blob"], public.services["blob"]);
        let sql = &own.services["sql"];
        assert_eq!(
            (&sql.audience, sql.protocol),
            (&public.services["sql"].audience, Protocol::SqlServer)
        );
        assert_eq!(sql.redirect_nodes, None, "other gateways redirect to other nodes");
        assert_eq!(own.services.len(), public.services.len());
    }

    #[test]
    fn a_known_service_reads_requests_as_in_the_public_cloud() {
        let lines = "audience = \"https://storage.contoso.example\"\n\
                     hosts = [\"*.blob.contoso.example\"]\n";
        let with = |further: &str| {
            let text = format!(
                "[cloud]\nauthority = \"https://a.example\"\n[cloud.service.blob]\n{lines}{further}"
            );
            cloud(&text).services["blob"].clone()
        };
        let public = &named("public").unwrap().services["blob"];
        assert_eq!(
            with("").referenced_paths,
            public.referenced_paths,
            "the source of a copy is checked here too"
        );
        assert!(
            with("referenced_paths = []\n").referenced_paths.is_empty(),
            "unless the configuration overrides it"
        );
        let own = with(
            "referenced_paths = \
             [{ query = \"from\", prefix = \"/v1\", list = true, method = \"GET\" }]\n",
        );
        let [path] = own.referenced_paths.as_slice() else { panic!("{own:?}") };
        assert_eq!(
            (path.query.as_deref(), path.prefix.as_deref(), path.list),
            (Some("from"), Some("/v1"), true)
        );
        assert_eq!(path.method.as_deref(), Some("GET"));
    }

    #[test]
    fn a_service_configures_how_it_reads_paths() {
        let with = |name: &str, further: &str| {
            let lines = "audience = \"https://f.example\"\nhosts = [\"*.f.example\"]\n";
            let text = format!(
                "[cloud]\nauthority = \
                 \"https://a.example\"\n[cloud.service.{name}]\n{lines}{further}"
            );
            cloud(&text).services[name].paths
        };
        assert_eq!(with("own", ""), None);
        assert_eq!(with("own", "paths = \"names\"\n"), Some(PathReading::Names { after: 1 }));
        assert_eq!(
            with("own", "paths = \"keys\"\nnames_after = 2\n"),
            Some(PathReading::Keys { after: 2 })
        );
        assert_eq!(with("own", "like = \"blob\"\n"), Some(PathReading::Names { after: 1 }));
        assert_eq!(with("blob", ""), Some(PathReading::Names { after: 1 }), "as everywhere");
        assert_eq!(with("blob", "paths = \"segments\"\n"), Some(PathReading::Segments));
    }

    #[test]
    fn a_service_with_a_new_name_reads_requests_like_the_service_in_like() {
        let lines = "audience = \"https://f.example\"\nhosts = [\"*.f.example\"]\n";
        let text =
            format!("[cloud]\nbase = \"public\"\n[cloud.service.files]\n{lines}like = \"blob\"\n");
        let own = cloud(&text);
        assert_eq!(own.services["files"].referenced_paths, own.services["blob"].referenced_paths);
        let semantics = own.semantics("a.f.example", "https://f.example");
        assert!(semantics.services.contains("blob") && !semantics.referenced_paths.is_empty());
    }

    #[test]
    fn a_new_service_may_have_redirect_nodes() {
        let own = cloud(
            "[cloud]\nauthority = \"https://a.example\"\n[cloud.service.warehouse]\naudience = \
             \"https://dw.example/\"\n\
             hosts = [\"*.dw.example\"]\nprotocol = \"sqlserver\"\npaths_ignore_case = true\n\
             redirect_nodes = { domain = \"dw.example\", ports = [11000, 11999] }\n",
        );
        let service = &own.services["warehouse"];
        assert!(service.protocol == Protocol::SqlServer && service.paths_ignore_case);
        assert!(service.redirect_nodes.as_ref().unwrap().contains("a.b.dw.example", 11_001));
    }

    const OWN: &str = "[cloud]\nauthority = \"https://a.example\"\n[cloud.service.own]\n\
                       audience = \"https://o.example\"\nhosts = [\"*.o.example\"]\n";

    #[test]
    fn the_old_names_of_keys_work_with_a_warning() {
        let entries = |name: &str, prefix: &str, opaque_when: &str| {
            format!(
                "{name} = [{{ query = \"from\", {prefix} = \"/v1\" }}, \
                 {{ query = \"op\", {opaque_when} = \"IMPORT\" }}]\n"
            )
        };
        let nodes = "{ domain = \"o.example\", ports = [11000, 11999] }\n";
        let old = format!("{OWN}{}routes = {nodes}", entries("second_paths", "under", "unseen"));
        let new = format!(
            "{OWN}{}redirect_nodes = {nodes}",
            entries("referenced_paths", "prefix", "opaque_when")
        );
        let read = |text: &str| {
            Config::from_toml(Path::new("k.toml"), text).unwrap_or_else(|error| panic!("{error}"))
        };
        let (old, new) = (read(&old), read(&new));
        let service = &new.cloud.services["own"];
        assert_eq!(old.cloud.services["own"], *service);
        assert_eq!(service.referenced_paths[0].prefix.as_deref(), Some("/v1"));
        assert_eq!(service.referenced_paths[1].opaque_when.as_deref(), Some("IMPORT"));
        assert!(service.redirect_nodes.is_some());
        assert!(new.warnings.is_empty(), "{:?}", new.warnings);
        let mut warnings: Vec<String> = old.warnings.iter().map(ToString::to_string).collect();
        warnings.sort_unstable();
        let removed = "is deprecated, and will be removed in version 0.2.0\n    write:    ";
        assert_eq!(
            warnings,
            [
                format!(
                    "k.toml:6:1: `second_paths` in [cloud.service.own] {removed}\
                     referenced_paths = [...]"
                ),
                format!(
                    "k.toml:6:35: `under` in `second_paths` in [cloud.service.own] {removed}\
                     prefix = \"...\""
                ),
                format!(
                    "k.toml:6:68: `unseen` in `second_paths` in [cloud.service.own] {removed}\
                     opaque_when = \"...\""
                ),
                format!(
                    "k.toml:7:1: [cloud.service.own.routes] {removed}\
                     redirect_nodes = {{ domain = \"...\", ports = [...] }}"
                ),
            ]
        );
    }

    #[test]
    fn a_key_together_with_its_old_name_is_an_error() {
        for (lines, old, new, header) in [
            (
                "referenced_paths = []\nsecond_paths = []\n",
                "second_paths",
                "referenced_paths",
                "[cloud.service.own]",
            ),
            (
                "redirect_nodes = { domain = \"o.example\", ports = [1, 2] }\n\
                 routes = { domain = \"o.example\", ports = [1, 2] }\n",
                "routes",
                "redirect_nodes",
                "[cloud.service.own]",
            ),
            (
                "referenced_paths = [{ query = \"from\", prefix = \"/a\", under = \"/a\" }]\n",
                "under",
                "prefix",
                "`referenced_paths` in [cloud.service.own]",
            ),
            (
                "referenced_paths = [{ query = \"op\", opaque_when = \"A\", unseen = \"A\" }]\n",
                "unseen",
                "opaque_when",
                "`referenced_paths` in [cloud.service.own]",
            ),
        ] {
            let error = Config::from_toml(Path::new("k.toml"), &format!("{OWN}{lines}"));
            let error = error.unwrap_err();
            let [diagnostic] = error.diagnostics() else { panic!("{error}") };
            let message =
                format!("`{old}` in {header} is the old name of `{new}`, which is present too");
            assert_eq!(diagnostic.message, message);
            let help = format!("move its value into `{new}`, and remove `{old}`");
            assert_eq!(diagnostic.help.as_deref(), Some(help.as_str()));
            assert!(diagnostic.location.is_some());
        }
    }
}
