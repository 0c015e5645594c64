//! Calls of bundled plugins against the emulator, in this process.

use keyward::audit::Outcome;
use keyward_emulator::SUBSCRIPTION;
use keyward_tests::{Rig, get};
use serde_json::Value;

#[tokio::test]
async fn a_secret_is_read_through_the_mount() {
    let rig = Rig::keyvault().start().await;
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let secret: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(secret["value"], "swordfish-in-the-harbour");
    rig.assert_no_token_in(&response);
    let record = rig.audit.wait(1).await;
    assert_eq!((record.outcome, record.status), (Outcome::Answered, Some(200)));
    assert_eq!(record.upstream[0].audience.as_deref(), Some("https://vault.azure.net"));
}

#[tokio::test]
async fn a_resource_group_is_read_through_the_mount() {
    let rig = Rig::arm().start().await;
    let path = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/demo?api-version=2021-04-01");
    let response = rig.call(get(&path, &[])).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let group: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(group["name"], "demo");
    rig.assert_no_token_in(&response);
}
