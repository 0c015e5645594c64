//! Requests for shared access signatures. A signature that is handed out may cover no more than the
//! mount's storage grant.
//!
//! A plugin requests a signature from Resource Manager, with its scope in the request's body. The
//! host parses that body, compares it with `allow` of the storage audience, and sends what it
//! parsed, so that the service reads the same. A signature that stays sealed needs no comparison:
//! it is spent through the host, which checks each request.

use std::fmt;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::cloud::{SignatureScope, folded_segments};
use crate::config::caller::{OTHERS, mount_caller_header};
use crate::grant::Grant;
use crate::path::NormalPath;
use crate::request_head::RequestHead;
use crate::text::toml_key;

/// The characters that are not encoded when a blob's name is written as a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The members of the JSON body of a request for a signature.
const MEMBERS: [&str; 20] = [
    "canonicalizedResource",
    "signedResource",
    "signedPermission",
    "signedProtocol",
    "signedIp",
    "signedStart",
    "signedExpiry",
    "signedIdentifier",
    "signedServices",
    "signedResourceTypes",
    "keyToSign",
    "startPk",
    "endPk",
    "startRk",
    "endRk",
    "rscc",
    "rscd",
    "rsce",
    "rscl",
    "rsct",
];

/// Why a request for a signature is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRule {
    /// The body is invalid or ambiguous.
    #[error("the request for a signature is invalid: {0}")]
    Invalid(&'static str),
    /// The body has a line break or another control character.
    #[error("the request for a signature has a control character in `{0}`")]
    Control(String),
    /// The signature is for an account without an endpoint in the mount.
    #[error(
        "the signature is for the account `{0}`, and the mount's storage endpoint is another one"
    )]
    Account(String),
    /// The signature is for a whole container, a whole account, or services without an endpoint in
    /// the mount.
    #[error("the signature is for {0}, which is more than `allow` of the storage audience permits")]
    Wide(&'static str),
    /// The signature has a permission that no pattern allows.
    #[error(
        "the signature would permit `{letter}` on {path}, and `allow` of the storage audience does \
         not permit {method} {path}"
    )]
    Permission {
        /// The letter of the permission.
        letter: char,
        /// The method that the letter permits.
        method: Method,
        /// The path of the blob.
        path: NormalPath,
    },
    /// The signature has a permission that patterns cannot allow.
    #[error("the signature would permit `{0}`, which no pattern of `allow` can permit")]
    UnknownPermission(char),
    /// The caller has an `allow`, which is not for the storage of this account and so cannot be
    /// compared with the signature.
    #[error(
        "the signature is for the account `{0}`, whose blobs are not what `allow` of the caller is \
         for"
    )]
    BeyondCaller(String),
}

use SignatureRule::{Account, BeyondCaller, Control, Invalid, Wide};

impl SignatureRule {
    /// What would allow the signature in the configuration, or that nothing does, as a sentence
    /// without a full stop. `mount` is the name of the mount, and `caller` that of the caller whose
    /// own `allow` the signature is compared with.
    #[must_use]
    pub fn help(&self, mount: &str, caller: Option<&str>) -> String {
        let key = toml_key(mount);
        let storage = match caller {
            Some(caller) => format!(
                "{}, as far as the mount's own `allow` covers it",
                mount_caller_header(mount, caller)
            ),
            None => format!(
                "the section of the mount's storage audience ([mount.{key}], or \
                 [mount.{key}.audience.NAME], has it)"
            ),
        };
        match self {
            Self::Invalid(_) | Self::Control(_) => {
                "No configuration allows it: the request must be a valid one".to_owned()
            }
            Self::Account(account) => {
                format!(
                    "To allow it, write an `endpoint` of the account `{account}` in the section of \
                     the mount's storage audience ([mount.{key}], or [mount.{key}.audience.NAME], \
                     has it)"
                )
            }
            Self::BeyondCaller(_) => format!(
                "No line allows it while {} has an `allow`: the signature cannot be compared with it",
                mount_caller_header(mount, caller.unwrap_or(OTHERS))
            ),
            Self::Wide(_) => format!(
                "No line of `allow` covers it: request a signature for one blob. Without `allow` in \
                 {storage}, one for all its blobs is permitted too"
            ),
            Self::Permission { method, path, .. } => {
                let line = format!("{method} {}", path.covering_pattern());
                format!("To allow it, add {line:?} to `allow` in {storage}")
            }
            Self::UnknownPermission(letter) => format!(
                "No line of `allow` covers it: request a signature without `{letter}`, or remove \
                 `allow` from {storage}"
            ),
        }
    }
}

