//! Denials that a line of the configuration would lift, with that line in their messages.

use std::fmt;

use keyward_policy::authorize::{DeniedRequest, MintingRule};
use keyward_policy::endpoint::Endpoint;
use keyward_policy::grant::NotCovered;
use keyward_policy::text::bare;

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
        let Self { mount, request: DeniedRequest { audience, method, path, endpoint, why } } = self;
        let section = section_of(mount, audience.as_deref());
        match why {
            NotCovered::NotAllowed => write!(
                f,
                "mount `{mount}` may not send {method} {path} to {endpoint}: no pattern in `allow` of {section} covers it{}. \
                 To allow it, add \"{method} {}\" there",
                if path.readings().nth(1).is_some() { " in all ways in which the path may be read" } else { "" },
                path.to_allow()
            ),
            NotCovered::NotDeclared => write!(
                f,
                "mount `{mount}` may not send {method} {path} to {endpoint}: its plugin does not declare it in its \
                 manifest, so that no configuration can allow it"
            ),
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
        let Self { mount, request: DeniedRequest { audience, method, path, endpoint, why } } = self;
        let of_mount = section_of(mount, None);
        let section = section_of(mount, audience.as_deref());
        write!(f, "mount `{mount}` may not send {method} {path} to {endpoint}: ")?;
        match why {
            MintingRule::NotHandedOut(operation) => write!(
                f,
                "the response of `{operation}` is a credential. To hand it out to callers, write \
                 hand_out = [\"{operation}\"] in {of_mount}"
            ),
            MintingRule::Carrier => {
                write!(f, "it carries other requests in its body, which `allow` cannot check. Send them one by one")
            }
            MintingRule::UnknownAction(action) => write!(
                f,
                "`{action}` is not known to be harmless. To allow it, name it in `allow` of {section}: \
                 \"{method} {path}\", where `*` may stand for other segments than the last"
            ),
            MintingRule::Privileged(segment) => write!(
                f,
                "writing `{segment}` can give rights away. To allow it, name it in `allow` of {section}: \
                 \"{method} {path}\", where `*` may stand for other segments than `{segment}`"
            ),
            MintingRule::Signature(rule) => write!(f, "{rule}"),
        }
    }
}

impl std::error::Error for MintingDenied {}

/// The section of the configuration that grants an audience; `None` for the plugin's first.
fn section_of(mount: &str, audience: Option<&str>) -> String {
    match audience {
        None => format!("[mount.{}]", bare(mount)),
        Some(audience) => format!("[mount.{}.audience.{}]", bare(mount), bare(audience)),
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
        let Self { mount, audience, endpoint, to, named } = self;
        let section = section_of(mount, audience.as_deref());
        let named: Vec<String> = named.iter().chain([to]).map(|origin| format!("\"{origin}\"")).collect();
        write!(
            f,
            "{endpoint} redirects to {to}, which `redirects` of {section} does not name. If you trust that host, write \
             redirects = [{}] in {section}",
            named.join(", ")
        )
    }
}

impl std::error::Error for RedirectDenied {}
