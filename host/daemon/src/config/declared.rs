//! That the declarations of keys are what the reader does.

use std::path::Path;

use keyward_policy::document::{DefaultValue, Key, Kind, SectionKeys};
use keyward_policy::text::one_of;

use super::{DaemonConfig, sections};

/// A whole configuration, to which sections are added.
const BASE: &str = "[identity.default]\nsource = \"imds\"\n[mount.m]\nplugin = \"arm\"\n";

fn header(section: &SectionKeys) -> String {
    section.header().replace("NAME", "m").replace('X', "x")
}

fn mistakes(text: &str) -> String {
    let read = DaemonConfig::parse(Path::new("k.toml"), text);
    read.err().map(|failure| failure.message().to_owned()).unwrap_or_default()
}

/// The lines that a key needs beside it.
fn beside(section: &SectionKeys, key: &Key) -> &'static str {
    match (section.path, key.name) {
        (["caller", _], "certificate") => {
            "[listen.tls]\naddress = \"127.0.0.1:8443\"\nclient_ca = \"ca.pem\""
        }
        (["caller", _], "service_account") => {
            "[listen.kubernetes]\nissuer = \"https://issuer.example\""
        }
        (["identity", ..], "persist") => "persist_key = \"k\"",
        (["identity", ..], "persist_key" | "persist_credential") => "persist = \"p\"",
        (["mount", "NAME"], "sha256") => "plugin = \"./p.wasm\"",
        (["cloud", "service", _], "names_after") => "paths = \"names\"",
        (["listen"], "origins") => {
            "tcp = \"127.0.0.1:8200\"\ntcp_callers = \"anybody-on-this-machine\""
        }
        (["listen"], "tcp") => "tcp_callers = \"anybody-on-this-machine\"",
        (["listen"], "tcp_callers") => "tcp = \"127.0.0.1:8200\"",
        (["listen", "tls"], "certificate") => "key = \"k\"",
        (["listen", "tls"], "key") => "certificate = \"c\"",
        _ => "",
    }
}

