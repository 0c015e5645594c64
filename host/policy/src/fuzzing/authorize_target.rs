//! Requests of plugins, as they would be sent.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::naive::{self, Segments};
use super::sample_plugin::component;
use crate::authorize::{
    Authorized, Credential, Denied, SealedCredential, Spend, Surrogates, authorize,
};
use crate::cloud::Cloud;
use crate::config::{AudienceConfig, Config, IdentityConfig, MountConfig, PluginRef};
use crate::endpoint::Endpoint;
use crate::grant::Grant;
use crate::manifest::SpendPlace;
use crate::path::PathReading;
use crate::pattern::Pattern;
use crate::plan::{Plan, Plugins};
use crate::surrogate;

/// The services, with the host of the mount's endpoint. `own` is of no cloud.
const SERVICES: [(&str, &str); 8] = [
    ("appconfig", "contoso.azconfig.io"),
    ("arm", "management.azure.com"),
    ("blob", "contoso.blob.core.windows.net"),
    ("datalake", "contoso.azuredatalakestore.net"),
    ("dfs", "contoso.dfs.core.windows.net"),
    ("managedhsm", "contoso.managedhsm.azure.net"),
    ("own", "own.api.example"),
    ("vault", "contoso.vault.azure.net"),
];

/// A plugin for each service. Its second audience is the Resource Manager's.
static PLUGINS: LazyLock<BTreeMap<&str, Arc<[u8]>>> = LazyLock::new(|| {
    let manifest = |service: &str| match service {
        "own" => "resource = \"https://api.example\"\nhosts = [\"own.api.example\"]".to_owned(),
        service => format!("cloud = \"{service}\""),
    };
    SERVICES
        .iter()
        .map(|(name, _)| {
            let text = format!(
                "name = \"it\"\n[audience.it]\n{}\n[audience.second]\ncloud = \"arm\"\n\
                 optional = true\nallow = [\"GET /subscriptions/*\"]\n",
                manifest(name)
            );
            (*name, component(&text).into())
        })
        .collect()
});

/// The surrogates of the call: `keyward-surrogate-AA...` is a token of the first audience, `BB...`
/// of the second, and `CC...` a sealed value of the first.
struct Known;

/// A sealed value of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sealed;

impl SealedCredential for Sealed {
    fn place(&self) -> SpendPlace {
        SpendPlace::Query
    }

    fn expose_secret(&self) -> &[u8] {
        b"sv=1&sig=x"
    }
}

impl Surrogates for Known {
    type Sealed = Sealed;

    fn resolve(&self, text: &[u8]) -> Option<Credential<Sealed>> {
        let random = text.strip_prefix(surrogate::PREFIX.as_bytes())?;
        let first = *random.first()?;
        if random.len() != surrogate::RANDOM_CHARACTERS || random.iter().any(|byte| *byte != first)
        {
            return None;
        }
        match first {
            b'A' => Some(Credential::Token("it".into())),
            b'B' => Some(Credential::Token("second".into())),
            b'C' => Some(Credential::Sealed(Some("it".into()), Sealed)),
            _ => None,
        }
    }
}

pub(super) fn check(input: &str) {
    let Some((grants, request)) = parse(input) else { return };
    match authorize(&request, &grants, &Known) {
        Ok(authorized) => check_authorized(&request, &grants, &authorized),
        Err(Denied::Violation(violation)) => {
            assert!(!violation.to_string().is_empty() && !violation.rule().is_empty());
        }
        Err(Denied::NotCovered(_) | Denied::Minting(_)) => {}
    }
}

/// The mount's grants, and the request.
fn parse(input: &str) -> Option<(Vec<Grant>, Request<()>)> {
    let mut lines = input.split('\n');
    let (service, prefix) = lines.next()?.split_once(' ')?;
    let (service, host) = SERVICES.iter().find(|(name, _)| *name == service)?;
    let endpoint = Endpoint::parse(&format!("https://{host}{prefix}")).ok()?;
    let patterns = lines.by_ref().take_while(|line| !line.is_empty());
    let parse = |line| Pattern::parse(line).ok().filter(super::pattern_target::is_known_to_naive);
    let patterns = patterns.map(parse).collect::<Option<Vec<_>>>()?;
    let (method, uri) = lines.next()?.split_once(' ')?;
    let uri = match uri.strip_prefix('/') {
        Some(path) => format!("https://{}/{path}", endpoint.authority()),
        None => uri.to_owned(),
    };
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else { continue };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            request = request.header(name, value);
        }
    }
    Some((plan(service, endpoint, patterns)?, request.body(()).ok()?))
}

fn plan(service: &str, endpoint: Endpoint, allow: Vec<Pattern>) -> Option<Vec<Grant>> {
    let component = Arc::clone(PLUGINS.get(service)?);
    let mut mount = MountConfig::new(PluginRef::Bytes { name: "it".to_owned(), component })
        .endpoint(endpoint)
        .audience("second", AudienceConfig::default());
    if service == "own" {
        mount = mount.resource(keyward_types::Audience::new("https://api.example").ok()?);
    }
    if !allow.is_empty() {
        mount = mount.allow(allow);
    }
    let mut config = Config::new(Cloud::named("public")?.clone());
    config.identities.insert("default".to_owned(), IdentityConfig::system_assigned());
    config.mounts.insert("it".to_owned(), mount);
    let plan = Plan::new(config, &Plugins::new()).ok()?;
    plan.mounts.into_iter().next().map(|mount| mount.grants)
}

