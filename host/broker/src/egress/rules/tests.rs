use super::*;
use crate::grant::Redirect;

fn grant(name: &str, endpoint: &str, allowed: &[&str]) -> Grant {
    Grant { name: name.into(), ..Grant::example(endpoint).allowing(allowed) }
}

struct Mount {
    grants: Vec<Grant>,
    surrogates: Surrogates,
}

fn mount() -> Mount {
    let grants = vec![
        grant("vault", "https://contoso.vault.azure.net", &["GET /secrets/*"]),
        grant("arm", "https://management.azure.com", &["* /**"]),
        grant("odd", "https://localhost:8443/tenant", &["GET /**"]),
    ];
    Mount { grants, surrogates: Surrogates::default() }
}

impl Mount {
    fn bearer(&self, grant: usize) -> String {
        format!("Bearer {}", self.surrogates.of_grant(grant).as_str())
    }

    fn judge(&self, uri: &str, headers: &[(&str, &str)]) -> Result<Passed, Refusal> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        judge(&request.body(()).unwrap(), &self.grants, &self.surrogates)
    }

    fn misuse(&self, uri: &str, headers: &[(&str, &str)]) -> Misuse {
        match self.judge(uri, headers) {
            Err(Refusal::Misuse(misuse)) => misuse,
            other => panic!("{uri}: {other:?}"),
        }
    }
}

#[test]
fn a_surrogate_is_spent_at_its_own_endpoint() {
    let mount = mount();
    let bearer = mount.bearer(0);
    let passed =
        mount.judge("https://contoso.vault.azure.net/%73ecrets/db?a=%2e", &[("authorization", &bearer)]).unwrap();
    assert_eq!((passed.grant, passed.spend), (0, Spend::Token));
    assert_eq!(passed.uri, "https://contoso.vault.azure.net/secrets/db?a=%2e");
    let passed = mount.judge("https://contoso.vault.azure.net:443/secrets/db", &[]).unwrap();
    assert_eq!(
        (passed.spend, passed.uri.to_string().as_str()),
        (Spend::Nothing, "https://contoso.vault.azure.net/secrets/db")
    );
    let passed = mount.judge("https://localhost:8443/tenant/x", &[]).unwrap();
    assert_eq!((passed.grant, passed.uri.to_string().as_str()), (2, "https://localhost:8443/tenant/x"));
}

#[test]
fn no_other_spelling_of_an_endpoint_is_one() {
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
        let misuse = mount.misuse(&format!("https://{authority}/secrets/db"), &[]);
        assert!(matches!(misuse, Misuse::Elsewhere { .. }), "{authority}: {misuse:?}");
    }
    let user = mount.misuse("https://user@contoso.vault.azure.net/secrets/db", &[]);
    assert_eq!(user, Misuse::UserInfo);
    assert_eq!(mount.misuse("http://contoso.vault.azure.net/secrets/db", &[]), Misuse::Scheme);
    assert_eq!(mount.misuse("/secrets/db", &[]), Misuse::Scheme);
}

#[test]
fn a_surrogate_at_any_other_place_fails_the_request() {
    let mount = mount();
    let bearer = mount.bearer(0);
    let surrogate = bearer.strip_prefix("Bearer ").unwrap();
    let vault = "https://contoso.vault.azure.net/secrets";
    let elsewhere = Misuse::SurrogateElsewhere;
    assert_eq!(mount.misuse(&format!("{vault}/{surrogate}"), &[]), elsewhere("path"));
    assert_eq!(mount.misuse(&format!("{vault}/db?x={surrogate}"), &[]), elsewhere("query"));
    let db = format!("{vault}/db");
    assert_eq!(mount.misuse(&db, &[("x-token", surrogate)]), elsewhere("header fields"));
    assert_eq!(mount.misuse(&db, &[("authorization", &bearer), ("cookie", surrogate)]), elsewhere("header fields"));
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(mount.misuse(&db, &twice), Misuse::SeveralAuthorizations);
    assert_eq!(mount.misuse("https://evil.example/", &[("x", surrogate)]), elsewhere("header fields"));
}

#[test]
fn no_other_authorization_goes_out() {
    let mount = mount();
    let bearer = mount.bearer(0);
    let surrogate = bearer.strip_prefix("Bearer ").unwrap();
    let earlier = Surrogates::default().of_grant(0);
    for value in [
        "Bearer eyJ0.own",
        "Basic dXNlcjpwYXNz",
        &format!("bearer {surrogate}"),
        &format!("Bearer  {surrogate}"),
        &format!("Bearer {surrogate} "),
        &format!("{bearer}, {bearer}"),
        &format!("Bearer {}", earlier.as_str()),
        &format!("Bearer {}{}", surrogate::PREFIX, "A".repeat(43)),
        surrogate,
        "",
    ] {
        let misuse = mount.misuse("https://contoso.vault.azure.net/secrets/db", &[("authorization", value)]);
        assert_eq!(misuse, Misuse::ForeignAuthorization, "{value:?}");
    }
}

