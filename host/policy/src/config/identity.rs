//! `[identity.NAME]`: where tokens come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use keyward_types::{SourceKind, UserAssigned};

use crate::diagnostic::{Diagnostic, Location};
use crate::document::{DefaultValue, InvalidValue, Key, Section, SectionKeys};
use crate::text::one_of;

/// An identity.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Its source.
    pub source: IdentitySource,
    /// Storage of its tokens on disk, over a restart.
    pub persist: Option<PersistConfig>,
    /// Its position in the configuration.
    pub location: Option<Location>,
}

/// Where an identity's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// The instance metadata service.
    Imds(ImdsConfig),
    /// Another source of the platform, which is configured by environment variables.
    Platform(SourceKind, SourceConfig),
    /// The first of the platform's sources that this machine has.
    Auto(SourceConfig),
    /// A source that the embedding service supplies to the broker, under the identity's name.
    Supplied,
}

/// `source = "imds"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImdsConfig {
    /// A user-assigned identity; `None` for the system-assigned one.
    pub user_assigned: Option<UserAssigned>,
    /// Its address, if not `http://169.254.169.254`.
    pub endpoint: Option<String>,
    /// Timeout of one request.
    pub timeout: Option<Duration>,
    /// Time for all attempts together.
    pub deadline: Option<Duration>,
}

/// The configuration that all sources have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceConfig {
    /// A user-assigned identity.
    pub user_assigned: Option<UserAssigned>,
    /// Timeout of one request.
    pub timeout: Option<Duration>,
    /// Time for all attempts together.
    pub deadline: Option<Duration>,
}

/// An encrypted file of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistConfig {
    /// The file.
    pub path: PathBuf,
    /// The key that it is encrypted with.
    pub key: PersistKeyConfig,
}

/// The source of the encryption key of a file of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersistKeyConfig {
    /// A file that only this user can read, as `openssl rand -hex 32` makes it.
    File(PathBuf),
    /// A systemd credential of this name.
    Credential(String),
}

