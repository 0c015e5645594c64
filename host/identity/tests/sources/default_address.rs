//! The address that every virtual machine has, with nothing set: 169.254.169.254, port 80, in a network of the test's own.

use std::process::{Command, Output};

use keyward_identity::TokenSource;
use keyward_identity::source::{Imds, Settings, UserAssigned, auto};

use crate::endpoint::{Endpoint, Manner, Step};
use crate::skip::skip;
use crate::stage::{CLIENT, vault};

/// With `must`, a machine that allows no namespaces fails the test. Without it, the test is skipped there.
const NAMESPACES: &str = "KEYWARD_NAMESPACES";
const CHILD: &str = "KEYWARD_TEST_NAMESPACE";

/// Makes a network with the address in it, and runs the rest of the command line there. A kernel without dummy links has
/// the address on its loopback: what is asked, and how, stays the same.
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

/// As a user of its own, who is root there; and as root, where users may not do that.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];

fn within(way: &[&str], command: &[&str]) -> Result<Output, String> {
    let mut unshare = Command::new("unshare");
    unshare.args(way).args(["sh", "-c", NETWORK, "network"]).args(command).env(CHILD, "1");
    unshare.output().map_err(|error| format!("unshare does not run: {error}"))
}

/// The way that this machine allows, or what it says to each.
fn allowed() -> Result<&'static [&'static str], String> {
    let mut said = Vec::new();
    for way in WAYS {
        match within(way, &["true"]) {
            Ok(output) if output.status.success() => return Ok(way),
            Ok(output) => said.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => said.push(error),
        }
    }
    Err(said.join("; "))
}

#[test]
fn a_token_comes_from_the_address_that_every_machine_has() {
    let way = match allowed() {
        Ok(way) => way,
        Err(said) => {
            let why = format!("this machine allows no network namespaces ({said})");
            return skip("the address of the metadata service, with nothing set", &why, NAMESPACES);
        }
    };
    let test = std::env::current_exe().unwrap();
    let child = "default_address::child_of_the_test_of_the_address";
    let output = within(way, &[test.to_str().unwrap(), "--exact", child, "--ignored"]).unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("test result: ok. 1 passed"), "{said}{wrong}");
}

#[tokio::test]
#[ignore = "runs as the child of another test"]
async fn child_of_the_test_of_the_address() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let good = r#"{"access_token":"eyJsecret","expires_in":"86399","expires_on":"4102444800","token_type":"Bearer"}"#;
    let endpoint = Endpoint::start_at("169.254.169.254:80", vec![Step::new(200, good)], Manner::default()).await;
    let reports = UserAssigned::ClientId(CLIENT.to_owned());
    let found = auto(&|_| None, None, None, Settings::default()).unwrap();
    for source in [&Imds::new() as &dyn TokenSource, &Imds::new().user_assigned(reports), &*found] {
        let issued = source.fetch(&vault()).await.unwrap();
        assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret");
    }
    let resource = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
    let user = format!("&client_id={CLIENT}");
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 3);
    for (request, identity) in requests.iter().zip(["", &user, ""]) {
        assert!(request.starts_with(&format!("GET {resource}{identity} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains("\r\nhost: 169.254.169.254\r\n"), "{request}");
        assert!(request.contains("\r\nmetadata: true\r\n"), "{request}");
    }
}
