//! The firewall rules that `keyward doctor` prints, loaded by the real `nft` in a network of the
//! test's own.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use crate::doctor::Machine;
use crate::skip::skip;

/// With `must`, the test fails on a machine where it cannot run. Otherwise it is skipped there.
const NAMESPACES: &str = "KEYWARD_NAMESPACES";
const WHAT: &str = "the firewall rules of doctor";
const CHILD: &str = "KEYWARD_TEST_METADATA";

/// Users that no machine has.
const BROKER: u32 = 61_240;
const OTHER: u32 = 61_241;

/// Connects the networks: a container and the metadata service to the machine.
const NETWORKS: &str = r#"
set -eu
machine=$1 container=$2 azure=$3
at() {
    target=$1
    shift
    nsenter --net --target "$target" "$@"
}
at "$machine" ip link add azure type veth peer name machine netns "$azure"
at "$machine" ip link add container type veth peer name machine netns "$container"
at "$machine" ip link set lo up
at "$machine" ip link set azure up
at "$machine" ip link set container up
at "$machine" ip address add 192.0.2.1/30 dev azure
at "$machine" ip address add 192.0.2.5/30 dev container
at "$machine" ip route add 169.254.169.254/32 via 192.0.2.2
at "$machine" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
at "$container" ip link set machine up
at "$container" ip address add 192.0.2.6/30 dev machine
at "$container" ip route add default via 192.0.2.5
at "$azure" ip link set lo up
at "$azure" ip link set machine up
at "$azure" ip address add 192.0.2.2/30 dev machine
at "$azure" ip address add 169.254.169.254/32 dev lo
at "$azure" ip route add 192.0.2.4/30 via 192.0.2.1
"#;

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// A process in a network namespace of its own, which ends with the test.
struct Network {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Network {
    /// Runs a command there, and waits until it says `ready`.
    fn with(arguments: &[&str]) -> Self {
        let mut unshare = command("unshare");
        unshare.arg("--net").args(arguments).env(CHILD, "1");
        let mut process =
            unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command runs");
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut network = Self { process, stdin, stdout };
        network.wait_for("ready");
        network
    }

    fn empty() -> Self {
        Self::with(&["sh", "-c", "echo ready; exec cat"])
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it ended before {word:?}");
        }
    }

    fn id(&self) -> String {
        self.process.id().to_string()
    }

    /// Runs a command there.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut nsenter = command("nsenter");
        nsenter.args(["--net", "--target", &self.id()]).args(arguments);
        nsenter.output().expect("nsenter runs")
    }

    /// The exit code of `curl`, as this user: 0 if the metadata service answers, 7 if the
    /// connection is refused.
    fn reaches_metadata(&self, user: u32) -> Option<i32> {
        let user = user.to_string();
        let curl = ["curl", "-s", "--noproxy", "*", "-m", "60", "http://169.254.169.254/"];
        let as_user = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
        self.run(&[&as_user[..], &curl].concat()).status.code()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Why the test cannot run here.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    let probes: [&[&str]; 4] = [
        &["nft", "--version"],
        &["curl", "--version"],
        &["setpriv", "--reuid", "1", "--clear-groups", "true"],
        // A network namespace, in which the kernel has a firewall and links.
        &[
            "unshare",
            "--net",
            "sh",
            "-ec",
            "nft add table inet keyward; ip link add probe0 type veth peer name probe1",
        ],
    ];
    probes.into_iter().find_map(|probe| match command(probe[0]).args(&probe[1..]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("{}: {}", probe[0], String::from_utf8_lossy(&output.stderr))),
        Err(error) => Some(format!("{} does not run: {error}", probe[0])),
    })
}

/// The rules that `doctor` prints for a broker that runs as `BROKER`.
async fn printed_rules() -> String {
    let mut machine = Machine::good().await;
    machine.metadata = machine.emulator.imds_url().trim_start_matches("http://").to_owned();
    chown(machine.directory.path(), Some(BROKER), None).unwrap();
    let report = machine.diagnose().await;
    let fix = report.findings("metadata", "169.254")[0]["fix"].as_str().unwrap().to_owned();
    assert!(fix.contains(&BROKER.to_string()), "{fix}");
    let commands = fix.lines().filter(|line| line.starts_with("  "));
    commands.map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_firewall_rules_stop_other_users_and_containers() {
    if let Some(obstacle) = obstacle() {
        return skip(WHAT, obstacle.trim(), NAMESPACES);
    }
    let rules = printed_rules().await;
    tokio::task::spawn_blocking(move || try_rules(&rules)).await.unwrap();
}

fn try_rules(rules: &str) {
    let test = std::env::current_exe().unwrap();
    let child = "firewall::child_of_the_test_of_the_rules";
    let test = [test.to_str().unwrap(), "--exact", child, "--ignored", "--nocapture"];
    let mut azure = Network::with(&test);
    let (machine, container) = (Network::empty(), Network::empty());
    let mut networks = command("sh");
    networks.args(["-c", NETWORKS, "networks", &machine.id(), &container.id(), &azure.id()]);
    let output = networks.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    azure.stdin.write_all(b"listen\n").unwrap();
    azure.wait_for("listening");

    for user in [0, BROKER, OTHER] {
        assert_eq!(machine.reaches_metadata(user), Some(0), "user {user} without rules");
        assert_eq!(container.reaches_metadata(user), Some(0), "user {user} of a container");
    }
    let loaded = machine.run(&["sh", "-ec", rules]);
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    assert_eq!(machine.reaches_metadata(BROKER), Some(0), "the broker's user");
    for user in [0, OTHER] {
        assert_eq!(machine.reaches_metadata(user), Some(7), "user {user}");
    }
    for user in [0, BROKER, OTHER] {
        assert_eq!(container.reaches_metadata(user), Some(7), "user {user} of a container");
    }
    let chain = machine.run(&["nft", "list", "chain", "inet", "keyward", "forward"]);
    let chain = String::from_utf8_lossy(&chain.stdout).into_owned();
    assert!(chain.contains("hook forward"), "{chain}");
}

/// The metadata service, in a network namespace of its own.
#[test]
#[ignore = "runs as the child of another test"]
fn child_of_the_test_of_the_rules() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    println!("ready");
    // Its network is complete when the parent says so.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let listener = TcpListener::bind("169.254.169.254:80").unwrap();
    println!("listening");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 1024];
        // One request of curl's, which fits in one segment.
        let _ = stream.read(&mut request);
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    }
}
