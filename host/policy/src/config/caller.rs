//! `[caller.NAME]`: who calls, and `[mount.NAME.caller.X]`: what one of them may do with a mount.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Location, Spanned};
use crate::document::{InvalidValue, Key, Section, SectionKeys};
use crate::manifest::read_patterns;
use crate::pattern::Pattern;
use crate::text::toml_key;

/// In `callers`, every caller that the mount does not name.
pub const OTHERS: &str = "*";

/// A caller: what must be proved about a program for the section to match it. All that is given must
/// match.
#[derive(Clone, Debug, Default)]
pub struct CallerConfig {
    /// Its user.
    pub user: Option<Spanned<Account>>,
    /// A group that it is in.
    pub group: Option<Spanned<Account>>,
    /// The systemd unit of its process.
    pub unit: Option<Spanned<String>>,
    /// A name in its client certificate: a URI, or a DNS name.
    pub certificate: Option<Spanned<String>>,
    /// Its Kubernetes service account.
    pub service_account: Option<Spanned<AccountName>>,
    /// The name that the embedding service gives it.
    pub embedded: Option<Spanned<String>>,
    /// Its position in the configuration.
    pub location: Option<Location>,
}

/// What the kernel reports in place of a user or group that has no number in its user namespace. It
/// is also the user `nobody` and the group `nogroup` of most systems, so they identify no one.
pub const OVERFLOW_ID: u32 = 65534;

/// What the kernel reports where there is no user or group.
pub const NO_ID: u32 = u32::MAX;

/// A user or a group of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By its number.
    Id(u32),
    /// By its name. Whoever reads the configuration must replace it by the number
    /// ([`Config::resolve_accounts`](super::Config::resolve_accounts)).
    Name(String),
}

/// The name of a Kubernetes service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// Its namespace.
    pub namespace: String,
    /// Its name in the namespace.
    pub name: String,
}

/// What one caller may do with a mount.
#[derive(Clone, Debug, Default)]
pub struct MountCallerConfig {
    /// The requests to the mount that it may send; `None` for all.
    pub requests: Option<Vec<Pattern>>,
    /// The requests that may be sent to the mount's first audience on its behalf; `None` for all
    /// that the mount may send.
    pub allow: Option<Vec<Pattern>>,
    /// How many calls it may begin.
    pub rate: Option<Rate>,
    /// How many of its calls may run at once.
    pub concurrency: Option<u32>,
    /// The position of `requests`.
    pub requests_location: Option<Location>,
    /// The position of `allow`.
    pub allow_location: Option<Location>,
    /// Its position in the configuration.
    pub location: Option<Location>,
}

/// A number of calls in a time. As many may begin at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many calls.
    pub calls: NonZeroU32,
    /// In which time.
    pub per: Per,
}

/// The time of a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Rate {
    /// Parses `50/s`, `600/m` or `1000/h`; `None` if the string is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (calls, per) = text.split_once('/')?;
        let per = match per {
            "s" => Per::Second,
            "m" => Per::Minute,
            "h" => Per::Hour,
            _ => return None,
        };
        let is_number = calls.bytes().all(|byte| byte.is_ascii_digit());
        let calls = calls.parse::<u32>().ok().filter(|calls| is_number && *calls <= MOST_CALLS)?;
        Some(Self { calls: NonZeroU32::new(calls)?, per })
    }
}

impl Rate {
    /// The number of calls and the time, as in `2 calls an hour`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let calls = if self.calls.get() == 1 { "call" } else { "calls" };
        let per = match self.per {
            Per::Second => "a second",
            Per::Minute => "a minute",
            Per::Hour => "an hour",
        };
        format!("{} {calls} {per}", self.calls)
    }
}

impl Per {
    /// The time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "s",
            Per::Minute => "m",
            Per::Hour => "h",
        };
        write!(f, "{}/{per}", self.calls)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// More is no limit.
const MOST_CALLS: u32 = 1_000_000;

const USER: Key = Key::scalar(
    "user",
    "33",
    "its user, by name or number; at the Unix socket, and on Linux at loopback TCP listeners",
);
const GROUP: Key =
    Key::scalar("group", "33", "a group that it is in, by name or number; at the Unix socket");
