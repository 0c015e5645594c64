//! Manifests that do not seal the secrets of a further Key Vault. They are sealed anyway, unless
//! the operator unseals them.

use std::path::Path;

use keyward::{CallError, Plan, Plugins, SURROGATE_PREFIX};
use keyward_policy::config::Config;
use keyward_policy::manifest::SpendPlace;
use keyward_tests::{CallResponse, Rig, get, guest_with_manifest};

const SECRET: &str = "correct-horse";

/// A guest that may open databases, whose vault seals just this.
fn with_seal(seal: &str) -> Vec<u8> {
    let vault = format!("[audience.vault]\ncloud = \"vault\"\noptional = true\n{seal}\n");
    guest_with_manifest(
        "database",
        &format!("name = \"guest\"\n[audience.sql]\ncloud = \"sql\"\n{vault}"),
    )
}

async fn act(rig: &Rig, steps: &str) -> CallResponse {
    rig.call(get("/", &[("x-do", steps)])).await
}

async fn assert_sealed(seal: &str) {
    let rig = Rig::database_of(with_seal(seal), "").start().await;
    let response = act(&rig, "secret sql-password").await;
    let text = response.text();
    assert!(
        text.starts_with(&format!("secret: {SURROGATE_PREFIX}")) && !text.contains(SECRET),
        "{text}"
    );
    assert!(!String::from_utf8_lossy(&response.body).contains(SECRET), "not in its memory either");
    let response = act(&rig, "login app sql-password | open shop").await;
    assert_eq!(response.text(), "login: ok\nopen: ok\n", "it is spent at the database");
}

#[tokio::test]
async fn a_secret_that_the_manifest_does_not_seal_is_sealed() {
    assert_sealed("").await;
}

#[tokio::test]
async fn a_secret_is_sealed_although_the_manifest_seals_another_field() {
    assert_sealed("seal = [{ field = \"/id\", spend = \"sql\", as = \"login-password\" }]").await;
}

#[tokio::test]
async fn a_sealed_secret_is_only_a_password_although_the_manifest_says_query() {
    assert_sealed("seal = [{ field = \"/value\", spend = \"sql\", as = \"query\" }]").await;
    let rig =
        Rig::database_of(with_seal("seal = [{field=\"/value\",spend=\"vault\",as=\"query\"}]"), "")
            .start()
            .await;
    let response = act(&rig, "spend-in-query sql-password").await;
    assert!(
        matches!(response.error, Some(CallError::Violation { .. })),
        "{:?} {}",
        response.error,
        response.text()
    );
    assert!(rig.emulator.log().for_service("vault").iter().all(|seen| !seen.path.contains(SECRET)));
}

#[tokio::test]
async fn only_the_operator_can_unseal_secrets() {
    // The line belongs to the vault's section, which is the last of the mount.
    let rig = Rig::database_of(with_seal(""), "").sections("unseal = true").start().await;
    let text = act(&rig, "secret sql-password").await.text();
    assert!(text.contains(SECRET), "{text}");
}

#[tokio::test]
async fn the_error_about_an_unsealable_response_names_unseal() {
    let rig = Rig::database_of(with_seal(""), "").start().await;
    rig.emulator.faults().status("vault", 200, &[], "{\"id\":\"a certificate\"}");
    let response = act(&rig, "secret sql-password").await;
    let error = response.error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(
        matches!(response.error, Some(CallError::Unsealable { .. })),
        "{:?} {}",
        response.error,
        response.text()
    );
    assert!(error.contains("`unseal = true` in [mount.database.audience.vault]"), "{error}");
}

/// A mount of a plugin whose first audience is the author's own, and whose second is a vault.
fn plan(vault: &str, lines: &str) -> Result<Plan, String> {
    let host = if vault.contains("blob") {
        "contoso.blob.core.windows.net"
    } else {
        "contoso.vault.azure.net"
    };
    let manifest = format!(
        "name = \"weather\"\n[audience.api]\nresource = \"https://api.weather.example\"\n\
         hosts = [\"api.weather.example\"]\n[audience.keys]\n{vault}\n"
    );
    let mut component = b"\0asm\x0d\0\x01\0\0".to_vec();
    let length = 17 + manifest.len();
    component.extend([
        u8::try_from(length & 0x7f).unwrap() | 0x80,
        u8::try_from(length >> 7).unwrap(),
        16,
    ]);
    component.extend(b"keyward:manifest");
    component.extend(manifest.as_bytes());
    let text = format!(
        "[identity.default]\nsource = \"imds\"\n[mount.m]\nplugin = \"weather\"\n\
         endpoint = \"https://api.weather.example\"\nresource = \"https://api.weather.example\"\n\
         [mount.m.audience.keys]\nendpoint = \"https://{host}\"\n{lines}\n"
    );
    let config =
        Config::from_toml(Path::new("keyward.toml"), &text).map_err(|error| error.to_string())?;
    keyward::plan(config, &Plugins::new().with("weather", component))
        .map_err(|error| error.to_string())
}

#[test]
fn a_sealed_secret_is_not_sent_to_the_authors_host() {
    let seal = "cloud = \"vault\"\nseal = [{ field = \"/value\", spend = \"api\", as = \"query\", \
                keep = \"15m\" }]";
    let plan = plan(seal, "").unwrap();
    let [seal] = plan.mounts[0].grants[1].seals.as_slice() else {
        panic!("{:?}", plan.mounts[0].grants)
    };
    assert_eq!(
        (seal.field.as_str(), seal.spend.as_deref(), seal.place),
        ("/value", None, SpendPlace::LoginPassword)
    );
    assert!(seal.imposed);
}

#[test]
fn a_vault_is_sealed_whatever_the_manifest_calls_it() {
    let own = "resource = \"https://vault.azure.net\"\nhosts = [\"*.vault.azure.net\"]";
    let plan = plan(own, "resource = \"https://vault.azure.net\"").unwrap();
    let seals = &plan.mounts[0].grants[1].seals;
    assert!(seals.iter().any(|seal| seal.field == "/value" && seal.imposed), "{seals:?}");
}

#[test]
fn unseal_is_rejected_if_nothing_is_sealed() {
    let granted = plan("cloud = \"vault\"", "unseal = true").unwrap();
    assert!(granted.mounts[0].grants[1].unsealed && granted.mounts[0].grants[1].seals.is_empty());
    insta::assert_snapshot!(plan("cloud = \"blob\"", "unseal = true").unwrap_err());
}
