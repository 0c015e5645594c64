//! Parser of manifests.

use std::time::Duration;

use keyward_types::Audience;

use super::conditions::{CONDITIONS, read_conditions};
use super::setting::{self, SETTING};
use super::{DeclaredAudience, DeclaredSeal, DeclaredService, Manifest, SpendPlace};
use crate::diagnostic::{ConfigError, Diagnostic, Spanned};
use crate::document::{DefaultValue, Document, InvalidValue, Key, Section, SectionKeys};
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::pattern::Pattern;

const NAME: Key = Key::form(
    "name",
    "lower-case letters, digits and hyphens",
    Some("^[a-z0-9-]{1,64}$"),
    "my-plugin",
    "the plugin's name",
)
.required();
const SUMMARY: Key =
    Key::string("summary", "what the plugin is for", "what the plugin is for, in one line");
const VERSION: Key = Key::string("version", "1.0.0", "the plugin's version");

/// The keys before the first section.
const TOP: SectionKeys =
    SectionKeys::new(&[], "Keys at the top of the manifest.", &[&NAME, &SUMMARY, &VERSION]);

const CLOUD: Key = Key::string_or_strings(
    "cloud",
    "vault",
    "services of the cloud table, of which the endpoint's host selects one; either this, or \
     `resource` and `hosts`",
);
const RESOURCE: Key = Key::form(
    "resource",
    "a resource as its service names it",
    None,
    "https://api.example.com",
    "what the tokens are for, if the cloud table does not have the service",
);
const HOSTS: Key =
    Key::strings("hosts", "*.example.com", "host patterns of the endpoints, with `resource`");
const PROTOCOLS: [(&str, Protocol); 2] =
    [("https", Protocol::Https), ("sqlserver", Protocol::SqlServer)];
const PROTOCOL: Key = Key::one_of(
    "protocol",
    || PROTOCOLS.iter().map(|(name, _)| *name).collect(),
    "https",
    "the protocol of these hosts",
)
.default(DefaultValue::String("https"));
const OPTIONAL: Key = Key::boolean("optional", "whether the plugin works without this audience")
    .default(DefaultValue::Boolean(false));
const ALLOW: Key =
    Key::strings("allow", "GET /path/*", "the requests that the plugin sends").default_is("any");
const SEAL: Key = Key::tables(
    "seal",
    &SEAL_RULE,
    SEAL_EXAMPLE,
    "fields of responses that the plugin may spend, but does not see",
);

/// `[audience.NAME]`.
const AUDIENCE: SectionKeys = SectionKeys::new(
    &["audience", "NAME"],
    "An audience that the plugin requests tokens for. `endpoint` of a mount is for the first.",
    &[&CLOUD, &RESOURCE, &HOSTS, &PROTOCOL, &OPTIONAL, &CONDITIONS, &ALLOW, &SEAL],
);

const SEAL_EXAMPLE: &str = "field = \"/serviceSasToken\", spend = \"blob\", as = \"query\"";
const FIELD: Key = Key::form(
    "field",
    "a JSON pointer, which begins with a slash",
    Some("^/"),
    "/serviceSasToken",
    "the field, as a JSON pointer",
)
.required();
const SPEND: Key =
    Key::string("spend", "blob", "the audience at whose endpoint the value may be spent")
        .required();
const AS: Key = Key::one_of(
    "as",
    || SpendPlace::ALL.iter().map(|place| place.as_str()).collect(),
    "query",
    "the part of a request where it is spent",
)
.required();
const KEEP: Key = Key::duration(
    "keep",
    (Duration::from_secs(1), Duration::from_secs(24 * 3600)),
    "15m",
    "how long a response may be cached",
)
.default_is("not at all");
const EXPORT: Key = Key::form(
    "export",
    "a method and a path",
    None,
    "POST /sas/**",
    "the calls whose responses may contain the value itself, if the mount hands it out",
);
const SEAL_RULE: SectionKeys = SectionKeys::new(&[], "", &[&FIELD, &SPEND, &AS, &KEEP, &EXPORT]);

/// The sections of a manifest, in the order of the reference.
pub const SECTIONS: &[&SectionKeys] = &[&TOP, &AUDIENCE, &SETTING];

pub(super) fn manifest(file: &str, text: &str) -> Result<Manifest, ConfigError> {
    let document = Document::parse(file, text)?;
    let manifest = {
        let root = document.root();
        let name = root.parsed(&NAME, plugin_name);
        let summary = root.string(&SUMMARY).map(|string| string.value);
        let version = root.string(&VERSION).map(|string| string.value);
        let audiences: Vec<DeclaredAudience> = root
            .sections(&AUDIENCE)
            .into_iter()
            .filter_map(|(name, section)| audience(&name, section))
            .collect();
        let settings = root
            .sections(&SETTING)
            .into_iter()
            .map(|(name, section)| (name.value, setting::read(section)))
            .collect();
        if name.is_none() && root.location_of(&NAME).is_none() {
            document.push(
                Diagnostic::new(None, "the manifest has no `name`").write("name = \"my-plugin\""),
            );
        }
        root.finish();
        Manifest {
            name: name.map(|name| name.value).unwrap_or_default(),
            summary: summary.unwrap_or_default(),
            version,
            audiences,
            settings,
        }
    };
    document.finish(manifest)
}