const UNIT: Key =
    Key::string("unit", "web.service", "the systemd unit of its process; at the Unix socket");
const CERTIFICATE: Key = Key::string(
    "certificate",
    "spiffe://contoso.example/web",
    "a URI or a DNS name in its client certificate; at [listen.tls] with `client_ca`",
);
const SERVICE_ACCOUNT: Key = Key::form(
    "service_account",
    "a namespace and a name, with a slash between them",
    Some("^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
    "shop/web",
    "the Kubernetes service account of the token in its requests; with [listen.kubernetes]",
);
const EMBEDDED: Key = Key::string(
    "embedded",
    "reports",
    "the name that a service which embeds the broker gives a part of itself; never in a daemon",
);

/// `[caller.NAME]`.
pub(super) const CALLER: SectionKeys = SectionKeys::new(
    &["caller", "NAME"],
    "A caller, by what must be proved about it: all that is given must match, and of several \
     sections that match, the first in the file counts. Once there is such a section, a mount \
     serves only the callers that it names ([callers.md](callers.md)).",
    &[&USER, &GROUP, &UNIT, &CERTIFICATE, &SERVICE_ACCOUNT, &EMBEDDED],
)
.names("^[A-Za-z0-9][A-Za-z0-9_-]*$");

const REQUESTS: Key = Key::strings(
    "requests",
    "POST /queries/of-customer",
    "the requests to the mount that the caller may send: a method, and the path after the mount's \
     name; second paths, such as the source of a copy, must be covered too",
)
.default_is("all");
const ALLOW: Key = Key::strings(
    "allow",
    "GET /secrets/shop-*",
    "the requests that may be sent to the mount's first audience on the caller's behalf, of those \
     that the mount may send ([permissions.md](permissions.md))",
)
.default_is("all that the mount may send");
const RATE: Key = Key::form(
    "rate",
    "a number of calls, a slash, and `s`, `m` or `h`",
    Some("^[0-9]+/[smh]$"),
    "50/s",
    "how many calls the caller may begin in a second, a minute or an hour; as many may begin at once",
)
.default_is("no limit");
const CONCURRENCY: Key =
    Key::integer("concurrency", (1, 4096), "16", "how many calls of the caller may run at once")
        .default_is(
            "three quarters of the mount's `concurrency`, or all of it if no other caller is named",
        );

/// `[mount.NAME.caller.X]`.
pub(super) const MOUNT_CALLER: SectionKeys = SectionKeys::new(
    &["mount", "NAME", "caller", "X"],
    "Names a caller of the mount, as `callers` does, and limits what it may do. The name `\"*\"` is \
     for every caller that the mount does not name; they share one rate and one concurrency.",
    &[&REQUESTS, &ALLOW, &RATE, &CONCURRENCY],
)
.names("^([A-Za-z0-9][A-Za-z0-9_-]*|\\*)$");

/// Reads the callers, in the order of the file.
pub(super) fn read(root: &Section<'_>) -> Vec<(String, CallerConfig)> {
    let sections = root.sections(&CALLER).into_iter();
    let callers = sections.map(|(name, section)| {
        if !is_caller_name(&name.value) {
            let message = format!("`{}` is not a valid name of a caller", name.value);
            let expected = "letters, digits, hyphens and underscores, a letter or digit first";
            section.push(Diagnostic::new(name.location, message).expected(expected));
        }
        (name.value, caller(section))
    });
    callers.collect()
}

fn is_caller_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn caller(section: Section<'_>) -> CallerConfig {
    let caller = CallerConfig {
        user: account(&section, &USER),
        group: account(&section, &GROUP),
        unit: unit(&section),
        certificate: certificate(&section),
        service_account: section.parsed(&SERVICE_ACCOUNT, |text| {
            let (namespace, name) = text.split_once('/').ok_or_else(InvalidValue::default)?;
            let is_label = |text: &str| {
                let plain = |byte: u8| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
                };
                !text.is_empty() && text.bytes().all(plain)
            };
            if !is_label(namespace) || !is_label(name) || namespace.contains('.') {
                return Err(InvalidValue::default());
            }
            Ok(AccountName { namespace: namespace.to_owned(), name: name.to_owned() })
        }),
        embedded: section.string(&EMBEDDED),
        location: section.location(),
    };
    let is_empty = [&USER, &GROUP, &UNIT, &CERTIFICATE, &SERVICE_ACCOUNT, &EMBEDDED]
        .iter()
        .all(|key| section.location_of(key).is_none());
    if is_empty {
        let message = format!("{} says nothing about the caller", section.header());
        let diagnostic = Diagnostic::new(section.location(), message);
        section
            .push(diagnostic.expected("what must be proved about it").write("user = \"www-data\""));
    }
    section.finish();
    caller
}

