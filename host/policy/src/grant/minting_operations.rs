//! The operations at an endpoint that mint credentials, and which of them are handed out.

use std::collections::BTreeSet;

use crate::cloud::{Operation, Operations, Semantics};

/// The operations at a grant's endpoint whose response is a credential, and those of them whose
/// credentials the mount hands out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minting {
    /// The endpoint's services, by their names in the cloud table.
    pub services: BTreeSet<String>,
    /// The operations whose credentials may be handed out.
    pub hand_out: BTreeSet<String>,
    operations: Vec<&'static Operations>,
}

/// The services that accept shared access signatures.
const STORAGE: [&str; 2] = ["blob", "dfs"];

impl Minting {
    /// The minting operations of an endpoint. None is handed out.
    pub(crate) fn of(semantics: &Semantics) -> Self {
        let operations = semantics.operations().collect();
        Self { services: semantics.services.clone(), hand_out: BTreeSet::new(), operations }
    }

    /// The tables of operations that apply at the endpoint.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static Operations> {
        self.operations.iter().copied()
    }

    /// The names that are valid in `hand_out`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tables().flat_map(Operations::names)
    }

    /// Whether an operation's credential may be handed out.
    #[must_use]
    pub fn hands_out(&self, operation: &str) -> bool {
        self.hand_out.contains(operation)
    }

    /// Whether an operation's credential is a signature for what the request's body names.
    pub(crate) fn is_signature(&self, operation: &str) -> bool {
        let mut listed = self.tables().flat_map(Operations::sealable);
        listed.any(|listed| listed.name == operation && listed.signs.is_some())
    }

    /// The operation whose only secret field of the response is this one.
    #[must_use]
    pub fn operation_with_secret(&self, field: &str) -> Option<&'static Operation> {
        self.tables()
            .flat_map(Operations::sealable)
            .find(|operation| operation.secret.as_deref() == Some(field))
    }

    /// Whether the endpoint accepts shared access signatures.
    pub(crate) fn is_storage(&self) -> bool {
        STORAGE.iter().any(|service| self.services.contains(*service))
    }
}
