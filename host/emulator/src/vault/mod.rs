//! Key Vault: secrets, keys and certificates ([REST API]).
//!
//! [REST API]: https://learn.microsoft.com/rest/api/keyvault/
//!
//! [`handle`] verifies the token of a request. `secrets`, `keys` and `certificates` have the
//! operations of one collection each, `objects` those that all three share.

mod certificates;
mod collection;
mod demo_vault;
mod keys;
mod object_json;
mod objects;
mod secrets;
mod vault_error;
mod vault_store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::Azure;
use crate::directory::TENANT;
use crate::messages::{Request, Response};
use crate::token_issuer::TokenError;
use collection::Collection;
use vault_error::VaultError;
use vault_store::Vault;

/// The vaults by name. The hosts of a name in all clouds are one vault.
#[derive(Default)]
pub(crate) struct Vaults(Mutex<BTreeMap<String, Vault>>);

impl fmt::Debug for Vaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vaults(..)")
    }
}

impl Vaults {
    /// The vault of the demo.
    ///
    /// # Errors
    ///
    /// Its certificate cannot be created.
    pub(crate) fn contoso() -> Result<Self, String> {
        let vaults = Self::default();
        let vault = demo_vault::demo_vault()?;
        vaults.0.lock().unwrap_or_else(PoisonError::into_inner).insert("contoso".to_owned(), vault);
        Ok(vaults)
    }
}

/// The audience of tokens for a vault or a Managed HSM.
fn audience(host: &str) -> &'static str {
    match host {
        _ if host.ends_with(".vault.azure.cn") => "https://vault.azure.cn",
        _ if host.ends_with(".vault.usgovcloudapi.net") => "https://vault.usgovcloudapi.net",
        _ if host.ends_with(".managedhsm.azure.net") => "https://managedhsm.azure.net",
        _ if host.ends_with(".managedhsm.azure.cn") => "https://managedhsm.azure.cn",
        _ if host.ends_with(".managedhsm.usgovcloudapi.net") => {
            "https://managedhsm.usgovcloudapi.net"
        }
        _ => "https://vault.azure.net",
    }
}

/// Responds to a request. Also returns the name of the identity that sent it.
pub(crate) fn handle(azure: &Azure, request: &Request) -> (Response, Option<String>) {
    let audience = audience(&request.host);
    let claims = match azure.token_issuer.verify(request.bearer(), audience) {
        Ok(claims) => claims,
        Err(error) => return (unauthorized(audience, &error), None),
    };
    let Some(identity) = azure.directory.find(|identity| identity.object_id == claims.oid) else {
        return (unauthorized(audience, &TokenError::Malformed), None);
    };
    let name = Some(identity.name.clone());
    if !identity.is_allowed("vault", &request.path) {
        let message = format!(
            "Caller is not authorized to perform action on resource.\r\n\
             Caller: appid={};oid={};iss=https://sts.windows.net/{TENANT}/\r\n\
             Action: 'Microsoft.KeyVault/vaults{}'",
            identity.client_id, identity.object_id, request.path
        );
        return (Response::error(403, "Forbidden", &message), name);
    }
    if request.query("api-version").is_none() {
        return (Response::error(400, "BadParameter", "api-version must be specified"), name);
    }
    let vault_name = request.host.split('.').next().unwrap_or_default();
    let mut vaults = azure.vaults.0.lock().unwrap_or_else(PoisonError::into_inner);
    let response = match vaults.get_mut(vault_name) {
        Some(vault) => dispatch(vault, request).unwrap_or_else(VaultError::into_response),
        None => {
            Response::error(404, "VaultNotFound", &format!("The vault {vault_name} was not found."))
        }
    };
    (response, name)
}

/// 401 with the challenge, which names the tenant and the audience.
fn unauthorized(audience: &str, error: &TokenError) -> Response {
    let mut field = format!(
        "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", \
         resource=\"{audience}\""
    );
    let message = match error {
        TokenError::Missing => "AKV10000: Request is missing a Bearer or PoP token.".to_owned(),
        TokenError::Malformed => "AKV10012: The token is malformed.".to_owned(),
        TokenError::Signature => "AKV10016: The signature of the token is invalid.".to_owned(),
        TokenError::Audience { found } => {
            format!("AKV10022: Invalid audience. Expected {audience}, found: {found}.")
        }
        TokenError::Expired => "AKV10001: The token has expired.".to_owned(),
        TokenError::NotYetValid => "AKV10002: The token is not valid yet.".to_owned(),
    };
    if *error != TokenError::Missing {
        field.push_str(&format!(", error=\"invalid_token\", error_description=\"{message}\""));
    }
    Response::error(401, "Unauthorized", &message).header("www-authenticate", &field)
}

fn dispatch(vault: &mut Vault, request: &Request) -> Result<Response, VaultError> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let [root, rest @ ..] = segments.as_slice() else {
        return Err(VaultError::not_found());
    };
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if let Some(name) = rest.first().filter(|name| !is_name(name)) {
        return Err(VaultError::bad_parameter(format!(
            "The request URI contains an invalid name: {name}"
        )));
    }
    if let Some(collection) = Collection::deleted(root) {
        return objects::dispatch_deleted(vault, collection, request, rest);
    }
    let Some(collection) = Collection::named(root) else {
        return Err(VaultError::not_found());
    };
    // A Managed HSM has only keys.
    if request.host.contains(".managedhsm.") && !matches!(collection, Collection::Keys) {
        return Err(VaultError::not_found());
    }
    let handled = match collection {
        Collection::Secrets => secrets::dispatch(vault, request, rest),
        Collection::Keys => keys::dispatch(vault, request, rest),
        Collection::Certificates => certificates::dispatch(vault, request, rest),
    };
    match handled {
        Some(response) => response,
        None => objects::dispatch(vault, collection, request, rest),
    }
}
