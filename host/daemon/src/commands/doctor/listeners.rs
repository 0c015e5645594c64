//! Warns about TCP listeners, which accept every process on this machine.

use crate::config::Listen;

use super::finding::{Check, Finding};

const FIX: &str = "Use [listen] socket if clients support it: there the kernel identifies each \
                   caller. Otherwise restrict each mount with `allow`";

pub(super) fn check(listen: Option<&Listen>) -> Vec<Finding> {
    let tcp = listen.and_then(|listen| listen.tcp);
    let tls = listen.and_then(|listen| listen.tls.as_ref()).map(|tls| tls.address);
    [("[listen] tcp", tcp), ("[listen.tls]", tls)]
        .into_iter()
        .map(|(header, address)| {
            let finding = Finding::about(Check::Listener, header);
            match address {
                Some(address) => {
                    let found = format!(
                        "every process that can connect to {address} may call every mount, \
                         regardless of user"
                    );
                    finding.warning(found).fix(FIX)
                }
                None => finding.skipped("not configured"),
            }
        })
        .collect()
}