/// The names that may be written in a section.
fn known_names(section: &SectionKeys) -> Vec<&'static str> {
    let keys = section.keys.iter().map(|key| key.name);
    let all = sections();
    let inner = all.iter().filter_map(|inner| match inner.path.strip_prefix(section.path)? {
        [name] | [name, _] | [name, ..] if *name != "NAME" => Some(*name),
        _ => None,
    });
    let mut names: Vec<&str> = keys.chain(inner).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn assert_known(text: &str, names: &[&'static str]) {
    let mistakes = mistakes(text);
    let (_, after) =
        mistakes.split_once("unknown key `zzzz`").unwrap_or_else(|| panic!("{text}: {mistakes}"));
    let expected = after.lines().nth(1).unwrap_or_default().trim();
    assert_eq!(expected, format!("expected: {}", one_of(names.iter().copied())), "{text}");
}

#[test]
fn the_reader_knows_exactly_the_declared_keys() {
    for section in sections() {
        if section.entries.is_none() {
            assert_known(&format!("{}\nzzzz = 1\n", header(section)), &known_names(section));
        }
        for key in section.keys {
            let Kind::Tables(table) = key.kind else { continue };
            let mut names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            assert_known(
                &format!("{}\n{} = [{{ zzzz = 1 }}]\n", header(section), key.name),
                &names,
            );
        }
    }
}

#[test]
fn the_reader_accepts_every_example() {
    let accepts = |section: &SectionKeys, key: &Key, name: &str, value: &str| {
        let text = format!("{}\n{name} = {value}\n{}\n", header(section), beside(section, key));
        let mistakes = mistakes(&text);
        assert!(!mistakes.contains("k.toml:2:"), "{text}{mistakes}");
    };
    // Only a service that embeds the broker names its parts.
    let is_for_daemons = |key: &&&Key| key.name != "embedded";
    for section in sections() {
        for key in section.keys.iter().filter(is_for_daemons) {
            accepts(section, key, key.name, &key.example_toml());
            if let Kind::OneOf(strings) = key.kind {
                strings()
                    .iter()
                    .for_each(|string| accepts(section, key, key.name, &format!("{string:?}")));
            }
            if let Kind::Tables(table) = key.kind {
                for inner in
                    table.keys.iter().filter(|inner| !["query", "header"].contains(&inner.name))
                {
                    let value =
                        format!("[{{ query = \"q\", {} = {} }}]", inner.name, inner.example_toml());
                    accepts(section, inner, key.name, &value);
                }
            }
        }
        if let Some(key) = section.entries {
            let name = if key.name.contains(':') { "\"contoso.example:443\"" } else { key.name };
            accepts(section, key, name, &key.example_toml());
        }
    }
}

#[test]
fn the_reader_refuses_what_is_out_of_the_declared_bounds_or_of_another_type() {
    let refuses = |section: &SectionKeys, key: &Key, value: &str| {
        let text =
            format!("{}\n{} = {value}\n{}\n", header(section), key.name, beside(section, key));
        let mistakes = mistakes(&text);
        assert!(mistakes.contains("k.toml:2:"), "{text} is accepted: {mistakes}");
    };
    for section in sections() {
        for key in section.keys {
            // Of no type.
            refuses(section, key, "1979-05-27");
            match key.kind {
                Kind::Integer { least, most } => {
                    refuses(section, key, &(i128::from(least) - 1).to_string());
                    refuses(section, key, &(most + 1).to_string());
                }
                Kind::Size { least, most } => {
                    refuses(section, key, &format!("\"{}B\"", i128::from(least) - 1));
                    refuses(section, key, &format!("\"{}B\"", most + 1));
                }
                Kind::Duration { least, most } => {
                    refuses(section, key, &format!("\"{}ns\"", least.as_nanos() - 1));
                    refuses(section, key, &format!("\"{}ns\"", most.as_nanos() + 1));
                }
                Kind::OneOf(_) => refuses(section, key, "\"zzzz\""),
                Kind::String
                | Kind::Path
                | Kind::Form { .. }
                | Kind::Strings
                | Kind::StringOrStrings
                | Kind::Boolean
                | Kind::Integers { .. }
                | Kind::Scalar
                | Kind::ScalarOrTable
                | Kind::Table
                | Kind::Tables(_) => {}
            }
        }
    }
}

/// A configuration as Debug prints it, without the locations of its values.
fn without_locations(text: &str) -> String {
    let config = DaemonConfig::parse(Path::new("k.toml"), text);
    let config = config.unwrap_or_else(|failure| panic!("{text}{}", failure.message()));
    // That of the text, which differs.
    let config = DaemonConfig { digest: String::new(), ..config };
    let mut printed = String::new();
    let mut rest = format!("{config:?}");
    while let Some((before, after)) = rest.split_once("Some(Location {") {
        let (_, after) = after.split_once("})").unwrap();
        printed.push_str(before);
        printed.push_str("None");
        rest = after.to_owned();
    }
    printed + &rest
}

#[test]
fn a_declared_default_is_what_the_reader_returns_without_the_key() {
    // Optional here; the default is applied where they are used.
    const LATER: [&str; 3] = ["identity", "unseal", "endpoint"];
    let mut compared = 0;
    for section in sections() {
        for key in section.keys {
            let value = match key.default {
                DefaultValue::None | DefaultValue::Described(_) => continue,
                DefaultValue::String(text) => format!("{text:?}"),
                DefaultValue::Boolean(value) => value.to_string(),
                DefaultValue::Integer(number) => number.to_string(),
                DefaultValue::Size(bytes) => format!("\"{bytes}B\""),
                DefaultValue::Duration(duration) => format!("\"{}ns\"", duration.as_nanos()),
            };
            if LATER.contains(&key.name) {
                continue;
            }
            let more = match section.path {
                ["cloud", "service", _] => {
                    "[cloud]\nbase = \"public\"\n[cloud.service.m]\naudience = \
                     \"https://m.example\"\n\
                     hosts = [\"*.m.example\"]\npaths = \"names\"\n"
                }
                _ => "",
            };
            let opening = if more.is_empty() { header(section) } else { String::new() };
            let without = if section.path.is_empty() {
                BASE.to_owned()
            } else {
                format!("{BASE}{more}{opening}\n")
            };
            let with = if section.path.is_empty() {
                format!("{} = {value}\n{BASE}", key.name)
            } else {
                format!("{without}{} = {value}\n", key.name)
            };
            assert_eq!(
                without_locations(&without),
                without_locations(&with),
                "{} of {opening}",
                key.name
            );
            compared += 1;
        }
    }
    assert!(compared >= 20, "only {compared} keys have a default");
}
