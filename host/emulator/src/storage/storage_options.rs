//! The options of the storage account.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// The storage account: its name and its key.
#[derive(Clone)]
#[non_exhaustive]
pub struct StorageOptions {
    /// The name, which is the first label of its hosts. `contoso` by default.
    pub account: String,
    /// The key that signs shared access signatures, not encoded. 64 random bytes by default. With
    /// the key of another server, such as Azurite, the signatures are valid there.
    pub key: Vec<u8>,
    /// Whether Data Lake Gen1 has a data node, as Hadoop: the second step of an upload is at
    /// `ACCOUNT-node.azuredatalakestore.net`, and needs a ticket from the first step.
    pub data_node: bool,
}

impl Default for StorageOptions {
    fn default() -> Self {
        let mut key = vec![0; 64];
        if SystemRandom::new().fill(&mut key).is_err() {
            // An empty key is an error at start.
            key.clear();
        }
        Self { account: "contoso".to_owned(), key, data_node: false }
    }
}

impl fmt::Debug for StorageOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageOptions").field("account", &self.account).finish_non_exhaustive()
    }
}
