//! Warns about TCP listeners that accept every process on this machine.

use keyward::callers::Callers;

use crate::config::Listen;

use super::finding::{Check, Finding};

const FIX: &str = "Write sections [caller.NAME], or use [listen] socket if clients support it. \
                   Otherwise restrict each mount with `allow`";

pub(super) fn check(listen: Option<&Listen>, callers: &Callers) -> Vec<Finding> {
    let tcp = listen.and_then(|listen| listen.tcp);
    let tls = listen.and_then(|listen| listen.tls.as_ref()).map(|tls| tls.address);
    [("[listen] tcp", tcp), ("[listen.tls]", tls)]
        .into_iter()
        .map(|(header, address)| {
            let finding = Finding::about(Check::Listener, header);
            match address {
                Some(address) if callers.is_empty() => {
                    let found = format!(
                        "every process that can connect to {address} may call every mount, \
                         regardless of user"
                    );
                    finding.warning(found).fix(FIX)
                }
                Some(address) => finding
                    .ok(format!("at {address}, mounts serve only the callers that they name")),
                None => finding.skipped("not configured"),
            }
        })
        .collect()
}
