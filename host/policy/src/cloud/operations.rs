//! What requests mean, by service: see `operations.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The table in `operations.toml`. It is read once; a test reads it too, so a release that panics
/// here has not been tested.
#[allow(clippy::expect_used)]
static TABLE: LazyLock<BTreeMap<String, Operations>> = LazyLock::new(|| {
    toml::from_str(include_str!("operations.toml")).expect("the table of operations is valid")
});

/// The operations of a service that the boundary treats specially.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// Requests with other requests in their body.
    #[serde(default)]
    carriers: Vec<Operation>,
    #[serde(default, rename = "operation")]
    listed: Vec<Operation>,
    /// Operations that are the last segment of the path, by name.
    #[serde(default)]
    actions: Vec<String>,
    /// The actions that are known to mint nothing. Where there are some, every other action of a
    /// `POST` needs permission.
    #[serde(default)]
    harmless: Vec<String>,
    #[serde(default)]
    not_harmless: Vec<String>,
    /// Resource types whose writing gives rights away.
    #[serde(default)]
    privileged: Vec<String>,
}

/// An operation whose response is a credential, or that may have such operations in its body.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its name, which `hand_out` takes.
    pub name: String,
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    within: Vec<String>,
    #[serde(default)]
    whole: Vec<String>,
    #[serde(default)]
    query: Option<Parameter>,
    #[serde(default)]
    methods: Vec<String>,
    /// The field that is all of the credential, as a JSON pointer. Sealing it seals the response.
    #[serde(default)]
    pub secret: Option<String>,
    /// What it signs, where its response is a shared access signature.
    #[serde(default)]
    pub signs: Option<Signs>,
}

/// What a shared access signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signs {
    /// A container, or a blob.
    Service,
    /// Whole services of an account.
    Account,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    name: String,
    value: String,
}

/// What a request may be, in the table's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'t> {
    /// A request with others in its body.
    Carrier(&'t str),
    /// An operation of the table.
    Listed(&'t Operation),
    /// An action of the table, by its name.
    Action(&'t str),
}

impl<'t> Found<'t> {
    pub(crate) fn name(self) -> &'t str {
        match self {
            Self::Carrier(name) | Self::Action(name) => name,
            Self::Listed(operation) => &operation.name,
        }
    }
}

/// A request, as the table looks at it.
pub(crate) struct Looked<'r> {
    /// `None` where a header field may change it on the way.
    pub(crate) method: Option<&'r Method>,
    /// The path's segments, folded.
    pub(crate) segments: Vec<String>,
    /// The parameters that select an operation, folded.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Operations {
    /// The operations of a service, by its name in the cloud table. `any` are those of every
    /// service.
    pub fn of(service: &str) -> Option<&'static Self> {
        TABLE.get(service)
    }

    /// What a request is: the first entry that matches.
    pub(crate) fn find(&self, looked: &Looked<'_>) -> Option<Found<'_>> {
        let carrier = self.carriers.iter().find(|operation| operation.matches(looked));
        let listed =
            || self.listed.iter().find(|operation| operation.matches(looked)).map(Found::Listed);
        carrier.map(|carrier| Found::Carrier(&carrier.name)).or_else(listed).or_else(|| {
            let mut ends = looked.segments.iter().rev();
            let last = ends.next()?;
            // Some actions have a name of the caller's behind them: `createQueryKey/NAME`.
            let before = ends.next().filter(|_| looked.may_be(&Method::POST));
            let is_it = |name: &&String| {
                is_named(last, name) || before.is_some_and(|before| is_named(before, name))
            };
            self.actions.iter().find(is_it).map(|name| Found::Action(name))
        })
    }

    /// Whether this service's `POST`s are let through only where they are known.
    pub(crate) fn lists_harmless(&self) -> bool {
        !self.harmless.is_empty()
    }

    /// Whether the last segment of a path is an action that is known to mint nothing.
    pub(crate) fn is_harmless(&self, segments: &[String]) -> bool {
        let Some(last) = segments.last().filter(|_| ends_with_a_type(segments)) else {
            return false;
        };
        self.harmless.iter().any(|name| is_named(last, name))
            && !self.not_harmless.iter().any(|pattern| ends_with(segments, pattern))
    }

    /// Where a path names a type whose writing gives rights away: the numbers of its segments.
    pub(crate) fn privileged<'s>(
        &'s self,
        segments: &'s [String],
    ) -> impl Iterator<Item = usize> + 's {
        let is_one = |segment: &String| self.privileged.iter().any(|name| is_named(segment, name));
        segments
            .iter()
            .enumerate()
            .filter(move |(_, segment)| is_one(segment))
            .map(|(number, _)| number)
    }

    /// The names that `hand_out` may have.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let operations =
            self.carriers.iter().chain(&self.listed).map(|operation| operation.name.as_str());
        operations.chain(self.actions.iter().map(String::as_str))
    }

    /// The operations whose response is sealed by sealing one field.
    pub fn sealable(&self) -> impl Iterator<Item = &Operation> {
        self.listed.iter().filter(|operation| operation.secret.is_some())
    }

    /// The parameters of a query that select an operation.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &str> {
        let all = self.carriers.iter().chain(&self.listed);
        all.filter_map(|operation| operation.query.as_ref())
            .map(|parameter| parameter.name.as_str())
    }
}

