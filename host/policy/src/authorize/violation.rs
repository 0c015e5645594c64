//! Violations: requests and logins that break a rule of the boundary.

use http::Method;

use crate::config::caller::mount_caller_header;
use crate::path::PathError;
use crate::text::toml_key;

/// A request or a login that breaks a rule of the boundary, regardless of the configuration. It
/// ends the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A scheme other than `https`.
    #[error("its scheme is not https")]
    Scheme,
    /// A URI without a host.
    #[error("it has no host")]
    NoHost,
    /// `user@host`.
    #[error("its URL contains user information")]
    UserInfo,
    /// A host or a port that is not an endpoint of this mount, or not in the endpoint's spelling.
    #[error("`{authority}` is not an endpoint of this mount ({endpoints})")]
    OtherHost {
        /// The authority that was requested.
        authority: String,
        /// The mount's endpoints.
        endpoints: String,
    },
    /// A path that can be read in more than one way.
    #[error("ambiguous path: {0}")]
    Path(#[from] PathError),
    /// A path outside the endpoint's prefix.
    #[error("its path is outside the endpoint's prefix")]
    OutsidePrefix,
    /// More than one `authorization` field.
    #[error("it has more than one authorization field")]
    SeveralAuthorizations,
    /// An `authorization` field that is not one surrogate of this call.
    #[error("its authorization is not a surrogate of this call")]
    ForeignAuthorization,
    /// A surrogate in a part of the request where no surrogate is accepted.
    #[error("it has a surrogate in its {0}, where none is accepted")]
    MisplacedSurrogate(&'static str),
    /// A sealed value beside other credentials.
    #[error("it spends a sealed value beside another credential")]
    SeveralCredentials,
    /// A surrogate at the endpoint of another audience.
    #[error("the surrogate is for audience `{audience}`, and this is not its endpoint")]
    OtherAudience {
        /// The audience's name.
        audience: String,
    },
    /// A reference to a second path that patterns cannot check.
    #[error(
        "its `{0}` refers to a second path that `allow` cannot check; without `allow` it is \
         permitted"
    )]
    UncheckableReference(String),
    /// A reference to a second path that can be read in more than one way.
    #[error("the path in its `{field}` can be read in more than one way: {error}")]
    AmbiguousReference {
        /// The header field, or the parameter of the query.
        field: String,
        /// Why it is ambiguous.
        error: PathError,
    },
    /// A reference to a path at a host other than the endpoint.
    #[error(
        "its `{field}` refers to a path at `{authority}`, which `allow` of {endpoint} cannot cover"
    )]
    ReferenceToOtherHost {
        /// The header field, or the parameter of the query.
        field: String,
        /// The authority that it names.
        authority: String,
        /// The endpoint.
        endpoint: String,
    },
    /// A parameter or a header field that two servers may read differently.
    #[error("its `{0}` is ambiguous: expected once, in plain letters")]
    Ambiguous(&'static str),
    /// A parameter that `allow` checks, and that services could read in more than one way.
    #[error(
        "its parameter `{0}` is ambiguous: `allow` checks it, so it must be there once, in the case \
         of the service's documentation and without encodings"
    )]
    AmbiguousParameter(String),
    /// A header field that overrides the method or the URL, at a narrowed grant.
    #[error("its header field `{0}` overrides its method or URL, which `allow` cannot check")]
    Override(&'static str),
    /// A GET or HEAD with a body, at a narrowed grant.
    #[error("it is a {0} request with a body, which `allow` cannot check")]
    Body(Method),
    /// A login to a database server with something that is not a surrogate for a login.
    #[error(
        "it logs in to a database with something other than a surrogate of this call for a login"
    )]
    ForeignLogin,
    /// A database's name that can be read in more than one way.
    #[error("ambiguous database name")]
    Database,
    /// A method that opens a tunnel, or echoes the request.
    #[error("the method {0} is not permitted")]
    Method(Method),
}

