//! Services that send back tokens, or parts of them, in many forms.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyward::CallError;
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{CallResponse, Rig, get};

fn responds(headers: &[(&str, &str)], body: &str) -> FaultKind {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    FaultKind::Respond { status: 200, headers, body: body.to_owned() }
}

/// The token that was issued last.
fn token(rig: &Rig) -> String {
    rig.emulator.issued_tokens().pop().unwrap()
}

/// Bytes of a token's signature.
fn part(token: &str, length: usize) -> String {
    let signature = token.rsplit('.').next().unwrap();
    signature[20..20 + length].to_owned()
}

async fn secret(rig: &Rig) -> CallResponse {
    rig.call(get("/secrets/db?api-version=7.4", &[])).await
}

fn assert_ended(response: &CallResponse, part: &str) {
    assert!(
        matches!(response.error, Some(CallError::TokenEchoed { .. })) || response.broken.is_some(),
        "{response:?}"
    );
    assert!(!response.text().contains(part), "{}", response.text());
}

#[tokio::test]
async fn sixteen_bytes_of_a_signature_end_a_response() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(secret(&rig).await.status, 200);
    for length in [16, 17, 40] {
        let part = part(&token(&rig), length);
        let body = format!("{{\"value\": \"{part}\"}}");
        rig.emulator.faults().add(Fault::once("vault", responds(&[], &body)));
        assert_ended(&secret(&rig).await, &part);
    }
    let record = rig.audit.wait(4).await;
    assert_eq!(record.rule, Some("token-echoed"));
    assert!(record.redacted);
    assert_eq!(secret(&rig).await.status, 200, "the next call is unharmed");
}

#[tokio::test]
async fn fifteen_bytes_of_a_signature_pass() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(secret(&rig).await.status, 200);
    let body = format!("{{\"value\": \"{}\"}}", part(&token(&rig), 15));
    rig.emulator.faults().add(Fault::once("vault", responds(&[], &body)));
    let response = secret(&rig).await;
    assert_eq!((response.status.as_u16(), response.text()), (200, body.as_str().into()));
}

#[tokio::test]
async fn a_part_of_a_signature_in_a_header_field_ends_the_response() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(secret(&rig).await.status, 200);
    let part = part(&token(&rig), 16);
    rig.emulator.faults().add(Fault::once("vault", responds(&[("x-part", &part)], "{}")));
    let response = secret(&rig).await;
    assert!(matches!(response.error, Some(CallError::TokenEchoed { .. })), "{response:?}");
    assert!(!format!("{:?}", response.headers).contains(&part));
}

#[tokio::test]
async fn a_token_in_base64_and_other_escapes_is_redacted() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(secret(&rig).await.status, 200);
    let token = token(&rig);
    let encoded = STANDARD.encode(format!("Bearer {token}, and more"));
    let body = format!("{{\"value\": \"{encoded}\"}}");
    rig.emulator.faults().add(Fault::once("vault", responds(&[], &body)));
    let response = secret(&rig).await;
    assert_eq!(response.status, 200);
    let middle = &encoded[20..encoded.len() - 40];
    assert!(!response.text().contains(&middle[..40]), "{}", response.text());
    assert_eq!(response.text().len(), body.len());
    assert!(rig.audit.wait(2).await.redacted);
}

#[tokio::test]
async fn a_response_to_a_request_without_a_token_is_searched() {
    let rig = Rig::hostile("unauthenticated").start().await;
    assert_ne!(secret(&rig).await.text(), "");
    let token = token(&rig);
    rig.emulator.faults().add(Fault::once("vault", responds(&[], &format!("<{token}>"))));
    let response = secret(&rig).await;
    assert!(response.text().contains("<***"), "{}", response.text());
    rig.assert_no_token_in(&response);
    let part = part(&token, 16);
    rig.emulator.faults().add(Fault::once("vault", responds(&[], &part)));
    assert_ended(&secret(&rig).await, &part);
}

#[tokio::test]
async fn a_token_for_another_audience_of_the_mount_is_redacted() {
    let rig = Rig::storage_with_sas("").start().await;
    let signed = rig.call(get("/hello/world.txt", &[])).await;
    assert_eq!(signed.status, 200, "{}", signed.text());
    let arm = token(&rig);
    rig.emulator.faults().add(Fault::once("blob", responds(&[], &format!("<{arm}>"))));
    let response = rig.call(get("/hello/world.txt", &[])).await;
    assert!(response.text().starts_with("<***"), "{}", response.text());
    let part = part(&arm, 16);
    rig.emulator.faults().add(Fault::once("blob", responds(&[], &part)));
    assert_ended(&rig.call(get("/hello/world.txt", &[])).await, &part);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_still_redacted() {
    let rig = Rig::keyvault().start().await;
    assert_eq!(secret(&rig).await.status, 200);
    let earlier = token(&rig);
    rig.broker.forget_tokens("default", None).await.unwrap();
    assert_eq!(secret(&rig).await.status, 200);
    assert_ne!(token(&rig), earlier);
    let part = part(&earlier, 16);
    rig.emulator.faults().add(Fault::once("vault", responds(&[], &part)));
    assert_ended(&secret(&rig).await, &part);
}

#[tokio::test]
async fn a_token_of_another_mount_or_tenant_passes() {
    let (one, other) = (Rig::keyvault().start().await, Rig::keyvault().start().await);
    assert_eq!(secret(&one).await.status, 200);
    assert_eq!(secret(&other).await.status, 200);
    let body = format!("{{\"value\": \"{}\"}}", token(&other));
    one.emulator.faults().add(Fault::once("vault", responds(&[], &body)));
    assert_eq!(secret(&one).await.text(), body);
}

#[tokio::test]
async fn a_partial_response_is_searched() {
    let rig = Rig::storage("").start().await;
    assert_eq!(rig.call(get("/hello/world.txt", &[])).await.status, 200);
    let part = part(&token(&rig), 16);
    let body = format!("{part} and more");
    let kind = FaultKind::Respond {
        status: 206,
        headers: vec![("content-range".to_owned(), "bytes 5-35/100".to_owned())],
        body,
    };
    rig.emulator.faults().add(Fault::once("blob", kind));
    let response = rig.call(get("/hello/world.txt", &[("range", "bytes=5-35")])).await;
    assert_ended(&response, &part);
}

#[tokio::test]
async fn a_surrogate_from_after_a_body_began_is_found_in_it() {
    let rig = Rig::hostile("surrogate_after_the_body_began").start().await;
    let response = rig.call(get("/", &[])).await;
    let Some(CallError::Violation { violation, .. }) = &response.error else {
        panic!("{response:?}")
    };
    assert_eq!(*violation, keyward::Violation::MisplacedSurrogate("body"));
    let sent = rig.emulator.log().for_service("vault");
    assert!(sent.iter().all(|request| request.status == 0), "nothing was answered: {sent:?}");
}
