//! `cloud`, the name of one of Azure's clouds, or `[cloud]`, a cloud of one's own: Azure Stack, or a private one.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use keyward_types::Audience;

use crate::cloud::{Cloud, CloudService, Routes, SecondPath};
use crate::diagnostic::{Diagnostic, Located, Place};
use crate::document::{Section, Unfit};
use crate::endpoint::Endpoint;
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::path::PathReading;

/// Where nobody says which.
const USUAL: &str = "public";

const AUTHORITY: &str = "https://login.contoso.example";

pub(super) fn read(root: &Section<'_>) -> Cloud {
    if root.has_table("cloud") {
        return own(root.section("cloud"));
    }
    let cloud = root.word("cloud", &names()).map_or(USUAL, |cloud| cloud.value);
    named(cloud).cloned().unwrap_or_else(empty)
}

fn names() -> Vec<(&'static str, &'static str)> {
    Cloud::names().map(|name| (name, name)).collect()
}

/// Every name that there is, is in the table.
fn named(name: &str) -> Option<&'static Cloud> {
    Cloud::named(name)
}

fn empty() -> Cloud {
    Cloud { authority: String::new(), services: BTreeMap::new() }
}

fn own(section: Section<'_>) -> Cloud {
    let base = section.word("base", &names()).and_then(|base| named(base.value));
    let expected = "\"https://host\", where the directory issues tokens, with a path where it has one";
    let authority = section.parsed("authority", expected, AUTHORITY, |text| match Endpoint::parse(text) {
        Ok(endpoint) if endpoint.protocol == Protocol::Https => Ok(text.trim_end_matches('/').to_owned()),
        Err(error) if text.starts_with("https://") => Err(Unfit::because(error.to_string())),
        _ => Err(Unfit::default()),
    });
    if authority.is_none() && section.key_place("base").is_none() && section.key_place("authority").is_none() {
        let message = format!("{} has neither an `authority` nor a `base` that has one", section.header());
        let write = format!("authority = {AUTHORITY:?}");
        section.push(Diagnostic::new(section.place(), message).expected(expected).write(write));
    }
    let mut cloud = base.cloned().unwrap_or_else(empty);
    if let Some(authority) = authority {
        cloud.authority = authority.value;
    }
    for (name, part) in section.sections("service") {
        let service = service(&name.value, part, cloud.services.get(&name.value));
        cloud.services.extend(service.map(|service| (name.value, service)));
    }
    section.finish();
    cloud
}

/// A service. What is not said is the base's; without one, what the service speaks and how it reads requests is as in the
/// public cloud, since that is the service's nature: a storage account that copies by a header does so everywhere.
fn service(name: &str, section: Section<'_>, base: Option<&CloudService>) -> Option<CloudService> {
    let kinds: Vec<(&str, &str)> = named(USUAL)
        .into_iter()
        .flat_map(|cloud| cloud.services.keys())
        .map(|kind| (kind.as_str(), kind.as_str()))
        .collect();
    let like = section.word("like", &kinds).map(|kind| kind.value);
    let alike = base.or_else(|| named(USUAL)?.services.get(like.unwrap_or(name)));
    let audience =
        section.parsed("audience", "what its tokens are for, to the slash", "https://vault.contoso.example", |text| {
            Audience::new(text).map(|_| text.to_owned()).map_err(|error| Unfit::because(error.to_string()))
        });
    let hosts = hosts(&section);
    let protocol = section.word("protocol", &[("https", Protocol::Https), ("sqlserver", Protocol::SqlServer)]);
    let routes = routes(section.section("routes"));
    let paths = paths(&section);
    let paths_ignore_case = section.boolean("paths_ignore_case").map(|value| value.value);
    let each = section.tables("second_paths", "header = \"x-ms-copy-source\"").into_iter();
    let second_paths: Vec<SecondPath> = each.filter_map(second_path).collect();
    let second_paths = section.key_place("second_paths").map(|_| second_paths);
    let missing = |key: &str, example: &str| {
        if section.key_place(key).is_none() && base.is_none() {
            let message = format!("{} has no `{key}`", section.header());
            section.push(Diagnostic::new(section.place(), message).write(format!("{key} = {example}")));
        }
    };
    missing("audience", &format!("\"https://{name}.contoso.example\""));
    missing("hosts", &format!("[\"*.{name}.contoso.example\"]"));
    section.finish();
    Some(CloudService {
        audience: audience.map(|audience| audience.value).or_else(|| Some(base?.audience.clone()))?,
        aliases: base.map(|base| base.aliases.clone()).unwrap_or_default(),
        ports: base.filter(|_| hosts.is_none()).map(|base| base.ports.clone()).unwrap_or_default(),
        // The nodes behind the base's gateways are not those behind other hosts.
        routes: routes.or_else(|| base.filter(|_| hosts.is_none())?.routes.clone()),
        hosts: hosts.or_else(|| Some(base?.hosts.clone()))?,
        domains: base.map(|base| base.domains.clone()).unwrap_or_default(),
        like: like.map(str::to_owned).or_else(|| base?.like.clone()),
        protocol: protocol.map(|protocol| protocol.value).or_else(|| Some(alike?.protocol)).unwrap_or_default(),
        paths: paths.or_else(|| alike?.paths),
        paths_ignore_case: paths_ignore_case.unwrap_or_else(|| alike.is_some_and(|alike| alike.paths_ignore_case)),
        returns_stored_content: alike.is_some_and(|alike| alike.returns_stored_content),
        second_paths: second_paths.unwrap_or_else(|| alike.map(|alike| alike.second_paths.clone()).unwrap_or_default()),
    })
}

