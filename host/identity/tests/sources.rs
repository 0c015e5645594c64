//! Every source, every form of an identity, every answer, every fault, against an endpoint that does what it is told to.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod endpoint;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use endpoint::{Endpoint, Manner, Step};
use keyward_identity::clock::{Clock, ManualClock};
use keyward_identity::source::{
    AppService, AzureArc, CloudShell, Imds, InvalidSource, Pace, Retry, ServiceFabric, Settings, SourceKind, Tls,
    UserAssigned, WorkloadIdentity, auto,
};
use keyward_identity::{Audience, TokenError, TokenSource};
use tokio_rustls::TlsAcceptor;

const NOW: u64 = 1_700_000_000;
const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const OBJECT: &str = "00005555-dddd-6666-eeee-7777ffff8888";
const RESOURCE: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reports";

const HTTP: [SourceKind; 6] = [
    SourceKind::Imds,
    SourceKind::AppService,
    SourceKind::Arc,
    SourceKind::ServiceFabric,
    SourceKind::CloudShell,
    SourceKind::WorkloadIdentity,
];

fn identities() -> [Option<UserAssigned>; 4] {
    [
        None,
        Some(UserAssigned::ClientId(CLIENT.to_owned())),
        Some(UserAssigned::ObjectId(OBJECT.to_owned())),
        Some(UserAssigned::ResourceId(RESOURCE.to_owned())),
    ]
}

/// A certificate that nobody signed, for all tests.
struct Certificate {
    acceptor: TlsAcceptor,
    thumbprint: String,
    trusting: Tls,
}

fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let der = made.cert.der().clone();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(vec![der.clone()], key).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        Certificate {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            thumbprint: digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect(),
            trusting: Tls::system_and_pem(made.cert.pem().as_bytes()).unwrap(),
        }
    })
}

/// One source, its endpoint, and a clock on which nobody waits.
struct Stage {
    endpoint: Endpoint,
    clock: ManualClock,
    files: tempfile::TempDir,
    kind: SourceKind,
    timeout: Duration,
}

impl Stage {
    async fn new(kind: SourceKind, steps: Vec<Step>) -> Self {
        let hangs = steps.iter().any(|step| matches!(step, Step::Hang));
        let timeout = if hangs { Duration::from_millis(40) } else { Duration::from_secs(5) };
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("a.key"), "key of the agent").unwrap();
        std::fs::write(files.path().join("assertion"), "service.account.token\n").unwrap();
        let https = matches!(kind, SourceKind::ServiceFabric | SourceKind::WorkloadIdentity);
        let manner = Manner {
            tls: https.then(|| certificate().acceptor.clone()),
            challenge: (kind == SourceKind::Arc).then(|| files.path().join("a.key")),
            ..Manner::default()
        };
        let clock = ManualClock::skipping_sleeps(Duration::from_secs(NOW));
        Self { endpoint: Endpoint::start(steps, manner).await, clock, files, kind, timeout }
    }

    fn settings(&self) -> Settings {
        let settings = Settings::default().clock(Arc::new(self.clock.clone())).timeout(self.timeout);
        settings.tls(certificate().trusting.clone())
    }

    fn source(&self, identity: Option<UserAssigned>) -> Result<Arc<dyn TokenSource>, InvalidSource> {
        self.with(identity, self.settings())
    }

    fn with(&self, identity: Option<UserAssigned>, settings: Settings) -> Result<Arc<dyn TokenSource>, InvalidSource> {
        let origin = &self.endpoint.origin;
        let file = self.files.path().join("assertion").display().to_string();
        let env = |name: &str| {
            let value = match name {
                "IDENTITY_ENDPOINT" => format!("{origin}/msi/token"),
                "IDENTITY_HEADER" => "secret of the platform".to_owned(),
                "IDENTITY_SERVER_THUMBPRINT" => certificate().thumbprint.clone(),
                "MSI_ENDPOINT" => format!("{origin}/oauth2/token"),
                "AZURE_CLIENT_ID" => CLIENT.to_owned(),
                "AZURE_TENANT_ID" => "contoso.com".to_owned(),
                "AZURE_FEDERATED_TOKEN_FILE" => file.clone(),
                "AZURE_AUTHORITY_HOST" => format!("{origin}/"),
                _ => return None,
            };
            Some(value)
        };
        Ok(match self.kind {
            SourceKind::Imds => {
                let imds = Imds::new().endpoint(origin).unwrap().settings(settings);
                Arc::new(identity.into_iter().fold(imds, Imds::user_assigned))
            }
            SourceKind::AppService => Arc::new(AppService::from_env(&env, identity)?.settings(settings)),
            SourceKind::Arc => {
                Arc::new(AzureArc::from_env(&env, identity)?.settings(settings).directory(self.files.path()))
            }
            SourceKind::ServiceFabric => Arc::new(ServiceFabric::from_env(&env, identity)?.settings(settings)),
            SourceKind::CloudShell => Arc::new(CloudShell::from_env(&env, identity)?.settings(settings)),
            SourceKind::WorkloadIdentity => {
                Arc::new(WorkloadIdentity::from_env(&env, identity, None)?.settings(settings))
            }
            other => panic!("{other}"),
        })
    }

    async fn fetch(&self, identity: Option<UserAssigned>) -> Result<(u64, Option<u64>), TokenError> {
        let source = self.source(identity).unwrap();
        let issued = source.fetch(&vault()).await?;
        assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret");
        Ok((issued.token.expires_on(), issued.expires_in.map(|left| left.as_secs())))
    }
}

