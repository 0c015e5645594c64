//! The operations of certificates alone: policies, and the operation that creates a certificate
//! with a key and a secret of the same name.
//!
//! Certificates are self-signed. With the issuer `Unknown` an operation stays in progress until it
//! is cancelled or deleted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::collection::Collection;
use super::vault_error::VaultError;
use super::vault_store::Vault;
use super::{keys, object_json, objects};
use crate::messages::{Request, Response};

const PEM: &str = "application/x-pem-file";

/// Runs an operation that only certificates have; `None` if the request is not one.
pub(super) fn dispatch(
    vault: &mut Vault,
    request: &Request,
    path: &[&str],
) -> Option<Result<Response, VaultError>> {
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

/// The policy of a self-signed certificate with this subject.
pub(super) fn default_policy(subject: &str) -> Value {
    json!({ "issuer": { "name": "Self" }, "x509_props": { "subject": subject } })
}

/// Creates a certificate, with its key and its secret. `body` may have `attributes` and `tags`.
pub(super) fn create_self_signed(
    vault: &mut Vault,
    name: &str,
    policy: &Value,
    body: &Value,
) -> Result<(), String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = params(policy)?.self_signed(&key).map_err(|error| error.to_string())?;
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    store(vault, name, certificate.der(), &key, pem, policy, body)
        .map_err(|error| format!("{error:?}"))
}

/// The parameters of a certificate with this policy.
fn params(policy: &Value) -> Result<CertificateParams, String> {
    let names = policy.pointer("/x509_props/sans/dns_names").and_then(Value::as_array);
    let names: Vec<String> =
        names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
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

/// Stores a certificate, its key, and the secret that contains both.
fn store(
    vault: &mut Vault,
    name: &str,
    certificate: &CertificateDer<'_>,
    key: &KeyPair,
    pem: String,
    policy: &Value,
    body: &Value,
) -> Result<(), VaultError> {
    for collection in [Collection::Certificates, Collection::Keys, Collection::Secrets] {
        vault.check_name(collection, name)?;
    }
    let (attributes, tags) = (body.get("attributes"), body.get("tags"));
    let thumbprint = keys::base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref());
    let content = json!({
        "cer": STANDARD.encode(certificate),
        "x5t": thumbprint,
        "contentType": PEM,
        "attributes": attributes,
        "tags": tags,
    });
    let version = vault.put(Collection::Certificates, name, content)?;
    let curve = if key.der_bytes().len() > 65 { "P-384" } else { "P-256" };
    let public = keys::public(curve, key.der_bytes());
    let content = json!({ "key": public, "managed": true, "attributes": attributes });
    let managed_key = vault.put(Collection::Keys, name, content)?;
    let content =
        json!({ "value": pem, "contentType": PEM, "managed": true, "attributes": attributes });
    let secret = vault.put(Collection::Secrets, name, content)?;
    // All three have the same version.
    for (collection, created) in [(Collection::Keys, managed_key), (Collection::Secrets, secret)] {
        let versions = vault.get_mut(collection, name)?.versions.iter_mut();
        versions
            .filter(|known| known.id == created.id)
            .for_each(|known| known.id.clone_from(&version.id));
    }
    vault.entry(Collection::Certificates, name).policy = Some(with_defaults(policy));
    Ok(())
}

