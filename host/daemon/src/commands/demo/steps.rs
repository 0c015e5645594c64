//! The steps of the demo.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use keyward::SURROGATE_PREFIX;
use keyward::audit::Outcome;
use keyward_emulator::SUBSCRIPTION;
use serde_json::Value;

use super::story::Story;
use super::{Answer, Stage};

/// A member of an answer in JSON, as text.
fn member(answer: &Answer, name: &str) -> String {
    let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Why something was refused, as the caller is told.
pub(super) fn reason(answer: &Answer) -> String {
    format!("{}: {}", answer.status, member(answer, "detail"))
}

pub(super) async fn read_secret(stage: &Stage, story: &mut Story) {
    story.heading("A program reads a secret: GET /vault/secrets/db");
    let answer = stage.call("vault", "/secrets/db").await;
    let value = member(&answer, "value");
    let came =
        format!("{}: the value is {value:?}. The plugin ran in a fresh sandbox and held a surrogate.", answer.status);
    story.step("the secret `db`, from Key Vault", &came, answer.status == 200 && value == "swordfish-in-the-harbour");
}

pub(super) async fn read_resource_groups(stage: &Stage, story: &mut Story) {
    story.heading("A program reads resource groups, with two identities");
    let path = |group| format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}?api-version=2021-04-01");
    for (mount, group, identity) in
        [("arm", "demo", "the system-assigned identity"), ("reports", "reports", "a user-assigned identity")]
    {
        let answer = stage.call(mount, &path(group)).await;
        let (name, location) = (member(&answer, "name"), member(&answer, "location"));
        let came = format!("{}: resource group {name:?} in {location}", answer.status);
        let what = format!("GET /{mount}/subscriptions/.../resourceGroups/{group}, with {identity}");
        story.step(&what, &came, answer.status == 200 && name == group);
    }
    let answer = stage.call("arm", &path("reports")).await;
    let came = format!("{}, from Azure itself: each mount has its own identity, and no more than that", answer.status);
    story.step("GET /arm/.../resourceGroups/reports, with the identity that may not", &came, answer.status == 403);
}

pub(super) async fn stay_within_grants(stage: &Stage, story: &mut Story) {
    story.heading("What the configuration does not allow, does not leave");
    let answer = stage.call("vault", "/keys/signing").await;
    let refused = answer.status == 403 && member(&answer, "type").ends_with(":not-allowed");
    story.step("GET /vault/keys/signing", &reason(&answer), refused);
}

pub(super) async fn thief(stage: &Stage, story: &mut Story) {
    story.heading("A hostile plugin tries to steal a token");
    for (trick, path, rule) in [
        ("asks for a token that it was not granted", "/ask-for-another-audience", ""),
        ("sends what it holds to its own server", "/send-it-to-its-own-server", "endpoint"),
        ("asks the metadata service itself", "/ask-the-metadata-service", "endpoint"),
        ("writes it into a query, where a log would keep it", "/write-it-into-a-query", "surrogate"),
        ("writes it into a secret, to read it back", "/write-it-into-a-secret", "surrogate"),
        ("reads a secret that it may not", "/read-what-it-may-not", "allow"),
        ("hides the way there", "/hide-the-way-there", "path"),
    ] {
        let answer = stage.call("thief", path).await;
        let refused = match &answer.error {
            Some(error) => error.rule() == rule,
            // The plugin itself was told that the audience is not granted, and tells it on.
            None => rule.is_empty() && member(&answer, "type").ends_with(":not-granted"),
        };
        story.step(&format!("it {trick}"), &reason(&answer), refused);
    }
}

/// The surrogate that the thief shows its accomplice, tried at the vault itself.
pub(super) async fn surrogate_is_worthless(stage: &Stage, story: &mut Story) {
    let held = stage.call("thief", "/show-what-it-holds").await.text;
    let is_surrogate = held.starts_with(SURROGATE_PREFIX);
    let shown: String = held.chars().take(SURROGATE_PREFIX.len() + 8).collect();
    let status = spend(stage, &held).await.unwrap_or_default();
    let came = format!("{status}, from Key Vault: {shown}... means nothing outside the call that it was made for");
    story.step(
        "it hands what it holds to an accomplice, who tries it at the vault",
        &came,
        is_surrogate && status == 401,
    );
}

/// Sends a bearer to the vault, past the broker, and gives the status.
async fn spend(stage: &Stage, bearer: &str) -> Option<u16> {
    let stream = stage.emulator.connect().await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
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

pub(super) fn audit(stage: &Stage, story: &mut Story) {
    story.heading("The audit has it all: who called what, where it went, how it ended");
    let records = stage.records.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for record in records.iter() {
        let rule = record.rule.map(|rule| format!(" by the rule `{rule}`")).unwrap_or_default();
        let status = record.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let outcome = format!("{:?}", record.outcome).to_lowercase();
        let path: String = record.path.replace(SUBSCRIPTION, "...").chars().take(48).collect();
        story.text(&format!("{:10} {:4} {path:48} {status:4} {outcome}{rule}", record.mount, record.method));
    }
    let denied = records.iter().filter(|record| record.outcome == Outcome::Denied).count();
    let came = format!("{} calls, {denied} of them denied. One of them, as it is written:", records.len());
    let one = records.first().and_then(|record| serde_json::to_string(record).ok()).unwrap_or_default();
    story.step("every call left a record", &format!("{came}\n{one}"), records.len() == 24 && denied == 7);
}

pub(super) fn no_token_anywhere(stage: &Stage, story: &mut Story) {
    let records = stage.records.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let audit: Vec<String> = records.iter().filter_map(|record| serde_json::to_string(record).ok()).collect();
    let issued = stage.emulator.issued_tokens();
    // The first part of a token is the same for all, and says nothing.
    let secret = |token: &String| token.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let leaked = issued.iter().flat_map(secret).any(|part| audit.iter().any(|line| line.contains(&part)));
    let came = format!("{} tokens were issued, and none is in the audit, in whole or in part", issued.len());
    story.step("no record holds a token", &came, !leaked && !issued.is_empty());
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

pub(super) fn tokens(stage: &Stage, story: &mut Story) {
    story.heading("Each token was fetched once");
    let mut once = true;
    let statistics = stage.broker.token_statistics();
    for (identity, tokens) in statistics.iter() {
        for token in tokens.iter().filter(|token| token.used > 0) {
            let line =
                format!("{identity}, {}: fetched {}, used {}", token.audience, times(token.fetched), times(token.used));
            story.text(&line);
            once &= token.fetched == 1;
        }
    }
    let fetched = stage.emulator.log().for_service("imds").len();
    story.step(
        "the metadata service was asked as often as there are tokens",
        &format!("{fetched} requests"),
        once && fetched == 6,
    );
}
