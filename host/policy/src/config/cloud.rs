//! `cloud`, the name of one of Azure's clouds, or `[cloud]`, a cloud of one's own: Azure Stack, or
//! a private one.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use keyward_types::Audience;

use crate::cloud::{Cloud, CloudService, Routes, SecondPath};
use crate::diagnostic::{Diagnostic, Located, Place};
use crate::document::{DefaultValue, InvalidValue, Key, Section, SectionKeys, WithDefault};
use crate::endpoint::Endpoint;
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::path::PathReading;

const DEFAULT: &str = "public";

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
    "the cloud whose services are kept, unless they are listed here",
)
.default_is("none");
const AUTHORITY_EXPECTED: &str =
    "\"https://host\", where the directory issues tokens, with a path where it has one";
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
    "A cloud of one's own, in the place of `cloud = \"...\"`: Azure Stack, or a private one. See \
     [clouds.md](clouds.md).",
    &[&AUTHORITY, &BASE],
);

const HOSTS_EXAMPLE: &str = "*.vault.contoso.example";

const AUDIENCE: Key = Key::form(
    "audience",
    "what its tokens are for, to the slash",
    None,
    "https://vault.contoso.example",
    "exactly what the service's tokens are for; required for a service that `base` does not have",
);
const HOSTS: Key = Key::strings(
    "hosts",
    HOSTS_EXAMPLE,
    "where its tokens may be sent; required for a service that `base` does not have",
);
const LIKE: Key = Key::one_of(
    "like",
    public_services,
    "blob",
    "the service of Azure whose requests this one's are like",
)
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
const SECOND_PATHS: Key = Key::tables(
    "second_paths",
    &SECOND_PATH,
    "header = \"x-ms-copy-source\"",
    "the places where a request refers to a second path, which `allow` must cover too",
)
.default_is("those of `base` or `like`");

/// `[cloud.service.NAME]`.
pub(super) const SERVICE: SectionKeys = SectionKeys::new(
    &["cloud", "service", "NAME"],
    "A service of one's own cloud, under the name that manifests use.",
    &[&AUDIENCE, &HOSTS, &PROTOCOL, &LIKE, &PATHS, &NAMES_AFTER.key, &IGNORE_CASE, &SECOND_PATHS],
);

const DOMAIN: Key = Key::form(
    "domain",
    "the domain that the nodes are in",
    None,
    "database.contoso.example",
    "the domain of the nodes",
)
.required();
const PORTS: Key =
    Key::integers("ports", (2, 1, u16::MAX as u64), "[11000, 11999]", "their first and last port")
        .required();

/// `[cloud.service.NAME.routes]`.
pub(super) const ROUTES: SectionKeys = SectionKeys::new(
    &["cloud", "service", "NAME", "routes"],
    "The nodes behind a database's gateways.",
    &[&DOMAIN, &PORTS],
);

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
const UNDER: Key = Key::string("under", "/webhdfs/v1", "what is put before each path");
const UNSEEN: Key = Key::string(
    "unseen",
    "MSCONCAT",
    "a value of the parameter with which the request refers to paths that cannot be seen",
);
const SECOND_PATH: SectionKeys =
    SectionKeys::new(&[], "", &[&HEADER, &QUERY, &METHOD, &LIST, &UNDER, &UNSEEN]);

