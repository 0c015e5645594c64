//! What of a configuration applies only after a restart.

use super::Fixed;
use crate::config::Listen;
use crate::listen::Wanted;

/// The parts that differ, by their names in the configuration. They stay as they are until a
/// restart, and the rest of the configuration works without them.
pub(super) fn changes(running: &Fixed, wanted: &Fixed) -> Vec<&'static str> {
    let (listen, new) = (&running.listen, &wanted.listen);
    let parts = [
        ("`socket` in [listen]", listen.socket == new.socket),
        ("`mode` in [listen]", listen.mode == new.mode),
        ("`tcp` in [listen]", listen.tcp == new.tcp),
        ("`origins` in [listen]", listen.origins == new.origins),
        ("`connections` in [listen]", listen.connections == new.connections),
        ("`min_rate` in [listen]", listen.min_rate == new.min_rate),
        ("[listen.tls]", listen.tls == new.tls),
        ("[listen.kubernetes]", listen.kubernetes == new.kubernetes),
        ("[admin]", running.admin == wanted.admin),
        ("[audit]", running.audit == wanted.audit),
        ("[lock]", running.lock == wanted.lock),
        ("[confine]", running.confine == wanted.confine),
        ("[compile_cache]", running.compile_cache == wanted.compile_cache),
    ];
    parts.into_iter().filter(|(_, is_same)| !is_same).map(|(part, _)| part).collect()
}

/// What must be proved about callers, and the running listeners do not look up: without it, calls
/// would be denied, or callers that are not identified would be served. `later` are the parts that
/// apply only after a restart.
pub(super) fn proofs(
    running: Wanted,
    wanted: Wanted,
    listen: &Listen,
    later: &[&'static str],
) -> Vec<String> {
    let mut lacking = Vec::new();
    if wanted.units && !running.units {
        lacking
            .push("`unit` in [caller.NAME], which the running listeners do not look up".to_owned());
    }
    let has_port = listen.tcp.is_some() || listen.tls.is_some();
    if has_port && (wanted.callers && !running.callers || wanted.users && !running.users) {
        lacking.push(
            "sections [caller.NAME], because the running listeners do not look up which user \
             connects to a port"
                .to_owned(),
        );
    }
    let is_listen = |part: &&&str| part.contains("[listen");
    if has_port && running.callers && !wanted.callers && later.iter().any(|part| is_listen(&part)) {
        lacking.push(
            "a configuration without sections [caller.NAME], because the running listeners were \
             configured for identified callers"
                .to_owned(),
        );
    }
    lacking
}
