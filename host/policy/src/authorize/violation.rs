//! Violations: requests and logins that break a rule of the boundary.

use http::Method;

use crate::path::PathError;

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
}