/// How paths are read: `paths`, and with names `names_after`.
fn paths(section: &Section<'_>) -> Option<PathReading> {
    let after = section.number("names_after", 0, 8, 1);
    let names_after = after.as_ref().and_then(|after| u8::try_from(after.value).ok()).unwrap_or(1);
    let words = [
        PathReading::Segments,
        PathReading::Names { after: names_after },
        PathReading::Files { after: names_after },
        PathReading::Keys { after: names_after },
    ];
    let paths = section.word("paths", &words.map(|reading| (reading.as_str(), reading)));
    let reading = paths.map(|paths| paths.value);
    if section.key_place("names_after").is_some()
        && (reading == Some(PathReading::Segments) || section.key_place("paths").is_none())
    {
        let message =
            format!("`names_after` in {} belongs to `paths = \"names\"`, \"files\" or \"keys\"", section.header());
        let diagnostic = Diagnostic::new(section.key_place("names_after"), message);
        section.push(diagnostic.expected("`paths` with names, or no `names_after`").write("paths = \"names\""));
    }
    reading
}

fn hosts(section: &Section<'_>) -> Option<Vec<String>> {
    const EXAMPLE: &str = "*.vault.contoso.example";
    let Located { value: hosts, place } = section.texts("hosts", EXAMPLE)?;
    let wrong = |place: Option<Place>, message: String| {
        let expected = "host names in lower case, of which labels may be *, or <hex>, and digits #, with the last two labels written out";
        section.push(Diagnostic::new(place, message).expected(expected).write(format!("hosts = [{EXAMPLE:?}]")));
    };
    if hosts.is_empty() {
        wrong(place, format!("`hosts` in {} is empty: no token could be sent anywhere", section.header()));
    }
    for host in &hosts {
        if HostPattern::parse(&host.value).is_err() {
            wrong(host.place.clone(), format!("{:?} in {} is not a valid host pattern", host.value, section.header()));
        }
    }
    Some(hosts.into_iter().map(|host| host.value).collect())
}

fn routes(section: Section<'_>) -> Option<Routes> {
    if !section.is_there() {
        return None;
    }
    let expected = "the domain that the nodes are in";
    let domain =
        section.parsed("domain", expected, "database.contoso.example", |text| match HostPattern::parse(text) {
            Ok(pattern) if pattern.only_host().is_some() && text.contains('.') => Ok(text.to_owned()),
            _ => Err(Unfit::default()),
        });
    let ports = section.numbers("ports", 1, u64::from(u16::MAX), [11_000, 11_999]);
    for (key, example) in [("domain", "\"database.contoso.example\""), ("ports", "[11000, 11999]")] {
        if section.key_place(key).is_none() {
            let message = format!("{} has no `{key}`", section.header());
            section.push(Diagnostic::new(section.place(), message).write(format!("{key} = {example}")));
        }
    }
    section.finish();
    let ports = ports?.map(|port| u16::try_from(port).unwrap_or(u16::MAX));
    Some(Routes { domain: domain?.value, ports, except: Vec::new() })
}

