//! What single sources promise, and all of them together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::source::{
    AppService, AzureArc, CloudShell, Imds, InvalidSource, Pace, Retry, ServiceFabric, Settings, SourceKind, Tls,
    UserAssigned, WorkloadIdentity, auto,
};
use keyward_identity::{Audience, TokenSource};

use crate::endpoint::{Endpoint, HANG, Manner, Step};
use crate::stage::{CLIENT, HTTP, NOW, OBJECT, Stage, identities, name, vault};

#[tokio::test]
async fn an_endpoint_that_answers_for_another_identity_is_an_error() {
    for kind in [SourceKind::Imds, SourceKind::AppService] {
        for (asked, answered, expected) in [
            (Some(CLIENT), Some(CLIENT), None),
            (Some(CLIENT), Some("00001111-AAAA-2222-BBBB-3333CCCC4444"), None),
            (Some(CLIENT), None, None),
            (None, Some(OBJECT), None),
            (Some(CLIENT), Some(OBJECT), Some("wrong identity")),
        ] {
            let client_id = answered.map(|id| format!(r#","client_id":"{id}""#)).unwrap_or_default();
            let body = format!(r#"{{"access_token":"eyJsecret","expires_on":1700086400{client_id}}}"#);
            let stage = Stage::new(kind, vec![Step::new(200, body)]).await;
            let got = stage.fetch(asked.map(|id| UserAssigned::ClientId(id.to_owned()))).await;
            assert_eq!(got.as_ref().err().map(name), expected, "{kind}, {asked:?}, {answered:?}: {got:?}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unreachable() {
    // The port is taken, so that nobody else gets it, and nobody listens.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    for kind in HTTP {
        let mut stage = Stage::new(kind, vec![Step::Close]).await;
        let scheme = stage.endpoint.origin.split(':').next().unwrap().to_owned();
        stage.endpoint.origin = format!("{scheme}://{}", taken.local_addr().unwrap());
        let error = stage.fetch(None).await.unwrap_err();
        assert_eq!(name(&error), "unreachable", "{kind}: {error:?}");
        assert!(stage.clock.steady() <= Duration::from_secs(30));
    }
}

#[tokio::test]
async fn service_fabric_sends_its_secret_to_one_certificate_only() {
    let stage = Stage::new(SourceKind::ServiceFabric, vec![Step::new(200, "{}")]).await;
    let other = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
    let url = format!("{}/msi/token", stage.endpoint.origin);
    let source = ServiceFabric::new(&url, "secret", other, None).unwrap().settings(stage.settings());
    let error = source.fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "untrusted", "{error:?}");
    assert!(stage.endpoint.requests().is_empty());
    for thumbprint in ["", "x", "DA39"] {
        assert!(ServiceFabric::new(&url, "secret", thumbprint, None).is_err(), "{thumbprint}");
    }
    assert!(ServiceFabric::new("http://127.0.0.1/", "secret", other, None).is_err(), "without TLS");
}

#[tokio::test]
async fn workload_identity_sends_its_assertion_to_a_trusted_authority_only() {
    let stage = Stage::new(SourceKind::WorkloadIdentity, vec![Step::new(200, "{}")]).await;
    let source = stage.with(None, stage.settings().tls(Tls::system())).unwrap();
    let error = source.fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "untrusted", "{error:?}");
    assert!(stage.endpoint.requests().is_empty());
    for authority in ["http://127.0.0.1/", "127.0.0.1", "https://u@127.0.0.1", "https://127.0.0.1/?x", ""] {
        assert!(WorkloadIdentity::new(CLIENT, "contoso.com", "/x", authority).is_err(), "{authority}");
    }
    for tenant in ["", "a/b", "..", "a?b", "a b"] {
        assert!(WorkloadIdentity::new(CLIENT, tenant, "/x", "https://127.0.0.1").is_err(), "{tenant}");
    }
}

#[tokio::test]
async fn workload_identity_reads_its_file_again_for_every_token() {
    let good = r#"{"access_token":"eyJsecret","expires_in":3599,"token_type":"Bearer"}"#;
    let stage = Stage::new(SourceKind::WorkloadIdentity, vec![Step::new(200, good)]).await;
    let source = stage.source(None).unwrap();
    let file = stage.files.path().join("assertion");
    source.fetch(&vault()).await.unwrap();
    std::fs::write(&file, "another.token").unwrap();
    let slash = Audience::new("https://management.azure.com/").unwrap();
    source.fetch(&slash).await.unwrap();
    let requests = stage.endpoint.requests();
    assert!(requests[0].ends_with("client_assertion=service.account.token"));
    assert!(requests[1].ends_with("client_assertion=another.token"));
    assert!(requests[1].contains("&scope=https%3A%2F%2Fmanagement.azure.com%2F%2F.default&"));
    for broken in ["", " \n", "two words"] {
        std::fs::write(&file, broken).unwrap();
        assert_eq!(name(&source.fetch(&vault()).await.unwrap_err()), "file", "{broken:?}");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(name(&source.fetch(&vault()).await.unwrap_err()), "file");
    assert_eq!(stage.endpoint.requests().len(), 2);
}

#[tokio::test]
async fn arc_reads_no_file_but_the_agents() {
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
        let challenge = Some(path.clone());
        let endpoint = Endpoint::start(vec![Step::new(200, "{}")], Manner { challenge, ..Manner::default() }).await;
        let source = AzureArc::new(&format!("{}/token", endpoint.origin), None).unwrap().directory(at("tokens"));
        let error = source.fetch(&vault()).await.unwrap_err();
        assert_eq!(name(&error), "file", "{path:?}: {error:?}");
        assert!(endpoint.requests().is_empty(), "{path:?}");
    }
}

#[tokio::test]
async fn arc_with_a_key_that_is_refused_or_no_challenge_gives_up() {
    let stage = Stage::new(SourceKind::Arc, vec![Step::new(401, "")]).await;
    assert_eq!(name(&stage.fetch(None).await.unwrap_err()), "refused");
    for challenge in ["Bearer x", "Basic", "Basic file=/x"] {
        let step = Step::new(401, "").header("www-authenticate", challenge);
        let endpoint = Endpoint::start(vec![step], Manner::default()).await;
        let source = AzureArc::new(&endpoint.origin, None).unwrap();
        assert_eq!(name(&source.fetch(&vault()).await.unwrap_err()), "malformed", "{challenge}");
    }
}

#[tokio::test]
async fn variables_that_are_missing_are_named() {
    let nothing = |_: &str| None;
    let missing = |error: InvalidSource| match error {
        InvalidSource::MissingVariable { variable, .. } => variable,
        other => panic!("{other}"),
    };
    assert_eq!(missing(AppService::from_env(&nothing, None).unwrap_err()), "IDENTITY_ENDPOINT");
    assert_eq!(missing(ServiceFabric::from_env(&nothing, None).unwrap_err()), "IDENTITY_ENDPOINT");
    assert_eq!(missing(CloudShell::from_env(&nothing, None).unwrap_err()), "MSI_ENDPOINT");
    assert_eq!(missing(WorkloadIdentity::from_env(&nothing, None, None).unwrap_err()), "AZURE_CLIENT_ID");
    assert!(AzureArc::from_env(&nothing, None).is_ok(), "the agent's usual address");
    let no_header = |name: &str| (name == "IDENTITY_ENDPOINT").then(|| "http://127.0.0.1:1/".to_owned());
    assert_eq!(missing(AppService::from_env(&no_header, None).unwrap_err()), "IDENTITY_HEADER");
    let bad = |_: &str| Some("line\nbreak".to_owned());
    assert!(AppService::from_env(&bad, None).is_err());
}

#[test]
fn auto_takes_what_the_machine_has_and_asks_it_for_nobody_it_does_not_know() {
    let describe = |set: &[(&str, &str)], identity: Option<UserAssigned>| {
        let env = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        auto(&env, identity, Some("https://login.chinacloudapi.cn"), Settings::default()).map(|made| made.describe())
    };
    let client = || Some(UserAssigned::ClientId(CLIENT.to_owned()));
    let app = [("IDENTITY_ENDPOINT", "http://localhost:1/"), ("IDENTITY_HEADER", "x")];
    let shell = [("MSI_ENDPOINT", "http://localhost:1/")];
    let pod = [("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t"), ("AZURE_FEDERATED_TOKEN_FILE", "/f")];
    assert_eq!(describe(&[], None).unwrap(), "IMDS, system-assigned");
    assert_eq!(describe(&[], client()).unwrap(), format!("IMDS, user-assigned by client id {CLIENT}"));
    assert_eq!(describe(&app, None).unwrap(), "App Service, system-assigned");
    assert_eq!(describe(&shell, None).unwrap(), "Cloud Shell, the signed-in person");
    assert!(matches!(describe(&shell, client()), Err(InvalidSource::NoUserAssigned { .. })));
    let pod = describe(&pod, None).unwrap();
    assert_eq!(pod, "workload identity, client id c at https://login.chinacloudapi.cn/t/oauth2/v2.0/token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_five_requests_are_under_way() {
    let good = r#"{"access_token":"eyJsecret","expires_in":3599}"#;
    let manner = Manner { delay: Duration::from_millis(20), ..Manner::default() };
    let endpoint = Endpoint::start(vec![Step::new(200, good)], manner).await;
    let pace = Pace::new(5, 10_000);
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            // Two sources of one machine share its pace.
            let imds = Imds::new().endpoint(&endpoint.origin).unwrap().pace(pace.clone());
            let imds = if number % 2 == 0 { imds } else { imds.user_assigned(UserAssigned::ClientId(CLIENT.into())) };
            tokio::spawn(async move { imds.fetch(&vault()).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(endpoint.requests().len(), 40);
    assert!((2..=5).contains(&endpoint.most_at_once()), "{}", endpoint.most_at_once());
}

#[tokio::test]
async fn every_kind_is_made_for_the_identity_that_was_asked_for_or_refused() {
    for kind in SourceKind::ALL {
        for identity in identities() {
            let stage = Stage::new(kind, vec![Step::Close]).await;
            let made = stage.of_kind(identity.clone());
            let Some(asked) = identity else {
                made.unwrap();
                continue;
            };
            match made {
                Ok(source) => {
                    assert!(kind.takes(&asked));
                    let described = source.describe();
                    assert!(described.contains(&asked.to_string()), "{kind}: {described}");
                }
                Err(error) => {
                    assert!(!kind.takes(&asked));
                    assert_eq!(error, InvalidSource::NoUserAssigned { kind, identity: asked });
                }
            }
        }
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_as_long_as_one_request_may_take() {
    let good = Step::new(200, r#"{"access_token":"eyJsecret","expires_in":3599}"#);
    let clock = ManualClock::at(Duration::from_secs(NOW));
    let manner = Manner { delay: HANG, clock: Some(clock.clone()), ..Manner::default() };
    let endpoint = Endpoint::start(vec![good, Step::Hang], manner).await;
    let settings = Settings::default().clock(Arc::new(clock)).retry(Retry::within(Duration::from_millis(10)));
    let imds = Imds::new().endpoint(&endpoint.origin).unwrap().settings(settings.timeout(3 * HANG));
    imds.fetch(&vault()).await.unwrap();
    let error = imds.timeout(2 * HANG).fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "unavailable", "{error}");
}