/// Checks the body of a request for a signature that stays sealed.
///
/// # Errors
///
/// The body is invalid, or has a control character.
pub fn check_sealed(body: &[u8]) -> Result<(), SignatureRule> {
    SignatureRequest::parse(body)?.check_control_characters()
}

/// Checks the body of a request for a signature that is handed out. Returns the body to send, which
/// has only what was checked. `path` is that of the request, which has the account's name, and
/// `minting` the grant that covers it.
///
/// # Errors
///
/// The signature would cover more than the mount's storage grant, or more than the caller's
/// `allow`.
pub fn check_exported<G: AsRef<Grant>>(
    signs: SignatureScope,
    path: &str,
    body: &[u8],
    grants: &[G],
    minting: &Grant,
) -> Result<Vec<u8>, SignatureRule> {
    let request = SignatureRequest::parse(body)?;
    request.check_control_characters()?;
    request.check_members()?;
    let segments = folded_segments(path);
    let index = segments.iter().rposition(|segment| segment == "storageaccounts");
    let account = index.and_then(|index| segments.get(index + 1)).map_or("", String::as_str);
    if let Some(grants) = compared(account, grants, minting)? {
        match signs {
            SignatureScope::Account => request.check_account(&grants)?,
            SignatureScope::Service => request.check_service(account, &grants)?,
        }
    }
    serde_json::to_vec(&request.into_json()).map_err(|_| Invalid("it is not JSON"))
}

/// The grants of an account's storage that its signatures are compared with; `None` if the mount
/// only manages accounts, and has none.
fn compared<'g, G: AsRef<Grant>>(
    account: &str,
    grants: &'g [G],
    minting: &Grant,
) -> Result<Option<Vec<&'g Grant>>, SignatureRule> {
    let grants = || grants.iter().map(AsRef::as_ref);
    let is_storage = |grant: &&Grant| grant.minting.is_storage();
    let is_of_account = |grant: &&Grant| grant_account(grant).eq_ignore_ascii_case(account);
    let shown = || account.chars().take(100).collect();
    // The signature is for the caller, so another grant of the same account does not count.
    if let Some(own) = grants().find(|grant| grant.for_caller.is_some()) {
        return if is_storage(&own) && is_of_account(&own) {
            Ok(Some(vec![own]))
        } else if own.name == minting.name && !grants().any(|grant| is_storage(&grant)) {
            // The caller's `allow` covers the request itself.
            Ok(None)
        } else {
            Err(BeyondCaller(shown()))
        };
    }
    if !grants().any(|grant| is_storage(&grant)) {
        return Ok(None);
    }
    let of_account: Vec<&Grant> = grants().filter(is_storage).filter(is_of_account).collect();
    if of_account.is_empty() { Err(Account(shown())) } else { Ok(Some(of_account)) }
}

/// The account of a storage endpoint: the first segment of its prefix, which emulators have, or
/// else the first label of its host.
fn grant_account(grant: &Grant) -> &str {
    let prefix = grant.endpoint.prefix.split('/').find(|segment| !segment.is_empty());
    let label = grant.endpoint.host.split('.').next().unwrap_or_default();
    prefix.unwrap_or_else(|| label.strip_suffix("-secondary").unwrap_or(label))
}

/// The members of a body, in their order.
struct SignatureRequest(Vec<(String, Value)>);

impl SignatureRequest {
    fn parse(body: &[u8]) -> Result<Self, SignatureRule> {
        serde_json::from_slice(body).map_err(|_| Invalid("it is not a JSON object"))
    }

    fn check_control_characters(&self) -> Result<(), SignatureRule> {
        let name = |name: &str| {
            Control(name.chars().filter(|letter| !letter.is_control()).take(100).collect())
        };
        match self.0.iter().find(|(member, value)| {
            member.contains(is_line_breaking) || has_control_characters(value)
        }) {
            Some((member, _)) => Err(name(member)),
            None => Ok(()),
        }
    }

    /// Checks that each member is known and present once, so that a service that ignores case, or
    /// reads the first of two, reads the same.
    fn check_members(&self) -> Result<(), SignatureRule> {
        for (index, (name, value)) in self.0.iter().enumerate() {
            if !MEMBERS.contains(&name.as_str()) {
                return Err(Invalid("it has an unknown member"));
            }
            if self.0.iter().skip(index + 1).any(|(other, _)| other == name) {
                return Err(Invalid("it has a member twice"));
            }
            if !value.is_string() && !value.is_null() {
                return Err(Invalid("it has a member that is not a string"));
            }
        }
        if !self.string("signedIdentifier").is_empty() {
            return Err(Invalid("it refers to a stored access policy, which may permit anything"));
        }
        Ok(())
    }

