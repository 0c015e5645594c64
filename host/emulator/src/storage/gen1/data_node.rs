//! The data node, for a Data Lake with separate data transfer as in Hadoop.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};

use super::{direct_parameter, illegal_argument, is_true};
use crate::messages::Request;
use crate::storage::storage_error::StorageError;

/// Operations that transfer data, at the data node.
const DATA_OPERATIONS: [&str; 4] = ["CREATE", "APPEND", "OPEN", "GETFILECHECKSUM"];

/// The tickets of the data node and what each is for. A ticket is valid once.
#[derive(Default)]
pub(in crate::storage) struct DataNode(Mutex<BTreeMap<String, String>>);

impl fmt::Debug for DataNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataNode(..)")
    }
}

impl DataNode {
    /// Where an operation continues; `None` if it runs here.
    ///
    /// # Errors
    ///
    /// The request is for the data node and has no ticket.
    pub(super) fn redirect(
        &self,
        request: &Request,
        operation: &str,
    ) -> Result<Option<String>, StorageError> {
        let purpose = format!("{operation} {}", request.path);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, domain) = request.host.split_once('.').unwrap_or_default();
        if name.ends_with("-node") {
            if !DATA_OPERATIONS.contains(&operation) {
                return Err(illegal_argument(&format!(
                    "{operation} is not an operation of a node."
                )));
            }
            let ticket = request.query("ticket").unwrap_or_default();
            if tickets.remove(ticket) != Some(purpose) {
                return Err(StorageError::new(
                    403,
                    "InvalidToken",
                    "The request has no ticket for this node.",
                ));
            }
            return Ok(None);
        }
        // Azure's own client requests the direct transfer.
        if !DATA_OPERATIONS.contains(&operation)
            || direct_parameter(operation).is_some_and(|name| is_true(request, name))
        {
            return Ok(None);
        }
        let mut bytes = [0; 16];
        if SystemRandom::new().fill(&mut bytes).is_err() {
            return Err(StorageError::new(
                500,
                "IOException",
                "The random number generator failed.",
            ));
        }
        let ticket: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        tickets.insert(ticket.clone(), purpose);
        let is_forwarded =
            |pair: &&str| !pair.is_empty() && !pair.to_ascii_lowercase().starts_with("op=");
        let rest: String = request
            .raw_query
            .split('&')
            .filter(is_forwarded)
            .map(|pair| format!("&{pair}"))
            .collect();
        Ok(Some(format!(
            "https://{name}-node.{domain}{}?op={operation}&ticket={ticket}{rest}",
            request.path
        )))
    }
}
