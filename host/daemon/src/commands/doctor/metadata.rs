//! Whether other users of this machine can still reach the metadata service, and need no broker.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, SERVER};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use keyward::Plan;
use tokio::net::TcpStream;

use super::finding::{Check, Finding};
use super::socket::User;
use super::tokens;

/// It is on this machine's link: what does not answer by then is not there.
const CONNECT: Duration = Duration::from_secs(1);

/// How long it may take for its answer, which it makes without asking anybody.
const ANSWER: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes. Its own has less than a hundred.
const LONGEST: usize = 4 << 10;

/// What is at the address of the metadata service.
#[derive(Debug)]
pub(super) enum Reached {
    /// The metadata service.
    Imds,
    /// Something that answers otherwise, or not at all.
    Other(String),
    /// Nothing that takes a connection.
    Nothing(String),
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imds => f.write_str("169.254.169.254 answers as IMDS"),
            Self::Other(what) => {
                write!(f, "what takes connections at 169.254.169.254 does not answer as IMDS ({what})")
            }
            Self::Nothing(why) => write!(f, "169.254.169.254 takes no connection ({why})"),
        }
    }
}

/// Connects to it, and sends a request without the header field that each one must have. IMDS refuses that in words of its
/// own, and issues no token.
pub(super) async fn reach(address: SocketAddr) -> Reached {
    let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Reached::Nothing(error.to_string()),
        Err(_) => return Reached::Nothing("no connection in time".to_owned()),
    };
    match tokio::time::timeout(ANSWER, ask(stream)).await {
        Ok(Ok(reached)) => reached,
        Ok(Err(error)) => Reached::Other(error.to_string()),
        Err(_) => Reached::Other("no answer in time".to_owned()),
    }
}

async fn ask(stream: TcpStream) -> Result<Reached, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let request = Request::get("/metadata/identity/oauth2/token?api-version=2018-02-01");
        let request = request.header(HOST, "169.254.169.254").body(Empty::<Bytes>::new())?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
        Ok(match is_imds(parts.status, parts.headers.get(SERVER), &body) {
            true => Reached::Imds,
            false => Reached::Other(format!("status {}", parts.status.as_u16())),
        })
    };
    // What ends the connection, the exchange hears as well.
    let connection = async {
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        reached = exchange => reached,
        never = connection => never,
    }
}

/// Other clouds have other services at this address, and so has Docker Desktop.
fn is_imds(status: StatusCode, server: Option<&HeaderValue>, body: &[u8]) -> bool {
    let says_so = server.is_some_and(|server| server.as_bytes().starts_with(b"IMDS/"));
    let refusal = String::from_utf8_lossy(body).to_ascii_lowercase();
    says_so || (status == StatusCode::BAD_REQUEST && refusal.contains("required metadata header not specified"))
}

#[cfg(target_os = "linux")]
pub(super) fn check(reached: &Reached, broker: &User) -> Finding {
    judge(reached, rustix::process::geteuid().as_raw(), broker)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check(reached: &Reached, _: &User) -> Finding {
    let finding = Finding::about(Check::Metadata, "169.254.169.254");
    match reached {
        Reached::Imds => {
            let found = "this process reaches it, and others may too: firewall rules are not checked on this system";
            finding.warning(found).fix("Keep it from all users but the broker's, with this system's firewall")
        }
        Reached::Other(_) | Reached::Nothing(_) => finding.ok(format!("not reachable from this process: {reached}")),
    }
}

/// Whether there is a rule against others cannot be read without being root. But whoever looks can try.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn judge(reached: &Reached, me: u32, broker: &User) -> Finding {
    let finding = Finding::about(Check::Metadata, "169.254.169.254");
    match reached {
        Reached::Imds if broker.known && me != broker.id && me != 0 => {
            let found =
                format!("user {me} reaches it, who is not the broker's ({}): programs need no broker", broker.id);
            return finding.problem(found).fix(rule(broker.id));
        }
        Reached::Imds => {
            let found = format!("user {me} reaches it, and so does any other process that no rule keeps from it");
            return finding.warning(found).fix(rule(broker.id));
        }
        Reached::Other(_) | Reached::Nothing(_) => {}
    }
    let found = format!("not reachable for user {me}: {reached}");
    if me == broker.id {
        return finding.ok(format!("{found}. This machine probably has no metadata service"));
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
            format!("it asks {endpoint}, and not 169.254.169.254: a rule for that address does not cover this one");
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
        let refused = || Reached::Nothing("refused".to_owned());
        let status = |reached, me| judge(&reached, me, &broker).status;
        assert_eq!(status(Reached::Imds, 1000), Status::Problem);
        assert_eq!(status(Reached::Imds, 990), Status::Warning);
        assert_eq!(status(Reached::Imds, 0), Status::Warning);
        assert_eq!(status(refused(), 1000), Status::Ok);
        assert_eq!(status(refused(), 990), Status::Ok);
        assert_eq!(status(Reached::Other("status 404".to_owned()), 1000), Status::Ok);
        let unknown = User { id: 1000, known: false };
        let finding = judge(&Reached::Imds, 1000, &unknown);
        assert_eq!(finding.status, Status::Warning);
        assert!(finding.fix.unwrap().contains("ip daddr 169.254.169.254 meta skuid != 1000 reject"));
    }

    #[test]
    fn only_imds_answers_as_imds() {
        let refusal = br#"{"error":"invalid_request","error_description":"Required metadata header not specified"}"#;
        let server = |name| Some(HeaderValue::from_static(name));
        let is = |status, server: Option<HeaderValue>, body: &[u8]| {
            is_imds(StatusCode::from_u16(status).unwrap(), server.as_ref(), body)
        };
        assert!(is(400, None, refusal));
        assert!(is(429, server("IMDS/150.870.65.1854"), b""));
        assert!(!is(404, server("EC2ws"), b"<html>404"), "Amazon");
        assert!(!is(403, server("Metadata Server for VM"), b"<html>"), "Google");
        assert!(!is(403, None, b"connecting to 169.254.169.254:80: connectex"), "Docker Desktop");
        assert!(!is(200, server("nginx"), b"{}"));
        assert!(!is(400, server("nginx"), b"<html>400 Bad Request"));
    }
}
