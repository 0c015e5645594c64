//! Callers at a running daemon: several real users, client certificates, and tokens of pods.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use keyward_emulator::Emulator;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::control_group::ControlGroup;
use crate::process::{Daemon, Response, config};
use crate::skip::skip;

/// Users and groups that no machine has.
const WEB: u32 = 61234;
const OTHER: u32 = 61235;
const GROUP: u32 = 61240;

/// Sends the request on standard input, and prints the response.
const CLIENT: &str = "\
    use IO::Socket::UNIX; use IO::Socket::INET; local $/; \
    my $s = $ARGV[0] =~ m{^/} ? IO::Socket::UNIX->new(Peer => $ARGV[0]) \
        : IO::Socket::INET->new(PeerAddr => $ARGV[0]); \
    $s or die $!; print $s <STDIN>; $s->flush; print <$s>;";

/// Whether the tests can run programs of other users.
fn has_users() -> bool {
    let has_perl = || {
        let probe = Command::new("setpriv")
            .args(["--reuid=61234", "--clear-groups", "perl", "-MIO::Socket::UNIX", "-e", "1"])
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    };
    let can = rustix::process::geteuid().is_root() && has_perl();
    if !can {
        skip("callers of several users", "it needs root, setpriv and perl", "KEYWARD_USERS");
    }
    can
}

/// The status and the text of a response to another user's request. Groups are those of the
/// socket's owner, which may connect, and `groups`.
fn send_as(user: u32, groups: &[u32], to: &str, path: &str) -> (u16, String) {
    let host = if to.starts_with('/') { "localhost" } else { to };
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let groups: Vec<String> = [0].iter().chain(groups).map(ToString::to_string).collect();
    let mut client = Command::new("setpriv");
    client
        .args([format!("--reuid={user}"), "--regid=0".to_owned()])
        .arg(format!("--groups={}", groups.join(",")))
        .args(["perl", "-e", CLIENT, to]);
    answer(client, &request)
}

/// The same for a program of this user in a control group, or in that of the tests.
fn send_in(group: Option<&ControlGroup>, to: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let enter = group.map(ControlGroup::command).unwrap_or_default();
    let words: Vec<&str> =
        enter.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let words = [&words[..], &["perl", "-e", CLIENT, to]].concat();
    let mut client = Command::new(words[0]);
    client.args(&words[1..]);
    answer(client, &request)
}

/// Has a client send a request. Returns the status of the response, and the whole of it.
fn answer(mut client: Command, request: &str) -> (u16, String) {
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), request.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, text)
}

/// A daemon with a vault, whose socket its group may use.
async fn start(callers: &str, vault: &str, listen: &str) -> Daemon {
    let with = |emulator: &Emulator| {
        let all = config("public", "contoso.vault.azure.net", emulator);
        let (before, after) = all.split_once("[mount.arm]").unwrap();
        let (_, after) = after.split_once("[egress.resolve]").unwrap();
        format!("{callers}{before}{vault}\n[egress.resolve]{after}")
    };
    let listen = format!("[listen]\nsocket = \"k.sock\"\nmode = \"0660\"\n{listen}");
    let daemon = Daemon::quiet(with, &listen).await;
    let directory = daemon.directory.path();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    daemon
}

fn socket(daemon: &Daemon) -> String {
    daemon.socket().display().to_string()
}

