//! Key Vault: secrets, keys and certificates ([REST API](https://learn.microsoft.com/rest/api/keyvault/)).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::Azure;
use crate::authority::{Rejected, now};
use crate::directory::TENANT;
use crate::exchange::{Received, Reply};

/// How many items a page has where the request says nothing.
const PAGE: usize = 25;

/// The vaults, by name. Each cloud's host of that name is the same vault.
#[derive(Default)]
pub(crate) struct Vaults(Mutex<BTreeMap<String, Vault>>);

type Vault = BTreeMap<Collection, BTreeMap<String, Vec<Version>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Collection {
    Secrets,
    Keys,
    Certificates,
}

/// A version of an object: what it is beside its id and attributes.
#[derive(Clone)]
struct Version {
    id: String,
    content: Map<String, Value>,
    created: u64,
}

impl fmt::Debug for Vaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vaults(..)")
    }
}

impl Collection {
    fn named(name: &str) -> Option<Self> {
        match name {
            "secrets" => Some(Self::Secrets),
            "keys" => Some(Self::Keys),
            "certificates" => Some(Self::Certificates),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Keys => "keys",
            Self::Certificates => "certificates",
        }
    }

    /// As its errors name it: `SecretNotFound`.
    fn singular(self) -> &'static str {
        match self {
            Self::Secrets => "Secret",
            Self::Keys => "Key",
            Self::Certificates => "Certificate",
        }
    }
}

impl Vaults {
    /// The vault of the demo.
    pub(crate) fn contoso() -> Self {
        let vaults = Self::default();
        let mut vault = Vault::new();
        let secret = |value: &str| json!({ "value": value, "contentType": "text/plain" });
        put(&mut vault, Collection::Secrets, "db", secret("swordfish-in-the-harbour"));
        put(&mut vault, Collection::Secrets, "api-key", secret("a-key-for-an-api"));
        put(&mut vault, Collection::Secrets, "sql-password", secret(crate::sql::PASSWORD));
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let key = json!({ "key": { "kty": "EC", "crv": "P-256", "key_ops": ["sign", "verify"], "x": x, "y": y } });
        put(&mut vault, Collection::Keys, "signing", key);
        put(&mut vault, Collection::Certificates, "web", json!({ "cer": "MIIB", "x5t": "AAAA" }));
        vaults.0.lock().unwrap_or_else(PoisonError::into_inner).insert("contoso".to_owned(), vault);
        vaults
    }
}

fn put(vault: &mut Vault, collection: Collection, name: &str, content: Value) -> Version {
    let content = if let Value::Object(content) = content { content } else { Map::new() };
    let versions = vault.entry(collection).or_default().entry(name.to_owned()).or_default();
    let version = Version { id: format!("{:032x}", versions.len() + 1), content, created: now() };
    versions.push(version.clone());
    version
}

/// The audience of a cloud's vaults.
fn audience(host: &str) -> &'static str {
    match host {
        _ if host.ends_with(".vault.azure.cn") => "https://vault.azure.cn",
        _ if host.ends_with(".vault.usgovcloudapi.net") => "https://vault.usgovcloudapi.net",
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
        Some(vault) => act(vault, request),
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

fn act(vault: &mut Vault, request: &Received) -> Reply {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let [collection, rest @ ..] = segments.as_slice() else { return not_here() };
    let Some(collection) = Collection::named(collection) else { return not_here() };
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let objects = vault.get(&collection).into_iter().flatten();
            let items =
                objects.filter_map(|(name, versions)| Some(item(collection, request, name, versions.last()?, false)));
            page(request, items.collect())
        }
        ("GET", [name, "versions"]) => match versions(vault, collection, name) {
            Some(versions) => {
                let items = versions.iter().map(|version| item(collection, request, name, version, true));
                page(request, items.collect())
            }
            None => missing(collection, name),
        },
        ("GET", [name, "pending"]) => pending(request, name, 200),
        ("GET", [name]) => match versions(vault, collection, name).and_then(|versions| versions.last()) {
            Some(version) => Reply::json(200, &bundle(collection, request, name, version)),
            None => missing(collection, name),
        },
        ("GET", [name, version]) => {
            let versions = versions(vault, collection, name);
            match versions.and_then(|versions| versions.iter().find(|known| known.id == *version)) {
                Some(version) => Reply::json(200, &bundle(collection, request, name, version)),
                None => missing(collection, name),
            }
        }
        ("PUT", [name]) if collection == Collection::Secrets => match request.json().get("value") {
            Some(Value::String(_)) => {
                let version = put(vault, collection, name, request.json());
                Reply::json(200, &bundle(collection, request, name, &version))
            }
            _ => Reply::error(400, "BadParameter", "Property  value  is missing or not a string."),
        },
        ("POST", [name, "create"]) if collection == Collection::Certificates => {
            let location = format!("https://{}/certificates/{name}/pending?api-version=7.4", request.host);
            pending(request, name, 202).header("location", &location)
        }
        ("DELETE", [name]) => match vault.get_mut(&collection).and_then(|objects| objects.remove(*name)) {
            Some(versions) => match versions.last() {
                Some(version) => Reply::json(200, &bundle(collection, request, name, version)),
                None => missing(collection, name),
            },
            None => missing(collection, name),
        },
        _ => Reply::error(405, "MethodNotAllowed", "The method is not allowed."),
    }
}

