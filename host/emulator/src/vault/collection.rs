//! The collections of a vault.

/// A collection of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Collection {
    Secrets,
    Keys,
    Certificates,
}

impl Collection {
    /// The collection with this path segment.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "secrets" => Some(Self::Secrets),
            "keys" => Some(Self::Keys),
            "certificates" => Some(Self::Certificates),
            _ => None,
        }
    }

    /// The collection of `deletedsecrets`, `deletedkeys` or `deletedcertificates`.
    pub(super) fn deleted(name: &str) -> Option<Self> {
        Self::named(name.strip_prefix("deleted")?)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Keys => "keys",
            Self::Certificates => "certificates",
        }
    }

    /// The singular in errors: `SecretNotFound`.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Secrets => "Secret",
            Self::Keys => "Key",
            Self::Certificates => "Certificate",
        }
    }
}