fn check_authorized(
    request: &Request<()>,
    grants: &[Grant],
    authorized: &Authorized<Grant, Sealed>,
) {
    let (grant, uri) = (&authorized.grant, &authorized.uri);
    assert!(!matches!(*request.method(), Method::CONNECT | Method::TRACE));
    assert_eq!(uri.scheme_str(), Some("https"));
    assert_eq!(uri.host(), Some(grant.endpoint.host.as_str()), "{uri}");
    assert_eq!(uri.port_u16().unwrap_or(443), grant.endpoint.port, "{uri}");
    assert!(!surrogate::is_in(uri.to_string().as_bytes()), "{uri} has a surrogate");
    for (name, value) in request.headers() {
        let is_surrogate = surrogate::is_in(value.as_bytes());
        assert!(!is_surrogate || name == AUTHORIZATION, "a surrogate is sent in {name}");
    }
    check_credential(request, authorized);
    check_stable(request, grants, authorized);
    let whole = uri.path();
    let Some(path) = whole.strip_prefix(grant.endpoint.prefix.as_str()) else {
        unreachable!("{uri} is outside the prefix of {}", grant.endpoint);
    };
    let path = if path.is_empty() { "/" } else { path };
    for patterns in [&grant.declared, &grant.allowed].into_iter().flatten() {
        check_covered(grant, patterns, request.method(), path);
    }
}

/// Checks that the grant's own credential is spent, and none if the request has none.
fn check_credential(request: &Request<()>, authorized: &Authorized<Grant, Sealed>) {
    let audience = match request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes) {
        None => None,
        Some(bearer) => match bearer.strip_prefix(b"Bearer keyward-surrogate-") {
            Some([b'A', ..]) => Some("it"),
            Some([b'B', ..]) => Some("second"),
            _ => unreachable!("an authorization without a surrogate of the call"),
        },
    };
    let name = Some(&*authorized.grant.name);
    match authorized.spend {
        Spend::Nothing => assert_eq!(audience, None),
        Spend::Token => assert_eq!(audience, name),
        Spend::Query(Sealed) => assert_eq!((audience, name), (None, Some("it"))),
    }
}

/// Checks that the request that would be sent is authorized in the same way.
fn check_stable(request: &Request<()>, grants: &[Grant], authorized: &Authorized<Grant, Sealed>) {
    let mut uri = authorized.uri.to_string();
    if let Spend::Query(Sealed) = authorized.spend {
        let surrogate =
            format!("{}{}", surrogate::PREFIX, "C".repeat(surrogate::RANDOM_CHARACTERS));
        let separator = if uri.contains('?') { '&' } else { '?' };
        uri.push_str(&format!("{separator}{surrogate}"));
    }
    let mut again = request.clone();
    match uri.parse::<Uri>() {
        Ok(uri) => *again.uri_mut() = uri,
        Err(error) => unreachable!("{uri} is sent: {error}"),
    }
    match authorize(&again, grants, &Known) {
        Ok(again) => {
            assert_eq!(again.uri, authorized.uri, "{} is sent as {uri}", request.uri());
            assert_eq!(again.grant.name, authorized.grant.name, "{uri}");
            assert_eq!(again.spend, authorized.spend, "{uri}");
            assert_eq!(again.minted, authorized.minted, "{uri}");
        }
        Err(denied) => unreachable!("{} is sent as {uri}, which is {denied:?}", request.uri()),
    }
}

/// Checks that patterns cover a path that is sent, as simple servers read it.
fn check_covered(grant: &Grant, patterns: &[Pattern], method: &Method, path: &str) {
    let decoded_segments = |decode: fn(&[u8]) -> Vec<u8>| -> Segments {
        naive::split(path.as_bytes(), false).iter().map(|segment| decode(segment)).collect()
    };
    let mut readings = vec![decoded_segments(naive::decode)];
    match grant.paths {
        PathReading::Segments => {
            readings.push(naive::split(&naive::decode(path.as_bytes()), true));
            let fully = naive::split(&naive::decode_fully(path.as_bytes()), true);
            assert!(!naive::has_dot_segment(&fully), "{path} has a dot segment");
            assert_eq!(Some(fully.len()), readings.first().map(Vec::len), "{path}: its segments");
        }
        PathReading::Names { .. } | PathReading::Files { .. } => {
            readings.push(naive::split(&naive::decode(path.as_bytes()), false));
            for backslashes in [false, true] {
                readings.push(naive::split(&naive::decode_fully(path.as_bytes()), backslashes));
            }
            if matches!(grant.paths, PathReading::Files { .. }) {
                readings.iter_mut().for_each(without_empty_segments);
            }
        }
        PathReading::Keys { .. } => readings.push(decoded_segments(naive::decode_fully)),
    }
    for segments in readings {
        assert!(!naive::has_dot_segment(&segments), "{path} has a dot segment");
        let covers = |pattern: &Pattern| {
            let text = pattern.to_string();
            naive::covers(&text, method.as_str(), &segments, grant.paths_ignore_case)
        };
        let shown: Vec<_> = segments.iter().map(|name| String::from_utf8_lossy(name)).collect();
        assert!(
            patterns.iter().any(covers),
            "{method} {path} is sent to {}, and read as {shown:?}, which is not among {patterns:?}",
            grant.endpoint
        );
    }
}

/// Several slashes in the path of a file are one.
fn without_empty_segments(segments: &mut Segments) {
    let last = segments.pop();
    segments.retain(|segment| !segment.is_empty());
    segments.extend(last);
}
