//! Operations that mint credentials, as they are granted.

use std::collections::BTreeSet;

use crate::cloud::{Meaning, Operation, Operations};

/// The operations at a grant's endpoint whose response is a credential, and which of them the mount
/// hands out.
#[derive(Clone, Debug, Default)]
pub struct Minting {
    /// The services that the endpoint is, by their names in the cloud table.
    pub services: BTreeSet<String>,
    /// The operations whose credentials may be handed out.
    pub hand_out: BTreeSet<String>,
    operations: Vec<&'static Operations>,
}

/// The services where shared access signatures are spent.
const STORAGE: [&str; 2] = ["blob", "dfs"];

impl Minting {
    /// What the requests of an endpoint can mint. Nothing is handed out.
    pub(crate) fn of(meaning: &Meaning) -> Self {
        let operations = meaning.operations().collect();
        Self { services: meaning.services.clone(), hand_out: BTreeSet::new(), operations }
    }

    /// The tables that hold at the endpoint.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static Operations> {
        self.operations.iter().copied()
    }

    /// The names that `hand_out` may have.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tables().flat_map(Operations::names)
    }

    /// Whether an operation's credential may be handed out.
    #[must_use]
    pub fn hands_out(&self, operation: &str) -> bool {
        self.hand_out.contains(operation)
    }

    /// The operation whose response has its whole secret in this field.
    #[must_use]
    pub fn operation_with_secret(&self, field: &str) -> Option<&'static Operation> {
        self.tables()
            .flat_map(Operations::sealable)
            .find(|operation| operation.secret.as_deref() == Some(field))
    }

    /// Whether shared access signatures are spent at the endpoint.
    pub(crate) fn is_storage(&self) -> bool {
        STORAGE.iter().any(|service| self.services.contains(*service))
    }
}
