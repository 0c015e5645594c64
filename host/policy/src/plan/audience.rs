//! Audiences that a manifest describes itself, by `resource` and `hosts`.
//!
//! An author declares an audience, and only the operator grants it. A token for one of Azure's
//! services is sent only to its hosts in the cloud table, however the manifest spells the audience.
//! Any other URL is granted if the mount restates it. An application ID needs a service in the
//! configuration.

use keyward_types::Audience;

use crate::cloud::{Cloud, CloudService};
use crate::endpoint::{Endpoint, Protocol};
use crate::host_pattern::HostPattern;
use crate::manifest::{DeclaredAudience, DeclaredService};
use crate::percent::fully_decoded;

/// Where tokens for a `resource` of a manifest may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the hosts of the services of the configured cloud that have this audience.
    Services {
        /// Their names, joined by ` or `.
        names: String,
        /// Their hosts.
        hosts: Vec<HostPattern>,
    },
    /// Nowhere: only a service of another cloud has this audience.
    OtherCloud {
        /// The service.
        service: String,
    },
    /// To the hosts that the mount restates: the audience is a URL that no service has.
    Restated,
    /// Nowhere unless the configuration has a service for it: the audience is an application ID, or
    /// a string that could be read as another audience.
    Unconfigured {
        /// A description of the audience, for messages.
        description: &'static str,
    },
}

impl Reach {
    /// Classifies an audience.
    pub(crate) fn classify(audience: &Audience, cloud: &Cloud) -> Self {
        let spelling = Spelling::of(audience.as_str());
        let (mut names, mut hosts) = (Vec::new(), Vec::new());
        for (name, service) in &cloud.services {
            if spelling.is_audience_of(service) {
                names.push(format!("`{name}`"));
                hosts.extend(patterns(service));
            }
        }
        if !names.is_empty() {
            return Self::Services { names: names.join(" or "), hosts };
        }
        let others = Cloud::names().filter_map(Cloud::named).flat_map(|other| &other.services);
        if let Some((name, _)) =
            others.into_iter().find(|(_, service)| spelling.is_audience_of(service))
        {
            return Self::OtherCloud { service: name.clone() };
        }
        match spelling {
            Spelling::Application(_) => Self::Unconfigured { description: "an application ID" },
            Spelling::Url { .. } if is_plain_url(audience.as_str()) => Self::Restated,
            Spelling::Url { .. } => {
                Self::Unconfigured { description: "a URL that can be read in more than one way" }
            }
            Spelling::Other(_) => Self::Unconfigured { description: "not a URL" },
        }
    }

    /// The declared hosts that tokens may be sent to.
    pub(crate) fn narrow(&self, declared: &[HostPattern]) -> Vec<HostPattern> {
        match self {
            Self::Services { hosts, .. } => {
                let both = |one: &HostPattern| {
                    hosts.iter().filter_map(|other| one.intersection(other)).collect()
                };
                declared.iter().flat_map::<Vec<HostPattern>, _>(both).collect()
            }
            Self::Restated => declared.to_vec(),
            Self::OtherCloud { .. } | Self::Unconfigured { .. } => Vec::new(),
        }
    }
}

/// Returns a warning about an audience that the manifest describes itself, for an operator who
/// inspects the plugin.
#[must_use]
pub fn warning(declared: &DeclaredAudience, cloud: &Cloud) -> Option<String> {
    let DeclaredService::Own { audience, hosts, .. } = &declared.service else { return None };
    let reach = Reach::classify(audience, cloud);
    let declared_hosts = || join_hosts(hosts);
    Some(match &reach {
        Reach::Services { names, hosts } if reach.narrow(hosts_of(declared)).is_empty() => format!(
            "it requests tokens for {audience} at {}; this is the audience of the cloud's service \
             {names}, whose tokens are sent only to {}: a mount is rejected",
            declared_hosts(),
            join_hosts(hosts)
        ),
        Reach::Services { .. } | Reach::Restated => format!(
            "the author chose this audience and its hosts: whoever runs {} can use the tokens. A \
             mount must restate `endpoint` and `resource`",
            declared_hosts()
        ),
        Reach::OtherCloud { service } => {
            format!(
                "{audience} is the audience of the service `{service}` in another cloud: a mount \
                 is rejected"
            )
        }
        Reach::Unconfigured { description } => format!(
            "{audience} is {description}: a mount is rejected unless a section \
             [cloud.service.NAME] has it as its `audience`"
        ),
    })
}

