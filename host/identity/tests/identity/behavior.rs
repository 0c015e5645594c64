//! Behavior of single sources, and of all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::source::{
    AppService, AzureArc, CloudShell, Imds, InvalidSource, RateLimit, Retry, ServiceFabric,
    Settings, SourceKind, Tls, UserAssigned, WorkloadIdentity, auto,
};
use keyward_identity::{Audience, TokenSource};

use crate::fake_endpoint::{FakeEndpoint, HANG, Options, Step};
use crate::fixture::{CLIENT, Fixture, HTTP, NOW, OBJECT, identities, name, vault};

const GOOD: &str = r#"{"access_token":"eyJsecret","expires_in":3599,"token_type":"Bearer"}"#;

#[tokio::test]
async fn a_response_for_another_identity_is_an_error() {
    for kind in [SourceKind::Imds, SourceKind::AppService] {
        for (requested, received, expected) in [
            (Some(CLIENT), Some(CLIENT), None),
            (Some(CLIENT), Some("00001111-AAAA-2222-BBBB-3333CCCC4444"), None),
            (Some(CLIENT), None, None),
            (None, Some(OBJECT), None),
            (Some(CLIENT), Some(OBJECT), Some("wrong identity")),
        ] {
            let id = received.map(|id| format!(r#","client_id":"{id}""#)).unwrap_or_default();
            let body = format!(r#"{{"access_token":"eyJsecret","expires_on":1700086400{id}}}"#);
            let fixture = Fixture::new(kind, vec![Step::new(200, body)]).await;
            let identity = requested.map(|id| UserAssigned::ClientId(id.to_owned()));
            let got = fixture.fetch(identity).await;
            let error = got.as_ref().err().map(name);
            assert_eq!(error, expected, "{kind}, {requested:?}, {received:?}: {got:?}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_listen_is_unreachable() {
    // A port that is taken, so that nobody else gets it, but does not listen.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    for kind in HTTP {
        let mut fixture = Fixture::new(kind, vec![Step::Close]).await;
        let scheme = fixture.endpoint.origin.split(':').next().unwrap().to_owned();
        fixture.endpoint.origin = format!("{scheme}://{}", taken.local_addr().unwrap());
        let error = fixture.fetch(None).await.unwrap_err();
        assert_eq!(name(&error), "unreachable", "{kind}: {error:?}");
        assert!(fixture.clock.steady() <= Duration::from_secs(30));
    }
}

#[tokio::test]
async fn service_fabric_sends_its_secret_to_the_pinned_certificate_only() {
    let fixture = Fixture::new(SourceKind::ServiceFabric, vec![Step::new(200, "{}")]).await;
    let other = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
    let url = format!("{}/msi/token", fixture.endpoint.origin);
    let source = ServiceFabric::new(&url, "secret", other, None).unwrap();
    let error = source.settings(fixture.settings()).fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "untrusted", "{error:?}");
    assert!(fixture.endpoint.requests().is_empty());
    for thumbprint in ["", "x", "DA39"] {
        let source = ServiceFabric::new(&url, "secret", thumbprint, None);
        assert!(source.is_err(), "{thumbprint}");
    }
    let without_tls = ServiceFabric::new("http://127.0.0.1/", "secret", other, None);
    assert!(without_tls.is_err());
}

#[tokio::test]
async fn workload_identity_sends_its_assertion_to_a_trusted_authority_only() {
    let fixture = Fixture::new(SourceKind::WorkloadIdentity, vec![Step::new(200, "{}")]).await;
    let source = fixture.with(None, fixture.settings().tls(Tls::system())).unwrap();
    let error = source.fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "untrusted", "{error:?}");
    assert!(fixture.endpoint.requests().is_empty());
    for authority in
        ["http://127.0.0.1/", "127.0.0.1", "https://u@127.0.0.1", "https://127.0.0.1/?x", ""]
    {
        let source = WorkloadIdentity::new(CLIENT, "contoso.com", "/x", authority);
        assert!(source.is_err(), "{authority}");
    }
    for tenant in ["", "a/b", "..", "a?b", "a b"] {
        let source = WorkloadIdentity::new(CLIENT, tenant, "/x", "https://127.0.0.1");
        assert!(source.is_err(), "{tenant}");
    }
}

#[tokio::test]
async fn workload_identity_reads_its_file_for_every_token() {
    let fixture = Fixture::new(SourceKind::WorkloadIdentity, vec![Step::new(200, GOOD)]).await;
    let source = fixture.source(None).unwrap();
    let file = fixture.files.path().join("assertion");
    source.fetch(&vault()).await.unwrap();
    std::fs::write(&file, "another.token").unwrap();
    let arm = Audience::new("https://management.azure.com/").unwrap();
    source.fetch(&arm).await.unwrap();
    let requests = fixture.endpoint.requests();
    assert!(requests[0].ends_with("client_assertion=service.account.token"));
    assert!(requests[1].ends_with("client_assertion=another.token"));
    assert!(requests[1].contains("&scope=https%3A%2F%2Fmanagement.azure.com%2F%2F.default&"));
    for broken in ["", " \n", "two words"] {
        std::fs::write(&file, broken).unwrap();
        let error = source.fetch(&vault()).await.unwrap_err();
        assert_eq!(name(&error), "file", "{broken:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let error = source.fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "file");
    assert!(error.help().unwrap().contains("label the pod"), "{error:?}");
    assert_eq!(fixture.endpoint.requests().len(), 2);
}

#[tokio::test]
async fn arc_reads_the_agents_files_only() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("tokens")).unwrap();
    std::fs::write(at("outside.key"), "secret").unwrap();
    std::fs::write(at("tokens/a.txt"), "secret").unwrap();
    std::fs::write(at("tokens/long.key"), "x".repeat(4097)).unwrap();
    let paths: Vec<PathBuf> = vec![
        at("outside.key"),
        at("tokens/../outside.key"),
        at("tokens/a.txt"),
        at("tokens/long.key"),
        at("tokens/missing.key"),
        PathBuf::from("/etc/passwd"),
        PathBuf::from("tokens/a.key"),
    ];
    for path in paths {
        let options = Options { challenge: Some(path.clone()), ..Options::default() };
        let endpoint = FakeEndpoint::start(vec![Step::new(200, "{}")], options).await;
        let source = AzureArc::new(&format!("{}/token", endpoint.origin), None).unwrap();
        let error = source.directory(at("tokens")).fetch(&vault()).await.unwrap_err();
        assert_eq!(name(&error), "file", "{path:?}: {error:?}");
        assert!(endpoint.requests().is_empty(), "{path:?}");
    }
}

#[tokio::test]
async fn arc_fails_if_its_key_is_rejected_or_the_challenge_is_malformed() {
    let fixture = Fixture::new(SourceKind::Arc, vec![Step::new(401, "")]).await;
    assert_eq!(name(&fixture.fetch(None).await.unwrap_err()), "rejected");
    for challenge in ["Bearer x", "Basic", "Basic file=/x"] {
        let step = Step::new(401, "").header("www-authenticate", challenge);
        let endpoint = FakeEndpoint::start(vec![step], Options::default()).await;
        let source = AzureArc::new(&endpoint.origin, None).unwrap();
        let error = source.fetch(&vault()).await.unwrap_err();
        assert_eq!(name(&error), "malformed", "{challenge}");
    }
}

#[tokio::test]
async fn an_error_names_the_missing_variable() {
    fn missing<T: std::fmt::Debug>(source: Result<T, InvalidSource>) -> &'static str {
        match source.unwrap_err() {
            InvalidSource::MissingVariable { variable, .. } => variable,
            other => panic!("{other}"),
        }
    }
    let unset = |_: &str| None;
    assert_eq!(missing(AppService::from_env(&unset, None)), "IDENTITY_ENDPOINT");
    assert_eq!(missing(ServiceFabric::from_env(&unset, None)), "IDENTITY_ENDPOINT");
    assert_eq!(missing(CloudShell::from_env(&unset, None)), "MSI_ENDPOINT");
    assert_eq!(missing(WorkloadIdentity::from_env(&unset, None, None)), "AZURE_CLIENT_ID");
    assert!(AzureArc::from_env(&unset, None).is_ok(), "the agent's default endpoint");
    let endpoint_only =
        |name: &str| (name == "IDENTITY_ENDPOINT").then(|| "http://127.0.0.1:1/".to_owned());
    assert_eq!(missing(AppService::from_env(&endpoint_only, None)), "IDENTITY_HEADER");
    let invalid = |_: &str| Some("line\nbreak".to_owned());
    assert!(AppService::from_env(&invalid, None).is_err());
}

#[test]
fn auto_creates_the_detected_source_for_the_requested_identity() {
    let describe = |set: &[(&str, &str)], identity: Option<UserAssigned>| {
        let env = |name: &str| {
            let variable = set.iter().find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        let authority = Some("https://login.chinacloudapi.cn");
        auto(&env, identity, authority, Settings::default()).map(|source| source.describe())
    };
    let client = || Some(UserAssigned::ClientId(CLIENT.to_owned()));
    let app = [("IDENTITY_ENDPOINT", "http://localhost:1/"), ("IDENTITY_HEADER", "x")];
    let shell = [("MSI_ENDPOINT", "http://localhost:1/")];
    let pod =
        [("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t"), ("AZURE_FEDERATED_TOKEN_FILE", "/f")];
    let imds = format!("IMDS, user-assigned by client id {CLIENT}");
    assert_eq!(describe(&[], None).unwrap(), "IMDS, system-assigned");
    assert_eq!(describe(&[], client()).unwrap(), imds);
    assert_eq!(describe(&app, None).unwrap(), "App Service, system-assigned");
    assert_eq!(describe(&shell, None).unwrap(), "Cloud Shell, signed-in user");
    let error = describe(&shell, client());
    assert!(matches!(error, Err(InvalidSource::NoUserAssigned { .. })), "{error:?}");
    assert_eq!(
        describe(&pod, None).unwrap(),
        "workload identity, client id c at https://login.chinacloudapi.cn/t/oauth2/v2.0/token"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_five_requests_are_in_flight() {
    let options = Options { delay: Duration::from_millis(20), ..Options::default() };
    let endpoint = FakeEndpoint::start(vec![Step::new(200, GOOD)], options).await;
    let limit = RateLimit::new(5, 10_000);
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            // Two sources of one machine share its rate limit.
            let imds = Imds::new().endpoint(&endpoint.origin).unwrap().rate_limit(limit.clone());
            let client = (number % 2 == 1).then(|| UserAssigned::ClientId(CLIENT.into()));
            let imds = client.into_iter().fold(imds, Imds::user_assigned);
            tokio::spawn(async move { imds.fetch(&vault()).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(endpoint.requests().len(), 40);
    assert!((2..=5).contains(&endpoint.most_in_flight()), "{}", endpoint.most_in_flight());
}

#[tokio::test]
async fn every_kind_is_created_for_the_identities_that_it_takes() {
    for kind in SourceKind::ALL {
        for identity in identities() {
            let fixture = Fixture::new(kind, vec![Step::Close]).await;
            let source = fixture.create(identity.clone());
            let Some(identity) = identity else {
                source.unwrap();
                continue;
            };
            match source {
                Ok(source) => {
                    assert!(kind.takes(&identity));
                    let description = source.describe();
                    assert!(description.contains(&identity.to_string()), "{kind}: {description}");
                }
                Err(error) => {
                    assert!(!kind.takes(&identity));
                    assert_eq!(error, InvalidSource::NoUserAssigned { kind, identity });
                }
            }
        }
    }
}

#[tokio::test]
async fn the_first_request_has_its_whole_time_limit_even_with_a_short_deadline() {
    let clock = ManualClock::at(Duration::from_secs(NOW));
    let options = Options { delay: HANG, clock: Some(clock.clone()), ..Options::default() };
    let endpoint = FakeEndpoint::start(vec![Step::new(200, GOOD), Step::Hang], options).await;
    let retry = Retry::within(Duration::from_millis(10));
    let settings = Settings::default().clock(Arc::new(clock)).retry(retry).timeout(3 * HANG);
    let imds = Imds::new().endpoint(&endpoint.origin).unwrap().settings(settings);
    imds.fetch(&vault()).await.unwrap();
    let error = imds.timeout(2 * HANG).fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "unavailable", "{error}");
}
