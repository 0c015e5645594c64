//! What of this machine would keep a broker from starting.

use std::sync::Arc;

use keyward_identity::clock::{Clock, SystemClock};
use keyward_identity::source::Tls;
use keyward_policy::config::IdentitySource;
use keyward_policy::plan::Plan;

use crate::identities::{SourceFactory, Sources, key, no_source, unusable_key};
use crate::start_error::StartError;
use crate::upstream::Trust;

/// Checks the certificates that services are checked against, without starting a broker.
///
/// # Errors
///
/// A file of certificates cannot be used, or there are no certificates at all:
/// [`Broker::start`](crate::Broker::start) would fail.
pub fn trust(plan: &Plan) -> Result<(), StartError> {
    tls(plan).map(drop)
}

fn tls(plan: &Plan) -> Result<Tls, StartError> {
    let client = Trust::load(&plan.config.tls)?.client();
    client.map(Tls::from).map_err(|error| StartError::Tls(error.to_string()))
}

/// The identities whose source is not on this machine, or whose key of tokens on disk cannot be
/// used: why [`Broker::start`](crate::Broker::start) would fail. Sources that the embedding service
/// supplies are not looked at.
#[must_use]
pub fn identity_problems(plan: &Plan) -> Vec<StartError> {
    let config = &plan.config;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let none = Sources::new();
    let tls = tls(plan).unwrap_or_else(|_| Tls::no_roots());
    let mut factory = SourceFactory::new(config, tls, &clock, &none);
    let mut problems = Vec::new();
    for (name, identity) in &config.identities {
        if let IdentitySource::Supplied = identity.source {
            continue;
        }
        if let Err(error) = factory.create(name, identity) {
            problems.push(no_source(name, identity, &error).into());
        }
        if let Some(persist) = &identity.persist
            && let Err(error) = key(persist)
        {
            problems.push(unusable_key(name, persist, identity, &error).into());
        }
    }
    problems
}
