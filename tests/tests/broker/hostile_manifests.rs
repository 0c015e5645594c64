//! Manifests with excessive declarations. A manifest grants nothing: each of these is rejected
//! before the plugin runs, with the line that permits it.

use std::path::Path;

use keyward::{CallError, Plan, Plugins};
use keyward_policy::config::Config;
use keyward_tests::{Rig, get, guest_with_manifest};

/// A plugin's manifest with one audience of its own.
fn own(resource: &str, hosts: &str) -> String {
    format!(
        "name = \"weather\"\nsummary = \"The weather\"\n[audience.api]\nresource = \
         {resource:?}\nhosts = [{hosts}]\n"
    )
}

/// A component that consists of a manifest.
pub(crate) fn component(manifest: &str) -> Vec<u8> {
    let mut section = vec![16];
    section.extend(b"keyward:manifest");
    section.extend(manifest.as_bytes());
    let mut bytes = b"\0asm\x0d\0\x01\0\0".to_vec();
    let mut length = section.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(section);
    bytes
}

/// Plans a mount `weather` of a plugin with this manifest. `lines` follow the line that names the
/// plugin.
fn plan(top: &str, manifest: &str, lines: &str) -> Result<Plan, String> {
    let plugins = Plugins::new().with("weather", component(manifest));
    let text = format!(
        "{top}\n[identity.default]\nsource = \"imds\"\n[mount.weather]\nplugin = \
         \"weather\"\n{lines}\n"
    );
    let config =
        Config::from_toml(Path::new("keyward.toml"), &text).map_err(|error| error.to_string())?;
    keyward::plan(config, &plugins).map_err(|error| error.to_string())
}

fn rejection(top: &str, manifest: &str, lines: &str) -> String {
    match plan(top, manifest, lines) {
        Ok(plan) => panic!("granted: {:?}", plan.mounts[0].grants),
        Err(error) => error,
    }
}

const WEATHER: &str = "\"api.weather.example\"";
const BOTH: &str = "endpoint = \"https://api.weather.example\"\nresource = ";

/// A mount that restates the declarations of the manifest.
fn restating(resource: &str) -> String {
    format!("{BOTH}{resource:?}")
}

#[test]
fn a_token_for_resource_manager_is_not_sent_to_the_authors_host() {
    let manifest = own("https://management.azure.com/", WEATHER);
    let error = rejection("", &manifest, "");
    insta::assert_snapshot!(error);
    assert_eq!(rejection("", &manifest, "endpoint = \"https://api.weather.example\""), error);
    assert_eq!(
        rejection("", &manifest, &restating("https://management.azure.com/")),
        error,
        "restating does not help"
    );
}

#[test]
fn no_other_spelling_of_an_azure_audience_is_sent_to_the_authors_host() {
    for resource in [
        "https://management.azure.com",
        "https://Management.Azure.Com/",
        "https://management.azure.com:443/",
        "https://management.azure%2Ecom/",
        "https://management.azure%252ecom/",
        "https://management.azure.com./",
        "https://me@management.azure.com/",
        "https://management.azure.com/.default",
        "http://management.azure.com/",
        "management.azure.com",
        "spn:https://management.azure.com",
    ] {
        let error = rejection("", &own(resource, WEATHER), &restating(resource));
        assert!(
            error.contains(
                "of the service `arm`, whose tokens are sent only to management.azure.com"
            ),
            "{resource}: {error}"
        );
    }
}

#[test]
fn the_former_audience_of_resource_manager_is_known() {
    for resource in ["https://management.core.windows.net/", "https://management.core.windows.net"]
    {
        let error = rejection("", &own(resource, WEATHER), &restating(resource));
        assert!(error.contains("of the service `arm`"), "{resource}: {error}");
    }
}

#[test]
fn the_audience_of_one_storage_account_belongs_to_azure() {
    let resource = "https://contoso.blob.core.windows.net";
    let error = rejection("", &own(resource, WEATHER), &restating(resource));
    assert!(error.contains("of the service `blob`"), "{error}");
}

