//! The hosts of each service in each cloud: which endpoints a mount may have, and that they work.

use std::path::Path;

use http::Request;
use keyward::{Plan, Plugins};
use keyward_policy::config::Config;
use keyward_tests::{Rig, get, post};
use serde_json::json;

use crate::hostile_manifests::component;

/// The manifest of a bundled plugin.
fn manifest(plugin: &str) -> &'static str {
    match plugin {
        "adls" => include_str!("../../../plugins/adls/manifest.toml"),
        "arm" => include_str!("../../../plugins/arm/manifest.toml"),
        "keyvault" => include_str!("../../../plugins/keyvault/manifest.toml"),
        "sql" => include_str!("../../../plugins/sql/manifest.toml"),
        "storage" => include_str!("../../../plugins/storage/manifest.toml"),
        other => panic!("{other} is not bundled"),
    }
}

/// Plans a mount of a bundled plugin at this endpoint.
fn plan(cloud: &str, plugin: &str, endpoint: &str) -> Result<Plan, String> {
    let text = format!(
        "cloud = {cloud:?}\n[identity.default]\nsource = \"imds\"\n\
         [mount.m]\nplugin = {plugin:?}\nendpoint = {endpoint:?}\n{}",
        if plugin == "sql" { "[mount.m.settings]\ndatabase = \"shop\"\n" } else { "" }
    );
    // Planning needs only the manifest.
    let plugins = Plugins::new().with(plugin, component(manifest(plugin)));
    let config = Config::from_toml(Path::new("keyward.toml"), &text);
    config.and_then(|config| keyward::plan(config, &plugins)).map_err(|error| error.to_string())
}

fn audience(cloud: &str, plugin: &str, endpoint: &str) -> String {
    let plan = plan(cloud, plugin, endpoint).unwrap_or_else(|error| panic!("{error}"));
    plan.mounts[0].grants[0].audience.to_string()
}

/// Asserts that an endpoint is rejected because it is not a host of the service.
fn assert_rejected(cloud: &str, plugin: &str, endpoint: &str) {
    let error = match plan(cloud, plugin, endpoint) {
        Ok(_) => panic!("{endpoint} is a host in {cloud}"),
        Err(error) => error,
    };
    assert!(error.contains("keyward.toml:6:12:"), "{endpoint}: {error}");
}

/// The domain of SQL in each cloud, that of Synapse, and the audience of both.
const SQL: [(&str, &str, &str, &str); 3] = [
    ("public", "database.windows.net", "sql.azuresynapse.net", "https://database.windows.net/"),
    (
        "china",
        "database.chinacloudapi.cn",
        "sql.azuresynapse.azure.cn",
        "https://database.chinacloudapi.cn/",
    ),
    (
        "usgov",
        "database.usgovcloudapi.net",
        "sql.azuresynapse.usgovcloudapi.net",
        "https://database.usgovcloudapi.net/",
    ),
];

const ZONE: &str = "a1b2c3d4e5f6";

#[test]
fn managed_instances_and_synapse_are_hosts_of_sql_in_every_cloud() {
    for (cloud, sql, synapse, expected) in SQL {
        for endpoint in [
            format!("sqlserver://contoso.{sql}"),
            format!("sqlserver://contoso.secondary.{sql}"),
            format!("sqlserver://contoso.{ZONE}.{sql}"),
            format!("sqlserver://contoso.{ZONE}.{sql}:1433"),
            format!("sqlserver://contoso.public.{ZONE}.{sql}:3342"),
            format!("sqlserver://contoso.secondary.{ZONE}.{sql}"),
            format!("sqlserver://contoso.{synapse}"),
            format!("sqlserver://contoso-ondemand.{synapse}"),
        ] {
            assert_eq!(audience(cloud, "sql", &endpoint), expected, "{endpoint}");
            for (other, ..) in SQL.iter().filter(|(other, ..)| *other != cloud) {
                assert_rejected(other, "sql", &endpoint);
            }
        }
    }
}

