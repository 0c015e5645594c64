//! Denials that a line of the configuration would lift, with that line in their messages.

use std::fmt;

use keyward_policy::authorize::{DeniedRequest, MintingRule};
use keyward_policy::caller::Caller;
use keyward_policy::config::caller::mount_caller_header;
use keyward_policy::endpoint::Endpoint;
use keyward_policy::grant::NotCovered;
use keyward_policy::pattern::Pattern;
use keyward_policy::text::toml_key;

/// A request that no grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAllowed {
    /// The mount.
    pub mount: String,
    /// The caller on whose behalf it would be sent, as the broker saw it.
    pub caller: Caller,
    /// The request, and which half of the grant is missing.
    pub request: DeniedRequest<NotCovered>,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, caller: seen, request } = self;
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
            NotCovered::NotAllowedForCaller(caller) => write!(
                f,
                "mount `{mount}` may not send {method} {path} to {endpoint} for the caller \
                 `{caller}` ({seen}): no pattern in `allow` of {} covers it",
                mount_caller_header(mount, caller)
            ),
            NotCovered::NotDeclared => write!(
                f,
                "mount `{mount}` may not send {method} {path} to {endpoint}: its plugin does not \
                 declare it in its manifest"
            ),
        }
    }
}

impl NotAllowed {
    /// The line that would allow it, or that none does.
    #[must_use]
    pub fn help(&self) -> String {
        let DeniedRequest { audience, line, reason, .. } = &self.request;
        match reason {
            NotCovered::NotAllowed | NotCovered::AmbiguousParameter(_) => {
                let section = section_of(&self.mount, audience.as_deref());
                format!("To allow it, add {line:?} to `allow` in {section}")
            }
            NotCovered::NotAllowedForCaller(caller) => format!(
                "To allow it, add {line:?} to `allow` in {}",
                mount_caller_header(&self.mount, caller)
            ),
            NotCovered::NotDeclared => {
                "No configuration allows it: use a plugin whose manifest declares it".to_owned()
            }
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
    /// The caller on whose behalf it would be sent, as the broker saw it.
    pub caller: Caller,
    /// The request, and the rule that denies it.
    pub request: DeniedRequest<MintingRule>,
}

impl fmt::Display for MintingDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, caller: seen, request } = self;
        let DeniedRequest { method, path, endpoint, reason, .. } = request;
        write!(f, "mount `{mount}` may not send {method} {path} to {endpoint}: ")?;
        match reason {
            MintingRule::NotHandedOut(operation) => {
                write!(f, "the response of `{operation}` is a credential")
            }
            MintingRule::BeyondCaller { operation, caller } => write!(
                f,
                "the response of `{operation}` is a credential for more than the caller `{caller}` \
                 ({seen}) may do"
            ),
            MintingRule::Batch => {
                f.write_str("it carries other requests in its body, which `allow` cannot check")
            }
            MintingRule::UnknownAction(action) => {
                write!(f, "`{action}` is not known to be harmless")
            }
            MintingRule::Privileged(segment) => {
                write!(f, "writing `{segment}` can give rights away")
            }
            MintingRule::Signature(rule) => match &request.narrowed_for {
                Some(caller) => write!(f, "{rule}, for the caller `{caller}` ({seen})"),
                None => write!(f, "{rule}"),
            },
        }
    }
}

