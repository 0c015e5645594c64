//! Proxy settings of the environment are ignored.

use keyward_identity::TokenSource;
use keyward_identity::source::{AppService, CloudShell, Imds};

use crate::fake_endpoint::{FakeEndpoint, Options, Step};
use crate::fixture::vault;

const CHILD: &str = "KEYWARD_TEST_ENDPOINT";

/// The child process has all proxy variables, with the address of a listener that counts requests.
#[tokio::test]
async fn proxy_settings_of_the_environment_are_ignored() {
    let good = r#"{"access_token":"eyJsecret","expires_in":3599}"#;
    let endpoint = FakeEndpoint::start(vec![Step::new(200, good)], Options::default()).await;
    let proxy = FakeEndpoint::start(vec![Step::new(200, good)], Options::default()).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "proxies::child_of_the_test_of_proxies", "--ignored"]);
    child.env(CHILD, &endpoint.origin);
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
