//! The manifest's text.

use std::time::Duration;

use keyward_types::Audience;

use super::{DeclaredAudience, DeclaredSeal, DeclaredService, Manifest, Setting, SpendPlace};
use crate::diagnostic::{ConfigError, Diagnostic, Located};
use crate::document::{Document, Section, Unfit};
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::pattern::Pattern;

pub(super) fn manifest(file: &str, text: &str) -> Result<Manifest, ConfigError> {
    let document = Document::parse(file, text)?;
    let manifest = {
        let root = document.root();
        let name = root.parsed("name", "lower-case letters, digits and hyphens", "my-plugin", name_of_a_plugin);
        let summary = root.text("summary", "what the plugin is for").map(|text| text.value);
        let version = root.text("version", "1.0.0").map(|text| text.value);
        let audiences: Vec<DeclaredAudience> =
            root.sections("audience").into_iter().filter_map(|(name, section)| audience(&name, section)).collect();
        let settings =
            root.sections("setting").into_iter().map(|(name, section)| (name.value, setting(section))).collect();
        if name.is_none() && root.key_place("name").is_none() {
            document.push(Diagnostic::new(None, "the manifest has no `name`").write("name = \"my-plugin\""));
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

fn name_of_a_plugin(name: &str) -> Result<String, Unfit> {
    let fits = !name.is_empty() && name.len() <= 64;
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits && plain { Ok(name.to_owned()) } else { Err(Unfit::default()) }
}

fn audience(name: &Located<String>, section: Section<'_>) -> Option<DeclaredAudience> {
    let cloud = section.text_or_texts("cloud", "vault");
    let expected = "a resource as its service names it";
    let resource = section.parsed("resource", expected, "https://api.example.com", |text| {
        Audience::new(text).map_err(|_| Unfit::default())
    });
    let hosts = section.texts("hosts", "*.example.com");
    let protocol = section.word("protocol", &[("https", Protocol::Https), ("sqlserver", Protocol::SqlServer)]);
    let optional = section.boolean("optional").is_some_and(|optional| optional.value);
    let allow = patterns(&section, "allow");
    let seal = seals(&section);
    let place = || section.place().or_else(|| name.place.clone());
    let service = match (cloud, resource, hosts) {
        (Some(cloud), None, None) => Some(DeclaredService::Cloud(cloud.value)),
        (None, Some(resource), Some(hosts)) => {
            let hosts = hosts.value.into_iter().filter_map(|host| match HostPattern::parse(&host.value) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    section.push(Diagnostic::new(host.place, error.to_string()));
                    None
                }
            });
            let protocol = protocol.map_or(Protocol::Https, |protocol| protocol.value);
            Some(DeclaredService::Own { audience: resource.value, hosts: hosts.collect(), protocol })
        }
        _ => {
            let message =
                format!("the audience {} says neither `cloud` alone nor `resource` and `hosts`", section.header());
            let write = "cloud = \"vault\"";
            section.push(Diagnostic::new(place(), message).write(write));
            None
        }
    };
    section.finish();
    Some(DeclaredAudience { name: name.value.clone(), service: service?, optional, allow, seal })
}

/// The longest time that an answer with a secret may be kept.
const LONGEST_KEPT: Duration = Duration::from_secs(24 * 3600);

fn seals(section: &Section<'_>) -> Vec<DeclaredSeal> {
    let example = "field = \"/serviceSasToken\", spend = \"blob\", as = \"query\"";
    let seals = section.tables("seal", example).into_iter().filter_map(|seal| {
        let pointer = "a JSON pointer, which begins with a slash";
        let field = seal.parsed("field", pointer, "/serviceSasToken", |text| {
            if text.starts_with('/') { Ok(text.to_owned()) } else { Err(Unfit::default()) }
        });
        let spend = seal.text("spend", "blob");
        let place = seal.word("as", &SpendPlace::ALL.map(|place| (place.as_str(), place)));
        let keep = seal.duration("keep", Duration::from_secs(1), LONGEST_KEPT, "15m");
        let export = seal.parsed("export", "a method and a path", "POST /sas/**", |text| {
            Pattern::parse(text).map_err(|error| Unfit::because(error.to_string()))
        });
        for key in ["field", "spend", "as"] {
            if seal.key_place(key).is_none() {
                let message = format!("a rule in {} has no `{key}`", seal.header());
                seal.push(Diagnostic::new(seal.place(), message).write(format!("{{ {example} }}")));
            }
        }
        seal.finish();
        let (keep, export) = (keep.map(|keep| keep.value), export.map(|export| export.value));
        Some(DeclaredSeal { field: field?.value, spend: spend?.value, place: place?.value, keep, export })
    });
    seals.collect()
}

fn setting(section: Section<'_>) -> Setting {
    let values = section.texts("values", "entra").map(|values| values.value.into_iter().map(|v| v.value).collect());
    let setting = Setting {
        summary: section.text("summary", "what it is for").map(|text| text.value),
        values: values.unwrap_or_default(),
        default: section.scalar("default").map(|text| text.value),
        table: section.boolean("table").is_some_and(|table| table.value),
        required: section.boolean("required").is_some_and(|required| required.value),
    };
    if let Some(default) = &setting.default
        && !setting.values.is_empty()
        && !setting.values.contains(default)
    {
        let message = format!("the default {default:?} in {} is not one of its values", section.header());
        section.push(Diagnostic::new(section.key_place("default"), message).expected(setting.values.join(" or ")));
    }
    section.finish();
    setting
}

/// A list of patterns; `None` where the section has none.
pub(crate) fn patterns(section: &Section<'_>, key: &str) -> Option<Vec<Pattern>> {
    let texts = section.texts(key, "GET /path/*")?;
    let parsed = texts.value.into_iter().filter_map(|text| match Pattern::parse(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message =
                format!("`{}` in `{key}` of {} is not a valid pattern: {error}", text.value, section.header());
            let write = format!("{key} = [{:?}]", error.example);
            section.push(Diagnostic::new(text.place, message).expected("a method and a path").write(write));
            None
        }
    });
    Some(parsed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_keep_their_order_and_the_first_is_the_mounts_endpoint() {
        let text = "name = \"s\"\n[audience.zeta]\ncloud = \"blob\"\n[audience.arm]\ncloud = \"arm\"\noptional = true\n\
                    allow = [\"POST /x/*\"]\n[setting.auth]\nvalues = [\"entra\", \"sas\"]\ndefault = \"entra\"\n";
        let manifest = manifest("m.toml", text).unwrap();
        let names: Vec<&str> = manifest.audiences.iter().map(|audience| audience.name.as_str()).collect();
        assert_eq!(names, ["zeta", "arm"]);
        assert!(manifest.audiences[1].optional);
        assert_eq!(manifest.settings["auth"].default.as_deref(), Some("entra"));
    }

    #[test]
    fn mistakes_are_named() {
        let text = "name = \"Bad Name\"\nx = 1\n[audience.a]\ncloud = \"vault\"\nresource = \"r\"\nhosts = [\"*.net\"]\n\
                    [setting.s]\nvalues = [\"a\"]\ndefault = \"b\"\n";
        let error = manifest("m.toml", text).unwrap_err().to_string();
        for part in
            ["m.toml:1:8: `name", "m.toml:2:1: unknown key `x`", "m.toml:3:11: the audience", "m.toml:9:1: the default"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
