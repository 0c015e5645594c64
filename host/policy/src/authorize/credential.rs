//! The credentials that a call may spend, as [`authorize`](super::authorize) sees them.

use std::sync::Arc;

use crate::manifest::SpendPlace;

/// Resolves the surrogates of one call.
pub trait Surrogates {
    /// A handle on a sealed value.
    type Sealed: SealedCredential;

    /// Returns the credential of a surrogate; `None` if `text` is not a surrogate of this call.
    fn resolve(&self, text: &[u8]) -> Option<Credential<Self::Sealed>>;
}

/// A handle on a secret field of a response that was sealed.
pub trait SealedCredential {
    /// The part of a request where the value may be spent.
    fn place(&self) -> SpendPlace;

    /// The value itself: the parameters of a query. Callers must not store it.
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

/// The credential of a surrogate.
#[derive(Clone, Debug)]
pub enum Credential<S> {
    /// The token of a grant, by the name of its audience.
    Token(Arc<str>),
    /// A sealed value, with the audience at whose endpoint it may be spent; `None` if it cannot be
    /// spent.
    Sealed(Option<Arc<str>>, S),
}

/// The credential that the host adds to a request.
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