/// Reads a user or a group.
fn account(section: &Section<'_>, key: &Key) -> Option<Spanned<Account>> {
    let Spanned { value, location } = section.scalar(key)?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let account = match value.parse::<u32>() {
        Ok(id) if is_number && id != NO_ID && id != OVERFLOW_ID => Some(Account::Id(id)),
        Err(_) | Ok(_) if is_number || value.is_empty() => None,
        Ok(_) | Err(_) => Some(Account::Name(value.clone())),
    };
    let Some(account) = account else {
        let message = format!("`{} = {value}` in {} cannot be used", key.name, section.header());
        let expected = "the name or the number of an account; 65534 and 4294967295 are \
                        what the kernel reports for accounts that it cannot map";
        let write = format!("{} = {}", key.name, key.example);
        section.push(Diagnostic::new(location, message).expected(expected).write(write));
        return None;
    };
    Some(Spanned { value: account, location })
}

fn unit(section: &Section<'_>) -> Option<Spanned<String>> {
    let unit = section.string(&UNIT)?;
    let has_suffix = [".service", ".scope"].iter().any(|suffix| unit.value.ends_with(suffix));
    if has_suffix && !unit.value.contains('/') {
        return Some(unit);
    }
    let message = format!("`unit = {:?}` in {} cannot be used", unit.value, section.header());
    let write = format!("unit = {:?}", format!("{}.service", unit.value.replace('/', "-")));
    let expected = "the full name of a unit, which ends with `.service` or `.scope`";
    section.push(Diagnostic::new(unit.location, message).expected(expected).write(write));
    None
}

fn certificate(section: &Section<'_>) -> Option<Spanned<String>> {
    let name = section.string(&CERTIFICATE)?;
    let is_dns = |name: &str| {
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(plain)
        };
        name.split('.').all(is_label)
    };
    let is_uri = name.value.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && !rest.is_empty()
            && name.value.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if is_uri || is_dns(&name.value) {
        return Some(name);
    }
    let message =
        format!("`certificate = {:?}` in {} cannot be used", name.value, section.header());
    let diagnostic = Diagnostic::new(name.location, message)
        .expected("a URI, or a DNS name without wildcards, in the certificate's subjectAltName")
        .write(format!("certificate = {:?}", CERTIFICATE.example));
    section.push(diagnostic);
    None
}

/// Reads what one caller may do with a mount.
pub(super) fn read_mount_caller(section: Section<'_>) -> MountCallerConfig {
    let rate = section.parsed(&RATE, |text| Rate::parse(text).ok_or_else(InvalidValue::default));
    let config = MountCallerConfig {
        requests: read_patterns(&section, &REQUESTS),
        allow: read_patterns(&section, &ALLOW),
        rate: rate.map(|rate| rate.value),
        concurrency: section.optional_integer(&CONCURRENCY),
        requests_location: section.location_of(&REQUESTS),
        allow_location: section.location_of(&ALLOW),
        location: section.location(),
    };
    section.finish();
    config
}

/// The header of `[mount.NAME.caller.X]`.
#[must_use]
pub fn mount_caller_header(mount: &str, caller: &str) -> String {
    format!("[mount.{}.caller.{}]", toml_key(mount), toml_key(caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_number_and_a_time() {
        for text in ["50/s", "600/m", "1/h"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "50", "0/s", "-1/s", "+5/s", "50/d", "50 /s", "/s", "9999999999/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}
