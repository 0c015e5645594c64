//! The table of operations, by service: see `operations.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The table in `operations.toml`, parsed once. A test parses it too, so this does not panic in a
/// release.
#[allow(clippy::expect_used)]
static TABLE: LazyLock<BTreeMap<String, Operations>> = LazyLock::new(|| {
    toml::from_str(include_str!("operations.toml")).expect("the table of operations is valid")
});

/// The operations of a service that need more than `allow`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// Requests with other requests in their body.
    #[serde(default)]
    batches: Vec<Operation>,
    #[serde(default, rename = "operation")]
    listed: Vec<Operation>,
    /// Operations whose name is the last segment of the path.
    #[serde(default)]
    actions: Vec<String>,
    /// Actions that are known to mint nothing. If there are any, every other `POST` must be named
    /// in `allow`.
    #[serde(default)]
    harmless: Vec<String>,
    #[serde(default)]
    not_harmless: Vec<String>,
    /// Resource types that give rights away when they are written.
    #[serde(default)]
    privileged: Vec<String>,
}

/// An operation whose response is a credential, or that may have such operations in its body.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its name in `hand_out`.
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
    /// The only secret field of the response, as a JSON pointer (RFC 6901). Sealing it is enough.
    #[serde(default)]
    pub secret: Option<String>,
    /// The scope of the shared access signature in its response; `None` if there is none.
    #[serde(default)]
    pub signs: Option<SignatureScope>,
}

/// The scope of a shared access signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureScope {
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

/// The entry of the table that a request matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchedOperation<'t> {
    /// A request with other requests in its body.
    Batch(&'t str),
    /// An operation.
    Listed(&'t Operation),
    /// An action, by its name.
    Action(&'t str),
}

impl<'t> MatchedOperation<'t> {
    pub(crate) fn name(self) -> &'t str {
        match self {
            Self::Batch(name) | Self::Action(name) => name,
            Self::Listed(operation) => &operation.name,
        }
    }

    /// Whether its response is a signature for what the request's body names.
    pub(crate) fn is_signature(self) -> bool {
        match self {
            Self::Batch(_) | Self::Action(_) => false,
            Self::Listed(operation) => operation.signs.is_some(),
        }
    }
}

/// A request as it is compared with the table: its strings are [`folded`].
pub(crate) struct FoldedRequest<'r> {
    /// `None` if a header field may override it.
    pub(crate) method: Option<&'r Method>,
    /// The segments of the path.
    pub(crate) segments: Vec<String>,
    /// The query parameters that select an operation.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Operations {
    /// The operations of a service, by its name in the cloud table. The name `any` has those of
    /// every service.
    pub fn of(service: &str) -> Option<&'static Self> {
        TABLE.get(service)
    }

    /// The first entry that a request matches.
    pub(crate) fn find(&self, request: &FoldedRequest<'_>) -> Option<MatchedOperation<'_>> {
        let batch = self.batches.iter().find(|operation| operation.matches(request));
        let listed = || {
            self.listed
                .iter()
                .find(|operation| operation.matches(request))
                .map(MatchedOperation::Listed)
        };
        batch.map(|batch| MatchedOperation::Batch(&batch.name)).or_else(listed).or_else(|| {
            let mut ends = request.segments.iter().rev();
            let last = ends.next()?;
            // A name of the caller's choice follows some actions: `createQueryKey/NAME`.
            let before = ends.next().filter(|_| request.may_be(&Method::POST));
            let is_last = |name: &&String| {
                is_named(last, name) || before.is_some_and(|before| is_named(before, name))
            };
            self.actions.iter().find(is_last).map(|name| MatchedOperation::Action(name))
        })
    }

    /// Whether a `POST` to this service needs to be known as harmless, or named in `allow`.
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

    /// The indexes of the segments that are types which give rights away when they are written.
    pub(crate) fn privileged<'s>(
        &'s self,
        segments: &'s [String],
    ) -> impl Iterator<Item = usize> + 's {
        let is_privileged =
            |segment: &String| self.privileged.iter().any(|name| is_named(segment, name));
        segments
            .iter()
            .enumerate()
            .filter(move |(_, segment)| is_privileged(segment))
            .map(|(index, _)| index)
    }

    /// The names that are valid in `hand_out`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let operations =
            self.batches.iter().chain(&self.listed).map(|operation| operation.name.as_str());
        operations.chain(self.actions.iter().map(String::as_str))
    }

    /// The operations whose response has one secret field, so that it can be sealed.
    pub fn sealable(&self) -> impl Iterator<Item = &Operation> {
        self.listed.iter().filter(|operation| operation.secret.is_some())
    }

    /// The names of the query parameters that select an operation.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &str> {
        let all = self.batches.iter().chain(&self.listed);
        all.filter_map(|operation| operation.query.as_ref())
            .map(|parameter| parameter.name.as_str())
    }
}