fn plugin_name(name: &str) -> Result<String, InvalidValue> {
    let fits = !name.is_empty() && name.len() <= 64;
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits && plain { Ok(name.to_owned()) } else { Err(InvalidValue::default()) }
}

fn audience(name: &Spanned<String>, section: Section<'_>) -> Option<DeclaredAudience> {
    let cloud = section.string_or_strings(&CLOUD);
    let resource =
        section.parsed(&RESOURCE, |text| Audience::new(text).map_err(|_| InvalidValue::default()));
    let hosts = section.strings(&HOSTS);
    let protocol = section.one_of(&PROTOCOL, &PROTOCOLS);
    let optional = section.boolean(&OPTIONAL).is_some_and(|optional| optional.value);
    let required_if = read_conditions(&section);
    let allow = read_patterns(&section, &ALLOW);
    let seal = seals(&section);
    let location = || section.location().or_else(|| name.location.clone());
    let service = match (cloud, resource, hosts) {
        (Some(cloud), None, None) => Some(DeclaredService::Cloud(cloud.value)),
        (None, Some(resource), Some(hosts)) => {
            let hosts =
                hosts.value.into_iter().filter_map(|host| match HostPattern::parse(&host.value) {
                    Ok(pattern) => Some(pattern),
                    Err(error) => {
                        section.push(Diagnostic::new(host.location, error.to_string()));
                        None
                    }
                });
            let protocol = protocol.map_or(Protocol::Https, |protocol| protocol.value);
            Some(DeclaredService::Own {
                audience: resource.value,
                hosts: hosts.collect(),
                protocol,
            })
        }
        _ => {
            let message = format!(
                "the audience {} needs either `cloud`, or `resource` and `hosts`",
                section.header()
            );
            let write = "cloud = \"vault\"";
            section.push(Diagnostic::new(location(), message).write(write));
            None
        }
    };
    section.finish();
    Some(DeclaredAudience {
        name: name.value.clone(),
        service: service?,
        optional,
        required_if,
        allow,
        seal,
    })
}

fn seals(section: &Section<'_>) -> Vec<DeclaredSeal> {
    let seals = section.tables(&SEAL).into_iter().filter_map(|seal| {
        let field = seal.parsed(&FIELD, |text| {
            if text.starts_with('/') { Ok(text.to_owned()) } else { Err(InvalidValue::default()) }
        });
        let spend = seal.string(&SPEND);
        let place = seal.one_of(&AS, &SpendPlace::ALL.map(|place| (place.as_str(), place)));
        let keep = seal.duration(&KEEP);
        let export = seal.parsed(&EXPORT, |text| {
            let pattern = Pattern::parse(text);
            let pattern = pattern.map_err(|error| InvalidValue::because(error.to_string()))?;
            match pattern.operation() {
                None => Ok(pattern),
                Some(_) => Err(InvalidValue::because("a caller's request has a method".to_owned())),
            }
        });
        for key in [FIELD, SPEND, AS] {
            if seal.location_of(&key).is_none() {
                let message = format!("a rule in {} has no `{}`", seal.header(), key.name);
                let write = format!("{{ {SEAL_EXAMPLE} }}");
                seal.push(Diagnostic::new(seal.location(), message).write(write));
            }
        }
        seal.finish();
        let (keep, export) = (keep.map(|keep| keep.value), export.map(|export| export.value));
        Some(DeclaredSeal {
            field: field?.value,
            spend: spend?.value,
            place: place?.value,
            keep,
            export,
        })
    });
    seals.collect()
}

/// Reads a list of patterns; `None` if the key is absent.
pub(crate) fn read_patterns(section: &Section<'_>, key: &Key) -> Option<Vec<Pattern>> {
    let strings = section.strings(key)?;
    let parsed =
        strings.value.into_iter().filter_map(|string| match Pattern::parse(&string.value) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let message = format!(
                    "`{}` in `{}` of {} is not a valid pattern: {error}",
                    string.value,
                    key.name,
                    section.header()
                );
                let write = format!("{} = [{:?}]", key.name, error.example);
                section.push(
                    Diagnostic::new(string.location, message)
                        .expected("an operation or a method, and a path")
                        .write(write),
                );
                None
            }
        });
    Some(parsed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_are_in_the_order_of_the_manifest() {
        let text = "name = \"s\"\n[audience.zeta]\ncloud = \"blob\"\n\
                    [audience.arm]\ncloud = \"arm\"\noptional = true\nallow = [\"POST /x/*\"]\n\
                    [setting.auth]\nvalues = [\"entra\", \"sas\"]\ndefault = \"entra\"\n";
        let manifest = manifest("m.toml", text).unwrap();
        let names: Vec<&str> =
            manifest.audiences.iter().map(|audience| audience.name.as_str()).collect();
        assert_eq!(names, ["zeta", "arm"]);
        assert!(manifest.audiences[1].optional);
        assert_eq!(manifest.settings["auth"].default.as_deref(), Some("entra"));
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "name = \"Bad Name\"\nx = 1\n\
                    [audience.a]\ncloud = \"vault\"\nresource = \"r\"\nhosts = [\"*.net\"]\n\
                    [setting.s]\nvalues = [\"a\"]\ndefault = \"b\"\n";
        let error = manifest("m.toml", text).unwrap_err().to_string();
        for part in [
            "m.toml:1:8: `name",
            "m.toml:2:1: unknown key `x`",
            "m.toml:3:11: the audience",
            "m.toml:9:1: the default",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