impl MintingDenied {
    /// The line that would allow it, or that none does.
    #[must_use]
    pub fn help(&self) -> String {
        let Self { mount, caller: _, request } = self;
        let DeniedRequest { audience, method, path, narrowed_for, reason, .. } = request;
        let of_mount = section_of(mount, None);
        let section = section_of(mount, audience.as_deref());
        let line = || format!("{} {}", Pattern::verb_for(method), path.covering_pattern());
        match reason {
            MintingRule::NotHandedOut(operation) => format!(
                "To hand it out to callers, write hand_out = [\"{operation}\"] in {of_mount}"
            ),
            MintingRule::BeyondCaller { caller, .. } => format!(
                "No line allows it while {} has an `allow`: such a credential cannot be limited to it",
                mount_caller_header(mount, caller)
            ),
            MintingRule::Batch => {
                let own = narrowed_for.as_ref().map(|caller| mount_caller_header(mount, caller));
                let section = own.unwrap_or(section);
                format!(
                    "Send them one by one: no line of `allow` in {section} covers them together"
                )
            }
            MintingRule::UnknownAction(_) => format!(
                "To allow it, name it in `allow` of {section}: {:?}, where `*` may take the place \
                 of other segments than the last",
                line()
            ),
            MintingRule::Privileged(segment) => format!(
                "To allow it, name it in `allow` of {section}: {:?}, where `*` may take the place \
                 of other segments than `{segment}`",
                line()
            ),
            MintingRule::Signature(rule) => rule.help(mount, narrowed_for.as_deref()),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;
    use keyward_policy::authorize::SignatureRule;
    use keyward_policy::caller::Proof;
    use keyward_policy::path::NormalPath;

    use super::*;

    fn request<R>(
        audience: Option<&str>,
        method: Method,
        path: &str,
        reason: R,
    ) -> DeniedRequest<R> {
        DeniedRequest {
            audience: audience.map(str::to_owned),
            method,
            path: NormalPath::parse(path).unwrap(),
            endpoint: Endpoint::parse("https://management.azure.com").unwrap(),
            line: "read /a/b".to_owned(),
            narrowed_for: None,
            reason,
        }
    }

    fn seen() -> Caller {
        Proof { uid: Some(33), unit: Some("web.service".to_owned()), ..Proof::default() }.into()
    }

    #[test]
    fn a_denial_for_a_caller_names_it_as_the_broker_saw_it_and_its_own_section() {
        let (caller, section) = ("uid=33 unit=web.service", "[mount.shop.caller.web]");
        let name = || Arc::<str>::from("web");
        let mut not_allowed =
            request(None, Method::GET, "/a/b", NotCovered::NotAllowedForCaller(name()));
        not_allowed.narrowed_for = Some(name());
        let denied = NotAllowed { mount: "shop".to_owned(), caller: seen(), request: not_allowed };
        assert!(denied.to_string().contains(&format!("`web` ({caller})")), "{denied}");
        assert!(denied.help().ends_with(&format!("to `allow` in {section}")), "{}", denied.help());
        let beyond = MintingRule::BeyondCaller { operation: "listKeys", caller: name() };
        for (reason, shows_caller) in [
            (beyond, true),
            (MintingRule::Signature(SignatureRule::BeyondCaller("contoso".to_owned())), true),
            (MintingRule::Signature(SignatureRule::Wide("a whole container")), true),
            (MintingRule::Batch, false),
        ] {
            let mut request = request(None, Method::POST, "/a/b", reason);
            request.narrowed_for = Some(name());
            let denied = MintingDenied { mount: "shop".to_owned(), caller: seen(), request };
            assert_eq!(denied.to_string().contains(caller), shows_caller, "{denied}");
            assert!(denied.help().contains(section), "{}", denied.help());
        }
    }

    #[test]
    fn the_help_of_a_request_that_is_not_covered_has_the_line_and_its_section() {
        let help = |audience, reason| {
            let request = request(audience, Method::GET, "/a/b", reason);
            NotAllowed { mount: "my shop".to_owned(), caller: seen(), request }.help()
        };
        assert_eq!(
            help(None, NotCovered::NotAllowed),
            "To allow it, add \"read /a/b\" to `allow` in [mount.\"my shop\"]"
        );
        assert_eq!(
            help(Some("arm"), NotCovered::NotAllowed),
            "To allow it, add \"read /a/b\" to `allow` in [mount.\"my shop\".audience.arm]"
        );
        let undeclared = help(None, NotCovered::NotDeclared);
        assert!(undeclared.starts_with("No configuration allows it: "), "{undeclared}");
    }

    #[test]
    fn the_help_of_a_request_that_mints_has_the_line_and_its_section_or_says_that_none_allows_it() {
        let help = |method, reason| {
            let request = request(Some("arm"), method, "/a/b*", reason);
            MintingDenied { mount: "shop".to_owned(), caller: seen(), request }.help()
        };
        let of_audience = "`allow` of [mount.shop.audience.arm]";
        for (method, reason, words) in [
            (
                Method::POST,
                MintingRule::NotHandedOut("listKeys"),
                ["hand_out = [\"listKeys\"]", "in [mount.shop]"],
            ),
            (
                Method::POST,
                MintingRule::UnknownAction("b".into()),
                ["\"POST /a/b%2A\"", of_audience],
            ),
            (Method::PUT, MintingRule::Privileged("b".into()), ["\"PUT /a/b%2A\"", of_audience]),
            // Some services ignore the case of methods, which patterns do not have in lower case.
            (
                Method::from_bytes(b"put").unwrap(),
                MintingRule::Privileged("b".into()),
                ["\"* /a/b%2A\"", of_audience],
            ),
            (Method::POST, MintingRule::Batch, ["no line of `allow`", "[mount.shop.audience.arm]"]),
            (
                Method::POST,
                MintingRule::Signature(SignatureRule::Account("other".to_owned())),
                ["`endpoint` of the account `other`", "[mount.shop]"],
            ),
            (
                Method::POST,
                MintingRule::Signature(SignatureRule::Invalid("it is not JSON")),
                ["No configuration allows it", ""],
            ),
        ] {
            let help = help(method, reason);
            assert!(words.iter().all(|word| help.contains(word)), "{help}");
        }
    }

    #[test]
    fn the_help_of_a_redirect_has_all_origins_and_the_section() {
        let origin = |text| Endpoint::parse(text).unwrap();
        let mut denied = RedirectDenied {
            mount: "lake".to_owned(),
            audience: None,
            endpoint: origin("https://contoso.azuredatalakestore.net"),
            to: origin("https://b.example"),
            named: vec![origin("https://a.example")],
        };
        let line = "redirects = [\"https://a.example\", \"https://b.example\"] in [mount.lake";
        assert!(denied.help().ends_with(&format!("{line}]")), "{}", denied.help());
        denied.audience = Some("blob".to_owned());
        assert!(denied.help().ends_with(&format!("{line}.audience.blob]")), "{}", denied.help());
    }
}