fn vault() -> Audience {
    Audience::new("https://vault.azure.net").unwrap()
}

fn name(error: &TokenError) -> &'static str {
    match error {
        TokenError::IdentityNotFound { .. } => "identity not found",
        TokenError::SeveralIdentities { .. } => "several identities",
        TokenError::ResourceUnknown { .. } => "resource unknown",
        TokenError::Unreachable { .. } => "unreachable",
        TokenError::NotManagedIdentityMachine { .. } => "not a managed-identity machine",
        TokenError::WrongIdentity { .. } => "wrong identity",
        TokenError::Untrusted { .. } => "untrusted",
        TokenError::File { .. } => "file",
        TokenError::Command { .. } => "command",
        TokenError::Refused { .. } => "refused",
        TokenError::Throttled { .. } => "throttled",
        TokenError::Unavailable { .. } => "unavailable",
        TokenError::Malformed { .. } => "malformed",
        TokenError::Expired { .. } => "expired",
        _ => "new",
    }
}

/// Answers with a token, and when it ends.
fn answers() -> Vec<(&'static str, u64, Option<u64>)> {
    let end = NOW + 86_400;
    vec![
        (r#""expires_on":"1700086400""#, end, None),
        (r#""expires_on":1700086400"#, end, None),
        (r#""expires_on":1700086400.25"#, end, None),
        (r#""expires_on":"2023-11-15T22:13:20.1234567+00:00""#, end, None),
        (r#""expires_on":"2023-11-16T00:13:20.1234567+02:00""#, end, None),
        (r#""expires_on":"11/15/2023 10:13:20 PM +00:00""#, end, None),
        (r#""expires_on":"11/15/2023 22:13:20 +00:00""#, end, None),
        (r#""expires_on":"Wed, 15 Nov 2023 22:13:20 GMT""#, end, None),
        (r#""expires_in":"3599""#, NOW + 3599, Some(3599)),
        (r#""expires_in":3599"#, NOW + 3599, Some(3599)),
        (r#""expires_in":3599.9"#, NOW + 3599, Some(3599)),
        (r#""expires_in":"86399","expires_on":"1700086400","ext_expires_in":"1","not_before":"1""#, end, Some(86_399)),
        (r#""expires_in":null,"expires_on":"1700086400","client_id":null"#, end, None),
        (r#""expires_in":3599,"expires_on":"N/A""#, NOW + 3599, Some(3599)),
    ]
}

/// Answers without one, what they are, and how often the endpoint is asked: `None` for more than once.
fn faults() -> Vec<(&'static str, Step, &'static str, Option<usize>)> {
    const TENANT: &str = "AADSTS500011: The resource principal named x was not found in the tenant named y.";
    let json = |status, error: &str, description: &str| {
        Step::new(status, format!(r#"{{"error":"{error}","error_description":"{description}"}}"#))
    };
    let app = |status, message: &str| {
        Step::new(status, format!(r#"{{"statusCode":{status},"message":"{message}","correlationId":"1"}}"#))
    };
    let nested = |status, code: &str, message: &str| {
        Step::new(status, format!(r#"{{"error":{{"code":"{code}","message":"{message}","correlationId":"1"}}}}"#))
    };
    let once = Some(1);
    vec![
        ("no identity", json(400, "invalid_request", "Identity not found"), "identity not found", once),
        (
            "no identity, App Service",
            app(400, "No MSI found for specified ClientId/ResourceId."),
            "identity not found",
            once,
        ),
        ("no identity, Functions", app(400, "Unable to load the proper Managed Identity."), "identity not found", once),
        (
            "no identity, Container Apps",
            app(404, "No Managed Identity found for specified ClientId"),
            "identity not found",
            once,
        ),
        ("no identity, Service Fabric", nested(404, "ManagedIdentityNotFound", "x"), "identity not found", once),
        (
            "no identity, Entra",
            json(400, "unauthorized_client", "AADSTS700016: Application with identifier 'x' was not found"),
            "identity not found",
            once,
        ),
        (
            "several",
            json(
                400,
                "invalid_request",
                "Multiple user assigned identities exist, please specify the clientId / resourceId",
            ),
            "several identities",
            once,
        ),
        ("resource", json(400, "invalid_resource", TENANT), "resource unknown", once),
        ("resource, by its number", json(400, "invalid_request", TENANT), "resource unknown", once),
        (
            "resource, Cloud Shell",
            nested(400, "AudienceNotSupported", "Audience is not a supported MSI token audience."),
            "resource unknown",
            once,
        ),
        (
            "scope",
            json(400, "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid."),
            "resource unknown",
            once,
        ),
        (
            "arrays",
            Step::new(400, r#"{"error":["invalid_request"],"error_description":["Identity not found"]}"#),
            "identity not found",
            once,
        ),
        ("an array of errors", Step::new(400, r#"[{"error":"invalid_resource"}]"#), "resource unknown", once),
        ("no header", json(400, "bad_request_102", "Required metadata header not specified"), "refused", once),
        (
            "no secret",
            nested(400, "SecretHeaderNotFound", "Secret is not found in the request headers."),
            "refused",
            once,
        ),
        ("denied", json(403, "access_denied", "no"), "refused", once),
        ("plain text", Step::new(400, "nonsense"), "refused", once),
        ("HTML", Step::new(403, "<html><body>eyJsecret</body></html>"), "refused", once),
        ("nothing", Step::new(400, ""), "refused", once),
        ("a redirect", Step::new(302, "").header("location", "http://127.0.0.1:1/"), "refused", once),
        (
            "Docker Desktop",
            Step::new(
                403,
                "connecting to 169.254.169.254:80: connectex: A socket operation was attempted to an unreachable network.",
            ),
            "not a managed-identity machine",
            once,
        ),
        (
            "Google",
            Step::new(404, "<html>").header("metadata-flavor", "Google"),
            "not a managed-identity machine",
            once,
        ),
        ("Amazon", Step::new(404, "").header("server", "EC2ws"), "not a managed-identity machine", once),
        ("throttled", json(429, "too_many_requests", "slow down"), "throttled", None),
        ("throttled for seconds", Step::new(429, "").header("retry-after", "7"), "throttled", None),
        (
            "throttled until a date",
            Step::new(429, "").header("retry-after", "Tue, 14 Nov 2023 22:13:27 GMT"),
            "throttled",
            None,
        ),
        ("throttled for long", Step::new(429, "").header("retry-after", "3600"), "throttled", once),
        ("gone", Step::new(410, ""), "unavailable", None),
        ("broken", json(500, "unknown", "Failed to retrieve token from the Active directory"), "unavailable", None),
        ("bad gateway", Step::new(502, "<html>"), "unavailable", None),
        ("down", Step::new(503, ""), "unavailable", None),
        ("slow", Step::new(504, "upstream"), "unavailable", None),
        ("request too slow", Step::new(408, ""), "unavailable", None),
        ("closes", Step::Close, "unavailable", None),
        ("garbles", Step::Garble, "unavailable", None),
        ("truncates", Step::Truncate, "unavailable", None),
        ("hangs", Step::Hang, "unavailable", None),
        ("200 and HTML", Step::new(200, "<html>eyJsecret</html>"), "malformed", once),
        ("200 and nothing", Step::new(200, ""), "malformed", once),
        ("200 and an error", json(200, "invalid_request", "Identity not found"), "malformed", once),
        ("no end", Step::new(200, r#"{"access_token":"eyJsecret"}"#), "malformed", once),
        ("no known date", Step::new(200, r#"{"access_token":"eyJsecret","expires_on":"tomorrow"}"#), "malformed", once),
        (
            "milliseconds",
            Step::new(200, r#"{"access_token":"eyJsecret","expires_on":1700086400000}"#),
            "malformed",
            once,
        ),
        ("no token", Step::new(200, r#"{"expires_in":3599}"#), "malformed", once),
        ("an empty token", Step::new(200, r#"{"access_token":"","expires_in":3599}"#), "malformed", once),
        (
            "a token with a line break",
            Step::new(200, r#"{"access_token":"eyJsecret\r\nx: y","expires_in":1}"#),
            "malformed",
            once,
        ),
        ("a token in an array", Step::new(200, r#"{"access_token":["eyJsecret"],"expires_in":1}"#), "malformed", once),
        ("endless", Step::new(200, "x".repeat(70_000)), "unavailable", None),
    ]
}

/// The identity forms that a source takes are sent under the endpoint's own names.
fn sent_as(kind: SourceKind, identity: Option<&UserAssigned>) -> Vec<String> {
    let resource = "https%3A%2F%2Fvault.azure.net";
    let escaped = RESOURCE.replace('/', "%2F");
    let mut lines = match kind {
        SourceKind::Imds => vec![
            format!("GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}"),
            "\r\nmetadata: true\r\n".to_owned(),
        ],
        SourceKind::AppService => vec![
            format!("GET /msi/token?api-version=2019-08-01&resource={resource}"),
            "\r\nx-identity-header: secret of the platform\r\n".to_owned(),
        ],
        SourceKind::Arc => vec![
            format!("GET /msi/token?api-version=2019-11-01&resource={resource} HTTP/1.1"),
            "\r\nmetadata: true\r\n".to_owned(),
            "\r\nauthorization: Basic key of the agent\r\n".to_owned(),
        ],
        SourceKind::ServiceFabric => vec![
            format!("GET /msi/token?api-version=2019-07-01-preview&resource={resource} HTTP/1.1"),
            "\r\nsecret: secret of the platform\r\n".to_owned(),
        ],
        SourceKind::CloudShell => vec![
            "POST /oauth2/token HTTP/1.1".to_owned(),
            "\r\nmetadata: true\r\n".to_owned(),
            "\r\ncontent-type: application/x-www-form-urlencoded\r\n".to_owned(),
            format!("\r\n\r\nresource={resource}"),
        ],
        _ => vec![
            "POST /contoso.com/oauth2/v2.0/token HTTP/1.1".to_owned(),
            format!(
                "\r\n\r\nclient_id={CLIENT}&scope={resource}%2F.default&grant_type=client_credentials&\
                 client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&\
                 client_assertion=service.account.token"
            ),
        ],
    };
    let (app_service, imds) = (kind == SourceKind::AppService, kind == SourceKind::Imds);
    match identity {
        Some(UserAssigned::ClientId(id)) if imds || app_service => lines.push(format!("&client_id={id} HTTP/1.1")),
        Some(UserAssigned::ObjectId(id)) if imds => lines.push(format!("&object_id={id} HTTP/1.1")),
        Some(UserAssigned::ObjectId(id)) if app_service => lines.push(format!("&principal_id={id} HTTP/1.1")),
        Some(UserAssigned::ResourceId(_)) if imds => lines.push(format!("&msi_res_id={escaped} HTTP/1.1")),
        Some(UserAssigned::ResourceId(_)) if app_service => lines.push(format!("&mi_res_id={escaped} HTTP/1.1")),
        _ => {}
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_answer_and_fault() {
    let mut cases = 0;
    let mut wrong = Vec::new();
    for kind in HTTP {
        for (end, on, left) in answers() {
            cases += 1;
            let answer = Step::new(200, format!(r#"{{"access_token":"eyJsecret","token_type":"Bearer",{end}}}"#));
            let got = Stage::new(kind, vec![answer]).await.fetch(None).await;
            if got != Ok((on, left)) {
                wrong.push(format!("{kind}, {end}: {got:?}"));
            }
        }
        for (what, step, expected, requests) in faults() {
            cases += 1;
            let stage = Stage::new(kind, vec![step]).await;
            let error = stage.fetch(None).await.unwrap_err();
            let asked = stage.endpoint.requests().len();
            let in_time = stage.clock.steady() <= Duration::from_secs(if what == "gone" { 70 } else { 30 });
            let as_often = requests.map_or(asked > 1, |requests| requests == asked);
            if name(&error) != expected || !in_time || !as_often || format!("{error} {error:?}").contains("secret") {
                wrong.push(format!("{kind}, {what}: {error:?}, asked {asked} times in {:?}", stage.clock.steady()));
            }
        }
        for (what, status) in [("404", 404), ("410", 410), ("429", 429), ("500", 500), ("503", 503)] {
            if (kind, status) == (SourceKind::ServiceFabric, 404) {
                continue;
            }
            cases += 1;
            let good = Step::new(200, r#"{"access_token":"eyJsecret","expires_on":1700086400}"#);
            let stage = Stage::new(kind, vec![Step::new(status, ""), Step::Close, Step::new(status, ""), good]).await;
            let got = stage.fetch(None).await;
            if got.is_err() || stage.endpoint.requests().len() != 4 {
                wrong.push(format!("{kind}, {what} and then well: {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 150, "{cases}");
}

#[tokio::test]
async fn every_source_and_identity_form() {
    let mut cases = 0;
    for kind in HTTP {
        for identity in identities() {
            cases += 1;
            let good = r#"{"access_token":"eyJsecret","expires_on":1700086400}"#;
            let stage = Stage::new(kind, vec![Step::new(200, good)]).await;
            let takes = identity.as_ref().is_none_or(|identity| kind.takes(identity));
            if !takes {
                let error = stage.source(identity.clone()).err().unwrap();
                assert_eq!(error, InvalidSource::NoUserAssigned { kind, identity: identity.unwrap() });
                continue;
            }
            stage.fetch(identity.clone()).await.unwrap();
            let requests = stage.endpoint.requests();
            for part in sent_as(kind, identity.as_ref()) {
                assert!(requests[0].contains(&part), "{kind}, {identity:?}: {part} is not in {}", requests[0]);
            }
            if identity.is_none() && kind != SourceKind::WorkloadIdentity {
                assert!(!requests[0].contains("_id="), "{}", requests[0]);
            }
        }
    }
    assert_eq!(cases, 24);
}

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
    for kind in HTTP {
        let stage = Stage::new(kind, vec![Step::Close]).await;
        let source = stage.source(None).unwrap();
        // Nobody listens at a port that was just given back.
        let Stage { endpoint, clock, files, .. } = stage;
        drop(endpoint);
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let error = source.fetch(&vault()).await.unwrap_err();
        assert_eq!(name(&error), "unreachable", "{kind}: {error:?}");
        assert!(clock.steady() <= Duration::from_secs(30));
        drop(files);
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
async fn a_slow_answer_is_waited_for_as_long_as_one_request_may_take() {
    let good = Step::new(200, r#"{"access_token":"eyJsecret","expires_in":3599}"#);
    let manner = Manner { delay: Duration::from_millis(100), ..Manner::default() };
    let endpoint = Endpoint::start(vec![good], manner).await;
    let imds = Imds::new().endpoint(&endpoint.origin).unwrap().retry(Retry::within(Duration::from_millis(10)));
    imds.clone().fetch(&vault()).await.unwrap();
    let error = imds.timeout(Duration::from_millis(20)).fetch(&vault()).await.unwrap_err();
    assert_eq!(name(&error), "unavailable", "{error}");
}

const CHILD: &str = "KEYWARD_TEST_ENDPOINT";

/// Every variable by which a proxy is ever set leads to a listener that counts. The child process has them all.
#[tokio::test]
async fn proxies_from_the_environment_never_apply() {
    let good = r#"{"access_token":"eyJsecret","expires_in":3599}"#;
    let endpoint = Endpoint::start(vec![Step::new(200, good)], Manner::default()).await;
    let proxy = Endpoint::start(vec![Step::new(200, good)], Manner::default()).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_of_the_test_of_proxies", "--ignored"]).env(CHILD, &endpoint.origin);
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, &proxy.origin).env(name.to_uppercase(), &proxy.origin);
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(endpoint.requests().len(), 3);
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
}

#[tokio::test]
#[ignore = "runs as the child of another test"]
async fn child_of_the_test_of_proxies() {
    let Ok(origin) = std::env::var(CHILD) else { return };
    Imds::new().endpoint(&origin).unwrap().fetch(&vault()).await.unwrap();
    AppService::new(&origin, "x", None).unwrap().fetch(&vault()).await.unwrap();
    CloudShell::new(&origin, None).unwrap().fetch(&vault()).await.unwrap();
}
