//! Why a mount does not serve a caller.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::section::has_name;
use crate::caller::{Caller, CertificateNames, Proof};
use crate::config::caller::{OTHERS, mount_caller_header};
use crate::text::toml_key;

/// The rule that denies a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerRule {
    /// No section matches the caller.
    Unknown,
    /// The mount does not name the caller of this name.
    NotServed(Arc<str>),
    /// No pattern of `requests` covers the caller's own request.
    Request {
        /// The caller's name.
        name: Arc<str>,
        /// The method.
        method: Method,
        /// A line of `requests` that covers it; `None` if its path is ambiguous, so that none does.
        line: Option<String>,
    },
    /// The request has a header field that overrides its method or URL, so that no pattern of
    /// `requests` says what it does.
    Override {
        /// The caller's name.
        name: Arc<str>,
        /// The field.
        field: &'static str,
    },
    /// The request refers to a second path, the source of a copy for example, that no pattern of
    /// `requests` covers.
    Reference {
        /// The caller's name.
        name: Arc<str>,
        /// The header field, or the parameter of the query.
        field: String,
        /// A line of `requests` that covers it; `None` if it cannot be compared.
        line: Option<String>,
    },
}

/// A caller that a mount does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerDenied {
    /// The mount.
    pub mount: String,
    /// The caller, as the broker saw it.
    pub caller: Caller,
    /// The rule.
    pub rule: CallerRule,
}

impl CallerRule {
    /// A short name of the rule, for the audit log.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Unknown => "caller-unknown",
            Self::NotServed(_) => "caller-not-served",
            Self::Request { .. } => "caller-request",
            Self::Override { .. } => "caller-override",
            Self::Reference { .. } => "caller-reference",
        }
    }
}

impl CallerDenied {
    /// The lines that would allow it.
    #[must_use]
    pub fn help(&self) -> String {
        let header = format!("[mount.{}]", toml_key(&self.mount));
        match &self.rule {
            CallerRule::Unknown => {
                let lines = section_lines(self.caller.proof());
                if lines.is_empty() {
                    return format!(
                        "To allow callers of which nothing is proved, add {OTHERS:?} to `callers` \
                         in {header}; else send the request over the Unix socket"
                    );
                }
                let several = if lines.len() > 1 { "the lines" } else { "the line" };
                let lines: Vec<String> = lines.iter().map(|line| format!("`{line}`")).collect();
                format!(
                    "To allow it, write a section [caller.NAME] with {several} {}, and add \
                     \"NAME\" to `callers` in {header}",
                    lines.join(" and ")
                )
            }
            CallerRule::NotServed(name) => {
                format!("To allow it, add {:?} to `callers` in {header}", &**name)
            }
            CallerRule::Request { name, line: Some(line), .. }
            | CallerRule::Reference { name, line: Some(line), .. } => {
                let section = mount_caller_header(&self.mount, name);
                format!("To allow it, add {line:?} to `requests` in {section}")
            }
            CallerRule::Request { line: None, .. } => {
                "Its path can be read in more than one way: write it without encoded slashes, dot \
                 segments and empty segments"
                    .to_owned()
            }
            CallerRule::Override { .. } => {
                "Remove the field, and send the intended method and URL".to_owned()
            }
            CallerRule::Reference { name, line: None, .. } => format!(
                "No line of `requests` in {} can cover it: name a path of the mount, without \
                 encoded slashes, dot segments and empty segments",
                mount_caller_header(&self.mount, name)
            ),
        }
    }
}

/// The lines of `[caller.NAME]` that match a caller; empty if nothing was proved about it.
fn section_lines(proof: &Proof) -> Vec<String> {
    let Proof { embedded, uid, unit, certificate, service_account, .. } = proof;
    if let Some(name) = embedded {
        return vec![format!("embedded = {name:?}")];
    }
    if let Some(account) = service_account {
        let name = format!("{}/{}", account.namespace, account.name);
        return vec![format!("service_account = {name:?}")];
    }
    if let Some(name) = certificate.as_ref().and_then(usable_name) {
        return vec![format!("certificate = {name:?}")];
    }
    let user = uid.map(|uid| format!("user = {uid}"));
    let unit = unit.as_ref().filter(|_| user.is_some()).map(|unit| format!("unit = {unit:?}"));
    user.into_iter().chain(unit).collect()
}

/// A name of a certificate by which a section can match it.
fn usable_name(names: &CertificateNames) -> Option<&str> {
    let all = names.uris.iter().chain(&names.dns).map(String::as_str);
    all.into_iter().find(|name| has_name(names, name))
}

