//! The content of the vault of the demo.

use serde_json::{Value, json};

use super::collection::Collection;
use super::vault_store::Vault;
use super::{certificates, keys};

/// Creates the vault of the demo.
///
/// # Errors
///
/// Its key or its certificate cannot be created.
pub(super) fn demo_vault() -> Result<Vault, String> {
    let mut vault = Vault::default();
    let secret = |value: &str| json!({ "value": value, "contentType": "text/plain" });
    let mut put = |collection, name: &str, content: Value| {
        vault.put(collection, name, content).map(drop).map_err(|error| format!("{error:?}"))
    };
    put(Collection::Secrets, "db", secret("swordfish-in-the-harbour"))?;
    put(Collection::Secrets, "api-key", secret("a-key-for-an-api"))?;
    put(Collection::Secrets, "sql-password", secret(crate::sql::PASSWORD))?;
    put(
        Collection::Keys,
        "signing",
        keys::content("P-256", &json!({ "key_ops": ["sign", "verify"] }))?,
    )?;
    certificates::create_self_signed(
        &mut vault,
        "web",
        &certificates::default_policy("CN=web"),
        &Value::Null,
    )?;
    Ok(vault)
}
