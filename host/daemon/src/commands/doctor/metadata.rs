//! Whether other users of this machine can still reach the metadata service, and need no broker.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use keyward::Plan;
use tokio::net::TcpStream;

use super::finding::{Check, Finding};
use super::socket::User;
use super::tokens;

/// It is on this machine's link: what does not answer by then is not there.
const CONNECT: Duration = Duration::from_secs(1);

/// Connects to it, and sends nothing.
pub(super) async fn reach(address: SocketAddr) -> io::Result<()> {
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn check(reached: &io::Result<()>, broker: &User) -> Finding {
    judge(reached, rustix::process::geteuid().as_raw(), broker)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check(reached: &io::Result<()>, _: &User) -> Finding {
    let finding = Finding::about(Check::Metadata, "169.254.169.254");
    match reached {
        Ok(()) => {
            let found = "this process reaches it, and so may any other: on this system nobody has looked for a rule";
            finding.warning(found).mend("Keep it from all users but the broker's, with this system's firewall")
        }
        Err(error) => finding.ok(format!("out of this process's reach ({error})")),
    }
}

/// Whether there is a rule against others cannot be read without being root. But whoever looks can try.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn judge(reached: &io::Result<()>, me: u32, broker: &User) -> Finding {
    let finding = Finding::about(Check::Metadata, "169.254.169.254");
    let error = match reached {
        Ok(()) if broker.known && me != broker.id && me != 0 => {
            let found =
                format!("user {me} reaches it, who is not the broker's ({}): programs need no broker", broker.id);
            return finding.problem(found).mend(rule(broker.id));
        }
        Ok(()) => {
            let found = format!("user {me} reaches it, and so does any other process that no rule keeps from it");
            return finding.warning(found).mend(rule(broker.id));
        }
        Err(error) => error,
    };
    let found = format!("out of reach for user {me} ({error})");
    if me == broker.id {
        return finding.ok(format!("{found}: what the broker's user cannot reach, the machine hardly has"));
    }
    finding.ok(found)
}

/// The rule, for the broker's user. Packets of containers with a network of their own pass another hook.
fn rule(user: u32) -> String {
    format!(
        "Keep it from all but the broker's user ({user}; correct it if that is another), and from containers. Then run this \
         as another user, to see that it holds\n  \
         nft add table inet keyward\n  \
         nft add chain inet keyward output '{{ type filter hook output priority 0; policy accept; }}'\n  \
         nft add rule inet keyward output ip daddr 169.254.169.254 meta skuid != {user} reject\n  \
         nft add chain inet keyward forward '{{ type filter hook forward priority 0; policy accept; }}'\n  \
         nft add rule inet keyward forward ip daddr 169.254.169.254 reject"
    )
}

/// Identities that ask elsewhere: the rule does not cover those.
pub(super) fn elsewhere(plan: &Plan) -> Vec<Finding> {
    let identities = plan.identities().iter();
    let elsewhere = identities.filter_map(|(name, identity)| Some((name, tokens::endpoint(identity)?)));
    let findings = elsewhere.map(|(name, endpoint)| {
        let found =
            format!("it asks {endpoint}, and not 169.254.169.254: a rule for that address is none for this one");
        Finding::about(Check::Metadata, format!("identity {name}")).skipped(found)
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn who_reaches_it_and_is_not_the_broker_proves_that_others_can() {
        let broker = User { id: 990, known: true };
        let refused = || Err(io::Error::from(io::ErrorKind::ConnectionRefused));
        let status = |reached, me| judge(&reached, me, &broker).status;
        assert_eq!(status(Ok(()), 1000), Status::Problem);
        assert_eq!(status(Ok(()), 990), Status::Warning);
        assert_eq!(status(Ok(()), 0), Status::Warning);
        assert_eq!(status(refused(), 1000), Status::Ok);
        assert_eq!(status(refused(), 990), Status::Ok);
        let unknown = User { id: 1000, known: false };
        let finding = judge(&Ok(()), 1000, &unknown);
        assert_eq!(finding.status, Status::Warning);
        assert!(finding.mend.unwrap().contains("ip daddr 169.254.169.254 meta skuid != 1000 reject"));
    }
}
