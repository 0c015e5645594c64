use std::sync::Arc;

use super::*;
use crate::cloud::Cloud;
use crate::endpoint::Endpoint;
use crate::grant::{Minting, Redirect};
use crate::manifest::SpendPlace;

/// A sealed value, in clear.
#[derive(Debug, PartialEq, Eq)]
struct Sealed(&'static str);

impl SealedCredential for Sealed {
    fn place(&self) -> SpendPlace {
        SpendPlace::Query
    }

    fn expose_secret(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The surrogates of a call: one for each name, not random.
#[derive(Default)]
struct Known(Vec<(String, Credential<Arc<Sealed>>)>);

impl Surrogates for Known {
    type Sealed = Arc<Sealed>;

    fn resolve(&self, text: &[u8]) -> Option<Credential<Arc<Sealed>>> {
        let found = self.0.iter().find(|(surrogate, _)| surrogate.as_bytes() == text);
        found.map(|(_, credential)| credential.clone())
    }
}

fn surrogate_named(name: &str) -> String {
    format!("{}{name:A<43}", surrogate::PREFIX)
}

fn grant(name: &str, endpoint: &str, allowed: &[&str]) -> Grant {
    Grant { name: name.into(), ..Grant::example(endpoint).allowing(allowed) }
}

struct Mount {
    grants: Vec<Grant>,
    surrogates: Known,
}

fn mount() -> Mount {
    let grants = vec![
        grant("vault", "https://contoso.vault.azure.net", &["GET /secrets/*"]),
        grant("arm", "https://management.azure.com", &["* /**"]),
        grant("odd", "https://localhost:8443/tenant", &["GET /**"]),
    ];
    let token =
        |grant: &Grant| (surrogate_named(&grant.name), Credential::Token(grant.name.clone()));
    let surrogates = Known(grants.iter().map(token).collect());
    Mount { grants, surrogates }
}

impl Mount {
    fn bearer(&self, grant: usize) -> String {
        format!("Bearer {}", surrogate_named(&self.grants[grant].name))
    }

    fn authorize(
        &self,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<Authorized<Grant, Arc<Sealed>>, Denied> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        authorize(&request.body(()).unwrap(), &self.grants, &self.surrogates)
    }

    fn violation(&self, uri: &str, headers: &[(&str, &str)]) -> Violation {
        match self.authorize(uri, headers) {
            Err(Denied::Violation(violation)) => violation,
            other => panic!("{uri}: {other:?}"),
        }
    }
}

#[test]
fn a_surrogate_is_spent_at_its_own_endpoint() {
    let mount = mount();
    let bearer = mount.bearer(0);
    let authorized = mount
        .authorize(
            "https://contoso.vault.azure.net/%73ecrets/db?a=%2e",
            &[("authorization", &bearer)],
        )
        .unwrap();
    assert_eq!((&*authorized.grant.name, authorized.spend), ("vault", Spend::Token));
    assert_eq!(authorized.uri, "https://contoso.vault.azure.net/secrets/db?a=%2e");
    let authorized =
        mount.authorize("https://contoso.vault.azure.net:443/secrets/db", &[]).unwrap();
    assert_eq!(
        (authorized.spend, authorized.uri.to_string().as_str()),
        (Spend::Nothing, "https://contoso.vault.azure.net/secrets/db")
    );
    let authorized = mount.authorize("https://localhost:8443/tenant/x", &[]).unwrap();
    assert_eq!(
        (&*authorized.grant.name, authorized.uri.to_string().as_str()),
        ("odd", "https://localhost:8443/tenant/x")
    );
}

#[test]
fn another_spelling_of_an_endpoint_is_denied() {
    let mount = mount();
    for authority in [
        "evil.example",
        "contoso.vault.azure.net.evil.example",
        "contoso.vault.azure.net.",
        "CONTOSO.vault.azure.net",
        "contoso.vault.azure.net:8443",
        "contoso.vault.azure.net:0443",
        "xcontoso.vault.azure.net",
        "other.vault.azure.net",
        "169.254.169.254",
        "168.63.129.16",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "localhost",
    ] {
        let violation = mount.violation(&format!("https://{authority}/secrets/db"), &[]);
        assert!(matches!(violation, Violation::OtherHost { .. }), "{authority}: {violation:?}");
    }
    let user = mount.violation("https://user@contoso.vault.azure.net/secrets/db", &[]);
    assert_eq!(user, Violation::UserInfo);
    assert_eq!(
        mount.violation("http://contoso.vault.azure.net/secrets/db", &[]),
        Violation::Scheme
    );
    assert_eq!(mount.violation("/secrets/db", &[]), Violation::Scheme);
}

#[test]
fn a_surrogate_outside_the_authorization_field_is_denied() {
    let mount = mount();
    let bearer = mount.bearer(0);
    let surrogate = bearer.strip_prefix("Bearer ").unwrap();
    let vault = "https://contoso.vault.azure.net/secrets";
    let misplaced = Violation::MisplacedSurrogate;
    assert_eq!(mount.violation(&format!("{vault}/{surrogate}"), &[]), misplaced("path"));
    assert_eq!(mount.violation(&format!("{vault}/db?x={surrogate}"), &[]), misplaced("query"));
    let db = format!("{vault}/db");
    assert_eq!(mount.violation(&db, &[("x-token", surrogate)]), misplaced("header fields"));
    assert_eq!(
        mount.violation(&db, &[("authorization", &bearer), ("cookie", surrogate)]),
        misplaced("header fields")
    );
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(mount.violation(&db, &twice), Violation::SeveralAuthorizations);
    assert_eq!(
        mount.violation("https://evil.example/", &[("x", surrogate)]),
        misplaced("header fields")
    );
}

#[test]
fn an_authorization_that_is_not_a_surrogate_of_the_call_is_denied() {
    let mount = mount();
    let bearer = mount.bearer(0);
    let surrogate = bearer.strip_prefix("Bearer ").unwrap();
    let earlier = surrogate_named("of-another-call");
    for value in [
        "Bearer eyJ0.own",
        "Basic dXNlcjpwYXNz",
        &format!("bearer {surrogate}"),
        &format!("Bearer  {surrogate}"),
        &format!("Bearer {surrogate} "),
        &format!("{bearer}, {bearer}"),
        &format!("Bearer {earlier}"),
        &format!("Bearer {}{}", surrogate::PREFIX, "A".repeat(43)),
        surrogate,
        "",
    ] {
        let violation = mount
            .violation("https://contoso.vault.azure.net/secrets/db", &[("authorization", value)]);
        assert_eq!(violation, Violation::ForeignAuthorization, "{value:?}");
    }
}

#[test]
fn a_token_for_one_audience_is_denied_at_the_endpoint_of_another() {
    let mount = mount();
    let violation =
        mount.violation("https://management.azure.com/x", &[("authorization", &mount.bearer(0))]);
    assert_eq!(violation, Violation::OtherAudience { audience: "vault".to_owned() });
}

/// [`mount`], whose vault may redirect to one host that takes its tokens and to two that do not.
fn redirecting() -> Mount {
    let mut mount = mount();
    let origins = [("https://other.vault.azure.net", true), ("https://node.example:8443", false)];
    let origins = origins.into_iter().chain([("https://management.azure.com", false)]);
    mount.grants[0].redirects = origins
        .map(|(origin, takes_token)| Redirect {
            endpoint: Endpoint::parse(origin).unwrap(),
            takes_token,
        })
        .collect();
    mount
}

#[test]
fn a_token_is_sent_to_a_redirects_host_only_if_that_takes_tokens() {
    let mount = redirecting();
    let spent = |uri: &str| {
        let authorized = mount.authorize(uri, &[("authorization", &mount.bearer(0))]).unwrap();
        (authorized.grant.name.to_string(), authorized.spend, authorized.uri.to_string())
    };
    for (uri, spend) in [
        ("https://other.vault.azure.net/secrets/db", Spend::Token),
        ("https://node.example:8443/secrets/db?a=b", Spend::Nothing),
        // It is also the endpoint of another audience.
        ("https://management.azure.com/secrets/db", Spend::Nothing),
    ] {
        assert_eq!(spent(uri), ("vault".to_owned(), spend, uri.to_owned()));
    }
    let authorized = mount
        .authorize("https://management.azure.com/x", &[("authorization", &mount.bearer(1))])
        .unwrap();
    assert_eq!((&*authorized.grant.name, authorized.spend), ("arm", Spend::Token));
    let other = mount
        .violation("https://node.example:8443/secrets/db", &[("authorization", &mount.bearer(1))]);
    assert_eq!(other, Violation::OtherAudience { audience: "arm".to_owned() });
}

#[test]
fn a_request_to_a_redirects_host_is_checked_by_allow_and_has_one_spelling() {
    let mount = redirecting();
    let denied = mount.authorize("https://node.example:8443/keys/k", &[]).unwrap_err();
    assert!(matches!(denied, Denied::NotCovered(_)), "{denied:?}");
    for authority in
        ["node.example", "node.example:443", "Node.example:8443", "x.node.example:8443"]
    {
        let violation = mount.violation(&format!("https://{authority}/secrets/db"), &[]);
        assert!(matches!(violation, Violation::OtherHost { .. }), "{authority}: {violation:?}");
    }
}

#[test]
fn a_sealed_value_is_denied_at_a_redirects_host_that_takes_no_tokens() {
    let mut mount = redirecting();
    let sealed = Arc::new(Sealed("sv=1&sig=x"));
    let surrogate = surrogate_named("sealed");
    let credential = Credential::Sealed(Some("vault".into()), Arc::clone(&sealed));
    mount.surrogates.0.push((surrogate.clone(), credential));
    let spent = |origin: &str| mount.authorize(&format!("{origin}/secrets/db?{surrogate}"), &[]);
    assert_eq!(
        spent("https://other.vault.azure.net").unwrap().spend,
        Spend::Query(Arc::clone(&sealed))
    );
    let denied = spent("https://node.example:8443").unwrap_err();
    assert_eq!(
        denied,
        Denied::Violation(Violation::OtherAudience { audience: "vault".to_owned() })
    );
}

#[test]
fn a_path_outside_allow_is_denied_in_every_spelling() {
    let mount = mount();
    let vault = "https://contoso.vault.azure.net";
    for path in ["/keys/k", "/secrets", "/secrets/db/v", "/", "/Secrets/db", "/%6beys/k"] {
        let denied = mount.authorize(&format!("{vault}{path}"), &[]).unwrap_err();
        assert!(matches!(denied, Denied::NotCovered(_)), "{path}: {denied:?}");
    }
    for path in [
        "/secrets/../keys/k",
        "/secrets/%2e%2e/keys",
        "/secrets/a%2fb",
        "/secrets//db",
        "/secrets/%5c",
    ] {
        let violation = mount.violation(&format!("{vault}{path}"), &[]);
        assert!(matches!(violation, Violation::Path(_)), "{path}: {violation:?}");
    }
    assert_eq!(mount.violation("https://localhost:8443/tenants", &[]), Violation::OutsidePrefix);
    assert_eq!(mount.violation("https://localhost:8443/", &[]), Violation::OutsidePrefix);
}

#[test]
fn a_connect_request_is_denied() {
    let mount = mount();
    let request = Request::connect("https://contoso.vault.azure.net/secrets/db").body(()).unwrap();
    let denied = authorize(&request, &mount.grants, &mount.surrogates).unwrap_err();
    assert_eq!(denied, Denied::Violation(Violation::Method(Method::CONNECT)));
}

#[test]
fn the_origins_of_a_grant_are_its_endpoint_and_its_redirects() {
    let mount = redirecting();
    let is_origin = |authority: &'static str| {
        is_origin_of(Some(&Authority::from_static(authority)), &mount.grants[0])
    };
    assert!(is_origin("contoso.vault.azure.net") && is_origin("contoso.vault.azure.net:443"));
    assert!(is_origin("node.example:8443"));
    assert!(!is_origin("node.example") && !is_origin("localhost:8443"));
    assert!(!is_origin_of(None, &mount.grants[0]));
}

#[test]
fn a_database_server_gets_no_requests() {
    let grants = [Grant::example("sqlserver://contoso.database.windows.net:443")];
    for authority in ["contoso.database.windows.net", "contoso.database.windows.net:443"] {
        let request = Request::get(format!("https://{authority}/x")).body(()).unwrap();
        let denied = authorize(&request, &grants, &Known::default()).unwrap_err();
        assert!(matches!(denied, Denied::Violation(Violation::OtherHost { .. })), "{denied:?}");
    }
}

#[test]
fn a_path_that_is_only_the_prefix_is_sent_without_a_slash() {
    let mut mount = mount();
    mount.grants[2].allowed = None;
    let sent = |uri: &str| mount.authorize(uri, &[]).unwrap().uri.to_string();
    for uri in ["https://localhost:8443/tenant", "https://localhost:8443/tenant/"] {
        assert_eq!(sent(uri), uri);
    }
    assert_eq!(sent("https://localhost:8443/tenant?x=1"), "https://localhost:8443/tenant?x=1");
}

/// A vault whose call has a surrogate of this sealed value.
fn with_sealed(place: SpendPlace) -> (Vec<Grant>, KnownAt, String) {
    let grants = vec![grant("vault", "https://contoso.vault.azure.net", &["GET /secrets/*"])];
    (grants, KnownAt(place), surrogate_named("sealed"))
}

/// The surrogates of a call that has one sealed value, which is spent at a certain place.
struct KnownAt(SpendPlace);

#[derive(Debug)]
struct SealedAt(SpendPlace);

impl SealedCredential for SealedAt {
    fn place(&self) -> SpendPlace {
        self.0
    }

    fn expose_secret(&self) -> &[u8] {
        b"sv=1"
    }
}

impl Surrogates for KnownAt {
    type Sealed = SealedAt;

    fn resolve(&self, text: &[u8]) -> Option<Credential<SealedAt>> {
        let is_known = text == surrogate_named("sealed").as_bytes();
        is_known.then(|| Credential::Sealed(Some("vault".into()), SealedAt(self.0)))
    }
}

#[test]
fn a_sealed_value_of_a_query_replaces_whole_parameters() {
    let (grants, surrogates, surrogate) = with_sealed(SpendPlace::Query);
    let sent = |query: &str| {
        let uri = format!("https://contoso.vault.azure.net/secrets/db?{query}");
        let authorized =
            authorize(&Request::get(uri).body(()).unwrap(), &grants, &surrogates).unwrap();
        assert!(matches!(authorized.spend, Spend::Query(_)), "{query}");
        authorized.uri.to_string()
    };
    assert_eq!(sent(&surrogate), "https://contoso.vault.azure.net/secrets/db");
    assert_eq!(
        sent(&format!("a=1&{surrogate}&b")),
        "https://contoso.vault.azure.net/secrets/db?a=1&b"
    );
}

#[test]
fn a_sealed_value_is_denied_elsewhere_twice_or_for_another_place() {
    let denied = |place, query: &str, bearer: Option<&str>| {
        let (grants, surrogates, surrogate) = with_sealed(place);
        let query = query.replace("SEALED", &surrogate);
        let mut request =
            Request::get(format!("https://contoso.vault.azure.net/secrets/db?{query}"));
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer.replace("SEALED", &surrogate));
        }
        match authorize(&request.body(()).unwrap(), &grants, &surrogates) {
            Err(Denied::Violation(violation)) => violation,
            other => panic!("{query}: {other:?}"),
        }
    };
    let misplaced = Violation::MisplacedSurrogate;
    assert_eq!(denied(SpendPlace::LoginPassword, "SEALED", None), misplaced("query"));
    assert_eq!(denied(SpendPlace::Query, "x=SEALED", None), misplaced("query"));
    assert_eq!(denied(SpendPlace::Query, "SEALED;a", None), misplaced("query"));
    assert_eq!(denied(SpendPlace::Query, "SEALED&SEALED", None), Violation::SeveralCredentials);
    assert_eq!(denied(SpendPlace::Query, "a", Some("Bearer SEALED")), misplaced("authorization"));
}

