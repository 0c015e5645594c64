//! Requests of plugins, as they would be sent.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use super::coverage;
use super::sample_plugin::component;
use crate::authorize::{
    Authorized, Credential, Denied, MintingRule, SealedCredential, Spend, Surrogates, authorize,
};
use crate::cloud::Cloud;
use crate::config::{AudienceConfig, Config, IdentityConfig, MountConfig, PluginRef};
use crate::endpoint::Endpoint;
use crate::grant::{CallerAllow, Grant, NotCovered};
use crate::manifest::SpendPlace;
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
                 optional = true\nallow = [\"GET /subscriptions/*\", \"read /providers/**\"]\n",
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
    let Some(Sent { service, grants, request }) = parse(input) else { return };
    match authorize(&request, &grants, &Known) {
        Ok(authorized) => check_authorized(service, &request, &grants, &authorized),
        Err(Denied::Violation(violation)) => {
            assert!(!violation.to_string().is_empty() && !violation.rule().is_empty());
        }
        Err(Denied::NotCovered(denied)) => {
            coverage::check_denied(service, &grants, &request, &denied);
            if let NotCovered::NotAllowed | NotCovered::NotAllowedForCaller(_) = denied.reason {
                coverage::check_line(&grants, &denied, &denied.line, |grants| {
                    match authorize(&request, grants, &Known) {
                        Err(Denied::NotCovered(denied)) => Some(*denied),
                        Ok(_) | Err(Denied::Violation(_) | Denied::Minting(_)) => None,
                    }
                });
            }
        }
        Err(Denied::Minting(denied)) => {
            if let MintingRule::UnknownAction(_) | MintingRule::Privileged(_) = denied.reason {
                let verb = Pattern::verb_for(&denied.method);
                let line = format!("{verb} {}", denied.path.covering_pattern());
                coverage::check_line(&grants, &denied, &line, |grants| {
                    match authorize(&request, grants, &Known) {
                        Err(Denied::Minting(denied)) => Some(*denied),
                        Ok(_) | Err(Denied::Violation(_) | Denied::NotCovered(_)) => None,
                    }
                });
            }
        }
    }
}

/// A request, and the mount that sends it.
struct Sent {
    /// One of [`SERVICES`].
    service: &'static str,
    grants: Vec<Grant>,
    request: Request<()>,
}

fn parse(input: &str) -> Option<Sent> {
    let mut lines = input.split('\n');
    let (service, prefix) = lines.next()?.split_once(' ')?;
    let (service, host) = SERVICES.iter().find(|(name, _)| *name == service)?;
    let endpoint = Endpoint::parse(&format!("https://{host}{prefix}")).ok()?;
    let (mut allow, mut of_caller) = (Vec::new(), Vec::new());
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        match line.strip_prefix("caller ") {
            Some(line) => of_caller.push(Pattern::parse(line).ok()?),
            None => allow.push(Pattern::parse(line).ok()?),
        }
    }
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
    let mut grants = plan(service, endpoint, allow)?;
    if !of_caller.is_empty() {
        for first in grants.iter_mut().filter(|grant| grant.is_first) {
            let allow = CallerAllow { caller: "web".into(), allowed: of_caller.clone() };
            *first = first.narrowed_for(allow);
        }
    }
    Some(Sent { service, grants, request: request.body(()).ok()? })
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
    service: &str,
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
    coverage::check_sent(service, grant, request, uri.path(), uri.query());
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