fn second_path(section: Section<'_>) -> Option<SecondPath> {
    let text = |key: &str, example: &str| section.text(key, example).map(|text| text.value);
    let header = section.parsed("header", "the name of a header field", "x-ms-copy-source", |text| {
        text.parse::<HeaderName>().map(|name| name.as_str().to_owned()).map_err(|_| Unfit::default())
    });
    let header = header.map(|header| header.value);
    let query = text("query", "destination");
    let method = section.parsed("method", "a method, in capitals", "GET", |text| match text.parse::<Method>() {
        Ok(_) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(text.to_owned()),
        _ => Err(Unfit::default()),
    });
    let path = SecondPath {
        under: text("under", "/webhdfs/v1"),
        list: section.boolean("list").is_some_and(|list| list.value),
        method: method.map(|method| method.value),
        unseen: text("unseen", "MSCONCAT"),
        header,
        query,
    };
    let one = path.header.is_some() != path.query.is_some();
    if !one && (section.key_place("header").is_some() == section.key_place("query").is_some()) {
        let message = format!("an entry of {} needs exactly one of `header` and `query`", section.header());
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
        assert_eq!((vault.audience.as_str(), vault.hosts.len()), ("https://vault.contoso.example", 1));
        assert_eq!(own.services["blob"], public.services["blob"]);
        let sql = &own.services["sql"];
        assert_eq!((&sql.audience, sql.protocol), (&public.services["sql"].audience, Protocol::SqlServer));
        assert_eq!(sql.routes, None, "the nodes behind other hosts are others");
        assert_eq!(own.services.len(), public.services.len());
    }

    #[test]
    fn a_service_that_is_known_reads_requests_as_it_does_everywhere() {
        let lines = "audience = \"https://storage.contoso.example\"\nhosts = [\"*.blob.contoso.example\"]\n";
        let with = |further: &str| {
            let text = format!("[cloud]\nauthority = \"https://a.example\"\n[cloud.service.blob]\n{lines}{further}");
            cloud(&text).services["blob"].clone()
        };
        let public = &named("public").unwrap().services["blob"];
        assert_eq!(with("").second_paths, public.second_paths, "a copy's source is looked at here too");
        assert!(with("second_paths = []\n").second_paths.is_empty(), "unless somebody says otherwise");
        let own = with("second_paths = [{ query = \"from\", under = \"/v1\", list = true, method = \"GET\" }]\n");
        let [path] = own.second_paths.as_slice() else { panic!("{own:?}") };
        assert_eq!((path.query.as_deref(), path.under.as_deref(), path.list), (Some("from"), Some("/v1"), true));
        assert_eq!(path.method.as_deref(), Some("GET"));
    }

    #[test]
    fn a_service_of_ones_own_says_how_it_reads_paths() {
        let with = |name: &str, further: &str| {
            let lines = "audience = \"https://f.example\"\nhosts = [\"*.f.example\"]\n";
            let text = format!("[cloud]\nauthority = \"https://a.example\"\n[cloud.service.{name}]\n{lines}{further}");
            cloud(&text).services[name].paths
        };
        assert_eq!(with("own", ""), None);
        assert_eq!(with("own", "paths = \"names\"\n"), Some(PathReading::Names { after: 1 }));
        assert_eq!(with("own", "paths = \"keys\"\nnames_after = 2\n"), Some(PathReading::Keys { after: 2 }));
        assert_eq!(with("own", "like = \"blob\"\n"), Some(PathReading::Names { after: 1 }));
        assert_eq!(with("blob", ""), Some(PathReading::Names { after: 1 }), "as everywhere");
        assert_eq!(with("blob", "paths = \"segments\"\n"), Some(PathReading::Segments));
    }

    #[test]
    fn a_service_with_a_name_of_ones_own_reads_requests_like_one_that_is_known() {
        let lines = "audience = \"https://f.example\"\nhosts = [\"*.f.example\"]\n";
        let text = format!("[cloud]\nbase = \"public\"\n[cloud.service.files]\n{lines}like = \"blob\"\n");
        let own = cloud(&text);
        assert_eq!(own.services["files"].second_paths, own.services["blob"].second_paths);
        let meaning = own.meaning("a.f.example", "https://f.example");
        assert!(meaning.services.contains("blob") && !meaning.second_paths.is_empty());
    }

    #[test]
    fn a_service_may_be_new_and_have_nodes() {
        let own = cloud(
            "[cloud]\nauthority = \"https://a.example\"\n[cloud.service.warehouse]\naudience = \"https://dw.example/\"\n\
             hosts = [\"*.dw.example\"]\nprotocol = \"sqlserver\"\npaths_ignore_case = true\n\
             routes = { domain = \"dw.example\", ports = [11000, 11999] }\n",
        );
        let service = &own.services["warehouse"];
        assert!(service.protocol == Protocol::SqlServer && service.paths_ignore_case);
        assert!(service.routes.as_ref().unwrap().cover("a.b.dw.example", 11_001));
    }
}
