//! What the storage account is started with.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// The storage account: its name and its key.
#[derive(Clone)]
#[non_exhaustive]
pub struct StorageOptions {
    /// Its name, which is the first label of its hosts. `contoso` by default.
    pub account: String,
    /// The key that signs shared access signatures, not encoded. 64 random bytes by default; another server's, for instance
    /// Azurite's, where the signatures are to be good there.
    pub key: Vec<u8>,
    /// Whether Data Lake Gen1 has its data at a node, as Hadoop has: the second step of an upload is at
    /// `ACCOUNT-node.azuredatalakestore.net`, and only for a request with the ticket of the first.
    pub data_node: bool,
}

impl Default for StorageOptions {
    fn default() -> Self {
        let mut key = vec![0; 64];
        if SystemRandom::new().fill(&mut key).is_err() {
            // An emulator does not start with an empty key.
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
