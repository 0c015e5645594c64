//! What only certificates have: a policy, an operation that makes them, and a key and a secret of the same name.
//!
//! Certificates are signed by their own key. With an issuer that is `Unknown`, an operation stays under way until it is
//! cancelled or deleted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::store::{Collection, Vault};
use super::{keys, objects, view};
use crate::exchange::{Received, Reply};

const PEM: &str = "application/x-pem-file";

/// An operation of certificates' own; `None` where a request is none.
pub(super) fn act(vault: &mut Vault, request: &Received, path: &[&str]) -> Option<Result<Reply, Refusal>> {
    Some(match (request.method.as_str(), path) {
        ("POST", [name, "create"]) => create(vault, request, name),
        ("POST", [name, "import"]) => import(vault, request, name),
        ("GET", [name, "pending"]) => pending(vault, request, name, 200),
        ("PATCH", [name, "pending"]) => cancel(vault, request, name),
        ("DELETE", [name, "pending"]) => delete_pending(vault, request, name),
        ("GET", [name, "policy"]) => policy(vault, request, name),
        ("PATCH", [name, "policy"]) => update_policy(vault, request, name),
        _ => return None,
    })
}

/// The policy of a certificate for this subject.
pub(super) fn default_policy(subject: &str) -> Value {
    json!({ "issuer": { "name": "Self" }, "x509_props": { "subject": subject } })
}

/// Makes a certificate, with its key and its secret. `asked` may have `attributes` and `tags`.
pub(super) fn make(vault: &mut Vault, name: &str, policy: &Value, asked: &Value) -> Result<(), String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = params(policy)?.self_signed(&key).map_err(|error| error.to_string())?;
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    keep(vault, name, certificate.der(), &key, pem, policy, asked).map_err(|refusal| format!("{refusal:?}"))
}

/// What a policy asks for.
fn params(policy: &Value) -> Result<CertificateParams, String> {
    let names = policy.pointer("/x509_props/sans/dns_names").and_then(Value::as_array);
    let names: Vec<String> = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut params = CertificateParams::new(names).map_err(|error| error.to_string())?;
    let subject = policy.pointer("/x509_props/subject").and_then(Value::as_str).unwrap_or_default();
    for part in subject.split(',') {
        let (name, value) = part.trim().split_once('=').unwrap_or_default();
        let name = match name {
            "CN" => DnType::CommonName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "C" => DnType::CountryName,
            "L" => DnType::LocalityName,
            _ => continue,
        };
        params.distinguished_name.push(name, value);
    }
    Ok(params)
}

/// Keeps a certificate, its key, and the secret that has both.
fn keep(
    vault: &mut Vault,
    name: &str,
    certificate: &CertificateDer<'_>,
    key: &KeyPair,
    pem: String,
    policy: &Value,
    asked: &Value,
) -> Result<(), Refusal> {
    for collection in [Collection::Certificates, Collection::Keys, Collection::Secrets] {
        vault.free(collection, name)?;
    }
    let (attributes, tags) = (asked.get("attributes"), asked.get("tags"));
    let thumbprint = keys::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref());
    let content = json!({ "cer": STANDARD.encode(certificate), "x5t": thumbprint, "contentType": PEM,
        "attributes": attributes, "tags": tags });
    let version = vault.put(Collection::Certificates, name, content)?;
    let curve = if key.der_bytes().len() > 65 { "P-384" } else { "P-256" };
    let public = keys::public(curve, key.der_bytes());
    let content = json!({ "key": public, "managed": true, "attributes": attributes });
    let managed_key = vault.put(Collection::Keys, name, content)?;
    let content = json!({ "value": pem, "contentType": PEM, "managed": true, "attributes": attributes });
    let secret = vault.put(Collection::Secrets, name, content)?;
    // All three have the same version.
    for (collection, made) in [(Collection::Keys, managed_key), (Collection::Secrets, secret)] {
        let versions = vault.get_mut(collection, name)?.versions.iter_mut();
        versions.filter(|known| known.id == made.id).for_each(|known| known.id.clone_from(&version.id));
    }
    vault.entry(Collection::Certificates, name).policy = Some(whole(policy));
    Ok(())
}

/// A policy with what it did not say.
fn whole(policy: &Value) -> Value {
    let mut policy = policy.clone();
    if let Some(members) = policy.as_object_mut() {
        members.insert(
            "key_props".to_owned(),
            json!({ "exportable": true, "kty": "EC", "crv": "P-256", "reuse_key": false }),
        );
        members.insert("secret_props".to_owned(), json!({ "contentType": PEM }));
        members.insert("attributes".to_owned(), json!({ "enabled": true }));
    }
    policy
}

