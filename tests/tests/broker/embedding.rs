//! The API for services that embed the broker: configuration in code, custom token sources, the
//! `tower::Service`, and bodies that are streamed in both directions and stop with their reader.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Empty, Full};
use keyward::audit::Outcome;
use keyward::identity::source::{SourceKind, UserAssigned};
use keyward::identity::{AccessToken, Audience, Fetch, TokenSource};
use keyward::{Body, Broker, CallError, Caller, Options, Plugins, SlowBody};
use keyward_emulator::{Emulator, Fault, FaultKind};
use keyward_policy::cloud::Cloud;
use keyward_policy::config::{
    Config, IdentityConfig, IdentitySource, MountConfig, PluginRef, SourceConfig,
};
use keyward_policy::endpoint::Endpoint;
use keyward_policy::pattern::Pattern;
use keyward_tests::{Recorded, Rig, get};
use tokio::task::JoinHandle;
use tower_service::Service;

/// A token source that returns a fixed token and counts requests.
struct Own {
    token: Arc<Mutex<String>>,
    fetched: Arc<AtomicUsize>,
}

impl TokenSource for Own {
    fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let token = self.token.lock().unwrap().clone();
        Box::pin(async move { Ok(AccessToken::new(token, 4_102_444_800)?.into()) })
    }

    fn describe(&self) -> String {
        "a service's own".to_owned()
    }
}

fn in_code(emulator: &Emulator, source: Own) -> (Broker, Recorded) {
    let mut config = Config::new(Cloud::named("public").unwrap().clone());
    config.identities.insert("default".to_owned(), IdentityConfig::supplied());
    let mount = MountConfig::new(PluginRef::Bytes {
        name: "a plugin at hand".to_owned(),
        component: keyward_bundle::plugin("keyvault").unwrap().component.into(),
    });
    let mount = mount.endpoint(Endpoint::parse("https://contoso.vault.azure.net").unwrap());
    let mount = mount.allow([Pattern::parse("GET /secrets/*").unwrap()]);
    config.mounts.insert("vault".to_owned(), mount);
    config
        .egress
        .resolve
        .insert(("contoso.vault.azure.net".to_owned(), 443), emulator.tls_address());
    config.tls.system_roots = false;
    config.tls.ca_pem.push(emulator.ca_pem().to_owned());
    let audit = Recorded::new();
    let mut options = Options { audit: Arc::new(audit.clone()), ..Options::default() };
    options.sources.insert("default".to_owned(), Arc::new(source));
    (Broker::start_with(keyward::plan(config, &Plugins::new()).unwrap(), options).unwrap(), audit)
}

#[tokio::test]
async fn a_platform_source_requests_the_configured_identity_from_imds() {
    let client_id = "22222222-aaaa-4aaa-8aaa-000000000001".to_owned();
    let user_assigned = Some(UserAssigned::ClientId(client_id));
    let source = SourceConfig { user_assigned, ..SourceConfig::default() };
    let mut identity = IdentityConfig::system_assigned();
    identity.source = IdentitySource::Platform(SourceKind::Imds, source);
    let mut config = Config::new(Cloud::named("public").unwrap().clone());
    config.identities.insert("default".to_owned(), identity);
    let plan = keyward::plan(config, &Plugins::new()).unwrap();
    let identities = keyward::probe::Identities::of(&plan, Duration::from_secs(1));
    let described = identities.describe("default").unwrap();
    assert!(described.contains("22222222-aaaa-4aaa-8aaa-000000000001"), "{described}");
}

/// A token that was requested from the emulator without Keyward.
async fn a_real_token() -> (Rig, String) {
    let rig = Rig::keyvault().start().await;
    assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
    let token = rig.emulator.issued_tokens().remove(0);
    (rig, token)
}