    fn string(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(member, _)| member == name)
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// Checks a signature for whole services of an account.
    fn check_account(&self, grants: &[&Grant]) -> Result<(), SignatureRule> {
        if grants.iter().any(|grant| grant.is_narrowed()) {
            return Err(Wide("a whole account"));
        }
        let services = self.string("signedServices");
        if services.is_empty() || services.chars().any(|service| service != 'b') {
            return Err(Wide("services of the account that the mount has no endpoint of"));
        }
        Ok(())
    }

    /// Checks a signature for a container or a blob.
    fn check_service(&self, account: &str, grants: &[&Grant]) -> Result<(), SignatureRule> {
        let resource = self.string("canonicalizedResource");
        let Some((named, within)) =
            resource.strip_prefix("/blob/").and_then(|rest| rest.split_once('/'))
        else {
            return Err(Wide("a resource other than a blob or a container"));
        };
        if !named.eq_ignore_ascii_case(account) {
            return Err(Account(named.chars().take(100).collect()));
        }
        if !grants.iter().all(|grant| grant.is_narrowed()) {
            return Ok(());
        }
        if self.string("signedResource") != "b" || !within.contains('/') {
            return Err(Wide("a whole container"));
        }
        // At an emulator, the prefix of the endpoint is the account, which `within` lacks.
        let path = |grant: &Grant| {
            let path = format!("{}/{}", grant.endpoint.prefix, utf8_percent_encode(within, PATH));
            grant
                .read_unchanged(&path)
                .ok()
                .flatten()
                .ok_or(Invalid("the resource's path is ambiguous"))
        };
        let grants: Vec<(&Grant, NormalPath)> = grants
            .iter()
            .map(|grant| Ok((*grant, path(grant)?)))
            .collect::<Result<_, SignatureRule>>()?;
        let Some((_, first)) = grants.first() else {
            return Err(Account(account.chars().take(100).collect()));
        };
        let permissions = self.string("signedPermission");
        if permissions.is_empty() {
            return Err(Invalid("it has no `signedPermission`"));
        }
        for letter in permissions.chars() {
            for (method, query) in requests(letter)? {
                let query = Some(*query).filter(|query| !query.is_empty());
                let head = RequestHead { query, ..RequestHead::of_method(method) };
                if !grants.iter().any(|(grant, path)| grant.covers(&head, path).is_ok()) {
                    let (method, path) = (method.clone(), first.clone());
                    return Err(SignatureRule::Permission { letter, method, path });
                }
            }
        }
        Ok(())
    }

    fn into_json(self) -> Value {
        Value::Object(self.0.into_iter().collect::<Map<String, Value>>())
    }
}

/// The requests that a permission on a blob permits: their methods, and the parameter that selects
/// the operation.
fn requests(letter: char) -> Result<&'static [(Method, &'static str)], SignatureRule> {
    Ok(match letter {
        'r' => &[(Method::GET, "")],
        'a' | 'c' | 'w' => &[(Method::PUT, "")],
        'd' | 'x' => &[(Method::DELETE, "")],
        'y' => &[(Method::DELETE, "deletetype=permanent")],
        't' => &[(Method::GET, "comp=tags"), (Method::PUT, "comp=tags")],
        'm' => &[(Method::PUT, ""), (Method::DELETE, "")],
        'i' => &[
            (Method::PUT, "comp=immutabilityPolicies"),
            (Method::DELETE, "comp=immutabilityPolicies"),
        ],
        other => return Err(SignatureRule::UnknownPermission(other)),
    })
}