pub(super) fn read(root: &Section<'_>) -> Cloud {
    if root.has_table("cloud") {
        return own(root.section(&CLOUD));
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

fn own(section: Section<'_>) -> Cloud {
    let base = section.one_of(&BASE, &names()).and_then(|base| named(base.value));
    let authority = section.parsed(&AUTHORITY, |text| match Endpoint::parse(text) {
        Ok(endpoint) if endpoint.protocol == Protocol::Https => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Err(error) if text.starts_with("https://") => Err(InvalidValue::because(error.to_string())),
        _ => Err(InvalidValue::default()),
    });
    if authority.is_none()
        && section.place_of(&BASE).is_none()
        && section.place_of(&AUTHORITY).is_none()
    {
        let message =
            format!("{} has neither an `authority` nor a `base` that has one", section.header());
        let write = format!("authority = {}", AUTHORITY.example_toml());
        section.push(
            Diagnostic::new(section.place(), message).expected(AUTHORITY_EXPECTED).write(write),
        );
    }
    let mut cloud = base.cloned().unwrap_or_else(empty);
    if let Some(authority) = authority {
        cloud.authority = authority.value;
    }
    for (name, part) in section.sections(&SERVICE) {
        let service = service(&name.value, part, cloud.services.get(&name.value));
        cloud.services.extend(service.map(|service| (name.value, service)));
    }
    section.finish();
    cloud
}

/// A service. What is not said is the base's; without one, what the service speaks and how it reads
/// requests is as in the public cloud, since that is the service's nature: a storage account that
/// copies by a header does so everywhere.
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
    let routes = routes(section.section(&ROUTES));
    let paths = paths(&section);
    let paths_ignore_case = section.boolean(&IGNORE_CASE).map(|value| value.value);
    let each = section.tables(&SECOND_PATHS).into_iter();
    let second_paths: Vec<SecondPath> = each.filter_map(second_path).collect();
    let second_paths = section.place_of(&SECOND_PATHS).map(|_| second_paths);
    let missing = |key: &Key, example: &str| {
        if section.place_of(key).is_none() && base.is_none() {
            let message = format!("{} has no `{}`", section.header(), key.name);
            let write = format!("{} = {example}", key.name);
            section.push(Diagnostic::new(section.place(), message).write(write));
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
        // The nodes behind the base's gateways are not those behind other hosts.
        routes: routes.or_else(|| base.filter(|_| hosts.is_none())?.routes.clone()),
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
        second_paths: second_paths
            .unwrap_or_else(|| alike.map(|alike| alike.second_paths.clone()).unwrap_or_default()),
    })
}

/// How paths are read: `paths`, and with names `names_after`.
fn paths(section: &Section<'_>) -> Option<PathReading> {
    let names_after = u8::try_from(section.integer(&NAMES_AFTER)).unwrap_or(u8::MAX);
    let paths = section.one_of(&PATHS, &readings(names_after));
    let reading = paths.map(|paths| paths.value);
    if section.place_of(&NAMES_AFTER).is_some()
        && (reading == Some(PathReading::Segments) || section.place_of(&PATHS).is_none())
    {
        let message = format!(
            "`names_after` in {} belongs to `paths = \"names\"`, \"files\" or \"keys\"",
            section.header()
        );
        let diagnostic = Diagnostic::new(section.place_of(&NAMES_AFTER), message);
        section.push(
            diagnostic
                .expected("`paths` with names, or no `names_after`")
                .write("paths = \"names\""),
        );
    }
    reading
}

/// The ways to read paths by their names.
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
    let Located { value: hosts, place } = section.strings(&HOSTS)?;
    let wrong = |place: Option<Place>, message: String| {
        let expected = "host names in lower case, of which labels may be *, or <hex>, and digits #, with the last two labels written out";
        section.push(
            Diagnostic::new(place, message)
                .expected(expected)
                .write(format!("hosts = [{HOSTS_EXAMPLE:?}]")),
        );
    };
    if hosts.is_empty() {
        wrong(
            place,
            format!("`hosts` in {} is empty: no token could be sent anywhere", section.header()),
        );
    }
    for host in &hosts {
        if HostPattern::parse(&host.value).is_err() {
            wrong(
                host.place.clone(),
                format!("{:?} in {} is not a valid host pattern", host.value, section.header()),
            );
        }
    }
    Some(hosts.into_iter().map(|host| host.value).collect())
}

fn routes(section: Section<'_>) -> Option<Routes> {
    if !section.is_there() {
        return None;
    }
    let domain = section.parsed(&DOMAIN, |text| match HostPattern::parse(text) {
        Ok(pattern) if pattern.only_host().is_some() && text.contains('.') => Ok(text.to_owned()),
        _ => Err(InvalidValue::default()),
    });
    let ports = section.integers::<2>(&PORTS);
    for key in [DOMAIN, PORTS] {
        if section.place_of(&key).is_none() {
            let message = format!("{} has no `{}`", section.header(), key.name);
            let write = format!("{} = {}", key.name, key.example_toml());
            section.push(Diagnostic::new(section.place(), message).write(write));
        }
    }
    section.finish();
    let ports = ports?.map(|port| u16::try_from(port).unwrap_or(u16::MAX));
    Some(Routes { domain: domain?.value, ports, except: Vec::new() })
}

