//! Early responses to curl, Python and Node: some of them here, a thousand of each with `make
//! early`.

use std::process::{Command, Stdio};

use keyward_emulator::{Fault, FaultKind};

use crate::listeners::{Listeners, start};
use crate::skip::{node, skip};

const STATUSES: [u16; 6] = [404, 403, 409, 412, 429, 503];

/// Responses per status in a small run.
const FEW: usize = 12;

/// Gigabytes take a build without optimization longer than a call may usually compute.
const LIMITS: &str = "[mount.blobs.limits]\ncpu_time = \"10m\"\nconcurrency = 64\n";

async fn no_response_is_lost(client: &str) {
    let each = std::env::var("KEYWARD_EARLY").map_or(FEW, |count| count.parse().expect("a number"));
    // There are three clients.
    let count = each.div_ceil(3) * STATUSES.len();
    let what = format!("early responses to {client}");
    let python = ["python3"].map(str::to_owned);
    let program = if client == "node" && node().exists() {
        node().display().to_string()
    } else {
        client.to_owned()
    };
    for program in python.iter().chain([&program]) {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            return skip(&what, &format!("there is no {program}"), "KEYWARD_PEERS");
        }
    }
    let (daemon, listeners) = start(LIMITS).await;
    for status in STATUSES {
        for (mode, read, at_once) in [
            ("none", 0, true),
            ("some", 100_000, true),
            ("linger", 0, false),
            ("all", usize::MAX, false),
        ] {
            let fault = Fault::always("blob", FaultKind::RespondEarly { status, read, at_once });
            daemon.emulator.faults().add(fault.at(&format!("/early/{status}-{mode}/")));
        }
    }
    let Listeners { socket, tcp, tls, ca } = listeners;
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/early");
    let mut command = if client == "node" {
        let mut command = Command::new(program);
        command.arg(format!("{scripts}/early.mjs"));
        command
    } else {
        let mut command = Command::new("python3");
        command.arg(format!("{scripts}/early.py")).arg(client);
        command
    };
    command.arg(count.to_string()).arg(socket).arg(tcp.to_string()).arg(tls.to_string()).arg(ca);
    let output =
        tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && text.contains(&format!("{count} of {count} arrived")),
        "{text}"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_early_answer_to_curl_is_lost() {
    no_response_is_lost("curl").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_early_answer_to_python_is_lost() {
    no_response_is_lost("python3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_early_answer_to_node_is_lost() {
    no_response_is_lost("node").await;
}
