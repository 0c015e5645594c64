//! Shared access signatures that leave the host: they may cover no more than the mount's storage
//! grant.
//!
//! The plugin asks Resource Manager for a signature, and says in the request's body what it is for.
//! The host reads that body, compares it with what `allow` of the storage audience permits, and
//! sends what it has read, so that the service reads the same. A signature that stays sealed is
//! spent through the host, where each request is checked, and needs no comparison.

use std::fmt;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::cloud::{Signs, folded_segments};
use crate::grant::Grant;
use crate::path::NormalPath;

/// What stays as it is where a blob's name is written as a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The members of a request for a signature.
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

/// Why a signature is not asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRule {
    /// The body is not one that can be read in one way only.
    #[error("the request for a signature is invalid: {0}")]
    Invalid(&'static str),
    /// A line break or another control character.
    #[error("the request for a signature has a control character in `{0}`")]
    Control(String),
    /// It is for an account that the mount has no endpoint of.
    #[error("the signature is for the account `{0}`, which the mount's storage endpoint is not")]
    Account(String),
    /// A whole container, a whole account, or services that the mount has no endpoint of.
    #[error(
        "the signature is for {0}, which is more than `allow` of the mount's storage audience \
         permits"
    )]
    Wide(&'static str),
    /// A permission without a pattern that allows it.
    #[error(
        "the signature would permit `{letter}` on {path}, and `allow` of the mount's storage \
         audience does not permit {method} {path}"
    )]
    Permission {
        /// The letter of the permission.
        letter: char,
        /// The method that the letter permits.
        method: Method,
        /// The path of the blob.
        path: NormalPath,
    },
    /// A permission that no pattern can allow.
    #[error("the signature would permit `{0}`, which no pattern of `allow` can permit")]
    UnknownPermission(char),
}

use SignatureRule::{Account, Control, Invalid, Wide};

/// Looks at a body that asks for a signature which stays in the host.
/// # Errors
///
/// The body is not one that can be read in one way only.
pub fn check_sealed(body: &[u8]) -> Result<(), SignatureRule> {
    Wanted::parse(body)?.without_control_characters()
}

/// Looks at a body that asks for a signature which leaves the host. Returns the body to send: what
/// was looked at, and nothing else. `path` is the request's, which names the account.
///
/// # Errors
///
/// The signature would cover more than the mount's storage grant.
pub fn check_exported<G: AsRef<Grant>>(
    signs: Signs,
    path: &str,
    body: &[u8],
    grants: &[G],
) -> Result<Vec<u8>, SignatureRule> {
    let wanted = Wanted::parse(body)?;
    wanted.without_control_characters()?;
    wanted.check_members()?;
    let storage: Vec<&Grant> =
        grants.iter().map(AsRef::as_ref).filter(|grant| grant.minting.is_storage()).collect();
    // A mount that only manages accounts has no storage grant to compare with.
    if !storage.is_empty() {
        let of_account = |account: &str| -> Result<Vec<&Grant>, SignatureRule> {
            let same = |grant: &&&Grant| grant_account(grant).eq_ignore_ascii_case(account);
            let grants: Vec<&Grant> = storage.iter().filter(same).copied().collect();
            if grants.is_empty() {
                Err(Account(account.chars().take(100).collect()))
            } else {
                Ok(grants)
            }
        };
        let segments = folded_segments(path);
        let named = segments.iter().rposition(|segment| segment == "storageaccounts");
        let account = named.and_then(|at| segments.get(at + 1)).map_or("", String::as_str);
        let grants = of_account(account)?;
        match signs {
            Signs::Account => wanted.check_account(&grants)?,
            Signs::Service => wanted.check_service(account, &grants)?,
        }
    }
    serde_json::to_vec(&wanted.into_json()).map_err(|_| Invalid("it is not JSON"))
}

/// The account of a storage endpoint: the first label of its host, or the first segment of its path
/// where it has one, as emulators do.
fn grant_account(grant: &Grant) -> &str {
    let prefix = grant.endpoint.prefix.split('/').find(|segment| !segment.is_empty());
    let label = grant.endpoint.host.split('.').next().unwrap_or_default();
    prefix.unwrap_or_else(|| label.strip_suffix("-secondary").unwrap_or(label))
}

/// The members of a body, in their order.
struct Wanted(Vec<(String, Value)>);

