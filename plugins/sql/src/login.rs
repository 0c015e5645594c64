//! The mount's database and the credential for its login.

use keyward_plugin::sql::Credential;
use keyward_plugin::{Context, Method, Outgoing, Problem};
use serde_json::Value;

use crate::problem::Login;

const API_VERSION: &str = "7.4";

/// The maximum length of Key Vault's response, in bytes. A secret has at most 25 KB.
const MAX_RESPONSE: usize = 128 << 10;

/// Returns the database and the credential for it. Secrets in the credential are surrogates.
pub(crate) fn credential(cx: &Context) -> Result<(Login, Credential), Problem> {
    let database = required(cx, "database", "orders", "the mount has no database")?;
    if cx.setting("auth").as_deref() != Some("password") {
        return Ok((Login { database, user: None }, Credential::from(cx.token("sql")?)));
    }
    let why = "`auth = \"password\"` requires it";
    let user = required(cx, "user", "app", why)?;
    let secret = required(cx, "password_secret", "sql-password", why)?;
    let password = password(&secret, cx)?;
    Ok((Login { database, user: Some(user.clone()) }, Credential::Password { user, password }))
}

fn required(cx: &Context, setting: &str, example: &str, why: &str) -> Result<String, Problem> {
    cx.setting(setting).filter(|value| !value.is_empty()).ok_or_else(|| {
        let detail =
            format!("{why}: add `{setting} = \"{example}\"` to the settings of this mount");
        Problem::new(500, "setting-missing", "A setting of this mount is missing", detail)
            .with("setting", setting)
    })
}

/// Reads a secret from Key Vault and returns its surrogate.
fn password(secret: &str, cx: &Context) -> Result<String, Problem> {
    let is_name = |name: &str| {
        (1..=127).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (name, version) =
        secret.split_once('/').map_or((secret, None), |(name, version)| (name, Some(version)));
    if !is_name(name) || !version.is_none_or(is_name) {
        let detail = format!(
            "`password_secret = {secret:?}` in the settings of this mount is neither NAME nor \
             NAME/VERSION"
        );
        return Err(Problem::internal(detail));
    }
    let path = format!("/secrets/{secret}?api-version={API_VERSION}");
    let mut outgoing = Outgoing::new(Method::Get, &cx.endpoint("vault")?, &path);
    outgoing.authorize(&cx.token("vault")?)?;
    let response = cx.send(outgoing)?;

    let (status, retry_after) = (response.status, response.headers.get("retry-after"));
    let body: Value =
        serde_json::from_slice(&response.body.into_bytes(MAX_RESPONSE)?).unwrap_or_default();
    match body.get("value").and_then(Value::as_str) {
        Some(value) if status == 200 => Ok(value.to_owned()),
        _ => Err(vault_error(status, secret, &body, retry_after)),
    }
}

/// The problem of an unsuccessful response from Key Vault.
fn vault_error(status: u16, secret: &str, body: &Value, retry_after: Option<String>) -> Problem {
    let text = |pointer: &str| {
        body.pointer(pointer).and_then(Value::as_str).unwrap_or("no reason").to_owned()
    };
    let advice = match status {
        401 | 403 => {
            ". The mount's identity needs the role Key Vault Secrets User on the vault or the \
             secret, and the vault's firewall must allow this machine"
        }
        404 => ". Compare `password_secret` in the mount's settings with the secrets of the vault",
        _ => "",
    };
    let (code, message) = (text("/error/code"), text("/error/message"));
    let detail = format!(
        "the Key Vault returned no password for the secret {secret:?} ({status} {code}): \
         {message}{advice}"
    );
    let problem = match status {
        401 | 403 => Problem::new(
            403,
            "password-refused",
            "The Key Vault denied access to the password",
            detail,
        ),
        429 | 503 => Problem::new(503, "password-throttled", "The Key Vault is busy", detail),
        _ => Problem::new(502, "password-failed", "The Key Vault returned no password", detail),
    };
    match retry_after.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => problem.with_retry_after(seconds),
        None => problem,
    }
}