impl FoldedRequest<'_> {
    /// Whether the server may see this method.
    pub(crate) fn may_be(&self, method: &Method) -> bool {
        self.method.is_none_or(|own| own == method)
    }
}

impl Operation {
    fn matches(&self, request: &FoldedRequest<'_>) -> bool {
        let method = request.method.filter(|_| !self.methods.is_empty());
        if method.is_some_and(|method| !self.methods.iter().any(|name| name == method.as_str())) {
            return false;
        }
        let has_parameter = |wanted: &Parameter| {
            request
                .parameters
                .iter()
                .any(|(name, value)| *name == wanted.name && *value == wanted.value)
        };
        let segments = request.segments.as_slice();
        let is_within =
            |pattern: &String| (1..=segments.len()).any(|end| ends_at(segments, end, pattern));
        self.ends.iter().any(|pattern| ends_with(segments, pattern))
            || self.within.iter().any(is_within)
            || self.whole.iter().any(|pattern| {
                pattern.split('/').count() == segments.len() && ends_with(segments, pattern)
            })
            || self.query.as_ref().is_some_and(has_parameter)
    }
}

/// Whether the last segment is a type or an action, and not a name that a caller may choose. Types
/// and names alternate; `providers/NAMESPACE` before a type is such a pair too.
fn ends_with_a_type(segments: &[String]) -> bool {
    let mut rest = segments;
    loop {
        match rest {
            [_] => return true,
            [_, _, following @ ..] => rest = following,
            [] => return false,
        }
    }
}

fn ends_with(segments: &[String], pattern: &str) -> bool {
    ends_at(segments, segments.len(), pattern)
}

/// Whether the segments before the index `end` end with a pattern.
fn ends_at(segments: &[String], end: usize, pattern: &str) -> bool {
    let wanted = pattern.split('/').count();
    let Some(found) = end.checked_sub(wanted).and_then(|start| segments.get(start..end)) else {
        return false;
    };
    pattern.split('/').zip(found).all(|(wanted, found)| wanted == "*" || is_named(found, wanted))
}

/// Whether a folded segment is a name of the table. Those are ASCII letters only.
fn is_named(segment: &str, name: &str) -> bool {
    segment.eq_ignore_ascii_case(name)
}

/// The segments of a path as a lenient service would read them: decoded, in lower case, without
/// parameters, without dots and spaces at their ends, and without empty segments.
pub(crate) fn folded_segments(path: &str) -> Vec<String> {
    path.split('/').map(folded).filter(|segment| !segment.is_empty()).collect()
}

/// Folds a segment or a value in the same way.
pub(crate) fn folded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let name = decoded.split(';').next().unwrap_or_default();
    fold(name.trim_end_matches(|last: char| last == '.' || last.is_whitespace()))
}

/// Converts to lower case. Some servers read the Kelvin sign as a `k`, so Unicode is folded too.
fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_uppercase().to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Cloud;

    fn folded_request<'r>(
        method: &'r Method,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> FoldedRequest<'r> {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        FoldedRequest {
            method: Some(method),
            segments: folded_segments(path),
            parameters: parameters.collect(),
        }
    }

    fn found(service: &str, method: &Method, path: &str) -> Option<&'static str> {
        Operations::of(service)
            .unwrap()
            .find(&folded_request(method, path, &[]))
            .map(MatchedOperation::name)
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
    fn minting_actions_are_found_in_every_spelling() {
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
    fn an_action_is_harmless_only_in_the_position_of_an_action() {
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
            "/subscriptions/s/resourceGroups/g/providers/M.C/virtualMachines/v/runCommand",
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
        let found = |value| {
            blob.find(&folded_request(&Method::POST, "/", &[("comp", value)]))
                .map(MatchedOperation::name)
        };
        assert_eq!(found("userdelegationkey"), Some("userdelegationkey"));
        assert_eq!(found("batch"), Some("batch"));
        assert_eq!(found("list"), None);
    }
}