#[test]
fn a_sealed_value_that_selects_a_minting_operation_is_denied() {
    let spent = |value: &'static str| {
        let surrogate = surrogate_named("sealed");
        let credential = Credential::Sealed(Some("blob".into()), Arc::new(Sealed(value)));
        let surrogates = Known(vec![(surrogate.clone(), credential)]);
        let blob =
            Grant { name: "blob".into(), ..Grant::example("https://a.blob.core.windows.net") };
        let semantics = Cloud::named("public").unwrap().semantics(&blob.endpoint.host, "");
        let grants = [Grant { minting: Minting::of(&semantics), ..blob }];
        let uri = format!("https://a.blob.core.windows.net/c/b?{surrogate}");
        authorize(&Request::post(uri).body(()).unwrap(), &grants, &surrogates)
    };
    assert!(spent("sv=1&sig=x").is_ok());
    match spent("sig=x&comp=userdelegationkey") {
        Err(Denied::Minting(denied)) => {
            assert_eq!(denied.reason, MintingRule::NotHandedOut("userdelegationkey"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_denial_names_the_audience_unless_it_is_the_plugins_first() {
    let mut mount = mount();
    mount.grants[2].is_first = false;
    mount.grants[2].allowed = mount.grants[0].allowed.clone();
    let audience = |uri: &str| match mount.authorize(uri, &[]) {
        Err(Denied::NotCovered(denied)) => denied.audience,
        other => panic!("{other:?}"),
    };
    assert_eq!(audience("https://contoso.vault.azure.net/keys/k"), None);
    assert_eq!(audience("https://localhost:8443/tenant/x").as_deref(), Some("odd"));
}

#[test]
fn an_override_of_the_method_is_denied_by_a_narrowed_grant_only() {
    let mount = mount();
    let fields = [("x-http-method-override", "DELETE")];
    let vault = "https://contoso.vault.azure.net/secrets/db";
    assert_eq!(mount.violation(vault, &fields), Violation::Override("x-http-method-override"));
    let grants = [Grant::example("https://contoso.vault.azure.net")];
    let request = Request::get(vault).header(fields[0].0, fields[0].1).body(()).unwrap();
    assert!(authorize(&request, &grants, &Known::default()).is_ok());
    let declared = Some(vec![crate::pattern::Pattern::parse("GET /**").unwrap()]);
    let declared = [Grant { declared, ..grants[0].clone() }];
    assert!(authorize(&request, &declared, &Known::default()).is_err());
}

#[test]
fn a_request_that_the_manifest_does_not_declare_is_not_declared() {
    let mut mount = mount();
    mount.grants[0].declared =
        Some(vec![crate::pattern::Pattern::parse("GET /secrets/a*").unwrap()]);
    let reason = |path: &str| match mount
        .authorize(&format!("https://contoso.vault.azure.net{path}"), &[])
    {
        Err(Denied::NotCovered(denied)) => denied.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("/secrets/db"), crate::grant::NotCovered::NotDeclared);
    mount.grants[0].declared = None;
}

#[test]
fn every_rule_has_a_short_name() {
    let names = [
        Violation::Scheme,
        Violation::NoHost,
        Violation::UserInfo,
        Violation::OutsidePrefix,
        Violation::SeveralAuthorizations,
        Violation::SeveralCredentials,
        Violation::ForeignLogin,
        Violation::Database,
        Violation::Ambiguous("comp"),
        Violation::Override("x-http-method"),
        Violation::Method(Method::TRACE),
        Violation::OtherAudience { audience: "a".to_owned() },
        Violation::UncheckableReference("x".to_owned()),
    ]
    .map(|violation| violation.rule());
    assert_eq!(
        names,
        [
            "scheme",
            "host",
            "userinfo",
            "prefix",
            "authorization",
            "surrogate",
            "login",
            "database",
            "ambiguous",
            "override",
            "method",
            "audience",
            "referenced-path",
        ]
    );
    let names = [
        MintingRule::NotHandedOut("x"),
        MintingRule::Batch,
        MintingRule::UnknownAction("x".to_owned()),
        MintingRule::Privileged("x".to_owned()),
        MintingRule::Signature(SignatureRule::Invalid("x")),
    ]
    .map(|rule| rule.rule());
    assert_eq!(names, ["hand-out", "batch", "action", "privileged", "signature"]);
}