#[test]
fn an_audience_of_another_cloud_is_granted_nowhere() {
    for (resource, host, service) in [
        ("https://management.chinacloudapi.cn/", "management.chinacloudapi.cn", "arm"),
        ("https://vault.usgovcloudapi.net", "contoso.vault.usgovcloudapi.net", "vault"),
    ] {
        let lines = format!("endpoint = \"https://{host}\"\nresource = {resource:?}");
        let error = rejection("", &own(resource, &format!("{host:?}")), &lines);
        assert!(error.contains(&format!("the service `{service}` of another cloud")), "{error}");
    }
}

#[test]
fn a_host_pattern_is_restricted_to_the_services_hosts() {
    let manifest = own("https://vault.azure.net", "\"*.*.azure.net\", \"api.weather.example\"");
    let lines = |host: &str| {
        format!("endpoint = \"https://{host}\"\nresource = \"https://vault.azure.net\"")
    };
    assert!(plan("", &manifest, &lines("contoso.vault.azure.net")).is_ok());
    for host in ["contoso.evil.azure.net", "api.weather.example"] {
        let error = rejection("", &manifest, &lines(host));
        assert!(error.contains("is not a host of the audience https://vault.azure.net"), "{error}");
        assert!(error.contains("a host like *.vault.azure.net\n"), "{error}");
    }
    let redirects = "redirects = [\"https://api.weather.example\", \
                     \"https://contoso.evil.azure.net\", \"https://b.vault.azure.net\"]";
    let plan =
        plan("", &manifest, &format!("{}\n{redirects}", lines("contoso.vault.azure.net"))).unwrap();
    let takes_token =
        plan.mounts[0].grants[0].redirects.iter().map(|redirect| redirect.takes_token);
    assert_eq!(
        takes_token.collect::<Vec<_>>(),
        [false, false, true],
        "only a vault gets the tokens of vaults"
    );
}

#[test]
fn services_that_share_an_audience_share_their_hosts_within_one_cloud() {
    let manifest = own(
        "https://storage.azure.com/",
        "\"*.dfs.core.windows.net\", \"*.blob.core.chinacloudapi.cn\"",
    );
    let lines = |host: &str| {
        format!("endpoint = \"https://{host}\"\nresource = \"https://storage.azure.com/\"")
    };
    assert!(plan("", &manifest, &lines("contoso.dfs.core.windows.net")).is_ok());
    rejection("", &manifest, &lines("contoso.blob.core.chinacloudapi.cn"));
    rejection("cloud = \"china\"", &manifest, &lines("contoso.dfs.core.windows.net"));
    assert!(
        plan("cloud = \"china\"", &manifest, &lines("contoso.blob.core.chinacloudapi.cn")).is_ok()
    );
}

#[test]
fn a_mount_alone_cannot_grant_an_application_id() {
    const GUID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
    insta::assert_snapshot!(rejection("", &own(GUID, WEATHER), &restating(GUID)));
    for resource in [
        format!("api://{GUID}"),
        GUID.to_uppercase(),
        format!("spn:{GUID}"),
        format!("api://{GUID}/x"),
    ] {
        let error = rejection("", &own(&resource, WEATHER), &restating(&resource));
        assert!(error.contains("which is an application ID"), "{resource}: {error}");
    }
}

#[test]
fn a_configured_service_grants_an_application_id_at_its_hosts() {
    const GUID: &str = "api://00001111-aaaa-2222-bbbb-3333cccc4444";
    let top = |host: &str| {
        format!(
            "[cloud]\nbase = \"public\"\n[cloud.service.weather]\naudience = {GUID:?}\nhosts = \
             [{host:?}]"
        )
    };
    assert!(plan(&top("api.weather.example"), &own(GUID, WEATHER), &restating(GUID)).is_ok());
    let error = rejection(&top("other.weather.example"), &own(GUID, WEATHER), &restating(GUID));
    assert!(
        error.contains(
            "of the service `weather`, whose tokens are sent only to other.weather.example"
        ),
        "{error}"
    );
    let by_name = "name = \"weather\"\n[audience.api]\ncloud = \"weather\"\n";
    assert!(
        plan(&top("api.weather.example"), by_name, "").is_ok(),
        "a manifest may name the service"
    );
}