impl fmt::Display for CallerDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, caller, rule } = self;
        match rule {
            CallerRule::Unknown => {
                write!(
                    f,
                    "mount `{mount}` does not serve {caller}: no section [caller.NAME] matches"
                )
            }
            CallerRule::NotServed(name) => write!(
                f,
                "mount `{mount}` does not serve the caller `{name}` ({caller}): `callers` does not \
                 name it"
            ),
            CallerRule::Request { name, method, .. } => write!(
                f,
                "the caller `{name}` ({caller}) may not send this {method} request to mount \
                 `{mount}`: no pattern in its `requests` covers it"
            ),
            CallerRule::Override { name, field } => write!(
                f,
                "the caller `{name}` ({caller}) may not send `{field}` to mount `{mount}`: it \
                 overrides the request's method or URL, which its `requests` cannot check"
            ),
            CallerRule::Reference { name, field, .. } => write!(
                f,
                "the caller `{name}` ({caller}) may not refer to this path in `{field}` at mount \
                 `{mount}`: no pattern in its `requests` covers it"
            ),
        }
    }
}

impl std::error::Error for CallerDenied {}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(proof: Proof, rule: CallerRule) -> CallerDenied {
        CallerDenied { mount: "my vault".to_owned(), caller: proof.into(), rule }
    }

    #[test]
    fn a_denial_names_the_caller_and_the_lines_that_would_allow_it() {
        let web = Proof { uid: Some(33), unit: Some("web.service".into()), ..Proof::default() };
        let unknown = denied(web.clone(), CallerRule::Unknown);
        assert_eq!(
            unknown.to_string(),
            "mount `my vault` does not serve uid=33 unit=web.service: no section [caller.NAME] \
             matches"
        );
        assert_eq!(
            unknown.help(),
            "To allow it, write a section [caller.NAME] with the lines `user = 33` and `unit = \
             \"web.service\"`, and add \"NAME\" to `callers` in [mount.\"my vault\"]"
        );
        let named = denied(web.clone(), CallerRule::NotServed("web".into()));
        assert!(named.to_string().contains("the caller `web` (uid=33 unit=web.service)"));
        assert!(named.help().contains("add \"web\" to `callers` in [mount.\"my vault\"]"));
        let rule = CallerRule::Request {
            name: "web".into(),
            method: Method::GET,
            line: Some("GET /a".to_owned()),
        };
        let help = denied(web, rule).help();
        assert!(
            help.ends_with("add \"GET /a\" to `requests` in [mount.\"my vault\".caller.web]"),
            "{help}"
        );
        let field = "x-ms-copy-source".to_owned();
        for (line, words) in [
            (
                Some("GET /c/a".to_owned()),
                "add \"GET /c/a\" to `requests` in [mount.\"my vault\".caller.web]",
            ),
            (None, "No line of `requests` in [mount.\"my vault\".caller.web] can cover it"),
        ] {
            let rule = CallerRule::Reference { name: "web".into(), field: field.clone(), line };
            let denied = denied(Proof::default(), rule);
            assert!(denied.help().contains(words), "{}", denied.help());
            assert!(denied.to_string().contains("in `x-ms-copy-source`"), "{denied}");
        }
        let rule = CallerRule::Override { name: "web".into(), field: "x-http-method" };
        let overriding = denied(Proof::default(), rule);
        assert!(overriding.help().starts_with("Remove the field"), "{}", overriding.help());
        let nobody = denied(Proof::default(), CallerRule::Unknown);
        assert!(nobody.help().contains("\"*\""), "{}", nobody.help());
    }

    #[test]
    fn the_line_for_a_certificate_is_one_that_matches_it() {
        let help = |uris: &[&str], dns: &[&str]| {
            let [uris, dns] =
                [uris, dns].map(|names| names.iter().map(ToString::to_string).collect());
            let certificate = Some(CertificateNames { uris, dns });
            denied(Proof { certificate, ..Proof::default() }, CallerRule::Unknown).help()
        };
        let (id, page) = ("spiffe://contoso.example/web", "https://contoso.example/web");
        assert!(help(&[id], &[]).contains(&format!("certificate = {id:?}")));
        // A SPIFFE ID counts alone only, and a colon means a URI.
        assert!(help(&[id, page], &[]).contains(&format!("certificate = {page:?}")));
        assert!(help(&[id, id], &["web.example"]).contains("certificate = \"web.example\""));
        assert!(help(&[id, id], &[]).contains("callers of which nothing is proved"));
    }
}