/// Whether a character is a control character, or one of Unicode's line separators.
fn is_line_breaking(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

fn has_control_characters(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(is_line_breaking),
        Value::Array(items) => items.iter().any(has_control_characters),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains(is_line_breaking) || has_control_characters(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<'de> Deserialize<'de> for SignatureRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = SignatureRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<SignatureRequest, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(SignatureRequest(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud::Cloud;
    use crate::grant::{CallerAllow, Minting};
    use crate::pattern::Pattern;

    const PATH: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/\
                        storageAccounts/contoso/listServiceSas";

    fn blobs(allowed: Option<&[&str]>) -> Vec<Grant> {
        let blob = Grant::example("https://contoso.blob.core.windows.net");
        let blob = allowed.map_or(blob.clone(), |allowed| blob.allowing(allowed));
        let semantics = Cloud::named("public").unwrap().semantics(&blob.endpoint.host, "");
        let (minting, paths) = (Minting::of(&semantics), semantics.paths);
        vec![Grant { minting, paths, referenced_paths: semantics.referenced_paths, ..blob }]
    }

    fn wanted(resource: &str, kind: &str, permission: &str) -> Value {
        json!({
            "canonicalizedResource": resource,
            "signedResource": kind,
            "signedPermission": permission,
        })
    }

    /// The grant that covers the requests for signatures.
    fn arm() -> Grant {
        let arm = Grant::example("https://management.azure.com");
        Grant { name: "arm".into(), is_first: false, ..arm }
    }

    /// What is sent for the signature of a service.
    fn service(body: &Value, grants: &[Grant]) -> Result<Vec<u8>, SignatureRule> {
        let body = body.to_string();
        check_exported(SignatureScope::Service, PATH, body.as_bytes(), grants, &arm())
    }

    fn for_caller(grant: &Grant, allowed: &[&str]) -> Grant {
        let allowed = allowed.iter().map(|line| Pattern::parse(line).unwrap()).collect();
        grant.narrowed_for(CallerAllow { caller: "web".into(), allowed })
    }

    #[test]
    fn a_signature_for_a_caller_is_compared_with_its_own_allow_only() {
        let blob = blobs(None).remove(0);
        let dfs = Grant { name: "dfs".into(), is_first: false, ..blob.clone() };
        let own = for_caller(&blob, &["GET /own/**"]);
        let signature = |path: &str| wanted(&format!("/blob/contoso/{path}"), "b", "r");
        // Another storage audience of the account has no `allow`.
        let grants = [own, dfs.clone(), arm()];
        assert!(service(&signature("own/a"), &grants).is_ok());
        let denied = service(&signature("secret/a"), &grants).unwrap_err();
        assert!(matches!(denied, SignatureRule::Permission { .. }), "{denied:?}");
        let help = denied.help("files", Some("web"));
        let words = "add \"GET /secret/a\" to `allow` in [mount.files.caller.web]";
        assert!(help.contains(words), "{help}");
        // The first audience, which the caller's `allow` is for, is not storage.
        let vault = for_caller(&Grant::example("https://contoso.vault.azure.net"), &["GET /**"]);
        for storage in [&[][..], &[dfs]] {
            let grants = [&[vault.clone(), arm()], storage].concat();
            let denied = service(&signature("own/a"), &grants).unwrap_err();
            assert_eq!(denied, BeyondCaller("contoso".to_owned()));
            let help = denied.help("files", Some("web"));
            assert!(help.contains("while [mount.files.caller.web] has an `allow`"), "{help}");
        }
        // It is for another account.
        let other = Grant::example("https://other.blob.core.windows.net");
        let other = Grant { minting: blob.minting.clone(), ..other };
        let grants = [for_caller(&other, &["GET /**"]), blob, arm()];
        let denied = service(&signature("own/a"), &grants).unwrap_err();
        assert_eq!(denied, BeyondCaller("contoso".to_owned()));
        // Without storage, the caller's `allow` names the request for the signature itself.
        let grants = [for_caller(&arm(), &["POST /**"])];
        assert!(service(&signature("any/a"), &grants).is_ok());
    }

    fn narrow(body: &Value) -> Result<Vec<u8>, SignatureRule> {
        let grants = blobs(Some(&["GET /public/**"]));
        service(body, &grants)
    }

    #[test]
    fn a_signature_for_what_allow_permits_is_sent() {
        let sent = narrow(&wanted("/blob/contoso/public/a b.txt", "b", "r")).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&sent).unwrap(),
            wanted("/blob/contoso/public/a b.txt", "b", "r")
        );
    }

    #[test]
    fn a_signature_for_a_legal_name_is_checked_in_all_readings_of_the_name() {
        for legal in ["a//b", "/lead", "back\\slash", "a%2Fb", "a;b", "100%"] {
            assert!(
                narrow(&wanted(&format!("/blob/contoso/public/{legal}"), "b", "r")).is_ok(),
                "{legal}"
            );
            let grants = blobs(Some(&["GET /public/*"]));
            let body = wanted(&format!("/blob/contoso/public/{legal}"), "b", "r").to_string();
            let one_segment =
                check_exported(SignatureScope::Service, PATH, body.as_bytes(), &grants, &arm())
                    .is_ok();
            assert_eq!(one_segment, matches!(legal, "a;b" | "100%"), "{legal}");
        }
    }

    #[test]
    fn the_help_names_the_section_and_the_line_that_allow_it_or_that_none_does() {
        let storage = "[mount.files], or [mount.files.audience.NAME],";
        let help = |body: &Value| narrow(body).unwrap_err().help("files", None);
        let blob = |permission: &str| wanted("/blob/contoso/secret/a*b", "b", permission);
        let line = "add \"GET /secret/a%2Ab\" to `allow`";
        for (body, words) in [
            (blob("r"), line),
            (blob("l"), "No line of `allow` covers it"),
            (wanted("/blob/contoso/public", "c", "r"), "No line of `allow` covers it"),
            (wanted("/blob/other/public/a", "b", "r"), "an `endpoint` of the account `other`"),
        ] {
            let help = help(&body);
            assert!(help.contains(words) && help.contains(storage), "{help}");
        }
        for invalid in [json!({"a": 1}), json!({"canonicalizedResource": "a\nb"})] {
            let help = help(&invalid);
            assert!(help.starts_with("No configuration allows it"), "{help}");
        }
        let allowed = ["GET /secret/a%2Ab"];
        let body = blob("r").to_string();
        let grants = blobs(Some(&allowed));
        assert!(
            check_exported(SignatureScope::Service, PATH, body.as_bytes(), &grants, &arm()).is_ok()
        );
    }

    #[test]
    fn a_signature_for_more_than_allow_permits_is_denied() {
        for (resource, kind, permission) in [
            ("/blob/contoso/secret/a", "b", "r"),
            ("/blob/contoso/public", "c", "r"),
            ("/blob/contoso/public/a", "c", "r"),
            ("/blob/contoso/public/a", "d", "r"),
            ("/blob/contoso/public", "b", "r"),
            ("/blob/contoso/public/a", "b", "w"),
            ("/blob/contoso/public/a", "b", "rw"),
            ("/blob/contoso/public/a", "b", "d"),
            ("/blob/contoso/public/a", "b", "l"),
            ("/blob/contoso/public/a", "b", "p"),
            ("/blob/contoso/public/a", "b", "t"),
            ("/blob/contoso/public/a", "b", ""),
            ("/blob/other/public/a", "b", "r"),
            ("/file/contoso/public/a", "b", "r"),
            ("/contoso/public/a", "b", "r"),
            ("/blob/contoso/public/../secret/a", "b", "r"),
            ("/blob/contoso//secret/a", "b", "r"),
            ("/blob/contoso/public/%2e%2e/secret/a", "b", "r"),
            ("/blob/contoso/public/a/../../secret/a", "b", "r"),
            ("/blob/contoso/public/..\\secret/a", "b", "r"),
            ("/blob/contoso/public//", "b", "r"),
            ("/blob/contoso/public%2F..%2Fsecret/a", "b", "r"),
            ("/blob/contoso/public\\..\\secret/a", "b", "r"),
        ] {
            let body = wanted(resource, kind, permission);
            assert!(narrow(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn an_ambiguous_body_is_denied() {
        let good = "\"signedResource\":\"b\",\"signedPermission\":\"r\"";
        for body in [
            format!(
                "{{\"canonicalizedResource\":\"/blob/contoso/secret/a\",\
                 \"canonicalizedResource\":\"/blob/contoso/public/a\",{good}}}"
            ),
            format!(
                "{{\"canonicalizedResource\":\"/blob/contoso/public/a\",\
                 \"CanonicalizedResource\":\"/blob/contoso/secret/a\",{good}}}"
            ),
            format!(
                "{{\"canonicalizedResource\":\"/blob/contoso/public/a\",\
                 \"signedIdentifier\":\"all\",{good}}}"
            ),
            format!("{{\"canonicalizedResource\":[\"/blob/contoso/public/a\"],{good}}}"),
            format!("[\"/blob/contoso/public/a\",{good}]"),
            "canonicalizedResource=/blob/contoso/public/a".to_owned(),
            String::new(),
        ] {
            let grants = blobs(Some(&["GET /public/**"]));
            assert!(
                check_exported(SignatureScope::Service, PATH, body.as_bytes(), &grants, &arm())
                    .is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn a_body_with_a_line_break_is_denied() {
        for resource in [
            "/blob/contoso/public/a\n\n2099",
            "/blob/contoso/public/a\r",
            "/blob/contoso/public/a\u{2028}",
        ] {
            let body = wanted(resource, "b", "r").to_string();
            let control = Err(Control("canonicalizedResource".to_owned()));
            assert_eq!(check_sealed(body.as_bytes()), control, "{resource:?}");
            assert!(
                check_exported(
                    SignatureScope::Service,
                    PATH,
                    body.as_bytes(),
                    &blobs(None),
                    &arm()
                )
                .is_err(),
                "{resource:?}"
            );
        }
        assert_eq!(
            check_sealed(wanted("/blob/contoso/public/a", "b", "rw").to_string().as_bytes()),
            Ok(())
        );
    }

    #[test]
    fn a_control_character_anywhere_in_a_body_is_denied() {
        for (body, member) in [
            (json!({"x": {"a\n": 1}}), "x"),
            (json!({"x": {"a": "\n"}}), "x"),
            (json!({"x": [1, "\u{2029}"]}), "x"),
            (json!({"a\nb": 1}), "ab"),
        ] {
            let denied = Err(Control(member.to_owned()));
            assert_eq!(check_sealed(body.to_string().as_bytes()), denied, "{body}");
        }
        assert_eq!(check_sealed(br#"{"x": {"a": [1, null, true, "b"]}}"#), Ok(()));
    }

    #[test]
    fn a_member_may_be_null() {
        let mut body = wanted("/blob/contoso/public/a", "b", "r");
        body["signedIp"] = Value::Null;
        assert!(narrow(&body).is_ok());
    }

    #[test]
    fn each_permission_needs_the_requests_that_it_permits() {
        let resource = "/blob/contoso/c/a";
        for (letter, lines) in [
            ("r", &["read /c/*"][..]),
            ("a", &["write /c/*"]),
            ("c", &["write /c/*"]),
            ("w", &["write /c/*"]),
            ("d", &["delete /c/*"]),
            ("x", &["delete /c/*"]),
            ("y", &["purge /c/*"]),
            ("t", &["read /c/*", "write /c/*"]),
            ("m", &["write /c/*", "delete /c/*"]),
            ("i", &["set-immutability /c/*"]),
        ] {
            let body = wanted(resource, "b", letter).to_string();
            let check = |lines: &[&str]| {
                let mut grants = blobs(Some(lines));
                let cloud = Cloud::named("public").unwrap();
                let semantics = cloud.semantics(&grants[0].endpoint.host, "");
                grants[0].operations = semantics.named_operations().collect();
                check_exported(SignatureScope::Service, PATH, body.as_bytes(), &grants, &arm())
            };
            assert!(check(lines).is_ok(), "{letter}");
            for missing in 0..lines.len() {
                let mut others = lines.to_vec();
                others[missing] = "list /c";
                assert!(check(&others).is_err(), "{letter} without {}", lines[missing]);
            }
        }
    }

    #[test]
    fn the_account_of_an_emulators_endpoint_is_its_prefix() {
        let account = |endpoint| grant_account(&Grant::example(endpoint)).to_owned();
        assert_eq!(account("https://localhost:10000/devstoreaccount1"), "devstoreaccount1");
        assert_eq!(account("https://contoso.blob.core.windows.net"), "contoso");
        assert_eq!(account("https://contoso-secondary.blob.core.windows.net"), "contoso");
    }

    #[test]
    fn a_mount_that_is_not_narrowed_signs_only_for_its_own_account() {
        let service = |body: Value| service(&body, &blobs(None));
        assert!(service(wanted("/blob/contoso/any", "c", "racwdl")).is_ok());
        assert!(service(wanted("/blob/other/any", "c", "r")).is_err());
        let account = |services: &str, grants: &[Grant]| {
            let body = json!({
                "signedServices": services,
                "signedResourceTypes": "sco",
                "signedPermission": "r",
            });
            check_exported(
                SignatureScope::Account,
                PATH,
                body.to_string().as_bytes(),
                grants,
                &arm(),
            )
        };
        assert!(account("b", &blobs(None)).is_ok());
        assert!(account("bq", &blobs(None)).is_err());
        assert!(account("", &blobs(None)).is_err());
        assert!(
            account("b", &blobs(Some(&["* /**"]))).is_err(),
            "a narrowed grant does not cover a whole account"
        );
        assert!(account("bqtf", &[]).is_ok(), "the mount has no storage grant to compare with");
    }
}
