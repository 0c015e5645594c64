//! A grant of a running mount: the policy's, with the handle on its token.

use std::ops::Deref;
use std::sync::Arc;

use keyward_identity::cache::CachedToken;
use keyward_policy::grant::Grant;

/// A grant of a running mount. Clones are the same one.
#[derive(Clone)]
pub(crate) struct RunningGrant(Arc<Inner>);

struct Inner {
    grant: Grant,
    token: CachedToken,
}

impl RunningGrant {
    pub(crate) fn new(grant: Grant, token: CachedToken) -> Self {
        Self(Arc::new(Inner { grant, token }))
    }

    /// Another grant for the same token.
    pub(crate) fn with(&self, grant: Grant) -> Self {
        Self::new(grant, self.0.token.clone())
    }

    /// The token for the grant's audience.
    pub(crate) fn token(&self) -> &CachedToken {
        &self.0.token
    }
}

impl Deref for RunningGrant {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        &self.0.grant
    }
}

impl AsRef<Grant> for RunningGrant {
    fn as_ref(&self) -> &Grant {
        self
    }
}