/// Whether the emulator can make what a policy asks for.
fn check(policy: &Value) -> Result<(), Refusal> {
    if policy.pointer("/key_props/kty").and_then(Value::as_str).is_some_and(|kty| kty != "EC") {
        return Err(Refusal::bad("The emulator makes certificates with elliptic keys: key_props.kty must be EC."));
    }
    if policy.pointer("/secret_props/contentType").and_then(Value::as_str).is_some_and(|content| content != PEM) {
        return Err(Refusal::bad(format!("The emulator keeps certificates as PEM: contentType must be {PEM}.")));
    }
    Ok(())
}

fn create(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let asked = request.json();
    let Some(policy) = asked.get("policy").filter(|policy| policy.is_object()) else {
        return Err(Refusal::bad("Property policy is missing."));
    };
    check(policy)?;
    vault.free(Collection::Certificates, name)?;
    let issuer = policy.pointer("/issuer/name").and_then(Value::as_str).unwrap_or("Self");
    let unfinished = issuer == "Unknown";
    if !unfinished {
        make(vault, name, policy, &asked).map_err(Refusal::bad)?;
    }
    let csr = KeyPair::generate().and_then(|key| {
        let request = params(policy).map_err(|_| rcgen::Error::CouldNotParseCertificationRequest)?;
        Ok(STANDARD.encode(request.serialize_request(&key)?.der()))
    });
    let object = vault.entry(Collection::Certificates, name);
    object.policy.get_or_insert_with(|| whole(policy));
    object.pending = Some(json!({
        "issuer": { "name": issuer },
        "csr": csr.unwrap_or_default(),
        "cancellation_requested": false,
        "status": if unfinished { "inProgress" } else { "completed" },
        "request_id": format!("{:032x}", object.versions.len()),
    }));
    let id = view::id(Collection::Certificates, request, name);
    let location = format!("{id}/pending?api-version=7.4");
    Ok(pending(vault, request, name, 202)?.header("location", &location))
}

fn import(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let asked = request.json();
    let value = asked.get("value").and_then(Value::as_str).unwrap_or_default();
    // Some clients send PEM in base64, as they send other formats.
    let decoded = STANDARD.decode(value).ok().and_then(|decoded| String::from_utf8(decoded).ok());
    let pem = decoded.unwrap_or_else(|| value.to_owned());
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
    let key = KeyPair::from_pem(&pem);
    let (Ok(certificate), Ok(key)) = (certificate, key) else {
        return Err(Refusal::bad("Property value is not a certificate and its elliptic key in PEM."));
    };
    let policy = asked.get("policy").cloned().unwrap_or_else(|| json!({}));
    check(&policy)?;
    keep(vault, name, &certificate, &key, pem, &policy, &asked)?;
    objects::newest(vault, Collection::Certificates, request, name)
}

/// The operation that makes a certificate. At first it is always under way.
fn pending(vault: &Vault, request: &Received, name: &str, status: u16) -> Result<Reply, Refusal> {
    let object = vault.get(Collection::Certificates, name)?;
    let mut pending = object.pending.clone().ok_or_else(|| Refusal::pending(name))?;
    if let Some(members) = pending.as_object_mut() {
        let id = view::id(Collection::Certificates, request, name);
        members.insert("id".to_owned(), format!("{id}/pending").into());
        if status == 202 {
            members.insert("status".to_owned(), "inProgress".into());
        } else if members.get("status") == Some(&json!("completed")) {
            members.insert("target".to_owned(), id.into());
        }
    }
    Ok(Reply::json(status, &pending))
}

fn cancel(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let wish = request.json().get("cancellation_requested").and_then(Value::as_bool);
    let wish = wish.ok_or_else(|| Refusal::bad("Property cancellation_requested is missing."))?;
    let pending_operation = vault.get_mut(Collection::Certificates, name)?.pending.as_mut();
    let members = pending_operation.and_then(Value::as_object_mut).ok_or_else(|| Refusal::pending(name))?;
    members.insert("cancellation_requested".to_owned(), wish.into());
    pending(vault, request, name, 200)
}

fn delete_pending(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let reply = pending(vault, request, name, 200)?;
    vault.get_mut(Collection::Certificates, name)?.pending = None;
    Ok(reply)
}

fn policy(vault: &Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let object = vault.get(Collection::Certificates, name)?;
    Ok(view::policy(Collection::Certificates, request, (name, object), "policy", json!({})))
}

fn update_policy(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let update = request.json();
    let Some(update) = update.as_object() else { return Err(Refusal::bad("The policy is missing.")) };
    let object = vault.get_mut(Collection::Certificates, name)?;
    let policy = object.policy.get_or_insert_with(|| json!({}));
    if let Some(members) = policy.as_object_mut() {
        members.extend(update.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())));
    }
    self::policy(vault, request, name)
}