fn hosts_of(declared: &DeclaredAudience) -> &[HostPattern] {
    match &declared.service {
        DeclaredService::Own { hosts, .. } => hosts,
        DeclaredService::Cloud(_) => &[],
    }
}

/// Joins host patterns for a message, sorted.
pub(crate) fn join_hosts(hosts: &[HostPattern]) -> String {
    let mut strings: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    strings.sort_unstable();
    strings.dedup();
    strings.join(", ")
}

fn patterns(service: &CloudService) -> impl Iterator<Item = HostPattern> {
    service.hosts.iter().filter_map(|host| HostPattern::parse(host).ok())
}

/// An audience without the differences in spelling that directories and services ignore.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spelling {
    /// An application ID: the digits of a GUID.
    Application(String),
    /// The host of a URL, and its path without slashes at its ends.
    Url { host: String, path: String },
    /// Something else, in lower case.
    Other(String),
}

impl Spelling {
    fn of(audience: &str) -> Self {
        let text = fully_decoded(audience).to_ascii_lowercase().replace('\\', "/");
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ["https:", "http:", "api:", "spn:", "urn:uuid:"]
                .iter()
                .find_map(|scheme| Some((*scheme, text.strip_prefix(scheme)?)))
                .unwrap_or(("", &text)),
        };
        let rest = rest.trim_start_matches('/');
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_end_matches('.');
        if let Some(guid) = guid(host) {
            return Self::Application(guid);
        }
        let is_web = scheme.is_empty()
            || scheme.trim_end_matches(':').ends_with("http")
            || scheme.contains("https");
        if is_web && host.contains('.') {
            return Self::Url { host: host.to_owned(), path: path.trim_matches('/').to_owned() };
        }
        Self::Other(text.trim_end_matches('/').to_owned())
    }

    /// Whether tokens for this audience could be accepted as tokens of the service. An audience
    /// without a path includes every path at its host. The URLs of the service's hosts count too,
    /// since a storage account accepts tokens for its own URL.
    fn is_audience_of(&self, service: &CloudService) -> bool {
        let names = std::iter::once(&service.audience).chain(&service.aliases);
        let is_named = names.map(|name| Self::of(name)).any(|known| match (self, &known) {
            (Self::Url { host, path }, Self::Url { host: known, path: prefix }) => {
                host == known && (prefix.is_empty() || path == prefix)
            }
            (Self::Application(_) | Self::Other(_) | Self::Url { .. }, _) => *self == known,
        });
        let is_host = || match self {
            Self::Url { host, .. } => patterns(service).any(|pattern| pattern.matches(host)),
            Self::Application(_) | Self::Other(_) => false,
        };
        is_named || is_host()
    }
}

/// The digits of a GUID, which may be in braces and without hyphens.
fn guid(text: &str) -> Option<String> {
    let text = text.trim_start_matches(['{', '(']).trim_end_matches(['}', ')']);
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    let is_guid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_guid.then_some(digits)
}

