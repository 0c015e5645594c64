//! What the identities of a plan use of this machine.

use std::sync::Arc;

use keyward_identity::clock::{Clock, SystemClock};
use keyward_identity::source::{Needs, Tls, detect};
use keyward_policy::config::{IdentityConfig, IdentitySource};
use keyward_policy::plan::Plan;

use crate::identities::{SourceFactory, Sources, variable};

/// What the sources of all identities use of this machine: ports, files, programs. A program that
/// confines itself must permit it.
///
/// Identities without a source on this machine need nothing:
/// [`identity_problems`](super::identity_problems) reports them. Sources that the embedding service
/// supplies are not looked at.
#[must_use]
pub fn needs(plan: &Plan) -> Needs {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let none = Sources::new();
    let mut factory = SourceFactory::new(&plan.config, Tls::no_roots(), &clock, &none);
    let mut needs = Needs::default();
    for (name, identity) in plan.identities() {
        if let Ok(source) = factory.create(name, &detected(identity)) {
            needs.add(source.needs());
        }
    }
    needs
}

/// The identity with the source that `auto` selects here. Creating that of `auto` itself logs
/// the choice, which the broker does when it starts.
fn detected(identity: &IdentityConfig) -> IdentityConfig {
    let mut identity = identity.clone();
    if let IdentitySource::Auto(config) = &identity.source
        && let Ok(detected) = detect(&variable, &|path| path.exists())
    {
        identity.source = IdentitySource::Platform(detected.kind, config.clone());
    }
    identity
}