impl Looked<'_> {
    /// Whether the request may be one of this method when it arrives.
    pub(crate) fn may_be(&self, method: &Method) -> bool {
        self.method.is_none_or(|own| own == method)
    }
}

impl Operation {
    fn matches(&self, looked: &Looked<'_>) -> bool {
        let method = looked.method.filter(|_| !self.methods.is_empty());
        if method.is_some_and(|method| !self.methods.iter().any(|name| name == method.as_str())) {
            return false;
        }
        let of_query = |wanted: &Parameter| {
            looked
                .parameters
                .iter()
                .any(|(name, value)| *name == wanted.name && *value == wanted.value)
        };
        let segments = looked.segments.as_slice();
        let is_within =
            |pattern: &String| (1..=segments.len()).any(|end| starts(segments, end, pattern));
        self.ends.iter().any(|pattern| ends_with(segments, pattern))
            || self.within.iter().any(is_within)
            || self.whole.iter().any(|pattern| {
                pattern.split('/').count() == segments.len() && ends_with(segments, pattern)
            })
            || self.query.as_ref().is_some_and(of_query)
    }
}

/// Whether the last segment stands where a type would, which is where an action stands, and not
/// where a name would that somebody may choose. Types and names take turns, but for
/// `providers/NAMESPACE` in front of a type.
fn ends_with_a_type(segments: &[String]) -> bool {
    let mut rest = segments;
    loop {
        match rest {
            [_] => return true,
            [_, _, behind @ ..] => rest = behind,
            [] => return false,
        }
    }
}

fn ends_with(segments: &[String], pattern: &str) -> bool {
    starts(segments, segments.len(), pattern)
}

/// Whether the segments before `end` end like a pattern.
fn starts(segments: &[String], end: usize, pattern: &str) -> bool {
    let wanted = pattern.split('/').count();
    let Some(found) = end.checked_sub(wanted).and_then(|start| segments.get(start..end)) else {
        return false;
    };
    pattern.split('/').zip(found).all(|(wanted, found)| wanted == "*" || is_named(found, wanted))
}

/// Whether a folded segment is this name of the table, all of which are plain letters.
fn is_named(segment: &str, name: &str) -> bool {
    segment.eq_ignore_ascii_case(name)
}

/// A path's segments as services that are generous would read them: decoded, in one case, without
/// parameters, dots and spaces at their ends, without empty ones.
pub(crate) fn folded_segments(path: &str) -> Vec<String> {
    path.split('/').map(folded).filter(|segment| !segment.is_empty()).collect()
}

/// A segment, or a value, in the same way.
pub(crate) fn folded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let name = decoded.split(';').next().unwrap_or_default();
    fold(name.trim_end_matches(|last: char| last == '.' || last.is_whitespace()))
}

