//! Key Vault: secrets, keys and certificates ([REST API](https://learn.microsoft.com/rest/api/keyvault/)).
//!
//! A request comes to [`answer`], which checks its token; `objects` has the operations that all three collections share,
//! and `secrets`, `keys` and `certificates` have their own.

mod certificates;
mod keys;
mod objects;
mod refusal;
mod secrets;
mod store;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::Azure;
use crate::authority::Rejected;
use crate::directory::TENANT;
use crate::exchange::{Received, Reply};
use refusal::Refusal;
use store::{Collection, Vault};

/// The vaults, by name. Each cloud's host of that name is the same vault.
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
    /// Its certificate cannot be made.
    pub(crate) fn contoso() -> Result<Self, String> {
        let vaults = Self::default();
        let vault = Vault::contoso()?;
        vaults.0.lock().unwrap_or_else(PoisonError::into_inner).insert("contoso".to_owned(), vault);
        Ok(vaults)
    }
}

/// The audience of a cloud's vaults, or of its hardware security modules.
fn audience(host: &str) -> &'static str {
    match host {
        _ if host.ends_with(".vault.azure.cn") => "https://vault.azure.cn",
        _ if host.ends_with(".vault.usgovcloudapi.net") => "https://vault.usgovcloudapi.net",
        _ if host.ends_with(".managedhsm.azure.net") => "https://managedhsm.azure.net",
        _ if host.ends_with(".managedhsm.azure.cn") => "https://managedhsm.azure.cn",
        _ if host.ends_with(".managedhsm.usgovcloudapi.net") => "https://managedhsm.usgovcloudapi.net",
        _ => "https://vault.azure.net",
    }
}

pub(crate) fn answer(azure: &Azure, request: &Received) -> (Reply, Option<String>) {
    let audience = audience(&request.host);
    let claims = match azure.authority.verify(request.bearer(), audience) {
        Ok(claims) => claims,
        Err(rejected) => return (challenge(audience, &rejected), None),
    };
    let Some(identity) = azure.directory.find(|identity| identity.object_id == claims.oid) else {
        return (challenge(audience, &Rejected::Malformed), None);
    };
    let name = Some(identity.name.clone());
    if !identity.may("vault", &request.path) {
        let message = format!(
            "Caller is not authorized to perform action on resource.\r\nCaller: appid={};oid={};iss=https://sts.windows.net/{TENANT}/\r\n\
             Action: 'Microsoft.KeyVault/vaults{}'",
            identity.client_id, identity.object_id, request.path
        );
        return (Reply::error(403, "Forbidden", &message), name);
    }
    if request.query("api-version").is_none() {
        return (Reply::error(400, "BadParameter", "api-version must be specified"), name);
    }
    let vault_name = request.host.split('.').next().unwrap_or_default();
    let mut vaults = azure.vaults.0.lock().unwrap_or_else(PoisonError::into_inner);
    let reply = match vaults.get_mut(vault_name) {
        Some(vault) => act(vault, request).unwrap_or_else(Refusal::into_reply),
        None => Reply::error(404, "VaultNotFound", &format!("The vault {vault_name} was not found.")),
    };
    (reply, name)
}

/// 401, with the challenge that tells a client where to get a token and for what.
fn challenge(audience: &str, rejected: &Rejected) -> Reply {
    let mut field =
        format!("Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"{audience}\"");
    let message = match rejected {
        Rejected::Missing => "AKV10000: Request is missing a Bearer or PoP token.".to_owned(),
        Rejected::Malformed => "AKV10012: The token is malformed.".to_owned(),
        Rejected::Signature => "AKV10016: The signature of the token is invalid.".to_owned(),
        Rejected::Audience { found } => format!("AKV10022: Invalid audience. Expected {audience}, found: {found}."),
        Rejected::Expired => "AKV10001: The token has expired.".to_owned(),
        Rejected::NotYet => "AKV10002: The token is not valid yet.".to_owned(),
    };
    if *rejected != Rejected::Missing {
        field.push_str(&format!(", error=\"invalid_token\", error_description=\"{message}\""));
    }
    Reply::error(401, "Unauthorized", &message).header("www-authenticate", &field)
}

fn act(vault: &mut Vault, request: &Received) -> Result<Reply, Refusal> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let [root, rest @ ..] = segments.as_slice() else { return Err(Refusal::not_here()) };
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if let Some(name) = rest.first().filter(|name| !is_name(name)) {
        return Err(Refusal::bad(format!("The request URI contains an invalid name: {name}")));
    }
    if let Some(collection) = Collection::deleted(root) {
        return objects::act_on_deleted(vault, collection, request, rest);
    }
    let Some(collection) = Collection::named(root) else { return Err(Refusal::not_here()) };
    // A Managed HSM has keys only.
    if request.host.contains(".managedhsm.") && !matches!(collection, Collection::Keys) {
        return Err(Refusal::not_here());
    }
    let own = match collection {
        Collection::Secrets => secrets::act(vault, request, rest),
        Collection::Keys => keys::act(vault, request, rest),
        Collection::Certificates => certificates::act(vault, request, rest),
    };
    match own {
        Some(reply) => reply,
        None => objects::act(vault, collection, request, rest),
    }
}
