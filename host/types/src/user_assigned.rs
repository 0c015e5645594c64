//! The name of a user-assigned identity.

use std::fmt;

/// The name of a user-assigned identity, in one of its three forms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserAssigned {
    /// The client id (application id), a UUID.
    ClientId(String),
    /// The object id (principal id), a UUID.
    ObjectId(String),
    /// The resource id:
    /// `/subscriptions/.../providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME`.
    ResourceId(String),
}

impl fmt::Display for UserAssigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientId(id) => write!(f, "client id {id}"),
            Self::ObjectId(id) => write!(f, "object id {id}"),
            Self::ResourceId(id) => write!(f, "resource id {id}"),
        }
    }
}
