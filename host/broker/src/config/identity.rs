//! `[identity.NAME]`: where tokens come from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::TokenSource;
use keyward_identity::source::{Imds, UserAssigned};

use super::diagnostic::{Diagnostic, Place};
use super::document::{Section, Unfit};

/// One identity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityConfig {
    /// Its source.
    pub source: IdentitySource,
    /// Where it is configured.
    pub place: Option<Place>,
}

/// Where an identity's tokens come from.
#[derive(Clone)]
#[non_exhaustive]
pub enum IdentitySource {
    /// The instance metadata service.
    Imds(ImdsConfig),
    /// A source of the embedding service's own.
    Custom(Arc<dyn TokenSource>),
}

/// `source = "imds"`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImdsConfig {
    /// A user-assigned identity; the system-assigned one where there is none.
    pub user_assigned: Option<UserAssigned>,
    /// Another address than `http://169.254.169.254`.
    pub endpoint: Option<String>,
    /// How long one request may take.
    pub timeout: Option<Duration>,
    /// How long an endpoint that fails is tried.
    pub deadline: Option<Duration>,
}

impl IdentityConfig {
    /// The machine's system-assigned identity.
    #[must_use]
    pub fn system_assigned() -> Self {
        Self { source: IdentitySource::Imds(ImdsConfig::default()), place: None }
    }

    /// A user-assigned identity of the machine.
    #[must_use]
    pub fn user_assigned(identity: UserAssigned) -> Self {
        let imds = ImdsConfig { user_assigned: Some(identity), ..ImdsConfig::default() };
        Self { source: IdentitySource::Imds(imds), place: None }
    }

    /// A source of one's own.
    #[must_use]
    pub fn custom(source: impl TokenSource) -> Self {
        Self { source: IdentitySource::Custom(Arc::new(source)), place: None }
    }
}

impl fmt::Debug for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imds(imds) => imds.fmt(f),
            Self::Custom(source) => write!(f, "Custom({})", source.describe()),
        }
    }
}

pub(super) fn read(root: &Section<'_>) -> BTreeMap<String, IdentityConfig> {
    let sections = root.sections("identity").into_iter();
    sections.filter_map(|(name, section)| Some((name.value, identity(section)?))).collect()
}

fn identity(section: Section<'_>) -> Option<IdentityConfig> {
    let place = section.place();
    let source = section.word("source", &[("imds", ())]);
    if source.is_none() && section.key_place("source").is_none() {
        let message = format!("{} has no `source`", section.header());
        section.push(Diagnostic::new(place.clone(), message).expected("imds").write("source = \"imds\""));
    }
    let imds = ImdsConfig {
        user_assigned: user_assigned(&section),
        endpoint: section
            .parsed("endpoint", "\"http://host:port\", and nothing behind it", "http://169.254.169.254", |text| {
                Imds::new().endpoint(text).map(|_| text.to_owned()).map_err(|_| Unfit::default())
            })
            .map(|endpoint| endpoint.value),
        timeout: duration(&section, "timeout", 60, "5s"),
        deadline: duration(&section, "deadline", 600, "30s"),
    };
    section.finish();
    source.map(|_| IdentityConfig { source: IdentitySource::Imds(imds), place })
}

fn duration(section: &Section<'_>, key: &str, most: u64, example: &str) -> Option<Duration> {
    let (least, most) = (Duration::from_millis(10), Duration::from_secs(most));
    section.duration(key, least, most, example).map(|duration| duration.value)
}

fn user_assigned(section: &Section<'_>) -> Option<UserAssigned> {
    let uuid = |key| {
        section.parsed(key, "a UUID", "00001111-aaaa-2222-bbbb-3333cccc4444", |text| {
            if is_uuid(text) { Ok(text.to_owned()) } else { Err(Unfit::default()) }
        })
    };
    const RESOURCE: &str = "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.ManagedIdentity/\
                            userAssignedIdentities/NAME";
    let resource = section.parsed("resource_id", "the identity's resource id", RESOURCE, |text| {
        let lower = text.to_ascii_lowercase();
        let fits = lower.starts_with("/subscriptions/")
            && lower.contains("/providers/microsoft.managedidentity/userassignedidentities/");
        if fits { Ok(text.to_owned()) } else { Err(Unfit::default()) }
    });
    let forms = [
        uuid("client_id").map(|id| (id.place, UserAssigned::ClientId(id.value))),
        uuid("object_id").map(|id| (id.place, UserAssigned::ObjectId(id.value))),
        resource.map(|id| (id.place, UserAssigned::ResourceId(id.value))),
    ];
    let mut forms = forms.into_iter().flatten();
    let first = forms.next()?;
    for (place, _) in forms {
        let message = format!("{} names its identity twice", section.header());
        section.push(Diagnostic::new(place, message).expected("one of client_id, object_id and resource_id"));
    }
    Some(first.1)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
