//! Denials that a line of the configuration would lift, with that line in their messages.

use std::fmt;

use keyward_policy::authorize::{DeniedRequest, MintingRule};
use keyward_policy::endpoint::Endpoint;
use keyward_policy::grant::NotCovered;
use keyward_policy::text::toml_key;

/// A request that no grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAllowed {
    /// The mount.
    pub mount: String,
    /// The request, and which half of the grant is missing.
    pub request: DeniedRequest<NotCovered>,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, request } = self;
        let DeniedRequest { audience, method, path, endpoint, reason, .. } = request;
        let section = section_of(mount, audience.as_deref());
        match reason {
            NotCovered::NotAllowed | NotCovered::AmbiguousParameter(_) => write!(
                f,
                "mount `{mount}` may not send {method} {path} to {endpoint}: no pattern in \
                 `allow` of {section} covers it{}",
                if path.readings().nth(1).is_some() {
                    " in all ways in which the path may be read"
                } else {
                    ""
                }
            ),
            NotCovered::NotDeclared => write!(
                f,
                "mount `{mount}` may not send {method} {path} to {endpoint}: its plugin does not \
                 declare it in its \
                 manifest, so that no configuration can allow it"
            ),
        }
    }
}

impl NotAllowed {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let DeniedRequest { line, reason, .. } = &self.request;
        match reason {
            NotCovered::NotAllowed | NotCovered::AmbiguousParameter(_) => {
                Some(format!("To allow it, add {line:?} there"))
            }
            NotCovered::NotDeclared => None,
        }
    }
}

impl std::error::Error for NotAllowed {}

/// A request that would mint a credential, or give rights away, and may not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MintingDenied {
    /// The mount.
    pub mount: String,
    /// The request, and the rule that denies it.
    pub request: DeniedRequest<MintingRule>,
}

impl fmt::Display for MintingDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, request: DeniedRequest { method, path, endpoint, reason, .. } } = self;
        write!(f, "mount `{mount}` may not send {method} {path} to {endpoint}: ")?;
        match reason {
            MintingRule::NotHandedOut(operation) => {
                write!(f, "the response of `{operation}` is a credential")
            }
            MintingRule::Batch => {
                f.write_str("it carries other requests in its body, which `allow` cannot check")
            }
            MintingRule::UnknownAction(action) => {
                write!(f, "`{action}` is not known to be harmless")
            }
            MintingRule::Privileged(segment) => {
                write!(f, "writing `{segment}` can give rights away")
            }
            MintingRule::Signature(rule) => write!(f, "{rule}"),
        }
    }
}

impl MintingDenied {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let Self { mount, request: DeniedRequest { audience, method, path, reason, .. } } = self;
        let of_mount = section_of(mount, None);
        let section = section_of(mount, audience.as_deref());
        match reason {
            MintingRule::NotHandedOut(operation) => Some(format!(
                "To hand it out to callers, write hand_out = [\"{operation}\"] in {of_mount}"
            )),
            MintingRule::Batch => Some("Send them one by one".to_owned()),
            MintingRule::UnknownAction(_) => Some(format!(
                "To allow it, name it in `allow` of {section}: \"{method} {path}\", where `*` may \
                 take the place of other segments than the last"
            )),
            MintingRule::Privileged(segment) => Some(format!(
                "To allow it, name it in `allow` of {section}: \"{method} {path}\", where `*` may \
                 take the place of other segments than `{segment}`"
            )),
            MintingRule::Signature(_) => None,
        }
    }
}

impl std::error::Error for MintingDenied {}

/// The section of the configuration that grants an audience; `None` for the plugin's first.
fn section_of(mount: &str, audience: Option<&str>) -> String {
    match audience {
        None => format!("[mount.{}]", toml_key(mount)),
        Some(audience) => format!("[mount.{}.audience.{}]", toml_key(mount), toml_key(audience)),
    }
}

/// A request to where the service redirected, which the configuration does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedirectDenied {
    /// The mount.
    pub mount: String,
    /// The audience's name, where it is not the plugin's first.
    pub audience: Option<String>,
    /// The endpoint whose service redirected.
    pub endpoint: Endpoint,
    /// Where to.
    pub to: Endpoint,
    /// The origins that `redirects` names.
    pub named: Vec<Endpoint>,
}

impl fmt::Display for RedirectDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, audience, endpoint, to, .. } = self;
        let section = section_of(mount, audience.as_deref());
        write!(f, "{endpoint} redirects to {to}, which `redirects` of {section} does not name")
    }
}

impl RedirectDenied {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        let section = section_of(&self.mount, self.audience.as_deref());
        let named = self.named.iter().chain([&self.to]);
        let named: Vec<String> = named.map(|origin| format!("\"{origin}\"")).collect();
        let named = named.join(", ");
        format!("If you trust that host, write redirects = [{named}] in {section}")
    }
}

impl std::error::Error for RedirectDenied {}