#[test]
fn hosts_that_resemble_a_managed_instance_or_synapse_are_rejected() {
    for (cloud, sql, synapse, _) in SQL {
        for host in [
            format!("contoso.{ZONE}.{sql}.evil.example"),
            format!("contoso.{ZONE}.evil{sql}"),
            format!("a.contoso.{ZONE}.{sql}"),
            format!("contoso.public.x.{ZONE}.{sql}"),
            format!("public.{ZONE}.evil.{sql}"),
            format!("x.contoso.public.{ZONE}.{sql}"),
            format!("contoso.private.{ZONE}.{sql}"),
            format!("contoso.mysql.{sql}"),
            format!("contoso.postgres.{sql}"),
            format!("contoso.privatelink.{sql}"),
            format!("contoso.public.{sql}"),
            format!("contoso.zone.{sql}"),
            format!("a.b.secondary.{sql}"),
            format!("a.b.c.worker.{sql}"),
            sql.to_owned(),
            format!("x.contoso.{synapse}"),
            format!("contoso.{synapse}.evil.example"),
            format!("contoso.evil{synapse}"),
            synapse.to_owned(),
            format!("contoso.dev.{}", synapse.trim_start_matches("sql.")),
        ] {
            assert_rejected(cloud, "sql", &format!("sqlserver://{host}"));
        }
        assert_rejected(cloud, "sql", &format!("https://contoso.{ZONE}.{sql}"));
    }
}

#[test]
fn a_public_endpoint_of_a_managed_instance_has_its_port() {
    for (cloud, sql, ..) in SQL {
        for port in ["", ":1433", ":33420"] {
            let endpoint = format!("sqlserver://contoso.public.{ZONE}.{sql}{port}");
            let error = plan(cloud, "sql", &endpoint).err().unwrap();
            let write =
                format!("write:    endpoint = \"sqlserver://contoso.public.{ZONE}.{sql}:3342\"");
            assert!(error.contains(&write) && error.contains("listens at 3342"), "{error}");
        }
    }
}

#[test]
fn managed_hsms_have_an_audience_of_their_own() {
    let domains = [
        ("public", "managedhsm.azure.net"),
        ("china", "managedhsm.azure.cn"),
        ("usgov", "managedhsm.usgovcloudapi.net"),
    ];
    for (cloud, domain) in domains {
        let endpoint = format!("https://contoso.{domain}");
        assert_eq!(audience(cloud, "keyvault", &endpoint), format!("https://{domain}"));
        let plan = plan(cloud, "keyvault", &endpoint).unwrap();
        let grant = &plan.mounts[0].grants[0];
        assert!(
            grant.minting.services.contains("vault"),
            "requests mean what they mean at a vault"
        );
        for (other, _) in domains.iter().filter(|(other, _)| *other != cloud) {
            assert_rejected(other, "keyvault", &endpoint);
        }
        for host in [
            domain.to_owned(),
            format!("x.contoso.{domain}"),
            format!("contoso.{domain}.evil.example"),
            format!("contoso.evil{domain}"),
            format!("contoso.privatelink.{domain}"),
        ] {
            assert_rejected(cloud, "keyvault", &format!("https://{host}"));
        }
        assert_rejected(cloud, "arm", &endpoint);
    }
}

#[test]
fn accounts_in_a_dns_zone_and_secondary_endpoints_are_hosts_of_storage() {
    const AUDIENCE: &str = "https://storage.azure.com/";
    for (plugin, service) in [("storage", "blob"), ("adls", "dfs")] {
        for zone in ["z00", "z12", "z99"] {
            for account in ["contoso", "contoso-secondary"] {
                let endpoint = format!("https://{account}.{zone}.{service}.storage.azure.net");
                assert_eq!(audience("public", plugin, &endpoint), AUDIENCE);
                for cloud in ["china", "usgov"] {
                    assert_rejected(cloud, plugin, &endpoint);
                }
            }
        }
        for (cloud, domain) in [
            ("public", "windows.net"),
            ("china", "chinacloudapi.cn"),
            ("usgov", "usgovcloudapi.net"),
        ] {
            let endpoint = format!("https://contoso-secondary.{service}.core.{domain}");
            assert_eq!(audience(cloud, plugin, &endpoint), AUDIENCE);
        }
        for host in [
            format!("contoso.{service}.storage.azure.net"),
            format!("contoso.z1.{service}.storage.azure.net"),
            format!("contoso.z123.{service}.storage.azure.net"),
            format!("contoso.zab.{service}.storage.azure.net"),
            format!("contoso.y12.{service}.storage.azure.net"),
            format!("x.contoso.z12.{service}.storage.azure.net"),
            format!("contoso.z12.z12.{service}.storage.azure.net"),
            "contoso.z12.file.storage.azure.net".to_owned(),
            format!("contoso.z12.{service}.storage.azure.net.evil.example"),
            format!("contoso.z12.{service}.evilstorage.azure.net"),
            format!("contoso.privatelink.{service}.storage.azure.net"),
            format!("contoso.secondary.{service}.core.windows.net"),
        ] {
            assert_rejected("public", plugin, &format!("https://{host}"));
        }
    }
    assert_rejected("public", "storage", "https://contoso.z12.dfs.storage.azure.net");
}