#[tokio::test]
async fn a_broker_built_in_code_uses_a_supplied_token_source() {
    let (rig, token) = a_real_token().await;
    let fetched = Arc::new(AtomicUsize::new(0));
    let own = Own { token: Arc::new(Mutex::new(token)), fetched: Arc::clone(&fetched) };
    let (broker, audit) = in_code(&rig.emulator, own);
    for _ in 0..3 {
        let request = Request::get("/secrets/db").body(Empty::<Bytes>::new()).unwrap();
        let response = broker.call("vault", &Caller::named("service"), request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("x-keyward-call"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("swordfish"));
    }
    assert_eq!(fetched.load(Ordering::Relaxed), 1, "kept by the broker's cache");
    assert_eq!(audit.wait(3).await.caller, "name=service");
}

#[tokio::test]
async fn a_mount_is_a_tower_service_whose_errors_are_responses() {
    let rig = Rig::keyvault().mount_lines("allow = [\"GET /secrets/db\"]").start().await;
    let mut service = rig.broker.service("vault", Caller::named("tower")).unwrap();
    let mut ask = async |path: &str| -> Response<keyward::Body> {
        std::future::poll_fn(|cx| Service::<Request<Full<Bytes>>>::poll_ready(&mut service, cx))
            .await
            .unwrap();
        service.call(get(path, &[])).await.unwrap()
    };
    assert_eq!(ask("/secrets/db").await.status(), 200);
    let denied = ask("/secrets/other").await;
    assert_eq!(denied.status(), 403);
    assert_eq!(denied.headers()["content-type"], "application/problem+json");
    let record = rig.audit.wait(2).await;
    assert_eq!((record.caller.as_str(), record.status), ("name=tower", Some(403)));
    assert_eq!(denied.headers()["x-keyward-call"], record.call.as_str());
    let nowhere = rig.broker.service("nowhere", Caller::named("tower")).err();
    assert!(matches!(nowhere, Some(CallError::UnknownMount { .. })), "{nowhere:?}");
}

#[tokio::test]
async fn a_call_to_an_unknown_mount_is_audited() {
    let rig = Rig::keyvault().start().await;
    let caller = Caller::named("test");
    let response = rig.broker.respond("nowhere", &caller, get("/secrets/db?x=1", &[])).await;
    assert_eq!(response.status(), 404);
    let record = rig.audit.wait(1).await;
    assert_eq!(response.headers()["x-keyward-call"], record.call.as_str());
    assert_eq!((record.mount.as_str(), record.path.as_str()), ("nowhere", "/secrets/db"));
    assert_eq!((record.rule, record.outcome), (Some("unknown-mount"), Outcome::Failed));
    let error = rig.broker.call("nowhere", &caller, get("/", &[])).await.err();
    assert!(matches!(error, Some(CallError::UnknownMount { .. })), "{error:?}");
    assert_ne!(rig.audit.wait(2).await.call, record.call);
}

#[tokio::test]
async fn a_response_is_streamed() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().add(Fault::once("vault", FaultKind::Stall(10)));
    let response =
        rig.broker.call("vault", &Caller::named("test"), get("/secrets/db", &[])).await.unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.len(), 10, "the beginning is here while the rest is not");
    assert!(
        tokio::time::timeout(Duration::from_millis(50), body.frame()).await.is_err(),
        "and no more"
    );
    rig.emulator.faults().clear();
    assert!(body.frame().await.unwrap().is_err(), "a response that breaks off does not end well");
    drop(body);
    assert_eq!(rig.audit.wait(1).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn a_caller_that_disconnects_ends_the_call() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().add(Fault::once("vault", FaultKind::Stall(10)));
    let response =
        rig.broker.call("vault", &Caller::named("test"), get("/secrets/db", &[])).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let record = rig.audit.wait(1).await;
    assert_eq!(record.outcome, Outcome::Abandoned, "{record:?}");

    // Before there is a response, too.
    rig.emulator.faults().add(Fault::once("vault", FaultKind::Hang));
    let caller = Caller::named("test");
    let call = rig.broker.call("vault", &caller, get("/secrets/db", &[]));
    let seen = rig.emulator.log().for_service("vault").len();
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert_eq!(rig.audit.wait(2).await.outcome, Outcome::Abandoned);
    assert!(rig.emulator.log().for_service("vault").len() >= seen);
}

/// What a call results in.
type Called = Result<Response<Body>, CallError>;

/// Calls a vault with a request whose body the sender has yet to send.
fn begin_upload<E>(rig: &Rig, path: &str) -> (Sender<Bytes, E>, JoinHandle<Called>)
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let (sender, body) = Channel::new(1);
    let request = Request::put(path).header("content-type", "application/json").body(body).unwrap();
    let broker = rig.broker.clone();
    let call =
        tokio::spawn(async move { broker.call("vault", &Caller::named("test"), request).await });
    (sender, call)
}

#[tokio::test]
async fn a_request_body_is_streamed() {
    let rig = Rig::keyvault().start().await;
    let (mut sender, call) = begin_upload::<std::io::Error>(&rig, "/secrets/long");
    let text = "x".repeat(20_000);
    sender.send_data(Bytes::from_static(b"{\"value\": \"")).await.unwrap();
    for piece in text.as_bytes().chunks(1000) {
        sender.send_data(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    sender.send_data(Bytes::from_static(b"\"}")).await.unwrap();
    drop(sender);
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let response = rig.call(get("/secrets/long", &[])).await;
    assert!(response.text().contains(&text), "as it was sent");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_ends_its_call_with_a_timeout() {
    let rig = Rig::keyvault().start().await;
    let (mut sender, call) = begin_upload::<SlowBody>(&rig, "/secrets/slow");
    sender.send_data(Bytes::from_static(b"{\"value\": ")).await.unwrap();
    sender.abort(SlowBody { min_rate: 240 });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.status().as_u16(), error.kind()), (408, "slow-body"));
    assert!(error.to_string().contains("240 bytes per second"), "{error}");
    assert_eq!(rig.audit.wait(1).await.rule, Some("slow-body"));
    assert_eq!(rig.call(get("/secrets/slow", &[])).await.status, 404, "nothing was stored");
}

#[tokio::test]
async fn an_aborted_body_is_not_a_complete_upload() {
    let rig = Rig::keyvault().start().await;
    let (mut sender, call) = begin_upload::<std::io::Error>(&rig, "/secrets/torn");
    sender.send_data(Bytes::from_static(b"{\"value\": \"half\"}")).await.unwrap();
    sender.abort(std::io::Error::other("the disk is gone"));
    let status = match call.await.unwrap() {
        Ok(response) => response.status(),
        Err(error) => error.status(),
    };
    assert!(status.is_client_error() || status.is_server_error(), "{status}");
    assert_eq!(rig.call(get("/secrets/torn", &[])).await.status, 404, "nothing was stored");
}
