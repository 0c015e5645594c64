//! Guests and DNS names that lead to other hosts.

use std::net::SocketAddr;

use keyward::{CallError, Resolve, Resolving, Violation};
use keyward_tests::{Rig, get};

#[tokio::test]
async fn a_surrogate_is_sent_to_no_other_address_in_any_spelling() {
    let rig = Rig::hostile("elsewhere").start().await;
    for authority in [
        "evil.example",
        "host.evil",
        "contoso.vault.azure.net.evil.example",
        "other.vault.azure.net",
        "management.azure.com",
        "contoso.vault.azure.net:444",
        "contoso.vault.azure.net:8443",
        "contoso.vault.azure.net.",
        "CONTOSO.VAULT.AZURE.NET",
        "Contoso.vault.azure.net",
        "169.254.169.254",
        "168.63.129.16",
        "127.0.0.1",
        "localhost",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[::1]",
        "[fd00:ec2::254]",
    ] {
        let response = rig.call(get("/", &[("x-authority", authority)])).await;
        match response.error {
            Some(CallError::Violation { violation: Violation::OtherHost { .. }, .. }) => {}
            ref other => panic!("{authority}: {other:?} {}", response.text()),
        }
        rig.assert_no_token_in(&response);
    }
    let user = rig.call(get("/", &[("x-authority", "user@contoso.vault.azure.net")])).await;
    assert!(
        matches!(user.error, Some(CallError::Violation { violation: Violation::UserInfo, .. })),
        "{:?}",
        user.error
    );
    for scheme in ["http", "ftp", "ws"] {
        let headers = [("x-authority", "contoso.vault.azure.net"), ("x-scheme", scheme)];
        let response = rig.call(get("/", &headers)).await;
        assert!(
            matches!(
                response.error,
                Some(CallError::Violation { violation: Violation::Scheme, .. })
            ),
            "{:?}",
            response.error
        );
    }
    assert_eq!(rig.emulator.log().for_service("vault").len(), 0);
    let good = rig.call(get("/", &[("x-authority", "contoso.vault.azure.net:443")])).await;
    assert!(good.text().starts_with("status 200"), "the rig works: {}", good.text());
}

#[tokio::test]
async fn a_path_outside_allow_is_denied_in_any_spelling() {
    let rig = Rig::hostile("path_escape").start().await;
    for path in [
        "/keys/signing?api-version=7.4",
        "/secrets/../keys/signing?api-version=7.4",
        "/secrets/%2e%2e/keys/signing",
        "/secrets/%2E%2E/keys/signing",
        "/secrets/.%2e/keys",
        "/secrets/..%2fkeys",
        "/secrets%2f..%2fkeys",
        "/secrets/%5c../keys",
        "/secrets//../keys",
        "//keys/signing",
        "/secrets//db",
        "/secrets/./db",
        "/secrets/..;/keys",
        "/secrets/%252e%252e/keys",
        "/secrets/a%25%32%66b",
        "/secrets/a%252fb",
        "/secrets/..%3Bx/keys",
        "/secrets/..;x/keys",
        "/secrets/;x",
        "/secrets/db;x",
        "/secrets/%3B",
        "/secrets/a%25253Bb",
        "/secrets/a%c0%afb",
        "/secrets/db%00",
        "/SECRETS/db",
        "/%6beys/signing",
        "/secrets/\\..\\keys",
    ] {
        let response = rig.call(get("/", &[("x-path", path)])).await;
        match &response.error {
            Some(
                CallError::Violation { violation: Violation::Path(_), .. }
                | CallError::NotAllowed(_),
            ) => {}
            other => panic!("{path}: {other:?} {}", response.text()),
        }
        rig.assert_no_token_in(&response);
    }
    assert_eq!(rig.emulator.log().for_service("vault").len(), 0);
    let good = rig.call(get("/", &[("x-path", "/%73ecrets/db?api-version=7.4")])).await;
    assert!(good.text().starts_with("status 200"), "{}", good.text());
    assert_eq!(
        rig.emulator.log().for_service("vault")[0].path,
        "/secrets/db",
        "the path that was checked is the path that is sent"
    );
}

#[tokio::test]
async fn a_denial_names_the_mount_the_rule_and_the_line_that_would_allow_it() {
    let rig = Rig::keyvault().mount_lines("allow = [\"GET /secrets/db\"]").start().await;
    let response = rig.call(get("/secrets/api-key", &[])).await;
    assert_eq!(response.status, 403);
    assert_eq!(response.headers["content-type"], "application/problem+json");
    let text = response.text();
    for part in [
        "urn:keyward:problem:not-allowed",
        "mount `vault`",
        "[mount.vault]",
        "GET /secrets/api-key",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Resolves every name to these addresses.
struct Says(Vec<&'static str>);

impl Resolve for Says {
    fn resolve(&self, _: &str, port: u16) -> Resolving {
        let addresses =
            self.0.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_forbidden_address_is_not_connected_to() {
    for addresses in [
        vec!["169.254.169.254"],
        vec!["168.63.129.16"],
        vec!["127.0.0.1"],
        vec!["0.0.0.0"],
        vec!["::ffff:169.254.169.254"],
        vec!["::ffff:127.0.0.1"],
        vec!["fe80::1"],
        vec!["fd00:ec2::254"],
        vec!["64:ff9b:1::169.254.169.254"],
        vec!["2001:0:a9fe:a9fe::"],
        vec!["2603:1030::5efe:169.254.169.254"],
        vec!["10.255.255.1", "169.254.169.254"],
    ] {
        let rig = Rig::keyvault().resolver(Says(addresses.clone())).start().await;
        let response = rig.call(get("/secrets/db", &[])).await;
        assert!(
            matches!(response.error, Some(CallError::ForbiddenAddress { .. })),
            "{addresses:?}: {:?}",
            response.error
        );
        assert_eq!(response.status, 502);
        assert!(response.text().contains("[egress.resolve]"), "{}", response.text());
        rig.assert_no_token_in(&response);
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error_that_names_it() {
    let rig = Rig::keyvault().resolver(Says(vec![])).start().await;
    let response = rig.call(get("/secrets/db", &[])).await;
    assert_eq!(response.status, 502);
    assert!(
        response.text().contains("contoso.vault.azure.net cannot be resolved"),
        "{}",
        response.text()
    );
}