/// A policy with the defaults of what it leaves out.
fn with_defaults(policy: &Value) -> Value {
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

/// Whether the emulator supports a policy.
fn check_policy(policy: &Value) -> Result<(), VaultError> {
    if policy.pointer("/key_props/kty").and_then(Value::as_str).is_some_and(|kty| kty != "EC") {
        return Err(VaultError::bad_parameter(
            "The emulator supports elliptic curve keys only: key_props.kty must be EC.",
        ));
    }
    if policy
        .pointer("/secret_props/contentType")
        .and_then(Value::as_str)
        .is_some_and(|content| content != PEM)
    {
        return Err(VaultError::bad_parameter(format!(
            "The emulator stores certificates as PEM: contentType must be {PEM}."
        )));
    }
    Ok(())
}

fn create(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let body = request.json();
    let Some(policy) = body.get("policy").filter(|policy| policy.is_object()) else {
        return Err(VaultError::bad_parameter("Property policy is missing."));
    };
    check_policy(policy)?;
    vault.check_name(Collection::Certificates, name)?;
    let issuer = policy.pointer("/issuer/name").and_then(Value::as_str).unwrap_or("Self");
    let in_progress = issuer == "Unknown";
    if !in_progress {
        create_self_signed(vault, name, policy, &body).map_err(VaultError::bad_parameter)?;
    }
    let csr = KeyPair::generate().and_then(|key| {
        let request =
            params(policy).map_err(|_| rcgen::Error::CouldNotParseCertificationRequest)?;
        Ok(STANDARD.encode(request.serialize_request(&key)?.der()))
    });
    let object = vault.entry(Collection::Certificates, name);
    object.policy.get_or_insert_with(|| with_defaults(policy));
    object.pending = Some(json!({
        "issuer": { "name": issuer },
        "csr": csr.unwrap_or_default(),
        "cancellation_requested": false,
        "status": if in_progress { "inProgress" } else { "completed" },
        "request_id": format!("{:032x}", object.versions.len()),
    }));
    let id = object_json::id(Collection::Certificates, request, name);
    let location = format!("{id}/pending?api-version=7.4");
    Ok(pending(vault, request, name, 202)?.header("location", &location))
}

fn import(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let body = request.json();
    let value = body.get("value").and_then(Value::as_str).unwrap_or_default();
    // Some clients encode PEM in base64, as other formats.
    let decoded = STANDARD.decode(value).ok().and_then(|decoded| String::from_utf8(decoded).ok());
    let pem = decoded.unwrap_or_else(|| value.to_owned());
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
    let key = KeyPair::from_pem(&pem);
    let (Ok(certificate), Ok(key)) = (certificate, key) else {
        return Err(VaultError::bad_parameter(
            "Property value is not a certificate and its elliptic curve key in PEM.",
        ));
    };
    let policy = body.get("policy").cloned().unwrap_or_else(|| json!({}));
    check_policy(&policy)?;
    store(vault, name, &certificate, &key, pem, &policy, &body)?;
    objects::latest(vault, Collection::Certificates, request, name)
}

/// The operation that creates a certificate. The first response says that it is in progress.
fn pending(
    vault: &Vault,
    request: &Request,
    name: &str,
    status: u16,
) -> Result<Response, VaultError> {
    let object = vault.get(Collection::Certificates, name)?;
    let mut pending = object.pending.clone().ok_or_else(|| VaultError::pending_not_found(name))?;
    if let Some(members) = pending.as_object_mut() {
        let id = object_json::id(Collection::Certificates, request, name);
        members.insert("id".to_owned(), format!("{id}/pending").into());
        if status == 202 {
            members.insert("status".to_owned(), "inProgress".into());
        } else if members.get("status") == Some(&json!("completed")) {
            members.insert("target".to_owned(), id.into());
        }
    }
    Ok(Response::json(status, &pending))
}

fn cancel(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let requested = request.json().get("cancellation_requested").and_then(Value::as_bool);
    let requested = requested
        .ok_or_else(|| VaultError::bad_parameter("Property cancellation_requested is missing."))?;
    let pending_operation = vault.get_mut(Collection::Certificates, name)?.pending.as_mut();
    let members = pending_operation
        .and_then(Value::as_object_mut)
        .ok_or_else(|| VaultError::pending_not_found(name))?;
    members.insert("cancellation_requested".to_owned(), requested.into());
    pending(vault, request, name, 200)
}

fn delete_pending(
    vault: &mut Vault,
    request: &Request,
    name: &str,
) -> Result<Response, VaultError> {
    let response = pending(vault, request, name, 200)?;
    vault.get_mut(Collection::Certificates, name)?.pending = None;
    Ok(response)
}

fn policy(vault: &Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let object = vault.get(Collection::Certificates, name)?;
    Ok(object_json::policy(Collection::Certificates, request, (name, object), "policy", json!({})))
}

fn update_policy(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let update = request.json();
    let Some(update) = update.as_object() else {
        return Err(VaultError::bad_parameter("The policy is missing."));
    };
    let object = vault.get_mut(Collection::Certificates, name)?;
    let policy = object.policy.get_or_insert_with(|| json!({}));
    if let Some(members) = policy.as_object_mut() {
        members.extend(
            update
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(k, v)| (k.clone(), v.clone())),
        );
    }
    self::policy(vault, request, name)
}
