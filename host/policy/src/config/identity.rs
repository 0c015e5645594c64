//! `[identity.NAME]`: where tokens come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use keyward_types::{SourceKind, UserAssigned};

use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Section, Unfit};
use crate::text::one_of;

/// One identity.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Its source.
    pub source: IdentitySource,
    /// Where its tokens survive a restart.
    pub persist: Option<PersistConfig>,
    /// Where it is configured.
    pub place: Option<Place>,
}

/// Where an identity's tokens come from.
#[derive(Clone, Debug)]
pub enum IdentitySource {
    /// The instance metadata service.
    Imds(ImdsConfig),
    /// Another one of the platform's. What it needs to know is in its environment variables.
    Platform(SourceKind, SourceConfig),
    /// The first of the platform's that this machine has.
    Auto(SourceConfig),
    /// One that the embedding service supplies to the broker, under the identity's name.
    Supplied,
}

/// `source = "imds"`.
#[derive(Clone, Debug, Default)]
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

/// What can be said of every source.
#[derive(Clone, Debug, Default)]
pub struct SourceConfig {
    /// A user-assigned identity.
    pub user_assigned: Option<UserAssigned>,
    /// How long one request may take.
    pub timeout: Option<Duration>,
    /// How long an endpoint that fails is tried.
    pub deadline: Option<Duration>,
}

/// A file of tokens, encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistConfig {
    /// The file.
    pub path: PathBuf,
    /// The key that it is encrypted with.
    pub key: PersistKeyConfig,
}

/// Where the key of a file of tokens is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersistKeyConfig {
    /// In a file that only this user can read: `openssl rand -hex 32`.
    File(PathBuf),
    /// In a credential of systemd's, of this name.
    Credential(String),
}

impl IdentityConfig {
    fn of(source: IdentitySource) -> Self {
        Self { source, persist: None, place: None }
    }

    /// The machine's system-assigned identity.
    #[must_use]
    pub fn system_assigned() -> Self {
        Self::of(IdentitySource::Imds(ImdsConfig::default()))
    }

    /// A user-assigned identity of the machine.
    #[must_use]
    pub fn user_assigned(identity: UserAssigned) -> Self {
        let imds = ImdsConfig { user_assigned: Some(identity), ..ImdsConfig::default() };
        Self::of(IdentitySource::Imds(imds))
    }

    /// An identity whose source the embedding service supplies to the broker, under the identity's
    /// name.
    #[must_use]
    pub fn supplied() -> Self {
        Self::of(IdentitySource::Supplied)
    }
}

pub(super) fn read(root: &Section<'_>, base: &Path) -> BTreeMap<String, IdentityConfig> {
    let sections = root.sections("identity").into_iter();
    sections.filter_map(|(name, section)| Some((name.value, identity(section, base)?))).collect()
}

/// The word for the source that the machine has.
const AUTO: &str = "auto";

fn identity(section: Section<'_>, base: &Path) -> Option<IdentityConfig> {
    let place = section.place();
    let mut words: Vec<(&str, Option<SourceKind>)> =
        SourceKind::ALL.into_iter().map(|kind| (kind.as_str(), Some(kind))).collect();
    words.push((AUTO, None));
    let source = section.word("source", &words);
    if source.is_none() && section.key_place("source").is_none() {
        let message = format!("{} has no `source`", section.header());
        let expected = one_of(words.iter().map(|(word, _)| *word));
        section.push(Diagnostic::new(place.clone(), message).expected(expected).write("source = \"imds\""));
    }
    let (user_assigned, named_at) = user_assigned(&section).unzip();
    let endpoint =
        section.parsed("endpoint", "\"http://host:port\", and nothing behind it", "http://169.254.169.254", |text| {
            if is_http_origin(text) { Ok(text.to_owned()) } else { Err(Unfit::default()) }
        });
    let timeout = duration(&section, "timeout", 60, "5s");
    let deadline = duration(&section, "deadline", 600, "30s");
    let persist = persist(&section, base);
    let kind = source.map(|source| source.value);
    if let (Some(endpoint), Some(kind)) = (&endpoint, kind)
        && kind != Some(SourceKind::Imds)
    {
        let message = format!("`endpoint` in {}, whose source finds its endpoint itself", section.header());
        section.push(Diagnostic::new(endpoint.place.clone(), message).help("remove this line"));
    }
    if let (Some(Some(kind)), Some(identity)) = (kind, &user_assigned)
        && !kind.takes(identity)
    {
        let message =
            format!("{} names a user-assigned identity, which {kind} cannot be asked for so", section.header());
        let expected = if kind == SourceKind::WorkloadIdentity {
            "client_id"
        } else {
            "none of client_id, object_id and resource_id"
        };
        section.push(Diagnostic::new(named_at.flatten(), message).expected(expected));
    }
    section.finish();
    let source = match kind? {
        Some(SourceKind::Imds) => {
            let endpoint = endpoint.map(|endpoint| endpoint.value);
            IdentitySource::Imds(ImdsConfig { user_assigned, endpoint, timeout, deadline })
        }
        Some(kind) => IdentitySource::Platform(kind, SourceConfig { user_assigned, timeout, deadline }),
        None => IdentitySource::Auto(SourceConfig { user_assigned, timeout, deadline }),
    };
    Some(IdentityConfig { source, persist, place })
}

fn persist(section: &Section<'_>, base: &Path) -> Option<PersistConfig> {
    let path = section.text("persist", "/var/lib/keyward/tokens");
    let file = section.text("persist_key", "/etc/keyward/tokens.key");
    let credential = section.text("persist_credential", "keyward-tokens");
    let key = match (&path, file, credential) {
        (Some(_), Some(file), None) => PersistKeyConfig::File(base.join(file.value)),
        (Some(_), None, Some(name)) => PersistKeyConfig::Credential(name.value),
        (None, None, None) => return None,
        (path, file, credential) => {
            let place = path.as_ref().and_then(|path| path.place.clone());
            let place =
                place.or_else(|| file.and_then(|file| file.place)).or_else(|| credential.and_then(|it| it.place));
            let message =
                format!("{}: `persist` needs exactly one of `persist_key` and `persist_credential`", section.header());
            let expected = "`persist`, and either `persist_key` (a file: openssl rand -hex 32) or `persist_credential` (systemd's)";
            section.push(Diagnostic::new(place, message).expected(expected));
            return None;
        }
    };
    path.map(|path| PersistConfig { path: base.join(path.value), key })
}

fn duration(section: &Section<'_>, key: &str, most: u64, example: &str) -> Option<Duration> {
    let (least, most) = (Duration::from_millis(10), Duration::from_secs(most));
    section.duration(key, least, most, example).map(|duration| duration.value)
}

fn user_assigned(section: &Section<'_>) -> Option<(UserAssigned, Option<Place>)> {
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
    Some((first.1, first.0))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a text is `http://host:port`, with nothing behind it.
fn is_http_origin(text: &str) -> bool {
    let Ok(uri) = text.trim_end_matches('/').parse::<Uri>() else { return false };
    uri.scheme_str() == Some("http")
        && uri.path() == "/"
        && uri.query().is_none()
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
}