#[test]
fn a_token_for_one_audience_is_refused_at_anothers_endpoint() {
    let mount = mount();
    let misuse = mount.misuse("https://management.azure.com/x", &[("authorization", &mount.bearer(0))]);
    assert_eq!(misuse, Misuse::OtherAudience { audience: "vault".to_owned() });
}

/// The vault of [`mount`], which may redirect to a host for its tokens and to two others.
fn redirecting() -> Mount {
    let mut mount = mount();
    let origins = [("https://other.vault.azure.net", true), ("https://node.example:8443", false)];
    let origins = origins.into_iter().chain([("https://management.azure.com", false)]);
    mount.grants[0].redirects = origins
        .map(|(origin, takes_token)| Redirect { endpoint: Endpoint::parse(origin).unwrap(), takes_token })
        .collect();
    mount
}

#[test]
fn a_token_goes_to_a_redirects_host_only_where_it_is_one_for_tokens() {
    let mount = redirecting();
    let spent = |uri: &str| {
        let passed = mount.judge(uri, &[("authorization", &mount.bearer(0))]).unwrap();
        (passed.grant, passed.spend, passed.uri.to_string())
    };
    for (uri, spend) in [
        ("https://other.vault.azure.net/secrets/db", Spend::Token),
        ("https://node.example:8443/secrets/db?a=b", Spend::Nothing),
        // Also the endpoint of another audience.
        ("https://management.azure.com/secrets/db", Spend::Nothing),
    ] {
        assert_eq!(spent(uri), (0, spend, uri.to_owned()));
    }
    let arms = mount.judge("https://management.azure.com/x", &[("authorization", &mount.bearer(1))]).unwrap();
    assert_eq!((arms.grant, arms.spend), (1, Spend::Token));
    let other = mount.misuse("https://node.example:8443/secrets/db", &[("authorization", &mount.bearer(1))]);
    assert_eq!(other, Misuse::OtherAudience { audience: "arm".to_owned() });
}

#[test]
fn a_redirects_host_is_within_allow_and_has_one_spelling() {
    let mount = redirecting();
    let refusal = mount.judge("https://node.example:8443/keys/k", &[]).unwrap_err();
    assert!(matches!(refusal, Refusal::NotCovered { grant: 0, .. }), "{refusal:?}");
    for authority in ["node.example", "node.example:443", "Node.example:8443", "x.node.example:8443"] {
        let misuse = mount.misuse(&format!("https://{authority}/secrets/db"), &[]);
        assert!(matches!(misuse, Misuse::Elsewhere { .. }), "{authority}: {misuse:?}");
    }
}

#[test]
fn a_sealed_value_is_not_spent_at_a_redirects_host_that_takes_no_token() {
    let mount = redirecting();
    let sealed = Arc::new(SealedValue::query("sv=1&sig=x").unwrap());
    let surrogate = mount.surrogates.of_sealed(0, &sealed);
    let spent = |origin: &str| mount.judge(&format!("{origin}/secrets/db?{}", surrogate.as_str()), &[]);
    assert_eq!(spent("https://other.vault.azure.net").unwrap().spend, Spend::Query(Arc::clone(&sealed)));
    let refusal = spent("https://node.example:8443").unwrap_err();
    assert_eq!(refusal, Refusal::Misuse(Misuse::OtherAudience { audience: "vault".to_owned() }));
}

#[test]
fn a_path_outside_allow_is_refused_in_every_spelling() {
    let mount = mount();
    let vault = "https://contoso.vault.azure.net";
    for path in ["/keys/k", "/secrets", "/secrets/db/v", "/", "/Secrets/db", "/%6beys/k"] {
        let refusal = mount.judge(&format!("{vault}{path}"), &[]).unwrap_err();
        assert!(matches!(refusal, Refusal::NotCovered { grant: 0, .. }), "{path}: {refusal:?}");
    }
    for path in ["/secrets/../keys/k", "/secrets/%2e%2e/keys", "/secrets/a%2fb", "/secrets//db", "/secrets/%5c"] {
        let misuse = mount.misuse(&format!("{vault}{path}"), &[]);
        assert!(matches!(misuse, Misuse::Path(_)), "{path}: {misuse:?}");
    }
    assert_eq!(mount.misuse("https://localhost:8443/tenants", &[]), Misuse::OutsidePrefix);
    assert_eq!(mount.misuse("https://localhost:8443/", &[]), Misuse::OutsidePrefix);
}

#[test]
fn a_tunnel_is_not_let_out() {
    let mount = mount();
    let request = Request::connect("https://contoso.vault.azure.net/secrets/db").body(()).unwrap();
    let refusal = judge(&request, &mount.grants, &mount.surrogates).unwrap_err();
    assert_eq!(refusal, Refusal::Misuse(Misuse::Method(Method::CONNECT)));
}
