//! Who may call over TCP: anybody on this machine.

use crate::config::Listen;

use super::finding::{Check, Finding};

const FIX: &str = "Where it can be, use [listen] socket: there the kernel says who calls. Otherwise narrow each mount with \
                    `allow`";

pub(super) fn check(listen: Option<&Listen>) -> Vec<Finding> {
    let tcp = listen.and_then(|listen| listen.tcp);
    let tls = listen.and_then(|listen| listen.tls.as_ref()).map(|tls| tls.address);
    [("[listen] tcp", tcp), ("[listen.tls]", tls)]
        .into_iter()
        .map(|(header, address)| {
            let finding = Finding::about(Check::Listener, header);
            match address {
                Some(address) => {
                    let found =
                        format!("whoever can open a connection to {address} may call every mount, whichever user");
                    finding.warning(found).fix(FIX)
                }
                None => finding.skipped("not configured"),
            }
        })
        .collect()
}
