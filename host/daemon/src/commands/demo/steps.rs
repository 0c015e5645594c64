//! The demo's steps with Key Vault and Resource Manager, the hostile plugin, and the checks at the
//! end.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use keyward::SURROGATE_PREFIX;
use keyward::audit::Outcome;
use keyward_emulator::SUBSCRIPTION;
use serde_json::Value;

use super::transcript::Transcript;
use super::{Demo, Response};

/// A string member of a JSON response.
fn member(response: &Response, name: &str) -> String {
    let json: Value = serde_json::from_str(&response.text).unwrap_or_default();
    json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The status and the `detail` of a problem response.
pub(super) fn reason(response: &Response) -> String {
    format!("{}: {}", response.status, member(response, "detail"))
}

pub(super) async fn read_secret(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A program reads a secret: GET /vault/secrets/db");
    let response = demo.get("vault", "/secrets/db").await;
    let (status, value) = (response.status, member(&response, "value"));
    transcript.step(
        "the secret `db`, from Key Vault",
        &format!(
            "{status}: the value is {value:?}. The plugin ran in a fresh sandbox and held a \
             surrogate."
        ),
        status == 200 && value == "swordfish-in-the-harbour",
    );
}

pub(super) async fn read_resource_groups(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A program reads resource groups, with two identities");
    let path = |group| {
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}?api-version=2021-04-01")
    };
    for (mount, group, identity) in [
        ("arm", "demo", "the system-assigned identity"),
        ("reports", "reports", "a user-assigned identity"),
    ] {
        let response = demo.get(mount, &path(group)).await;
        let (name, location) = (member(&response, "name"), member(&response, "location"));
        transcript.step(
            &format!("GET /{mount}/subscriptions/.../resourceGroups/{group}, with {identity}"),
            &format!("{}: resource group {name:?} in {location}", response.status),
            response.status == 200 && name == group,
        );
    }
    let response = demo.get("arm", &path("reports")).await;
    transcript.step(
        "GET /arm/.../resourceGroups/reports, with the identity that has no access",
        &format!("{} from Azure: each mount has only its own identity", response.status),
        response.status == 403,
    );
}

pub(super) async fn deny_other_requests(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A request that the configuration does not allow is not sent");
    let response = demo.get("vault", "/keys/signing").await;
    let denied = response.status == 403 && member(&response, "type").ends_with(":not-allowed");
    transcript.step("GET /vault/keys/signing", &reason(&response), denied);
}

pub(super) async fn run_hostile_plugin(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A hostile plugin tries to steal a token");
    // The last is the rule that the broker denies it by. The first is not denied: the plugin gets
    // an error instead of a token, and returns it.
    for (attempt, path, rule) in [
        ("requests a token that is not granted", "/ask-for-another-audience", None),
        ("sends its surrogate to its own server", "/send-it-to-its-own-server", Some("endpoint")),
        ("sends a request to IMDS", "/ask-the-metadata-service", Some("endpoint")),
        ("writes it into a query, which logs contain", "/write-it-into-a-query", Some("surrogate")),
        ("writes it into a secret, to read it back", "/write-it-into-a-secret", Some("surrogate")),
        ("reads a secret that is not allowed", "/read-what-it-may-not", Some("allow")),
        ("encodes the path to that secret", "/hide-the-way-there", Some("path")),
    ] {
        let response = demo.get("thief", path).await;
        let failed = match (&response.error, rule) {
            (Some(error), Some(rule)) => error.rule() == rule,
            (None, None) => member(&response, "type").ends_with(":not-granted"),
            (Some(_), None) | (None, Some(_)) => false,
        };
        transcript.step(&format!("it {attempt}"), &reason(&response), failed);
    }
}

/// Sends the surrogate of the hostile plugin to the vault.
pub(super) async fn use_stolen_surrogate(demo: &Demo, transcript: &mut Transcript) {
    let surrogate = demo.get("thief", "/show-what-it-holds").await.text;
    let is_surrogate = surrogate.starts_with(SURROGATE_PREFIX);
    let shown: String = surrogate.chars().take(SURROGATE_PREFIX.len() + 8).collect();
    let status = send_to_vault(demo, &surrogate).await.unwrap_or_default();
    transcript.step(
        "it returns its surrogate to an accomplice, who sends it to the vault",
        &format!("{status} from Key Vault: {shown}... is valid only within the plugin's call"),
        is_surrogate && status == 401,
    );
}

/// Sends a request with a bearer token directly to the vault, and returns the status.
async fn send_to_vault(demo: &Demo, bearer: &str) -> Option<u16> {
    let stream = demo.emulator.connect().await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/secrets/db?api-version=7.4")
        .header("host", "contoso.vault.azure.net")
        .header("authorization", format!("Bearer {bearer}"))
        .body(Empty::<Bytes>::new());
    let response = sender.send_request(request.ok()?).await.ok()?;
    let status = response.status().as_u16();
    drop(response.into_body().collect().await);
    driver.abort();
    Some(status)
}

pub(super) fn audit(demo: &Demo, transcript: &mut Transcript) {
    transcript
        .heading("The audit has a record of each call: from whom, to where, and how it ended");
    let records = demo.records();
    for record in &records {
        let rule = record.rule.map(|rule| format!(" by the rule `{rule}`")).unwrap_or_default();
        let status = record.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let outcome = format!("{:?}", record.outcome).to_lowercase();
        let path: String = record.path.replace(SUBSCRIPTION, "...").chars().take(48).collect();
        transcript.indented(&format!(
            "{:10} {:4} {path:48} {status:4} {outcome}{rule}",
            record.mount, record.method
        ));
    }
    let denied = records.iter().filter(|record| record.outcome == Outcome::Denied).count();
    let first = records.first().and_then(|record| serde_json::to_string(record).ok());
    transcript.step(
        "each call has a record",
        &format!(
            "{} calls, {denied} of them denied. The first record is:\n{}",
            records.len(),
            first.unwrap_or_default()
        ),
        records.len() == demo.calls.load(Ordering::Relaxed)
            && denied == demo.denied.load(Ordering::Relaxed),
    );
}

pub(super) fn no_token_in_audit(demo: &Demo, transcript: &mut Transcript) {
    let records = demo.records();
    let audit: Vec<String> =
        records.iter().filter_map(|record| serde_json::to_string(record).ok()).collect();
    let issued = demo.emulator.issued_tokens();
    // All tokens have the same header, which is not secret.
    let secret = |token: &String| token.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let leaked = |part: String| audit.iter().any(|line| line.contains(&part));
    transcript.step(
        "no record contains a token",
        &format!("{} tokens were issued, and the audit contains no part of one", issued.len()),
        !issued.is_empty() && !issued.iter().flat_map(secret).any(leaked),
    );
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

pub(super) fn tokens_are_cached(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("Each token was fetched once");
    let statistics = demo.broker.token_statistics();
    let (mut tokens, mut each_once) = (0, true);
    for (identity, statistics) in statistics.iter() {
        for token in statistics.iter().filter(|token| token.used > 0) {
            let (fetched, used) = (times(token.fetched), times(token.used));
            let audience = &token.audience;
            transcript.indented(&format!("{identity}, {audience}: fetched {fetched}, used {used}"));
            tokens += 1;
            each_once &= token.fetched == 1;
        }
    }
    let requests = demo.emulator.log().for_service("imds").len();
    transcript.step(
        "the metadata service got one request for each token",
        &format!("{requests} requests for {tokens} tokens"),
        tokens > 0 && each_once && requests == tokens,
    );
}