fn second_path(section: Section<'_>) -> Option<SecondPath> {
    let string = |key: &Key| section.string(key).map(|text| text.value);
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
    let path = SecondPath {
        under: string(&UNDER),
        list: section.boolean(&LIST).is_some_and(|list| list.value),
        method: method.map(|method| method.value),
        unseen: string(&UNSEEN),
        header,
        query,
    };
    let one = path.header.is_some() != path.query.is_some();
    if !one && (section.place_of(&HEADER).is_some() == section.place_of(&QUERY).is_some()) {
        let message =
            format!("an entry of {} needs exactly one of `header` and `query`", section.header());
        section.push(Diagnostic::new(section.place(), message).expected("one of them"));
    }
    section.finish();
    one.then_some(path)
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
        assert!(own.services.is_empty(), "nothing is taken from elsewhere");
    }

    #[test]
    fn what_is_not_said_is_the_bases() {
        let own = cloud(
            "[cloud]\nauthority = \"https://login.contoso.example\"\nbase = \"public\"\n\
             [cloud.service.vault]\naudience = \"https://vault.contoso.example\"\nhosts = [\"*.vault.contoso.example\"]\n\
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
        assert_eq!(sql.routes, None, "the nodes behind other hosts are others");
        assert_eq!(own.services.len(), public.services.len());
    }

    #[test]
    fn a_service_that_is_known_reads_requests_as_it_does_everywhere() {
        let lines = "audience = \"https://storage.contoso.example\"\nhosts = [\"*.blob.contoso.example\"]\n";
        let with = |further: &str| {
            let text = format!(
                "[cloud]\nauthority = \"https://a.example\"\n[cloud.service.blob]\n{lines}{further}"
            );
            cloud(&text).services["blob"].clone()
        };
        let public = &named("public").unwrap().services["blob"];
        assert_eq!(
            with("").second_paths,
            public.second_paths,
            "a copy's source is looked at here too"
        );
        assert!(
            with("second_paths = []\n").second_paths.is_empty(),
            "unless somebody says otherwise"
        );
        let own = with(
            "second_paths = \
             [{ query = \"from\", under = \"/v1\", list = true, method = \"GET\" }]\n",
        );
        let [path] = own.second_paths.as_slice() else { panic!("{own:?}") };
        assert_eq!(
            (path.query.as_deref(), path.under.as_deref(), path.list),
            (Some("from"), Some("/v1"), true)
        );
        assert_eq!(path.method.as_deref(), Some("GET"));
    }

    #[test]
    fn a_service_of_ones_own_says_how_it_reads_paths() {
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
    fn a_service_with_a_name_of_ones_own_reads_requests_like_one_that_is_known() {
        let lines = "audience = \"https://f.example\"\nhosts = [\"*.f.example\"]\n";
        let text =
            format!("[cloud]\nbase = \"public\"\n[cloud.service.files]\n{lines}like = \"blob\"\n");
        let own = cloud(&text);
        assert_eq!(own.services["files"].second_paths, own.services["blob"].second_paths);
        let meaning = own.meaning("a.f.example", "https://f.example");
        assert!(meaning.services.contains("blob") && !meaning.second_paths.is_empty());
    }

    #[test]
    fn a_service_may_be_new_and_have_nodes() {
        let own = cloud(
            "[cloud]\nauthority = \"https://a.example\"\n[cloud.service.warehouse]\naudience = \
             \"https://dw.example/\"\n\
             hosts = [\"*.dw.example\"]\nprotocol = \"sqlserver\"\npaths_ignore_case = true\n\
             routes = { domain = \"dw.example\", ports = [11000, 11999] }\n",
        );
        let service = &own.services["warehouse"];
        assert!(service.protocol == Protocol::SqlServer && service.paths_ignore_case);
        assert!(service.routes.as_ref().unwrap().cover("a.b.dw.example", 11_001));
    }
}