/// Whether a URL is unambiguous: `https`, a host name of two or more labels in lower case, no port,
/// a plain path.
fn is_plain_url(text: &str) -> bool {
    let plain = text.strip_suffix('/').unwrap_or(text);
    Endpoint::parse(text).is_ok_and(|endpoint| {
        let is_web = endpoint.protocol == Protocol::Https && endpoint.to_string() == plain;
        is_web
            && !endpoint
                .host
                .split('.')
                .next_back()
                .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(audience: &str, cloud: &str) -> Reach {
        Reach::classify(&Audience::new(audience).unwrap(), Cloud::named(cloud).unwrap())
    }

    #[test]
    fn every_spelling_of_the_audience_of_a_service_is_recognized() {
        for text in [
            "https://management.azure.com/",
            "https://management.azure.com",
            "https://management.azure.com//",
            "https://management.azure.com/.default",
            "https://management.azure.com/subscriptions",
            "https://Management.Azure.COM/",
            "HTTPS://management.azure.com/",
            "http://management.azure.com/",
            "https://management.azure.com:443/",
            "https://management.azure.com:/",
            "https://management.azure.com./",
            "https://management.azure%2ecom/",
            "https://management.azure%252Ecom/",
            "https://management%2Eazure.com%2f",
            "https:%2F%2Fmanagement.azure.com",
            "https://anybody@management.azure.com/",
            "https:\\\\management.azure.com",
            "https:/management.azure.com",
            "https:management.azure.com",
            "//management.azure.com/",
            "management.azure.com",
            "spn:https://management.azure.com",
            "https://management.azure.com/?x=1",
            "https://management.azure.com#x",
            "https://management.core.windows.net/",
            "https://management.core.windows.net",
            "https://MANAGEMENT.core.windows.net:443",
        ] {
            let Reach::Services { names, hosts } = reach(text, "public") else {
                panic!("{text}: {:?}", reach(text, "public"))
            };
            assert_eq!(
                (names.as_str(), join_hosts(&hosts)),
                ("`arm`", "management.azure.com".to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn an_audience_of_several_services_has_the_hosts_of_all_in_the_configured_cloud() {
        for text in ["https://storage.azure.com", "https://storage.azure.com/"] {
            let Reach::Services { names, hosts } = reach(text, "china") else { panic!("{text}") };
            assert_eq!(names, "`blob` or `dfs`");
            assert_eq!(
                join_hosts(&hosts),
                "*.blob.core.chinacloudapi.cn, *.dfs.core.chinacloudapi.cn"
            );
        }
        let account = reach("https://contoso.blob.core.windows.net", "public");
        assert!(
            matches!(account, Reach::Services { names, .. } if names == "`blob`"),
            "an account's own audience"
        );
    }

    #[test]
    fn tokens_for_an_audience_of_another_cloud_are_sent_nowhere() {
        for (text, cloud) in [
            ("https://management.azure.com/", "china"),
            ("https://management.core.usgovcloudapi.net", "public"),
            ("https://vault.azure.cn/", "public"),
            ("https://contoso.vault.usgovcloudapi.net", "public"),
        ] {
            assert!(
                matches!(reach(text, cloud), Reach::OtherCloud { .. }),
                "{text}: {:?}",
                reach(text, cloud)
            );
        }
    }

    #[test]
    fn an_application_id_needs_a_service_in_the_configuration() {
        const GUID: &str = "00000003-0000-0000-c000-000000000000";
        for text in [
            GUID.to_owned(),
            GUID.to_uppercase(),
            GUID.replace('-', ""),
            format!("{{{GUID}}}"),
            format!("api://{GUID}"),
            format!("API://{GUID}/"),
            format!("api://{GUID}/scope"),
            format!("api:%2F%2f{GUID}"),
            format!("spn:{GUID}"),
            format!("urn:uuid:{GUID}"),
            format!("{GUID}/graph.microsoft.com"),
            format!("https://{GUID}/"),
        ] {
            let expected = Reach::Unconfigured { description: "an application ID" };
            assert_eq!(reach(&text, "public"), expected, "{text}");
        }
    }

    #[test]
    fn only_a_plain_url_can_be_restated() {
        for text in [
            "https://api.weather.example",
            "https://api.weather.example/",
            "https://weather.example/api/v1",
        ] {
            assert_eq!(reach(text, "public"), Reach::Restated, "{text}");
        }
        for text in [
            "https://API.weather.example",
            "https://api.weather.example:443",
            "https://api.weather.example.",
            "https://api.weather.example//",
            "https://x@api.weather.example",
            "https://api.weather.example/%61",
            "https://api.weather.example/?x",
            "https://192.0.2.1/",
            "http://api.weather.example",
            "api.weather.example",
            "api://weather",
            "weather",
        ] {
            assert!(
                matches!(reach(text, "public"), Reach::Unconfigured { .. }),
                "{text}: {:?}",
                reach(text, "public")
            );
        }
    }

    #[test]
    fn an_alias_with_a_path_does_not_include_other_paths_at_its_host() {
        let mut cloud = Cloud::named("public").unwrap().clone();
        let mut service = cloud.services["arm"].clone();
        service.audience = "api://00001111-aaaa-2222-bbbb-3333cccc4444".to_owned();
        service.aliases = vec!["https://contoso.example/app1".to_owned()];
        service.hosts = vec!["*.orders.example".to_owned()];
        cloud.services.insert("orders".to_owned(), service);
        let of = |text: &str| Reach::classify(&Audience::new(text).unwrap(), &cloud);
        for text in ["00001111-AAAA-2222-bbbb-3333cccc4444", "https://contoso.example/App1/"] {
            assert!(
                matches!(of(text), Reach::Services { names, .. } if names == "`orders`"),
                "{text}: {:?}",
                of(text)
            );
        }
        assert_eq!(of("https://contoso.example/app2"), Reach::Restated);
    }
}