impl Violation {
    /// Returns a short name of the rule, for the audit log.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::NoHost => "host",
            Self::UserInfo => "userinfo",
            Self::OtherHost { .. } => "endpoint",
            Self::Path(_) => "path",
            Self::OutsidePrefix => "prefix",
            Self::UncheckableReference(_)
            | Self::AmbiguousReference { .. }
            | Self::ReferenceToOtherHost { .. } => "referenced-path",
            Self::Ambiguous(_) | Self::AmbiguousParameter(_) => "ambiguous",
            Self::Override(_) => "override",
            Self::Body(_) => "body",
            Self::SeveralAuthorizations | Self::ForeignAuthorization => "authorization",
            Self::MisplacedSurrogate(_) | Self::SeveralCredentials => "surrogate",
            Self::OtherAudience { .. } => "audience",
            Self::ForeignLogin => "login",
            Self::Database => "database",
            Self::Method(_) => "method",
        }
    }

    /// What would allow it in the configuration, or that nothing does, as a sentence without a full
    /// stop. `mount` is the name of the mount, and `caller` that of the caller whose own `allow`
    /// narrows it.
    #[must_use]
    pub fn help(&self, mount: &str, caller: Option<&str>) -> String {
        let section = format!("[mount.{}]", toml_key(mount));
        let own = caller.map(|caller| mount_caller_header(mount, caller));
        let and_own = own.as_ref().map(|own| format!(", and in {own}")).unwrap_or_default();
        let nothing = |reason: &str| format!("No configuration allows it: {reason}");
        let without_allow = |reason: &str| {
            format!(
                "{reason}; it is permitted only without `allow`, in {section} or in the section of \
                 its audience{and_own}, and if the plugin's manifest permits everything"
            )
        };
        match self {
            Self::Scheme => nothing("requests are sent over https only"),
            Self::NoHost => nothing("a request needs a host"),
            Self::UserInfo => nothing("credentials in URLs are never sent"),
            Self::OtherHost { .. } => format!(
                "To allow that host, write it as an `endpoint`: in {section}, in \
                 [mount.{}.audience.NAME] for another audience of the plugin, or in another mount",
                toml_key(mount)
            ),
            Self::Path(_) => nothing(
                "a path must have one meaning. For a service of your own, `paths` in \
                 [cloud.service.NAME] sets how it reads names",
            ),
            Self::OutsidePrefix => format!(
                "The path of `endpoint` in {section}, or in the section of its audience, is the \
                 prefix: an endpoint with a shorter path allows it"
            ),
            Self::SeveralAuthorizations | Self::ForeignAuthorization => nothing(
                "a plugin authenticates with the surrogate that it got in this call, and with \
                 nothing else",
            ),
            Self::MisplacedSurrogate(_) => {
                nothing("a surrogate may be only where its credential is spent")
            }
            Self::SeveralCredentials => nothing("a request has one credential"),
            Self::OtherAudience { .. } => {
                nothing("a credential is sent to the endpoint of its own audience only")
            }
            Self::UncheckableReference(_) => {
                without_allow("No line of `allow` can cover that path")
            }
            Self::AmbiguousReference { .. } => {
                without_allow("Write that path without encodings that can be read twice")
            }
            Self::ReferenceToOtherHost { .. } => {
                without_allow("Use a path at the endpoint itself, which `allow` can cover")
            }
            Self::Ambiguous(_) => nothing("services could read two different operations from it"),
            Self::AmbiguousParameter(name) => format!(
                "Send `{name}` once and plainly; only a line with a method and without parameters, \
                 in `allow` of {section} or of the section of its audience{and_own}, does not look \
                 at it"
            ),
            Self::Override(_) => {
                without_allow("Remove the field, and send the intended method and URL")
            }
            Self::Body(_) => without_allow("Send it without a body"),
            Self::ForeignLogin => {
                nothing("a plugin logs in with a surrogate that it got in this call")
            }
            Self::Database => nothing(
                "a database's name has 1 to 128 characters, without slashes, backslashes and \
                 control characters",
            ),
            Self::Method(_) => nothing("it opens a tunnel, or returns what the host adds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the configuration that lets a request with this violation pass; `None` if there
    /// is none.
    fn key(violation: &Violation) -> Option<&'static str> {
        match violation {
            Violation::OtherHost { .. } | Violation::OutsidePrefix => Some("`endpoint`"),
            Violation::UncheckableReference(_)
            | Violation::AmbiguousReference { .. }
            | Violation::ReferenceToOtherHost { .. }
            | Violation::AmbiguousParameter(_)
            | Violation::Override(_)
            | Violation::Body(_) => Some("`allow`"),
            Violation::Scheme
            | Violation::NoHost
            | Violation::UserInfo
            | Violation::Path(_)
            | Violation::SeveralAuthorizations
            | Violation::ForeignAuthorization
            | Violation::MisplacedSurrogate(_)
            | Violation::SeveralCredentials
            | Violation::OtherAudience { .. }
            | Violation::Ambiguous(_)
            | Violation::ForeignLogin
            | Violation::Database
            | Violation::Method(_) => None,
        }
    }

    #[test]
    fn the_help_names_the_section_and_the_key_that_allow_it_or_that_nothing_does() {
        let text = || "x".to_owned();
        let all = [
            Violation::Scheme,
            Violation::NoHost,
            Violation::UserInfo,
            Violation::OtherHost { authority: text(), endpoints: text() },
            Violation::Path(PathError::DotSegment),
            Violation::OutsidePrefix,
            Violation::SeveralAuthorizations,
            Violation::ForeignAuthorization,
            Violation::MisplacedSurrogate("path"),
            Violation::SeveralCredentials,
            Violation::OtherAudience { audience: text() },
            Violation::UncheckableReference(text()),
            Violation::AmbiguousReference { field: text(), error: PathError::DotSegment },
            Violation::ReferenceToOtherHost { field: text(), authority: text(), endpoint: text() },
            Violation::Ambiguous("comp"),
            Violation::AmbiguousParameter(text()),
            Violation::Override("x-http-method"),
            Violation::Body(Method::GET),
            Violation::ForeignLogin,
            Violation::Database,
            Violation::Method(Method::TRACE),
        ];
        for violation in all {
            let help = violation.help("my shop", None);
            let of_caller = violation.help("my shop", Some("web"));
            let names_caller = of_caller.contains("[mount.\"my shop\".caller.web]");
            assert_eq!(names_caller, key(&violation) == Some("`allow`"), "{of_caller}");
            match key(&violation) {
                Some(key) => {
                    assert!(help.contains(key), "{violation:?}: {help}");
                    assert!(help.contains("[mount.\"my shop\"]"), "{violation:?}: {help}");
                }
                None => assert!(help.starts_with("No configuration allows it: "), "{help}"),
            }
            assert!(!help.ends_with('.'), "{help}");
        }
    }
}
