//! Sealed values in a request's query.

use std::borrow::Cow;
use std::sync::Arc;

use super::credential::{Credential, SealedCredential, Surrogates};
use super::violation::Violation;
use crate::manifest::SpendPlace;
use crate::surrogate;

/// A query, split into the sealed value that it spends and the rest.
pub(super) struct Query<'q, S> {
    /// The audience at whose endpoint the value may be spent, and the value.
    pub(super) spent: Option<(Arc<str>, S)>,
    /// The other parameters.
    pub(super) rest: Option<Cow<'q, str>>,
}

impl<'q, S: SealedCredential> Query<'q, S> {
    /// Splits a query. The surrogate of a sealed value replaces whole parameters, between two `&`.
    pub(super) fn parse(
        query: Option<&'q str>,
        surrogates: &impl Surrogates<Sealed = S>,
    ) -> Result<Self, Violation> {
        let misplaced = Violation::MisplacedSurrogate("query");
        let Some(query) = query else { return Ok(Self { spent: None, rest: None }) };
        if !surrogate::is_in(query.as_bytes()) {
            return Ok(Self { spent: None, rest: Some(Cow::Borrowed(query)) });
        }
        let (mut spent, mut rest) = (None, Vec::new());
        for part in query.split('&') {
            match surrogates.resolve(part.as_bytes()) {
                Some(Credential::Sealed(Some(audience), value))
                    if value.place() == SpendPlace::Query =>
                {
                    if spent.replace((audience, value)).is_some() {
                        return Err(Violation::SeveralCredentials);
                    }
                }
                Some(Credential::Sealed(..) | Credential::Token(_)) => return Err(misplaced),
                None if surrogate::is_in(part.as_bytes()) => return Err(misplaced),
                None => rest.push(part),
            }
        }
        Ok(Self { spent, rest: (!rest.is_empty()).then(|| Cow::Owned(rest.join("&"))) })
    }
}
