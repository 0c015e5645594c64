//! The node that has the data, where the lake is like Hadoop's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};

use super::{illegal, is_true, one_step};
use crate::exchange::Received;
use crate::storage::failure::Failure;

/// The operations that go to the node.
const ITS_OWN: [&str; 4] = ["CREATE", "APPEND", "OPEN", "GETFILECHECKSUM"];

/// A node: what each ticket is for. A ticket is of use once.
#[derive(Default)]
pub(in crate::storage) struct Node(Mutex<BTreeMap<String, String>>);

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node(..)")
    }
}

impl Node {
    /// Where an operation's second step is; `None` where this is it, or where there is one step.
    ///
    /// # Errors
    ///
    /// The request is at the node and has no ticket.
    pub(super) fn redirect(&self, request: &Received, operation: &str) -> Result<Option<String>, Failure> {
        let purpose = format!("{operation} {}", request.path);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, domain) = request.host.split_once('.').unwrap_or_default();
        if name.ends_with("-node") {
            if !ITS_OWN.contains(&operation) {
                return Err(illegal(&format!("{operation} is not an operation of a node.")));
            }
            let ticket = request.query("ticket").unwrap_or_default();
            if tickets.remove(ticket) != Some(purpose) {
                return Err(Failure::new(403, "InvalidToken", "The request has no ticket for this node."));
            }
            return Ok(None);
        }
        // Azure's own client asks for one step.
        if !ITS_OWN.contains(&operation) || one_step(operation).is_some_and(|name| is_true(request, name)) {
            return Ok(None);
        }
        let mut bytes = [0; 16];
        if SystemRandom::new().fill(&mut bytes).is_err() {
            return Err(Failure::new(500, "IOException", "There are no random numbers."));
        }
        let ticket: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        tickets.insert(ticket.clone(), purpose);
        let said = |pair: &&str| !pair.is_empty() && !pair.to_ascii_lowercase().starts_with("op=");
        let rest: String = request.raw_query.split('&').filter(said).map(|pair| format!("&{pair}")).collect();
        Ok(Some(format!("https://{name}-node.{domain}{}?op={operation}&ticket={ticket}{rest}", request.path)))
    }
}
