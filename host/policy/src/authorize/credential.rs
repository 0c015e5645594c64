//! The credentials that a call may spend, as the decision sees them.

use std::sync::Arc;

use crate::manifest::SpendPlace;

/// Resolves the surrogates of one call.
pub trait Surrogates {
    /// A handle on a sealed value.
    type Sealed: SealedCredential;

    /// What a text stands for, where it is a surrogate of this call.
    fn resolve(&self, text: &[u8]) -> Option<Credential<Self::Sealed>>;
}

/// A handle on a secret field of a response that was sealed.
pub trait SealedCredential {
    /// The place in a request where the value may be spent.
    fn place(&self) -> SpendPlace;

    /// The value itself: the parameters of a query. The decision compares it, and keeps nothing.
    fn expose_secret(&self) -> &[u8];
}

impl<S: SealedCredential> SealedCredential for Arc<S> {
    fn place(&self) -> SpendPlace {
        S::place(self)
    }

    fn expose_secret(&self) -> &[u8] {
        S::expose_secret(self)
    }
}

/// What a surrogate stands for.
#[derive(Clone, Debug)]
pub enum Credential<S> {
    /// The token of a grant, by the name of its audience.
    Token(Arc<str>),
    /// A sealed value, and the audience at whose endpoint it may be spent; `None` for nowhere.
    Sealed(Option<Arc<str>>, S),
}

/// The credential that goes with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spend<S> {
    /// No credential.
    Nothing,
    /// The grant's token, in `authorization`.
    Token,
    /// A sealed value, in the query.
    Query(S),
}

impl<S: SealedCredential> Spend<S> {
    /// The sealed value that is appended to the query.
    pub(super) fn sealed(&self) -> Option<&[u8]> {
        match self {
            Self::Query(value) => Some(value.expose_secret()),
            Self::Nothing | Self::Token => None,
        }
    }
}