#[test]
fn copies_and_minted_keys_are_checked_at_these_hosts_too() {
    let plan = plan("public", "storage", "https://contoso.z12.blob.storage.azure.net").unwrap();
    let grant = &plan.mounts[0].grants[0];
    assert!(grant.minting.services.contains("blob"));
    let fields: Vec<_> =
        grant.referenced_paths.iter().filter_map(|path| path.header.as_deref()).collect();
    assert_eq!(fields, ["x-ms-copy-source", "x-ms-rename-source"]);
}

#[tokio::test]
async fn keys_of_a_managed_hsm_are_reached_through_a_mount() {
    for (cloud, host) in [
        ("public", "contoso.managedhsm.azure.net"),
        ("china", "contoso.managedhsm.azure.cn"),
        ("usgov", "contoso.managedhsm.usgovcloudapi.net"),
    ] {
        let rig = Rig::keyvault()
            .in_cloud(cloud, &format!("https://{host}"))
            .resolving(host)
            .start()
            .await;
        let key = rig.call(get("/keys/signing", &[])).await;
        assert_eq!(key.status, 200, "{cloud}: {}", key.text());
        assert!(key.text().contains(&format!("https://{host}/keys/signing")), "{}", key.text());
        rig.assert_no_token_in(&key);
        let list = rig.call(get("/keys", &[])).await;
        assert_eq!(list.status, 200, "{}", list.text());

        // An SDK's first write, without its body.
        let request = Request::post("/keys/signing/sign").body("".into()).unwrap();
        let challenge = rig.call(request).await;
        let field = challenge.headers["www-authenticate"].to_str().unwrap();
        let (_, domain) = host.split_once('.').unwrap();
        assert!(field.contains(&format!("resource=\"https://{domain}\"")), "{field}");

        // Credentials that leave are denied as at a vault.
        for path in ["/keys/signing/backup", "/keys/signing/release", "/securitydomain/download"] {
            let minting = rig.call(post(path, &[], &json!({}))).await;
            assert_eq!(minting.status, 403, "{path}: {}", minting.text());
        }
        assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 404, "it has keys only");
        let seen = rig.emulator.log().for_service("vault");
        assert!(seen.iter().all(|seen| seen.host == host));
    }
}

#[tokio::test]
async fn a_managed_instance_and_synapse_are_queried_through_a_mount() {
    for (cloud, host, port) in [
        ("public", format!("contoso.{ZONE}.database.windows.net"), 1433),
        ("public", format!("contoso.public.{ZONE}.database.windows.net"), 3342),
        ("public", format!("contoso.secondary.{ZONE}.database.windows.net"), 1433),
        ("public", "contoso.sql.azuresynapse.net".to_owned(), 1433),
        ("china", "contoso-ondemand.sql.azuresynapse.azure.cn".to_owned(), 1433),
        ("usgov", "contoso-ondemand.sql.azuresynapse.usgovcloudapi.net".to_owned(), 1433),
    ] {
        let endpoint = format!("sqlserver://{host}:{port}");
        let rig = Rig::orders("")
            .in_cloud(cloud, &endpoint)
            .resolving_sql(&format!("{host}:{port}"))
            .start()
            .await;
        let response = rig
            .call(post("/query", &[], &json!({ "sql": "select id from orders order by id" })))
            .await;
        assert_eq!(response.status, 200, "{host}: {}", response.text());
        rig.assert_no_token_in(&response);
        assert!(rig.audit.wait(1).await.upstream[0].token, "{host}");
    }
}

#[tokio::test]
async fn blobs_are_read_in_a_dns_zone_and_at_a_secondary_endpoint() {
    for host in ["contoso.z12.blob.storage.azure.net", "contoso-secondary.blob.core.windows.net"] {
        let rig = Rig::storage("").at(&format!("https://{host}")).resolving(host).start().await;
        let response = rig.call(get("/hello/world.txt", &[])).await;
        assert_eq!(response.status, 200, "{host}: {}", response.text());
        rig.assert_no_token_in(&response);
    }
}