impl IdentityConfig {
    fn of(source: IdentitySource) -> Self {
        Self { source, persist: None, location: None }
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
    let sections = root.sections(&IDENTITY).into_iter();
    sections.filter_map(|(name, section)| Some((name.value, identity(section, base)?))).collect()
}

/// The name of the source that is detected.
const AUTO: &str = "auto";

/// The sources by their names; `None` for [`AUTO`].
fn sources() -> Vec<(&'static str, Option<SourceKind>)> {
    let kinds = SourceKind::ALL.into_iter().map(|kind| (kind.as_str(), Some(kind)));
    kinds.chain([(AUTO, None)]).collect()
}

const SOURCE: Key = Key::one_of(
    "source",
    || sources().into_iter().map(|(name, _)| name).collect(),
    "imds",
    "where tokens come from",
)
.required();

const UUID: Option<&str> =
    Some("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$");
const ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

const CLIENT_ID: Key =
    Key::form("client_id", "a UUID", UUID, ID, "the client ID of a user-assigned identity");
const OBJECT_ID: Key =
    Key::form("object_id", "a UUID", UUID, ID, "its object ID, in place of `client_id`");
const RESOURCE_ID: Key = Key::form(
    "resource_id",
    "the identity's resource id",
    None,
    "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.ManagedIdentity/\
     userAssignedIdentities/NAME",
    "its resource ID, in place of `client_id`",
);
const ENDPOINT: Key = Key::form(
    "endpoint",
    "\"http://host:port\", without a path",
    Some("^http://[^/?#@]+/?$"),
    "http://169.254.169.254",
    "for `imds`: the address of the metadata service",
)
.default(DefaultValue::String("http://169.254.169.254"));

const SHORTEST: Duration = Duration::from_millis(10);

const TIMEOUT: Key = Key::duration(
    "timeout",
    (SHORTEST, Duration::from_secs(60)),
    "5s",
    "how long one request to the endpoint may take",
)
.default_is("`\"5s\"`, for `azure-cli` `\"13s\"`");
const DEADLINE: Key = Key::duration(
    "deadline",
    (SHORTEST, Duration::from_secs(600)),
    "30s",
    "how long all attempts together may take",
)
.default_is("`\"30s\"`");
const PERSIST: Key = Key::path(
    "persist",
    "/var/lib/keyward/tokens",
    "an encrypted file in which tokens survive a restart",
);
const PERSIST_KEY: Key = Key::path(
    "persist_key",
    "/etc/keyward/tokens.key",
    "the file with its key, made with `openssl rand -hex 32`; only the daemon's user may read it",
);
const PERSIST_CREDENTIAL: Key = Key::string(
    "persist_credential",
    "keyward-tokens",
    "the name of systemd's credential with the key, in place of `persist_key`",
);

/// `[identity.NAME]`.
pub(super) const IDENTITY: SectionKeys = SectionKeys::new(
    &["identity", "NAME"],
    "Where tokens come from, see [identities.md](identities.md). Without `client_id`, `object_id` \
     and `resource_id` it is the system-assigned identity.",
    &[
        &SOURCE,
        &CLIENT_ID,
        &OBJECT_ID,
        &RESOURCE_ID,
        &ENDPOINT,
        &TIMEOUT,
        &DEADLINE,
        &PERSIST,
        &PERSIST_KEY,
        &PERSIST_CREDENTIAL,
    ],
);

fn identity(section: Section<'_>, base: &Path) -> Option<IdentityConfig> {
    let location = section.location();
    let sources = sources();
    let source = section.one_of(&SOURCE, &sources);
    if source.is_none() && section.location_of(&SOURCE).is_none() {
        let message = format!("{} has no `source`", section.header());
        let expected = one_of(sources.iter().map(|(name, _)| *name));
        section.push(
            Diagnostic::new(location.clone(), message)
                .expected(expected)
                .write("source = \"imds\""),
        );
    }
    let (user_assigned, id_location) = user_assigned(&section).unzip();
    let endpoint = section.parsed(&ENDPOINT, |text| {
        if is_http_origin(text) { Ok(text.to_owned()) } else { Err(InvalidValue::default()) }
    });
    let timeout = section.duration(&TIMEOUT).map(|timeout| timeout.value);
    let deadline = section.duration(&DEADLINE).map(|deadline| deadline.value);
    let persist = persist(&section, base);
    let kind = source.map(|source| source.value);
    if let (Some(endpoint), Some(kind)) = (&endpoint, kind)
        && kind != Some(SourceKind::Imds)
    {
        let message = format!("`endpoint` in {} is only for `source = \"imds\"`", section.header());
        section.push(Diagnostic::new(endpoint.location.clone(), message).help("remove this line"));
    }
    if let (Some(Some(kind)), Some(identity)) = (kind, &user_assigned)
        && !kind.takes(identity)
    {
        let message = format!(
            "{} selects a user-assigned identity in a way that {kind} does not support",
            section.header()
        );
        let expected = if kind == SourceKind::WorkloadIdentity {
            "client_id"
        } else {
            "none of client_id, object_id and resource_id"
        };
        section.push(Diagnostic::new(id_location.flatten(), message).expected(expected));
    }
    section.finish();
    let source = match kind? {
        Some(SourceKind::Imds) => {
            let endpoint = endpoint.map(|endpoint| endpoint.value);
            IdentitySource::Imds(ImdsConfig { user_assigned, endpoint, timeout, deadline })
        }
        Some(kind) => {
            IdentitySource::Platform(kind, SourceConfig { user_assigned, timeout, deadline })
        }
        None => IdentitySource::Auto(SourceConfig { user_assigned, timeout, deadline }),
    };
    Some(IdentityConfig { source, persist, location })
}

fn persist(section: &Section<'_>, base: &Path) -> Option<PersistConfig> {
    let path = section.path(&PERSIST, base);
    let file = section.path(&PERSIST_KEY, base);
    let credential = section.string(&PERSIST_CREDENTIAL);
    let key = match (&path, file, credential) {
        (Some(_), Some(file), None) => PersistKeyConfig::File(file.value),
        (Some(_), None, Some(name)) => PersistKeyConfig::Credential(name.value),
        (None, None, None) => return None,
        // `persist` is invalid, which is already reported.
        (None, ..) if section.location_of(&PERSIST).is_some() => return None,
        (path, file, credential) => {
            let location = path.as_ref().and_then(|path| path.location.clone());
            let location = location
                .or_else(|| file.and_then(|file| file.location))
                .or_else(|| credential.and_then(|credential| credential.location));
            let message = format!(
                "{}: `persist` needs exactly one of `persist_key` and `persist_credential`",
                section.header()
            );
            let expected = "`persist`, and either `persist_key` (a file: openssl rand -hex 32) or \
                            `persist_credential` (systemd's)";
            section.push(Diagnostic::new(location, message).expected(expected));
            return None;
        }
    };
    path.map(|path| PersistConfig { path: path.value, key })
}

fn user_assigned(section: &Section<'_>) -> Option<(UserAssigned, Option<Location>)> {
    let uuid = |key| {
        section.parsed(key, |text| {
            if is_uuid(text) { Ok(text.to_owned()) } else { Err(InvalidValue::default()) }
        })
    };
    let resource = section.parsed(&RESOURCE_ID, |text| {
        let lower = text.to_ascii_lowercase();
        let fits = lower.starts_with("/subscriptions/")
            && lower.contains("/providers/microsoft.managedidentity/userassignedidentities/");
        if fits { Ok(text.to_owned()) } else { Err(InvalidValue::default()) }
    });
    let forms = [
        uuid(&CLIENT_ID).map(|id| (id.location, UserAssigned::ClientId(id.value))),
        uuid(&OBJECT_ID).map(|id| (id.location, UserAssigned::ObjectId(id.value))),
        resource.map(|id| (id.location, UserAssigned::ResourceId(id.value))),
    ];
    let mut forms = forms.into_iter().flatten();
    let first = forms.next()?;
    for (location, _) in forms {
        let message = format!("{} names its identity twice", section.header());
        section.push(
            Diagnostic::new(location, message)
                .expected("one of client_id, object_id and resource_id"),
        );
    }
    Some((first.1, first.0))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a URL is `http://host:port`, without a path.
fn is_http_origin(text: &str) -> bool {
    let Ok(uri) = text.trim_end_matches('/').parse::<Uri>() else { return false };
    uri.scheme_str() == Some("http")
        && uri.path() == "/"
        && uri.query().is_none()
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
}