/// In one case, whatever alphabet: the Kelvin sign is a `k` to some.
fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_uppercase().to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Cloud;

    fn looked<'r>(method: &'r Method, path: &str, parameters: &[(&str, &str)]) -> Looked<'r> {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Looked {
            method: Some(method),
            segments: folded_segments(path),
            parameters: parameters.collect(),
        }
    }

    fn found(service: &str, method: &Method, path: &str) -> Option<&'static str> {
        Operations::of(service).unwrap().find(&looked(method, path, &[])).map(Found::name)
    }

    #[test]
    fn the_table_is_well_formed_and_names_services_of_the_cloud_table() {
        let table: BTreeMap<String, Operations> =
            toml::from_str(include_str!("operations.toml")).unwrap();
        let known = &Cloud::named("public").unwrap().services;
        assert!(
            table.keys().all(|service| service == "any" || known.contains_key(service)),
            "{:?}",
            table.keys()
        );
        for operations in table.values() {
            for name in operations.names() {
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
                assert!(
                    operations.harmless.iter().all(|harmless| fold(harmless) != fold(name)),
                    "{name}"
                );
            }
            assert!(
                operations
                    .selectors()
                    .all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
            );
        }
    }

    #[test]
    fn actions_that_mint_are_found_in_every_spelling() {
        let account =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a";
        for (action, name) in [
            ("listKeys", "listKeys"),
            ("LISTKEYS", "listKeys"),
            ("listKeys/", "listKeys"),
            ("%6cistKeys", "listKeys"),
            ("listKeys.", "listKeys"),
            ("listKeys;v=1", "listKeys"),
            ("list%E2%84%AAeys", "listKeys"),
            ("listServiceSas", "listServiceSas"),
            ("config/publishingcredentials/list", "publishingcredentials"),
            ("config/appsettings/list", "listConfig"),
            ("createQueryKey/start", "createQueryKey"),
            ("functions/admin/token", "functionsAdmin"),
            ("hostruntime/admin/host/keys", "hostruntime"),
        ] {
            assert_eq!(
                found("arm", &Method::POST, &format!("{account}/{action}")),
                Some(name),
                "{action}"
            );
        }
        assert_eq!(found("arm", &Method::GET, &format!("{account}/listKeys")), Some("listKeys"));
        assert_eq!(found("arm", &Method::GET, account), None);
        assert_eq!(found("arm", &Method::GET, "/subscriptions/s/resourceGroups/batch"), None);
        assert_eq!(found("arm", &Method::POST, "/batch"), Some("batch"));
        assert_eq!(found("vault", &Method::POST, "/keys/k/backup"), Some("backup"));
        assert_eq!(found("vault", &Method::GET, "/secrets/backup"), None);
        assert_eq!(found("any", &Method::POST, "/v1.0/%24batch"), Some("batch"));
    }

    #[test]
    fn an_action_is_harmless_only_where_an_action_stands() {
        let arm = Operations::of("arm").unwrap();
        let harmless = |path: &str| arm.is_harmless(&folded_segments(path));
        assert!(harmless(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v/start"
        ));
        assert!(harmless("/providers/Microsoft.ResourceGraph/resources"));
        assert!(harmless("/subscriptions/s/providers/Microsoft.Web/register"));
        for path in [
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/xs/x/mint/start",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/j/start",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v/runCommand",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/xs/providers/mint/start",
            "/start/start",
            "/",
        ] {
            assert!(!harmless(path), "{path}");
        }
    }

    #[test]
    fn a_query_selects_an_operation() {
        let blob = Operations::of("blob").unwrap();
        let found =
            |value| blob.find(&looked(&Method::POST, "/", &[("comp", value)])).map(Found::name);
        assert_eq!(found("userdelegationkey"), Some("userdelegationkey"));
        assert_eq!(found("batch"), Some("batch"));
        assert_eq!(found("list"), None);
    }
}