#[test]
fn a_mount_alone_cannot_grant_an_audience_that_is_not_a_plain_url() {
    for resource in [
        "api://weather",
        "https://api.weather.example:443/",
        "https://API.weather.example",
        "weather",
    ] {
        let error = rejection("", &own(resource, WEATHER), &restating(resource));
        assert!(error.contains("[cloud.service.weather]"), "{resource}: {error}");
    }
}

#[test]
fn a_checksum_alone_does_not_grant_an_audience_of_the_manifests_own() {
    let manifest = own("https://api.weather.example", WEATHER);
    insta::assert_snapshot!(rejection("", &manifest, ""));
    for lines in
        ["endpoint = \"https://api.weather.example\"", "resource = \"https://api.weather.example\""]
    {
        assert!(rejection("", &manifest, lines).contains("must restate both"), "{lines}");
    }
    let plan = plan("", &manifest, &restating("https://api.weather.example")).unwrap();
    assert!(plan.mounts[0].grants[0].restated);
}

#[test]
fn a_restated_resource_must_match_the_manifest_exactly() {
    let manifest = own("https://api.weather.example", WEATHER);
    for resource in ["https://api.weather.example/", "https://other.weather.example"] {
        let error = rejection("", &manifest, &restating(resource));
        assert!(error.contains("its plugin requests https://api.weather.example"), "{error}");
    }
}

#[test]
fn another_audience_is_restated_in_its_own_section() {
    let manifest = "name = \"weather\"\n[audience.vault]\ncloud = \"vault\"\n[audience.api]\n\
                    resource = \"https://api.weather.example\"\nhosts = \
                    [\"api.weather.example\"]\noptional = true\n";
    let vault = "endpoint = \"https://contoso.vault.azure.net\"\n";
    let granted = plan("", manifest, vault).unwrap();
    assert_eq!(granted.mounts[0].grants.len(), 1, "without a section it is not granted");
    // What the mount's own section says is for its first audience.
    let error =
        rejection("", manifest, &format!("{vault}resource = \"https://api.weather.example\""));
    assert!(
        error.contains("is not the resource of the audience `vault`, which is a service of the"),
        "{error}"
    );
    insta::assert_snapshot!(rejection(
        "",
        manifest,
        &format!("{vault}[mount.weather.audience.api]")
    ));
    let section = format!(
        "{vault}[mount.weather.audience.api]\n{}",
        restating("https://api.weather.example")
    );
    assert_eq!(plan("", manifest, &section).unwrap().mounts[0].grants.len(), 2);
}

#[tokio::test]
async fn a_restated_pair_works_only_at_its_host() {
    let manifest = "name=\"own\"\n[audience.vault]\nresource=\"https://vault.azure.net\"\n\
                    hosts=[\"*.vault.azure.net\"]";
    let rig = Rig::of(guest_with_manifest("reads", manifest))
        .mount_lines("resource = \"https://vault.azure.net\"");
    let rig = rig.start().await;
    let response = rig.call(get("/secrets/db?api-version=7.4", &[])).await;
    assert!(
        response.status == 200 && response.text().contains("swordfish"),
        "{} {}",
        response.status,
        response.text()
    );
    rig.assert_no_token_in(&response);

    let rig = Rig::of(guest_with_manifest("elsewhere", manifest))
        .mount_lines("resource = \"https://vault.azure.net\"");
    let rig = rig.start().await;
    let response = rig.call(get("/", &[("x-authority", "other.vault.azure.net")])).await;
    assert!(
        matches!(response.error, Some(CallError::Violation { .. })),
        "{} {}",
        response.status,
        response.text()
    );
    rig.assert_no_token_in(&response);
}