/// The address of the listener for TCP.
async fn tcp(daemon: &mut Daemon) -> String {
    let line = daemon.log_line("http://127.0.0.1:").await;
    let (_, rest) = line.split_once("http://").unwrap();
    rest.chars().take_while(|&letter| letter.is_ascii_digit() || ".:".contains(letter)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_groups_are_told_apart_at_the_socket() {
    if !has_users() {
        return;
    }
    let callers = format!("caller.web.user = {WEB}\ncaller.shop.group = {GROUP}\n");
    let mut daemon = start(&callers, "callers = [\"web\", \"shop\"]\n", "").await;
    let socket = socket(&daemon);
    assert_eq!(send_as(WEB, &[], &socket, "/vault/secrets/db").0, 200);
    assert_eq!(send_as(OTHER, &[GROUP], &socket, "/vault/secrets/db").0, 200);
    let record = daemon.record("\"caller_name\":\"shop\"").await;
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.starts_with(&format!("uid={OTHER} gid=0 pid=")), "{caller}");
    let (status, text) = send_as(OTHER, &[GROUP + 1], &socket, "/vault/secrets/db");
    assert_eq!(status, 403, "{text}");
    assert!(text.contains(&format!("with the line `user = {OTHER}`")), "{text}");
    // The daemon's own user is no exception.
    assert_eq!(daemon.get("/vault/secrets/db").await.status, 403);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_told_apart_at_a_loopback_port() {
    if !has_users() || cfg!(not(target_os = "linux")) {
        return;
    }
    let callers = format!("caller.web.user = {WEB}\n");
    // Not port 0, for which the daemon's confinement permits any port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("tcp = \"127.0.0.1:{port}\"\n");
    let mut daemon = start(&callers, "callers = [\"web\"]\n", &listen).await;
    let tcp = tcp(&mut daemon).await;
    assert_eq!(send_as(WEB, &[], &tcp, "/vault/secrets/db").0, 200);
    let record = daemon.record("\"caller_name\":\"web\"").await;
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.starts_with(&format!("uid={WEB} at 127.0.0.1:")), "{caller}");
    assert_eq!(send_as(OTHER, &[], &tcp, "/vault/secrets/db").0, 403);
    assert_eq!(send_as(0, &[], &tcp, "/vault/secrets/db").0, 403);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn units_are_told_apart_by_a_confined_daemon() {
    let group = if has_users() { ControlGroup::create() } else { return };
    let Some(group) = group else {
        skip("units of callers", "control groups cannot be written", "KEYWARD_USERS");
        return;
    };
    let callers = format!("caller.web.unit = {:?}\n", group.unit);
    let mut daemon = start(&callers, "callers = [\"web\"]\n", "").await;
    assert!(daemon.log().contains(": confined: "), "{}", daemon.log());
    let socket = socket(&daemon);
    let (status, text) = send_in(Some(&group), &socket, "/vault/secrets/db");
    assert_eq!(status, 200, "{text}");
    let record = daemon.record("\"caller_name\":\"web\"").await;
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.ends_with(&format!("unit={}", group.unit)), "{caller}");
    let (status, text) = send_in(None, &socket, "/vault/secrets/db");
    assert_eq!(status, 403, "{text}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn the_user_at_a_loopback_port_is_known_even_if_no_section_has_one() {
    let callers = "caller.own.group = 61240\n";
    let listen = "tcp = \"127.0.0.1:0\"\n";
    let mut daemon = start(callers, "callers = [\"own\"]\n", listen).await;
    let tcp = tcp(&mut daemon).await;
    let mut stream = TcpStream::connect(&tcp).await.unwrap();
    let request =
        format!("GET /vault/secrets/db HTTP/1.1\r\nhost: {tcp}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let record = daemon.record("\"mount\":\"vault\"").await;
    let caller = record["caller"].as_str().unwrap();
    let me = rustix::process::geteuid().as_raw();
    assert!(caller.starts_with(&format!("uid={me} at 127.0.0.1:")), "{caller}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_cannot_take_all_connections() {
    if !has_users() {
        return;
    }
    let callers = format!("caller.web.user = {WEB}\ncaller.own.user = 0\n");
    let vault = "callers = [\"web\", \"own\"]\n";
    let mut daemon = start(&callers, vault, "connections = 8\n").await;
    let mut idle = Vec::new();
    // Three quarters, and those that are reserved for the daemon's own user.
    for _ in 0..6 + 4 {
        idle.push(tokio::net::UnixStream::connect(daemon.socket()).await.unwrap());
    }
    let mut refused = tokio::net::UnixStream::connect(daemon.socket()).await.unwrap();
    assert_eq!(refused.read(&mut [0]).await.unwrap(), 0, "it is closed");
    daemon.log_line("three quarters of all `connections`").await;
    assert_eq!(send_as(WEB, &[], &socket(&daemon), "/vault/secrets/db").0, 200);
    drop(idle);
    // The daemon has yet to see that they are closed.
    while send_as(0, &[], &socket(&daemon), "/vault/secrets/db").0 != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    daemon.stop().await;
}

/// A process of another user with idle connections to a socket.
struct Idle(std::process::Child);

impl Idle {
    fn connect(socket: &str, count: usize) -> Self {
        let program = "use IO::Socket::UNIX; $| = 1; \
            my @s = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $! } 1..$ARGV[1]; \
            print \"connected\\n\"; <STDIN>;";
        let mut child = Command::new("setpriv")
            .args([format!("--reuid={WEB}"), "--regid=0".to_owned(), "--groups=0".to_owned()])
            .args(["perl", "-e", program, socket, &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "connected\n");
        Self(child)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_locked_while_callers_have_all_connections() {
    if !has_users() {
        return;
    }
    // Without sections of callers, one of them may have all connections.
    let mut daemon = start("", "", "connections = 4\n").await;
    let socket = socket(&daemon);
    // All that are served, and all that wait.
    let idle = Idle::connect(&socket, 4 + 64);
    let mut others = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let request = b"GET /vault/secrets/db HTTP/1.1\r\nhost: localhost\r\n\r\n";
    others.write_all(request).await.unwrap();
    let mut status = [0; 12];
    others.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let further = Idle::connect(&socket, 1);
    daemon.log_line("closed a connection: all `connections` are in use").await;
    let mut lock = crate::process::keyward();
    lock.args(["lock", "--socket", &socket]);
    let output = tokio::task::spawn_blocking(move || lock.output().unwrap()).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("ended 0 running calls"), "{printed} {:?}", output.stderr);
    drop((idle, further));
    // Those that waited are served, or find that their callers are gone.
    while send_as(WEB, &[], &socket, "/vault/secrets/db").0 != 403 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_keep_nobody_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    if !has_users() {
        return;
    }
    // The daemon inherits it.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if maximum.is_some_and(|most| most < 2500) || setrlimit(Resource::Nofile, raised).is_err() {
        skip("a thousand idle connections", "too few descriptors", "KEYWARD_USERS");
        return;
    }
    let callers = format!("caller.web.user = {WEB}\ncaller.own.user = 0\n");
    let vault = "callers = [\"web\", \"own\"]\n";
    let daemon = start(&callers, vault, "connections = 1200\n").await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(tokio::net::UnixStream::connect(daemon.socket()).await.unwrap());
    }
    // The share of one caller is 900, and those beyond it are closed.
    assert_eq!(idle.last_mut().unwrap().read(&mut [0]).await.unwrap(), 0);
    assert_eq!(send_as(WEB, &[], &socket(&daemon), "/vault/secrets/db").0, 200);
    daemon.stop().await;
}

/// An authority, and certificates of callers.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn client(&self, names: Vec<SanType>) -> ClientPair {
        self.client_with(names, |_| {})
    }

    fn client_with(
        &self,
        names: Vec<SanType>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> ClientPair {
        let mut params = CertificateParams::default();
        change(&mut params);
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// A client's certificate and its key.
type ClientPair = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// A connection to the TLS listener, of a client with a certificate or without one.
async fn connect_tls(
    url: &str,
    ca: &str,
    certificate: Option<ClientPair>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider);
    let client = client.with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots);
    let client = match certificate {
        Some((certificate, key)) => client.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => client.with_no_client_auth(),
    };
    let host = url.strip_prefix("https://").unwrap();
    let (_, port) = host.split_once(':').unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, tcp).await
}

/// The response at the TLS listener, to a client with a certificate or without one.
async fn over_tls(url: &str, ca: &str, certificate: Option<ClientPair>) -> std::io::Result<u16> {
    let mut stream = connect_tls(url, ca, certificate).await?;
    let host = url.strip_prefix("https://").unwrap();
    let request =
        format!("GET /vault/secrets/db HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_proves_a_caller() {
    let authority = Authority::new();
    let id = "spiffe://contoso.example/web";
    let callers = format!(
        "caller.web.certificate = {id:?}\ncaller.host.certificate = \"batch.contoso.example\"\n"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("callers.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let listen = format!(
        "[listen.tls]\naddress = \"127.0.0.1:0\"\ndirectory = \"tls\"\nclient_ca = {file:?}\n"
    );
    let mut daemon = start(&callers, "callers = [\"web\", \"host\"]\n", &listen).await;
    let (url, ca) = daemon.tls_listener().await;
    let ask = async |names| over_tls(&url, &ca, Some(authority.client(names))).await.unwrap();
    assert_eq!(ask(vec![uri(id)]).await, 200);
    let record = daemon.record("\"caller_name\":\"web\"").await;
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.starts_with(&format!("certificate={id} ")), "{caller}");
    assert_eq!(ask(vec![dns("batch.contoso.example")]).await, 200);
    assert_eq!(ask(vec![uri("spiffe://contoso.example/web2")]).await, 403);
    assert_eq!(ask(vec![uri(id), uri("spiffe://contoso.example/other")]).await, 403);
    assert_eq!(ask(vec![uri("batch.contoso.example")]).await, 403, "in the wrong field");
    assert_eq!(over_tls(&url, &ca, None).await.unwrap(), 403, "without a certificate");
    let stranger = Authority::new().client(vec![uri(id)]);
    assert!(over_tls(&url, &ca, Some(stranger)).await.is_err(), "of another authority");
    daemon.stop().await;
}

/// A daemon whose TLS listener trusts the authorities in a file, and its URL and its own authority.
async fn start_with_tls(id: &str, file: &Path) -> (Daemon, String, String) {
    let callers = format!("caller.web.certificate = {id:?}\n");
    let listen = format!(
        "[listen.tls]\naddress = \"127.0.0.1:0\"\ndirectory = \"tls\"\nclient_ca = {file:?}\n"
    );
    let mut daemon = start(&callers, "callers = [\"web\"]\n", &listen).await;
    let (url, ca) = daemon.tls_listener().await;
    (daemon, url, ca)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_expires_ends_its_connection() {
    let (authority, id) = (Authority::new(), "spiffe://contoso.example/web");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("callers.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let (daemon, url, ca) = start_with_tls(id, &file).await;
    let host = url.strip_prefix("https://").unwrap();
    // A busy machine may need longer than some seconds for a handshake.
    for seconds in [2, 8, 32, 128] {
        let end = SystemTime::now() + Duration::from_secs(seconds);
        let short = authority.client_with(vec![uri(id)], |params| params.not_after = end.into());
        let stream = connect_tls(&url, &ca, Some(short)).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut ask = async || {
            client.ready().await?;
            let request = http::Request::get("/vault/secrets/db").header("host", host);
            let request = request.body(Full::<Bytes>::default()).unwrap();
            let (parts, body) = client.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((parts, body.collect().await?.to_bytes()))
        };
        match ask().await {
            Ok((first, _)) if first.status == 200 => {}
            // It expired before the first request.
            Ok(_) | Err(_) => continue,
        }
        let (last, body) = loop {
            let (parts, body) = ask().await.unwrap();
            if parts.status != 200 {
                break (parts, body);
            }
        };
        assert_eq!(
            (last.status.as_u16(), &last.headers["connection"]),
            (403, &"close".parse().unwrap())
        );
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("urn:keyward:problem:caller-certificate"), "{text}");
        connection.await.unwrap().unwrap();
        return daemon.stop().await;
    }
    panic!("no handshake was fast enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_of_client_certificates_can_be_replaced() {
    let (first, second) = (Authority::new(), Authority::new());
    let id = "spiffe://contoso.example/web";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("callers.pem");
    std::fs::write(&file, &first.pem).unwrap();
    let (mut daemon, url, ca) = start_with_tls(id, &file).await;
    let ask = async |of: &Authority| over_tls(&url, &ca, Some(of.client(vec![uri(id)]))).await;
    assert_eq!(ask(&first).await.unwrap(), 200);
    assert!(ask(&second).await.is_err());
    daemon.log_line("a client certificate is not accepted").await;
    std::fs::write(&file, &second.pem).unwrap();
    daemon.log_line("`client_ca` in [listen.tls] has changed").await;
    assert_eq!(ask(&second).await.unwrap(), 200);
    assert!(ask(&first).await.is_err(), "its authority is removed");
    // What others may change is not used.
    std::fs::write(&file, &first.pem).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).unwrap();
    daemon.log_line("can change").await;
    assert_eq!(ask(&second).await.unwrap(), 200);
    daemon.stop().await;
}

/// An issuer of tokens, as a cluster has it.
struct Cluster {
    key: EcdsaKeyPair,
}

impl Cluster {
    fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &pair.serialize_der(),
            &SystemRandom::new(),
        );
        Self { key: key.unwrap() }
    }

    /// The public key, as a set.
    fn write_keys(&self, file: &Path) {
        let public = self.key.public_key().as_ref();
        let (x, y) = public[1..].split_at(32);
        let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one",
            "x": encode(x), "y": encode(y),
        });
        std::fs::write(file, json!({ "keys": [key] }).to_string()).unwrap();
    }

    fn token(&self, audience: &str, account: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "https://issuer.example", "aud": [audience],
            "sub": format!("system:serviceaccount:shop:{account}"),
            "iat": now, "nbf": now, "exp": now + 600,
            "kubernetes.io": {
                "namespace": "shop",
                "serviceaccount": { "name": account, "uid": "u1" },
                "pod": { "name": "web-7", "uid": "u2" },
            },
        });
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "ES256", "kid": "one" });
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pods_token_proves_its_service_account() {
    let cluster = Cluster::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    cluster.write_keys(&file);
    let listen =
        format!("[listen.kubernetes]\nissuer = \"https://issuer.example\"\nkeys_file = {file:?}\n");
    let callers = "caller.web.service_account = \"shop/web\"\n";
    let mut daemon = start(callers, "callers = [\"web\"]\n", &listen).await;
    let ask = async |daemon: &Daemon, tokens: &[&str]| -> Response {
        let request =
            tokens.iter().fold(http::Request::get("/vault/secrets/db"), |request, token| {
                request.header("x-keyward-token", *token)
            });
        daemon.send(request.body(Default::default()).unwrap()).await
    };
    let token = cluster.token("keyward", "web");
    assert_eq!(ask(&daemon, &[&token]).await.status, 200);
    let record = daemon.record("\"caller_name\":\"web\"").await;
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.starts_with("service-account=shop/web pod=web-7 uid="), "{caller}");
    let seen = daemon.emulator.log().for_service("vault").pop().unwrap();
    assert_eq!(seen.header("x-keyward-token"), None, "it goes no further");

    assert_eq!(
        ask(&daemon, &[&cluster.token("keyward", "other")]).await.json()["type"],
        "urn:keyward:problem:caller"
    );
    // A request that is refused later is that caller's, too.
    let request = http::Request::get("/-/nothing").header("x-keyward-token", &token);
    daemon.send(request.body(Default::default()).unwrap()).await;
    let record = daemon.record("/nothing\"").await;
    let caller = record["caller"].as_str().unwrap();
    assert!(caller.starts_with("service-account=shop/web pod=web-7 uid="), "{caller}");

    let forged = Cluster::new().token("keyward", "web");
    for tokens in [
        &[][..],
        &[&*token, &*token],
        &[&cluster.token("https://vault.azure.net", "web")],
        &[&forged],
        &["eyJhbGciOiJub25lIn0.e30."],
        &["x"],
        &[&"x".repeat(20_000)],
    ] {
        let response = ask(&daemon, tokens).await;
        assert_eq!(response.status, 403, "{}", response.text());
        let kind = if tokens.is_empty() { "caller" } else { "caller-token" };
        assert_eq!(response.json()["type"], format!("urn:keyward:problem:{kind}"));
    }
    for secret in [&token, &forged] {
        let (_, signature) = secret.rsplit_once('.').unwrap();
        assert!(!daemon.log().contains(signature), "a token is in the log");
        assert!(!format!("{:?}", daemon.audit()).contains(signature), "a token is in the audit");
    }
    daemon.stop().await;
}
