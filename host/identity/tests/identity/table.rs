//! Every source with every response, every fault and every identity form.

use std::time::Duration;

use keyward_identity::clock::Clock;
use keyward_identity::source::{InvalidSource, SourceKind, UserAssigned};

use crate::fake_endpoint::Step;
use crate::fixture::{CLIENT, Fixture, HTTP, NOW, RESOURCE, identities, name};

/// Expiry members of token responses, and what they mean: absolute, relative.
fn expiries() -> Vec<(&'static str, u64, Option<u64>)> {
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
        (
            r#""expires_in":"86399","expires_on":"1700086400","ext_expires_in":"1","x":"1""#,
            end,
            Some(86_399),
        ),
        (r#""expires_in":null,"expires_on":"1700086400","client_id":null"#, end, None),
        (r#""expires_in":3599,"expires_on":"N/A""#, NOW + 3599, Some(3599)),
    ]
}

/// Faults, the errors that they cause, and the number of requests: `None` for more than one.
fn faults() -> Vec<(&'static str, Step, &'static str, Option<usize>)> {
    const TENANT: &str =
        "AADSTS500011: The resource principal named x was not found in the tenant named y.";
    let json = |status, error: &str, description: &str| {
        Step::new(status, format!(r#"{{"error":"{error}","error_description":"{description}"}}"#))
    };
    let app = |status, message: &str| {
        Step::new(status, format!(r#"{{"statusCode":{status},"message":"{message}"}}"#))
    };
    let nested = |status, code: &str, message: &str| {
        Step::new(status, format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#))
    };
    let once = Some(1);
    vec![
        (
            "no identity",
            json(400, "invalid_request", "Identity not found"),
            "identity not found",
            once,
        ),
        (
            "no identity, App Service",
            app(400, "No MSI found for specified ClientId/ResourceId."),
            "identity not found",
            once,
        ),
        (
            "no identity, Functions",
            app(400, "Unable to load the proper Managed Identity."),
            "identity not found",
            once,
        ),
        (
            "no identity, Container Apps",
            app(404, "No Managed Identity found for specified ClientId"),
            "identity not found",
            once,
        ),
        (
            "no identity, Service Fabric",
            nested(404, "ManagedIdentityNotFound", "x"),
            "identity not found",
            once,
        ),
        (
            "no identity, Entra",
            json(
                400,
                "unauthorized_client",
                "AADSTS700016: Application with identifier 'x' was not found",
            ),
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
            Step::new(
                400,
                r#"{"error":["invalid_request"],"error_description":["Identity not found"]}"#,
            ),
            "identity not found",
            once,
        ),
        (
            "an array of errors",
            Step::new(400, r#"[{"error":"invalid_resource"}]"#),
            "resource unknown",
            once,
        ),
        (
            "no header",
            json(400, "bad_request_102", "Required metadata header not specified"),
            "rejected",
            once,
        ),
        (
            "no secret",
            nested(400, "SecretHeaderNotFound", "Secret is not found in the request headers."),
            "rejected",
            once,
        ),
        ("denied", json(403, "access_denied", "no"), "rejected", once),
        ("plain text", Step::new(400, "nonsense"), "rejected", once),
        ("HTML", Step::new(403, "<html><body>eyJsecret</body></html>"), "rejected", once),
        ("nothing", Step::new(400, ""), "rejected", once),
        (
            "a redirect",
            Step::new(302, "").header("location", "http://127.0.0.1:1/"),
            "rejected",
            once,
        ),
        (
            "Docker Desktop",
            Step::new(
                403,
                "connecting to 169.254.169.254:80: connectex: A socket operation was attempted \
                 to an unreachable network.",
            ),
            "no managed identity",
            once,
        ),
        (
            "Google",
            Step::new(404, "<html>").header("metadata-flavor", "Google"),
            "no managed identity",
            once,
        ),
        ("Amazon", Step::new(404, "").header("server", "EC2ws"), "no managed identity", once),
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
        (
            "broken",
            json(500, "unknown", "Failed to retrieve token from the Active directory"),
            "unavailable",
            None,
        ),
        ("bad gateway", Step::new(502, "<html>"), "unavailable", None),
        ("down", Step::new(503, ""), "unavailable", None),
        ("slow", Step::new(504, "upstream"), "unavailable", None),
        ("request too slow", Step::new(408, ""), "unavailable", None),
        ("closes", Step::Close, "unavailable", None),
        ("garbles", Step::Garble, "unavailable", None),
        ("truncates", Step::Truncate, "unavailable", None),
        ("hangs", Step::Hang, "unavailable", None),
        ("status 200 and HTML", Step::new(200, "<html>eyJsecret</html>"), "malformed", once),
        ("status 200 and nothing", Step::new(200, ""), "malformed", once),
        (
            "status 200 and an error",
            json(200, "invalid_request", "Identity not found"),
            "malformed",
            once,
        ),
        ("no expiry", Step::new(200, r#"{"access_token":"eyJsecret"}"#), "malformed", once),
        (
            "no known date",
            Step::new(200, r#"{"access_token":"eyJsecret","expires_on":"tomorrow"}"#),
            "malformed",
            once,
        ),
        (
            "milliseconds",
            Step::new(200, r#"{"access_token":"eyJsecret","expires_on":1700086400000}"#),
            "malformed",
            once,
        ),
        ("no token", Step::new(200, r#"{"expires_in":3599}"#), "malformed", once),
        (
            "an empty token",
            Step::new(200, r#"{"access_token":"","expires_in":3599}"#),
            "malformed",
            once,
        ),
        (
            "a token with a line break",
            Step::new(200, r#"{"access_token":"eyJsecret\r\nx: y","expires_in":1}"#),
            "malformed",
            once,
        ),
        (
            "a token in an array",
            Step::new(200, r#"{"access_token":["eyJsecret"],"expires_in":1}"#),
            "malformed",
            once,
        ),
        ("endless", Step::new(200, "x".repeat(70_000)), "unavailable", None),
    ]
}

/// The parts of a request for an identity, by the endpoint's documentation.
fn expected_parts(kind: SourceKind, identity: Option<&UserAssigned>) -> Vec<String> {
    let resource = "https%3A%2F%2Fvault.azure.net";
    let escaped = RESOURCE.replace('/', "%2F");
    let mut lines = match kind {
        SourceKind::Imds => vec![
            format!(
                "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}"
            ),
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
                "\r\n\r\nclient_id={CLIENT}&scope={resource}%2F.default\
                 &grant_type=client_credentials\
                 &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type\
                 %3Ajwt-bearer&client_assertion=service.account.token"
            ),
        ],
    };
    let (app_service, imds) = (kind == SourceKind::AppService, kind == SourceKind::Imds);
    match identity {
        Some(UserAssigned::ClientId(id)) if imds || app_service => {
            lines.push(format!("&client_id={id} HTTP/1.1"));
        }
        Some(UserAssigned::ObjectId(id)) if imds => lines.push(format!("&object_id={id} HTTP/1.1")),
        Some(UserAssigned::ObjectId(id)) if app_service => {
            lines.push(format!("&principal_id={id} HTTP/1.1"));
        }
        Some(UserAssigned::ResourceId(_)) if imds => {
            lines.push(format!("&msi_res_id={escaped} HTTP/1.1"));
        }
        Some(UserAssigned::ResourceId(_)) if app_service => {
            lines.push(format!("&mi_res_id={escaped} HTTP/1.1"));
        }
        _ => {}
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_handles_every_response_and_fault() {
    let mut cases = 0;
    let mut wrong = Vec::new();
    for kind in HTTP {
        for (expiry, on, left) in expiries() {
            cases += 1;
            let body = format!(r#"{{"access_token":"eyJsecret","token_type":"Bearer",{expiry}}}"#);
            let fixture = Fixture::new(kind, vec![Step::new(200, body)]).await;
            let got = fixture.fetch(None).await;
            if got != Ok((on, left)) {
                wrong.push(format!("{kind}, {expiry}: {got:?}"));
            }
        }
        for (fault, step, expected, expected_requests) in faults() {
            cases += 1;
            let fixture = Fixture::new(kind, vec![step]).await;
            let error = fixture.fetch(None).await.unwrap_err();
            let requests = fixture.endpoint.requests().len();
            let limit = Duration::from_secs(if fault == "gone" { 70 } else { 30 });
            let is_right = name(&error) == expected
                && fixture.clock.steady() <= limit
                && expected_requests.map_or(requests > 1, |expected| requests == expected)
                && !format!("{error} {error:?}").contains("secret");
            if !is_right {
                let time = fixture.clock.steady();
                wrong.push(format!("{kind}, {fault}: {error:?}, {requests} requests in {time:?}"));
            }
        }
        for status in [404, 410, 429, 500, 503] {
            if (kind, status) == (SourceKind::ServiceFabric, 404) {
                continue;
            }
            cases += 1;
            let good = r#"{"access_token":"eyJsecret","expires_on":1700086400}"#;
            let fault = Step::new(status, "");
            let steps = vec![fault.clone(), Step::Close, fault, Step::new(200, good)];
            let fixture = Fixture::new(kind, steps).await;
            let got = fixture.fetch(None).await;
            if got.is_err() || fixture.endpoint.requests().len() != 4 {
                wrong.push(format!("{kind}, {status} before a token: {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 150, "{cases}");
    println!("{cases} cases");
}

#[tokio::test]
async fn every_source_sends_every_identity_form_that_it_takes() {
    let mut cases = 0;
    for kind in HTTP {
        for identity in identities() {
            cases += 1;
            let good = r#"{"access_token":"eyJsecret","expires_on":1700086400}"#;
            let fixture = Fixture::new(kind, vec![Step::new(200, good)]).await;
            let is_taken = identity.as_ref().is_none_or(|identity| kind.takes(identity));
            if !is_taken {
                let error = fixture.source(identity.clone()).err().unwrap();
                let identity = identity.unwrap();
                assert_eq!(error, InvalidSource::NoUserAssigned { kind, identity });
                continue;
            }
            fixture.fetch(identity.clone()).await.unwrap();
            let request = &fixture.endpoint.requests()[0];
            for part in expected_parts(kind, identity.as_ref()) {
                assert!(
                    request.contains(&part),
                    "{kind}, {identity:?}: {part} is not in {request}"
                );
            }
            if identity.is_none() && kind != SourceKind::WorkloadIdentity {
                assert!(!request.contains("_id="), "{request}");
            }
        }
    }
    assert_eq!(cases, 24);
}