impl Wanted {
    fn parse(body: &[u8]) -> Result<Self, SignatureRule> {
        serde_json::from_slice(body).map_err(|_| Invalid("it is not a JSON object"))
    }

    fn without_control_characters(&self) -> Result<(), SignatureRule> {
        let name = |name: &str| {
            Control(name.chars().filter(|letter| !letter.is_control()).take(100).collect())
        };
        match self.0.iter().find(|(member, value)| member.contains(is_break) || has_break(value)) {
            Some((member, _)) => Err(name(member)),
            None => Ok(()),
        }
    }

    /// Each member is known and there once: a service that ignores case, or takes the first of two,
    /// reads the same.
    fn check_members(&self) -> Result<(), SignatureRule> {
        for (number, (name, value)) in self.0.iter().enumerate() {
            if !MEMBERS.contains(&name.as_str()) {
                return Err(Invalid("it has an unknown member"));
            }
            if self.0.iter().skip(number + 1).any(|(other, _)| other == name) {
                return Err(Invalid("it has a member twice"));
            }
            if !value.is_string() && !value.is_null() {
                return Err(Invalid("it has a member that is not a string"));
            }
        }
        if !self.text("signedIdentifier").is_empty() {
            return Err(Invalid("it refers to a stored access policy, which may permit anything"));
        }
        Ok(())
    }

    fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(member, _)| member == name)
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// A signature for whole services of an account.
    fn check_account(&self, grants: &[&Grant]) -> Result<(), SignatureRule> {
        if grants.iter().any(|grant| grant.is_narrowed()) {
            return Err(Wide("a whole account"));
        }
        let services = self.text("signedServices");
        if services.is_empty() || services.chars().any(|service| service != 'b') {
            return Err(Wide("services of the account that the mount has no endpoint of"));
        }
        Ok(())
    }

    /// A signature for a container or a blob.
    fn check_service(&self, account: &str, grants: &[&Grant]) -> Result<(), SignatureRule> {
        let resource = self.text("canonicalizedResource");
        let Some((named, within)) =
            resource.strip_prefix("/blob/").and_then(|rest| rest.split_once('/'))
        else {
            return Err(Wide("something else than a blob or a container"));
        };
        if !named.eq_ignore_ascii_case(account) {
            return Err(Account(named.chars().take(100).collect()));
        }
        if !grants.iter().all(|grant| grant.is_narrowed()) {
            return Ok(());
        }
        if self.text("signedResource") != "b" || !within.contains('/') {
            return Err(Wide("a whole container"));
        }
        // The prefix of an emulator's endpoint is the account, which the resource has before.
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
        let permissions = self.text("signedPermission");
        if permissions.is_empty() {
            return Err(Invalid("it has no `signedPermission`"));
        }
        for letter in permissions.chars() {
            for method in methods(letter)? {
                if !grants.iter().any(|(grant, path)| grant.covers(method, path).is_ok()) {
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

/// The methods of the requests that a permission on a blob permits.
fn methods(letter: char) -> Result<&'static [Method], SignatureRule> {
    Ok(match letter {
        'r' => &[Method::GET],
        'a' | 'c' | 'w' => &[Method::PUT],
        'd' | 'x' | 'y' => &[Method::DELETE],
        't' => &[Method::GET, Method::PUT],
        'm' | 'i' => &[Method::PUT, Method::DELETE],
        other => return Err(SignatureRule::UnknownPermission(other)),
    })
}

/// Control characters, and the line separators that are none.
fn is_break(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

fn has_break(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(is_break),
        Value::Array(items) => items.iter().any(has_break),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains(is_break) || has_break(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Wanted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wanted, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Wanted(members))
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
    use crate::grant::Minting;

    const PATH: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso/listServiceSas";

    fn blobs(allowed: Option<&[&str]>) -> Vec<Grant> {
        let blob = Grant::example("https://contoso.blob.core.windows.net");
        let blob = allowed.map_or(blob.clone(), |allowed| blob.allowing(allowed));
        let meaning = Cloud::named("public").unwrap().meaning(&blob.endpoint.host, "");
        let (minting, paths) = (Minting::of(&meaning), meaning.paths);
        vec![Grant { minting, paths, second_paths: meaning.second_paths, ..blob }]
    }

    fn wanted(resource: &str, kind: &str, permission: &str) -> Value {
        json!({ "canonicalizedResource": resource, "signedResource": kind, "signedPermission": permission })
    }

    fn narrow(body: &Value) -> Result<Vec<u8>, SignatureRule> {
        let grants = blobs(Some(&["GET /public/**"]));
        check_exported(Signs::Service, PATH, body.to_string().as_bytes(), &grants)
    }

    #[test]
    fn a_signature_covers_what_allow_permits() {
        let sent = narrow(&wanted("/blob/contoso/public/a b.txt", "b", "r")).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&sent).unwrap(),
            wanted("/blob/contoso/public/a b.txt", "b", "r")
        );
    }

    #[test]
    fn a_signature_for_a_legal_name_covers_it_in_all_its_readings() {
        for legal in ["a//b", "/lead", "back\\slash", "a%2Fb", "a;b", "100%"] {
            assert!(
                narrow(&wanted(&format!("/blob/contoso/public/{legal}"), "b", "r")).is_ok(),
                "{legal}"
            );
            let grants = blobs(Some(&["GET /public/*"]));
            let body = wanted(&format!("/blob/contoso/public/{legal}"), "b", "r").to_string();
            let one_segment =
                check_exported(Signs::Service, PATH, body.as_bytes(), &grants).is_ok();
            assert_eq!(one_segment, matches!(legal, "a;b" | "100%"), "{legal}");
        }
    }

    #[test]
    fn a_signature_covers_no_more_than_allow_permits() {
        for (resource, kind, permission) in [
            ("/blob/contoso/secret/a", "b", "r"),
            ("/blob/contoso/public", "c", "r"),
            ("/blob/contoso/public/a", "c", "r"),
            ("/blob/contoso/public/a", "d", "r"),
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
    fn a_body_is_read_in_one_way_only() {
        let good = "\"signedResource\":\"b\",\"signedPermission\":\"r\"";
        for body in [
            format!(
                "{{\"canonicalizedResource\":\"/blob/contoso/secret/a\",\"canonicalizedResource\":\"/blob/contoso/public/a\",{good}}}"
            ),
            format!(
                "{{\"canonicalizedResource\":\"/blob/contoso/public/a\",\"CanonicalizedResource\":\"/blob/contoso/secret/a\",{good}}}"
            ),
            format!(
                "{{\"canonicalizedResource\":\"/blob/contoso/public/a\",\"signedIdentifier\":\"all\",{good}}}"
            ),
            format!("{{\"canonicalizedResource\":[\"/blob/contoso/public/a\"],{good}}}"),
            format!("[\"/blob/contoso/public/a\",{good}]"),
            "canonicalizedResource=/blob/contoso/public/a".to_owned(),
            String::new(),
        ] {
            let grants = blobs(Some(&["GET /public/**"]));
            assert!(
                check_exported(Signs::Service, PATH, body.as_bytes(), &grants).is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn line_breaks_never_reach_the_body() {
        for resource in [
            "/blob/contoso/public/a\n\n2099",
            "/blob/contoso/public/a\r",
            "/blob/contoso/public/a\u{2028}",
        ] {
            let body = wanted(resource, "b", "r").to_string();
            let control = Err(Control("canonicalizedResource".to_owned()));
            assert_eq!(check_sealed(body.as_bytes()), control, "{resource:?}");
            assert!(
                check_exported(Signs::Service, PATH, body.as_bytes(), &blobs(None)).is_err(),
                "{resource:?}"
            );
        }
        assert_eq!(
            check_sealed(wanted("/blob/contoso/public/a", "b", "rw").to_string().as_bytes()),
            Ok(())
        );
    }

    #[test]
    fn a_mount_that_is_not_narrowed_signs_for_its_own_account() {
        let service = |body: Value| {
            check_exported(Signs::Service, PATH, body.to_string().as_bytes(), &blobs(None))
        };
        assert!(service(wanted("/blob/contoso/any", "c", "racwdl")).is_ok());
        assert!(service(wanted("/blob/other/any", "c", "r")).is_err());
        let account = |services: &str, grants: &[Grant]| {
            let body = json!({ "signedServices": services, "signedResourceTypes": "sco", "signedPermission": "r" });
            check_exported(Signs::Account, PATH, body.to_string().as_bytes(), grants)
        };
        assert!(account("b", &blobs(None)).is_ok());
        assert!(account("bq", &blobs(None)).is_err());
        assert!(
            account("b", &blobs(Some(&["* /**"]))).is_err(),
            "a narrowed grant has no whole account"
        );
        assert!(account("bqtf", &[]).is_ok(), "there is nothing to compare with");
    }
}
