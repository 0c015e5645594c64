//! Guests, callers and configurations that request credentials from a service instead of data.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keyward::audit::Outcome;
use keyward::{CallError, MintingRule, SURROGATE_PREFIX};
use keyward_emulator::SUBSCRIPTION;
use keyward_tests::{CallResponse, Logs, Rig, get};

/// A credential that a service mints.
const MINTED: &str = "bWludGVkLWJ5LWEtc2VydmljZS1hbmQtc2Vlbi1ieS1ub2JvZHk=";

fn account(action: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/\
         Microsoft.Storage/storageAccounts/contoso/{action}?api-version=2023-05-01"
    )
}

fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path);
    let request =
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Full::from("{}")).unwrap()
}

/// Each of the services would respond with a credential.
fn minting(rig: &Rig) {
    for service in ["arm", "blob", "vault"] {
        let body = format!("{{\"keys\":[{{\"value\":\"{MINTED}\"}}],\"value\":\"{MINTED}\"}}");
        rig.emulator.faults().status(service, 200, &[("content-type", "application/json")], &body);
    }
}

fn assert_nothing_minted_in(rig: &Rig, response: &CallResponse) {
    rig.assert_no_token_in(response);
    let everything = format!(
        "{:?} {:?} {}",
        response.headers,
        response.error,
        String::from_utf8_lossy(&response.body)
    );
    assert!(!everything.contains(MINTED), "{everything}");
    assert!(!format!("{:?}", rig.audit.all()).contains(MINTED));
    assert!(!Logs::collect().text().contains(MINTED));
}

fn why(response: &CallResponse) -> &MintingRule {
    match &response.error {
        Some(CallError::Minting(denied)) => &denied.request.reason,
        other => panic!("nothing was denied: {other:?}, {}", response.text()),
    }
}

/// Asserts that the call is denied, that nothing is sent to the service, and that a valid call
/// succeeds afterwards.
async fn assert_denied(
    rig: &Rig,
    bad: Request<Full<Bytes>>,
    rule: &MintingRule,
    good: Request<Full<Bytes>>,
) {
    minting(rig);
    let number = rig.audit.all().len();
    let shown = format!("{} {}", bad.method(), bad.uri());
    let response = rig.call(bad).await;
    assert_eq!(why(&response), rule, "{shown}");
    assert_eq!(response.status, 403, "{shown}");
    assert_nothing_minted_in(rig, &response);
    assert!(
        rig.emulator.log().all().iter().all(|seen| seen.service == "imds"),
        "{shown}: nothing was sent"
    );
    let record = rig.audit.wait(number + 1).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some(rule.rule())), "{shown}");
    rig.emulator.faults().clear();
    let response = rig.call(good).await;
    assert!(response.status.is_success(), "a neighbour is harmed: {}", response.text());
    rig.emulator.log().clear();
}