fn versions<'v>(vault: &'v Vault, collection: Collection, name: &str) -> Option<&'v Vec<Version>> {
    vault.get(&collection)?.get(name)
}

fn id(collection: Collection, request: &Received, name: &str) -> String {
    format!("https://{}/{}/{name}", request.host, collection.name())
}

fn attributes(version: &Version) -> Value {
    json!({ "enabled": true, "created": version.created, "updated": version.created, "recoveryLevel": "Recoverable+Purgeable" })
}

/// An object whole.
fn bundle(collection: Collection, request: &Received, name: &str, version: &Version) -> Value {
    let mut bundle = version.content.clone();
    let id = format!("{}/{}", id(collection, request, name), version.id);
    match (collection, bundle.get_mut("key").and_then(Value::as_object_mut)) {
        (Collection::Keys, Some(key)) => drop(key.insert("kid".to_owned(), id.into())),
        _ => drop(bundle.insert("id".to_owned(), id.into())),
    }
    bundle.insert("attributes".to_owned(), attributes(version));
    Value::Object(bundle)
}

/// An object in a list: without its content.
fn item(collection: Collection, request: &Received, name: &str, version: &Version, with_version: bool) -> Value {
    let mut id = id(collection, request, name);
    if with_version {
        id.push_str(&format!("/{}", version.id));
    }
    let member = if collection == Collection::Keys { "kid" } else { "id" };
    json!({ member: id, "attributes": attributes(version) })
}

/// A page of a list, with a link to the next.
fn page(request: &Received, items: Vec<Value>) -> Reply {
    let size = request.query("maxresults").and_then(|size| size.parse().ok()).unwrap_or(PAGE).max(1);
    let skip: usize = request.query("$skiptoken").and_then(|skip| skip.parse().ok()).unwrap_or_default();
    let left = items.len().saturating_sub(skip + size);
    let next = (left > 0).then(|| {
        let version = request.query("api-version").unwrap_or_default();
        format!(
            "https://{}:443{}?api-version={version}&$skiptoken={}&maxresults={size}",
            request.host,
            request.path,
            skip + size
        )
    });
    let value: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
    Reply::json(200, &json!({ "value": value, "nextLink": next }))
}

fn pending(request: &Received, name: &str, status: u16) -> Reply {
    let id = format!("https://{}/certificates/{name}/pending", request.host);
    let state = if status == 202 { "inProgress" } else { "completed" };
    Reply::json(status, &json!({ "id": id, "status": state, "cancellation_requested": false }))
}

fn missing(collection: Collection, name: &str) -> Reply {
    let (kind, lower) = (collection.singular(), collection.singular().to_ascii_lowercase());
    let message = format!(
        "A {lower} with (name/id) {name} was not found in this key vault. If you recently deleted this {lower} you may be \
         able to recover it using the correct recovery command. For help resolving this issue, please see \
         https://go.microsoft.com/fwlink/?linkid=2125182"
    );
    Reply::error(404, &format!("{kind}NotFound"), &message)
}

fn not_here() -> Reply {
    Reply::error(404, "NotFound", "The emulator's vault has secrets, keys and certificates.")
}
