//! The default endpoint, 169.254.169.254 port 80, in a network namespace of the test's own.

use std::process::{Command, Output};

use keyward_identity::TokenSource;
use keyward_identity::source::{Imds, Settings, UserAssigned, auto};

use crate::fake_endpoint::{FakeEndpoint, Options, Step};
use crate::fixture::{CLIENT, vault};
use crate::skip::skip;

/// With `must`, the test fails on a machine without namespaces. Otherwise it is skipped there.
const NAMESPACES: &str = "KEYWARD_NAMESPACES";
const CHILD: &str = "KEYWARD_TEST_NAMESPACE";

/// Adds the address to a network, and runs the rest of the command line there. A kernel without
/// dummy links has the address on its loopback interface, which makes no difference to the test.
const NETWORK: &str = r#"
set -e
PATH="$PATH:/usr/sbin:/sbin"
ip link set lo up
link=lo
if ip link add imds type dummy 2>/dev/null; then
    link=imds
    ip link set imds up
fi
ip address add 169.254.169.254/32 dev "$link"
exec "$@"
"#;

/// In a user namespace; and as root, if users may not create namespaces.
const NAMESPACE_OPTIONS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];

fn unshare(options: &[&str], command: &[&str]) -> Result<Output, String> {
    let mut unshare = Command::new("unshare");
    unshare.args(options).args(["sh", "-c", NETWORK, "network"]).args(command).env(CHILD, "1");
    unshare.output().map_err(|error| format!("unshare does not run: {error}"))
}

/// The options that this machine allows, or the error of each.
fn allowed_options() -> Result<&'static [&'static str], String> {
    let mut errors = Vec::new();
    for options in NAMESPACE_OPTIONS {
        match unshare(options, &["true"]) {
            Ok(output) if output.status.success() => return Ok(options),
            Ok(output) => errors.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => errors.push(error),
        }
    }
    Err(errors.join("; "))
}

#[test]
fn the_default_endpoint_is_169_254_169_254() {
    let options = match allowed_options() {
        Ok(options) => options,
        Err(errors) => {
            let why = format!("this machine allows no network namespaces ({errors})");
            return skip("the default address of the metadata service", &why, NAMESPACES);
        }
    };
    let test = std::env::current_exe().unwrap();
    let child = "default_address::child_of_the_test_of_the_address";
    let command = [test.to_str().unwrap(), "--exact", child, "--ignored"];
    let output = unshare(options, &command).unwrap();
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o));
    let passed = stdout.contains("test result: ok. 1 passed");
    assert!(output.status.success() && passed, "{stdout}{stderr}");
}

#[tokio::test]
#[ignore = "runs as the child of another test"]
async fn child_of_the_test_of_the_address() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let good = r#"{"access_token":"eyJsecret","expires_in":"86399","expires_on":"4102444800"}"#;
    let steps = vec![Step::new(200, good)];
    let endpoint = FakeEndpoint::start_at("169.254.169.254:80", steps, Options::default()).await;
    let reports = UserAssigned::ClientId(CLIENT.to_owned());
    let reports = Imds::new().user_assigned(reports);
    let auto = auto(&|_| None, None, None, Settings::default()).unwrap();
    for source in [&Imds::new() as &dyn TokenSource, &reports, &*auto] {
        let issued = source.fetch(&vault()).await.unwrap();
        assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret");
    }
    let resource = "/metadata/identity/oauth2/token?api-version=2018-02-01\
                    &resource=https%3A%2F%2Fvault.azure.net";
    let user = format!("&client_id={CLIENT}");
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 3);
    for (request, identity) in requests.iter().zip(["", &user, ""]) {
        let line = format!("GET {resource}{identity} HTTP/1.1\r\n");
        assert!(request.starts_with(&line), "{request}");
        assert!(request.contains("\r\nhost: 169.254.169.254\r\n"), "{request}");
        assert!(request.contains("\r\nmetadata: true\r\n"), "{request}");
    }
}