fn groups() -> Request<Full<Bytes>> {
    get(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/demo?api-version=2021-04-01"), &[])
}

#[tokio::test]
async fn listing_keys_is_denied_in_every_spelling() {
    let rig = Rig::arm().mount_lines("allow = [\"* /**\"]").start().await;
    for action in ["listKeys", "LISTKEYS", "listkeys/", "%6CistKeys", "listKeys."] {
        let rule = MintingRule::NotHandedOut("listKeys");
        assert_denied(&rig, request("POST", &account(action), &[]), &rule, groups()).await;
    }
    assert_denied(
        &rig,
        get(&account("listKeys"), &[]),
        &MintingRule::NotHandedOut("listKeys"),
        groups(),
    )
    .await;
}

#[tokio::test]
async fn an_allow_line_does_not_permit_minting() {
    let line = "allow = [\"GET /**\", \"POST \
                /subscriptions/*/resourceGroups/*/providers/*/*/*/listKeys\"]";
    let rig = Rig::arm().mount_lines(line).start().await;
    let rule = MintingRule::NotHandedOut("listKeys");
    assert_denied(&rig, request("POST", &account("listKeys"), &[]), &rule, groups()).await;
}

#[tokio::test]
async fn a_caller_that_regenerates_a_key_is_denied() {
    let rig = Rig::arm().start().await;
    let rule = MintingRule::NotHandedOut("regenerateKey");
    assert_denied(&rig, request("POST", &account("regenerateKey"), &[]), &rule, groups()).await;
}

#[tokio::test]
async fn a_caller_that_gets_publishing_credentials_is_denied() {
    let rig = Rig::arm().start().await;
    for (action, operation) in [
        ("config/publishingcredentials/list", "publishingcredentials"),
        ("publishxml", "publishxml"),
        ("config/appsettings/list", "listConfig"),
    ] {
        let rule = MintingRule::NotHandedOut(operation);
        assert_denied(&rig, request("POST", &account(action), &[]), &rule, groups()).await;
    }
}

#[tokio::test]
async fn a_caller_that_reads_a_function_hosts_token_is_denied() {
    let rig = Rig::arm().mount_lines("allow = [\"GET /**\"]").start().await;
    for (path, operation) in [
        ("functions/admin/token", "functionsAdmin"),
        ("hostruntime/admin/host/keys", "hostruntime"),
    ] {
        let rule = MintingRule::NotHandedOut(operation);
        assert_denied(&rig, get(&account(path), &[]), &rule, groups()).await;
    }
}

#[tokio::test]
async fn an_unknown_action_is_denied() {
    let rig = Rig::arm().mount_lines("allow = [\"* /**\"]").start().await;
    let rule = MintingRule::UnknownAction("runCommand".to_owned());
    assert_denied(&rig, request("POST", &account("runCommand"), &[]), &rule, groups()).await;
}

#[tokio::test]
async fn a_harmless_resource_name_does_not_permit_an_action() {
    let rig = Rig::arm().start().await;
    let rule = MintingRule::UnknownAction("start".to_owned());
    assert_denied(&rig, request("POST", &account("mint/start"), &[]), &rule, groups()).await;
    let rule = MintingRule::NotHandedOut("createQueryKey");
    assert_denied(&rig, request("POST", &account("createQueryKey/start"), &[]), &rule, groups())
        .await;
}

#[tokio::test]
async fn a_caller_that_overrides_the_method_is_denied() {
    let rig = Rig::arm().start().await;
    for field in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let rule = MintingRule::UnknownAction("runCommand".to_owned());
        assert_denied(
            &rig,
            request("GET", &account("runCommand"), &[(field, "POST")]),
            &rule,
            groups(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_method_in_another_case_is_denied() {
    let rig = Rig::arm().start().await;
    for method in ["post", "Post"] {
        let rule = MintingRule::UnknownAction("runCommand".to_owned());
        assert_denied(&rig, request(method, &account("runCommand"), &[]), &rule, groups()).await;
    }
}

#[tokio::test]
async fn an_action_that_allow_names_literally_is_permitted() {
    let line = "allow = [\"POST /subscriptions/*/resourceGroups/*/providers/*/*/*/runcommand\"]";
    let rig = Rig::arm().mount_lines(line).start().await;
    let response = rig.call(request("POST", &account("runCommand"), &[])).await;
    assert!(response.error.is_none(), "{:?}", response.error);
    assert_eq!(rig.emulator.log().for_service("arm").len(), 1);
}

#[tokio::test]
async fn privileged_actions_are_denied() {
    let rig = Rig::arm().mount_lines("allow = [\"* /**\"]").start().await;
    for (path, segment) in [
        ("Microsoft.Resources/deployments/d", "deployments"),
        ("Microsoft.Authorization/roleAssignments/r", "roleAssignments"),
        (
            "Microsoft.ManagedIdentity/userAssignedIdentities/i/federatedIdentityCredentials/f",
            "federatedIdentityCredentials",
        ),
        ("Microsoft.Compute/virtualMachines/v/RUNCOMMANDS/r", "RUNCOMMANDS"),
        ("Microsoft.Compute/virtualMachines/v/extensions/e", "extensions"),
    ] {
        let path = format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/demo/providers/{path}?api-version=1"
        );
        let rule = MintingRule::Privileged(segment.to_owned());
        assert_denied(&rig, request("PUT", &path, &[]), &rule, groups()).await;
    }
}

#[tokio::test]
async fn a_caller_cannot_bypass_a_narrowed_grant_with_a_batch() {
    for hand_out in ["", "\nhand_out = [\"batch\"]"] {
        let rig = Rig::arm().mount_lines(&format!("allow = [\"* /**\"]{hand_out}")).start().await;
        let batch = || request("POST", "/batch?api-version=2020-06-01", &[]);
        assert_denied(&rig, batch(), &MintingRule::Batch, groups()).await;
    }
    let rig = Rig::arm().start().await;
    let batch = request("POST", "/batch?api-version=2020-06-01", &[]);
    assert_denied(&rig, batch, &MintingRule::NotHandedOut("batch"), groups()).await;
}

#[tokio::test]
async fn a_caller_that_backs_up_a_vaults_objects_is_denied() {
    let rig = Rig::keyvault().start().await;
    let good = || get("/secrets/db", &[]);
    for path in [
        "/keys/signing/backup",
        "/secrets/db/backup",
        "/certificates/web/BACKUP",
        "/storage/s/backup",
    ] {
        assert_denied(
            &rig,
            request("POST", path, &[]),
            &MintingRule::NotHandedOut("backup"),
            good(),
        )
        .await;
    }
    let release = request("POST", "/keys/signing/1/release", &[]);
    assert_denied(&rig, release, &MintingRule::NotHandedOut("release"), good()).await;
}

#[tokio::test]
async fn a_caller_that_requests_a_delegation_key_is_denied() {
    let rig = Rig::storage("").start().await;
    let good = || get("/hello/world.txt", &[]);
    for query in ["comp=userdelegationkey", "comp=UserDelegationKey", "COMP=userdelegationkey"] {
        let rule = MintingRule::NotHandedOut("userdelegationkey");
        assert_denied(
            &rig,
            request("POST", &format!("/?restype=service&{query}"), &[]),
            &rule,
            good(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_caller_that_doubles_or_encodes_a_parameter_gets_no_key() {
    let rig = Rig::storage("").start().await;
    minting(&rig);
    for (number, query) in [
        "comp=list&comp=userdelegationkey",
        "%63omp=userdelegationkey",
        "comp=%75serdelegationkey",
        "%2563omp=userdelegationkey",
        "comp=list,userdelegationkey",
        "comp=list;comp=userdelegationkey",
    ]
    .into_iter()
    .enumerate()
    {
        let response = rig.call(request("POST", &format!("/?restype=service&{query}"), &[])).await;
        assert!(response.error.is_some(), "{query}: {}", response.text());
        assert_nothing_minted_in(&rig, &response);
        assert_eq!(rig.audit.wait(number + 1).await.rule, Some("ambiguous"), "{query}");
    }
    assert!(rig.emulator.log().for_service("blob").is_empty());
    rig.emulator.faults().clear();
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
}

#[tokio::test]
async fn credentials_in_hand_out_are_returned_and_recorded() {
    let rig = Rig::arm().mount_lines("hand_out = [\"listKeys\"]").start().await;
    minting(&rig);
    let response = rig.call(request("POST", &account("listKeys"), &[])).await;
    assert!(response.text().contains(MINTED), "{}", response.text());
    let records = [rig.audit.wait(1).await, rig.audit.wait(2).await];
    assert_eq!(
        records.clone().map(|record| record.outcome),
        [Outcome::Exported, Outcome::Answered]
    );
    assert_eq!(records[0].handed_out, Some("listKeys"));
    assert_eq!(records[1].upstream[0].mints, Some("listKeys"));
    let other = rig.call(request("POST", &account("regenerateKey"), &[])).await;
    assert_eq!(why(&other), &MintingRule::NotHandedOut("regenerateKey"));
}

#[tokio::test]
async fn a_guest_that_copies_outside_allow_is_denied_whatever_its_manifest_says() {
    let lines = "allow = [\"PUT /hello/public/*\", \"GET /hello/public/*\"]";
    let rig = own(
        "copies_past_allow",
        "https://contoso.blob.core.windows.net",
        "https://storage.azure.com/",
        lines,
    )
    .await;
    for source in [
        "https://contoso.blob.core.windows.net/hello/world.txt",
        "https://contoso.blob.core.windows.net/private/salaries.csv",
        "/hello/world.txt",
    ] {
        let response = rig.call(get("/", &[("x-source", source)])).await;
        assert!(
            matches!(response.error, Some(CallError::NotAllowed(_))),
            "{source}: {:?}",
            response.error
        );
        assert_nothing_minted_in(&rig, &response);
    }
    assert!(rig.emulator.log().for_service("blob").is_empty());
    let own = "https://contoso.blob.core.windows.net/hello/public/a.txt";
    let response = rig.call(get("/", &[("x-source", own)])).await;
    assert!(response.error.is_none(), "{:?}", response.error);
    assert_eq!(rig.emulator.log().for_service("blob").len(), 1);
}

/// A hostile guest whose manifest describes a service itself.
async fn own(guest: &str, endpoint: &str, resource: &str, lines: &str) -> Rig {
    let lines = format!("resource = {resource:?}\n{lines}");
    Rig::hostile(guest).at(endpoint).mount_lines(&lines).start().await
}

#[tokio::test]
async fn a_guest_that_mints_a_delegation_key_is_denied_whatever_its_manifest_says() {
    let rig = own(
        "mints_a_delegation_key",
        "https://contoso.blob.core.windows.net",
        "https://storage.azure.com/",
        "",
    )
    .await;
    assert_guest_denied(&rig, get("/", &[]), "userdelegationkey").await;
}

#[tokio::test]
async fn a_guest_that_lists_keys_is_denied_whatever_its_manifest_says() {
    let rig =
        own("lists_keys", "https://management.azure.com", "https://management.azure.com/", "")
            .await;
    for action in ["listKeys", "LISTkeys"] {
        assert_guest_denied(&rig, get("/", &[("x-path", &account(action))]), "listKeys").await;
    }
}

#[tokio::test]
async fn a_guest_that_backs_up_a_key_is_denied_whatever_its_manifest_says() {
    let rig =
        own("backs_up_a_key", "https://contoso.vault.azure.net", "https://vault.azure.net", "")
            .await;
    assert_guest_denied(&rig, get("/", &[]), "backup").await;
}

async fn assert_guest_denied(rig: &Rig, request: Request<Full<Bytes>>, operation: &'static str) {
    minting(rig);
    let response = rig.call(request).await;
    assert_eq!(why(&response), &MintingRule::NotHandedOut(operation));
    assert_nothing_minted_in(rig, &response);
    assert!(rig.emulator.log().all().iter().all(|seen| seen.service == "imds"), "nothing was sent");
}

#[tokio::test]
async fn a_signature_that_the_manifest_does_not_seal_is_sealed() {
    let rig = Rig::hostile_to_seals("reads_an_unsealed_signature").start().await;
    let body = "{\"canonicalizedResource\":\"/blob/contoso/hello/world.txt\",\
                \"signedResource\":\"b\",\"signedPermission\":\"r\",\
                \"signedExpiry\":\"2096-01-01T00:00:00Z\"}";
    let response =
        rig.call(get("/", &[("x-path", &account("listServiceSas")), ("x-body", body)])).await;
    assert_nothing_minted_in(&rig, &response);
    let text = response.text();
    assert!(text.contains(SURROGATE_PREFIX) && !text.contains("sig="), "{text}");
    assert!(text.contains("Hello, world!"), "it can be spent all the same: {text}");
    assert_eq!(rig.emulator.issued_sas().len(), 1);
}

#[tokio::test]
async fn an_unusable_signature_is_not_requested() {
    let rig = Rig::arm().start().await;
    let rule = MintingRule::NotHandedOut("listServiceSas");
    assert_denied(&rig, request("POST", &account("listServiceSas"), &[]), &rule, groups()).await;
}
