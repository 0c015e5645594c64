//! Why a mount does not serve a caller.

use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::caller::{Caller, Proof};
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
                let Some(line) = section_line(self.caller.proof()) else {
                    return format!(
                        "To allow callers of which nothing is proved, add {OTHERS:?} to `callers` \
                         in {header}; else send the request over the Unix socket"
                    );
                };
                format!(
                    "To allow it, write a section [caller.NAME] with {line}, and add \"NAME\" to \
                     `callers` in {header}"
                )
            }
            CallerRule::NotServed(name) => {
                format!("To allow it, add {:?} to `callers` in {header}", &**name)
            }
            CallerRule::Request { name, line: Some(line), .. } => {
                let section = mount_caller_header(&self.mount, name);
                format!("To allow it, add {line:?} to `requests` in {section}")
            }
            CallerRule::Request { line: None, .. } => {
                "Its path can be read in more than one way: write it without encoded slashes, dot \
                 segments and empty segments"
                    .to_owned()
            }
        }
    }
}

/// A line of `[caller.NAME]` that matches a caller; `None` if nothing was proved about it.
fn section_line(proof: &Proof) -> Option<String> {
    let Proof { embedded, uid, unit, certificate, service_account, .. } = proof;
    if let Some(name) = embedded {
        return Some(format!("embedded = {name:?}"));
    }
    if let Some(account) = service_account {
        let name = format!("{}/{}", account.namespace, account.name);
        return Some(format!("service_account = {name:?}"));
    }
    let names = certificate.iter().flat_map(|names| names.uris.iter().chain(&names.dns));
    if let Some(name) = names.into_iter().next() {
        return Some(format!("certificate = {name:?}"));
    }
    match (uid, unit) {
        (Some(uid), Some(unit)) => Some(format!("user = {uid} and unit = {unit:?}")),
        (Some(uid), None) => Some(format!("user = {uid}")),
        (None, _) => None,
    }
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
            "To allow it, write a section [caller.NAME] with user = 33 and unit = \"web.service\", \
             and add \"NAME\" to `callers` in [mount.\"my vault\"]"
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
        let nobody = denied(Proof::default(), CallerRule::Unknown);
        assert!(nobody.help().contains("\"*\""), "{}", nobody.help());
    }
}
