//! Custom clouds: only the audiences and hosts of the configured table are known.

use keyward_tests::{Rig, get};

/// The emulator knows the clouds that there are: this one has China's vaults, under no name of a
/// cloud.
fn cloud(audience: &str) -> String {
    format!(
        "[cloud]\nauthority = \"https://login.contoso.example\"\n\
         [cloud.service.vault]\naudience = {audience:?}\nhosts = [\"*.vault.azure.cn\"]"
    )
}

const ENDPOINT: &str = "https://contoso.vault.azure.cn";

#[tokio::test]
async fn a_mount_works_in_a_custom_cloud() {
    let rig =
        Rig::keyvault().in_own_cloud(&cloud("https://vault.azure.cn"), ENDPOINT).start().await;
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(response.status, 200, "{}", response.text());
    rig.assert_no_token_in(&response);
    let record = rig.audit.wait(1).await;
    assert_eq!(record.upstream[0].audience.as_deref(), Some("https://vault.azure.cn"));
}

#[tokio::test]
async fn tokens_have_exactly_the_audience_of_the_custom_table() {
    let rig =
        Rig::keyvault().in_own_cloud(&cloud("https://vault.azure.cn/"), ENDPOINT).start().await;
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(
        response.status,
        401,
        "the vault takes tokens for another audience: {}",
        response.text()
    );
    assert!(response.text().contains("Invalid audience"), "{}", response.text());
}

#[tokio::test]
async fn the_public_clouds_rule_for_copies_holds_in_a_custom_cloud() {
    let section = "[cloud]\nauthority = \"https://login.contoso.example\"\n\
                   [cloud.service.blob]\naudience = \"https://storage.azure.com/\"\nhosts = \
                   [\"*.blob.core.chinacloudapi.cn\"]";
    let rig = Rig::storage("allow = [\"PUT /hello/**\"]")
        .in_own_cloud(section, "https://contoso.blob.core.chinacloudapi.cn")
        .start()
        .await;
    // The public cloud's rule for copies holds in this cloud, which does not mention it.
    let request = http::Request::put("/hello/copy")
        .header(
            "x-ms-copy-source",
            "https://contoso.blob.core.chinacloudapi.cn/private/salaries.csv",
        )
        .body(Default::default())
        .unwrap();
    let response = rig.call(request).await;
    assert_eq!(response.status, 403, "{}", response.text());
}
