//! `[listen]`: where callers reach the daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward_policy::diagnostic::{Diagnostic, Spanned};
use keyward_policy::document::{
    DefaultValue, InvalidValue, Key, Section, SectionKeys, WithDefault,
};

use super::kubernetes;
use super::origin::{InvalidOrigin, Origin};
use crate::service_account::IssuerConfig;
use crate::{authority, directories, sockets};

/// The value of `tcp_callers`: every process that can connect to a loopback address may call.
const ANYBODY: &str = "anybody-on-this-machine";

/// What an address of the daemon's must be.
const LOOPBACK: &str = "a loopback address and a port";
const LOOPBACK_PATTERN: Option<&str> = Some(r"^(127\.\d+\.\d+\.\d+|\[::1\]):\d+$");

const SOCKET: Key = Key::path("socket", "/run/keyward/keyward.sock", "a Unix socket").default_is(
    "if neither `tcp` nor `[listen.tls]` is there, `keyward/keyward.sock` in the runtime directory",
);
const MODE: Key = Key::form(
    "mode",
    "\"0600\", or \"0660\" to let the socket's group call",
    Some("^0*[67][0-7]0$"),
    "0600",
    "the socket's permissions; `\"0660\"` lets its group call",
)
.default(DefaultValue::String("0600"));
const CONNECTIONS: WithDefault<u32> = WithDefault::<u32>::integer(
    "connections",
    (1, 100_000),
    4096,
    "the most connections at once, all listeners together",
);
const MIN_RATE: WithDefault<u64> = WithDefault::<u64>::size(
    "min_rate",
    (0, 1 << 30),
    240,
    "the least that a caller sends of a body, or reads of a response, in a second: the average over \
     the time in which Keyward waits for it, after the first 30 seconds, and no pause may be longer \
     than two minutes; `\"0B\"` for any rate",
);
const GRACE: WithDefault<Duration> = WithDefault::<Duration>::duration(
    "grace",
    (Duration::from_millis(1), Duration::from_secs(24 * 3600)),
    Duration::from_secs(30),
    "how long running calls may go on once the daemon stops, or once a reload changed or removed \
     their mount; then they are cut off",
);
const TCP: Key = Key::form(
    "tcp",
    LOOPBACK,
    LOOPBACK_PATTERN,
    "127.0.0.1:8200",
    "a loopback address and port to listen at, without TLS",
);
const TCP_CALLERS: Key = Key::one_of(
    "tcp_callers",
    || vec![ANYBODY],
    ANYBODY,
    "required with `tcp` as long as there is no section [caller.NAME]: confirms that every process \
     on this machine may call",
);

const ORIGINS: Key = Key::strings(
    "origins",
    "https://app.example",
    "the origins of web pages that may call over `tcp`, with `fetch` \
     ([operations.md](operations.md#web-pages))",
)
.default_is("none");

/// `[listen]`.
pub(super) const LISTEN: SectionKeys = SectionKeys::new(
    &["listen"],
    "Where callers reach the daemon, see [operations.md](operations.md#listeners).",
    &[&SOCKET, &MODE, &TCP, &TCP_CALLERS, &ORIGINS, &CONNECTIONS.key, &MIN_RATE.key, &GRACE.key],
);

const ADDRESS: Key = Key::form(
    "address",
    "an IP address and a port",
    None,
    "127.0.0.1:8443",
    "the address and port to listen at, with TLS: a loopback address, or, where every caller proves \
     itself by a certificate or a token, any other",
)
.required();
const CALLERS: Key = Key::one_of(
    "callers",
    || vec![ANYBODY],
    ANYBODY,
    "required as long as there is no section [caller.NAME]: confirms that every process on this \
     machine may call",
);
const CLIENT_CA: Key = Key::path(
    "client_ca",
    "callers-ca.pem",
    "the authorities that sign the certificates of callers, in PEM; a caller may send one, whose \
     names are `certificate` of [caller.NAME]; changes of the file apply within 10 seconds",
);
const NAMES: Key = Key::strings(
    "names",
    "keyward.infra.svc:443",
    "the names by which callers reach the listener, each with its port if that is not the port of \
     `address`; beside loopback names, no other `host` is served",
)
.default_is("none");
const CERTIFICATE: Key =
    Key::path("certificate", "server.pem", "the certificate, and those that signed it, in PEM")
        .default_is("a pair is made");
const KEY: Key = Key::path("key", "server.key", "its private key, in PEM");
const TLS_DIRECTORY: Key = Key::path(
    "directory",
    "/var/lib/keyward/tls",
    "where a pair is made, without `certificate` and `key`",
)
.default_is("`tls` in the state directory");

const TLS_ORIGINS: Key = Key::strings(
    "origins",
    "https://app.example",
    "the origins of web pages that may call here, with `fetch`, if `address` is a loopback address \
     ([operations.md](operations.md#web-pages))",
)
.default_is("none");

/// `[listen.tls]`.
pub(super) const TLS: SectionKeys = SectionKeys::new(
    &["listen", "tls"],
    "A listener with TLS.",
    &[&ADDRESS, &CALLERS, &CLIENT_CA, &NAMES, &TLS_ORIGINS, &CERTIFICATE, &KEY, &TLS_DIRECTORY],
);

/// `[listen]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) socket: Option<PathBuf>,
    /// The socket's permissions.
    pub(crate) mode: u32,
    pub(crate) tcp: Option<SocketAddr>,
    /// The origins of web pages that may call over `tcp`.
    pub(crate) origins: Vec<Origin>,
    pub(crate) tls: Option<ListenTls>,
    /// The issuer of the tokens by which callers prove their service accounts.
    pub(crate) kubernetes: Option<IssuerConfig>,
    /// The most connections at once.
    pub(crate) connections: u32,
    /// How fast callers must send and read, in bytes per second; 0 for any rate.
    pub(crate) min_rate: u64,
    /// How long running calls may go on once the daemon stops or their mount is replaced.
    pub(crate) grace: Duration,
}

/// `[listen.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenTls {
    pub(crate) address: SocketAddr,
    /// The authorities of callers' certificates.
    pub(crate) client_ca: Option<PathBuf>,
    /// The names by which callers reach it, beside loopback names.
    pub(crate) names: Vec<SiteName>,
    /// The origins of web pages that may call.
    pub(crate) origins: Vec<Origin>,
    pub(crate) pair: Pair,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// In these files.
    Files { certificate: PathBuf, key: PathBuf },
    /// The daemon's own, made in this directory.
    Made { directory: PathBuf },
}

/// A name by which callers reach a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteName {
    /// The name, in lower case.
    pub(crate) host: String,
    /// `None` for the listener's own.
    pub(crate) port: Option<u16>,
}

/// Reads `[listen]`. `names_callers` is whether there are sections `[caller.NAME]`.
pub(super) fn listen(root: &Section<'_>, base: &Path, names_callers: bool) -> Listen {
    let section = root.section(&LISTEN);
    let socket = section.path(&SOCKET, base).filter(|socket| fits(&section, socket));
    let mode = section.parsed(&MODE, |text| {
        let mode = u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| mode & !0o770 == 0 && mode & 0o600 == 0o600);
        mode.ok_or_else(InvalidValue::default)
    });
    let tcp = section.parsed(&TCP, loopback);
    let callers = section.one_of(&TCP_CALLERS, &[(ANYBODY, ())]);
    match (&tcp, &callers) {
        (Some(tcp), None) if !names_callers && section.location_of(&TCP_CALLERS).is_none() => {
            let message = format!(
                "`tcp` in {} lets every process on this machine call, regardless of user",
                section.header()
            );
            let write = format!("tcp_callers = \"{ANYBODY}\"");
            section.push(
                Diagnostic::new(tcp.location.clone(), message)
                    .help("confirm it explicitly")
                    .write(write),
            );
        }
        (None, Some(callers)) if section.location_of(&TCP).is_none() => {
            let message = format!("`tcp_callers` in {} without `tcp`", section.header());
            section.push(
                Diagnostic::new(callers.location.clone(), message)
                    .write("tcp = \"127.0.0.1:8200\""),
            );
        }
        _ => {}
    }
    let origins = origins(&section, &ORIGINS);
    if let (Some(location), None) = (section.location_of(&ORIGINS), section.location_of(&TCP)) {
        let message = format!("`origins` in {} without `tcp`", section.header());
        let diagnostic = Diagnostic::new(Some(location), message);
        let help = "remove this line, or write it in [listen.tls]; web pages cannot reach a Unix \
                    socket";
        section.push(diagnostic.help(help));
    }
    let connections = section.integer(&CONNECTIONS);
    let min_rate = section.size(&MIN_RATE);
    let grace = section.duration_or_default(&GRACE);
    let kubernetes = kubernetes::read(&section, base);
    let tls = tls(&section, base, names_callers, kubernetes.is_some());
    clash(&section, tcp.as_ref(), tls.as_ref());
    section.finish();
    let socket = socket.map(|socket| socket.value);
    let tcp = tcp.map(|tcp| tcp.value);
    Listen {
        // A Unix socket is the default: only the kernel can say who calls.
        socket: if socket.is_none() && tcp.is_none() && tls.is_none() && cfg!(unix) {
            Some(sockets::default_socket())
        } else {
            socket
        },
        mode: mode.map_or(0o600, |mode| mode.value),
        tcp,
        origins,
        tls,
        kubernetes,
        connections,
        min_rate,
        grace,
    }
}

/// The longest path of a Unix socket, in bytes.
pub(super) const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Reports a path that is too long for a socket.
fn fits(section: &Section<'_>, socket: &Spanned<PathBuf>) -> bool {
    let length = socket.value.as_os_str().len();
    if length <= LONGEST_SOCKET {
        return true;
    }
    let message = format!("the path of `socket` in {} has {length} bytes", section.header());
    let diagnostic = Diagnostic::new(socket.location.clone(), message);
    let expected = format!("at most {LONGEST_SOCKET} bytes, as the operating system wants it");
    section
        .push(diagnostic.expected(expected).write(format!("socket = {}", SOCKET.example_toml())));
    false
}

/// Reports two listeners at one address. Port 0 is any free one.
fn clash(section: &Section<'_>, tcp: Option<&Spanned<SocketAddr>>, tls: Option<&ListenTls>) {
    let (Some(tcp), Some(tls)) = (tcp, tls) else { return };
    if tcp.value != tls.address || tcp.value.port() == 0 {
        return;
    }
    let message = format!(
        "`tcp` in {} and `address` in [listen.tls] are both {}",
        section.header(),
        tcp.value
    );
    let other = SocketAddr::new(tcp.value.ip(), tcp.value.port() ^ 1);
    let diagnostic = Diagnostic::new(tcp.location.clone(), message).expected("two ports");
    section.push(diagnostic.write(format!("tcp = \"{other}\"")));
}

/// Reads the origins of web pages, and reports those that are not valid.
fn origins(section: &Section<'_>, key: &Key) -> Vec<Origin> {
    let strings = section.strings(key).map(|strings| strings.value).unwrap_or_default();
    let parsed = strings.into_iter().filter_map(|text| match Origin::parse(&text.value) {
        Ok(origin) => Some(origin),
        Err(InvalidOrigin { reason, meant }) => {
            let header = section.header();
            let message =
                format!("{:?} in `origins` of {header} cannot be used: {reason}", text.value);
            let meant = meant.unwrap_or_else(|| "https://app.example".to_owned());
            section.push(
                Diagnostic::new(text.location, message)
                    .expected("a scheme and a host, and a port if it is not the scheme's")
                    .write(format!("origins = [{meant:?}]")),
            );
            None
        }
    });
    parsed.collect()
}

fn loopback(text: &str) -> Result<SocketAddr, InvalidValue> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    address.ok_or_else(InvalidValue::default)
}

fn default_tls_directory() -> PathBuf {
    directories::state()
        .map_or_else(|| PathBuf::from("/var/lib/keyward/tls"), |state| state.join("tls"))
}

fn tls(
    listen: &Section<'_>,
    base: &Path,
    names_callers: bool,
    has_tokens: bool,
) -> Option<ListenTls> {
    let section = listen.section(&TLS);
    if !section.exists() {
        return None;
    }
    let address = section
        .parsed(&ADDRESS, |text| text.parse::<SocketAddr>().map_err(|_| InvalidValue::default()));
    let client_ca = section.path(&CLIENT_CA, base).map(|file| file.value);
    let names = names(&section);
    let callers = section.one_of(&CALLERS, &[(ANYBODY, ())]);
    let origins = origins(&section, &TLS_ORIGINS);
    let certificate = section.path(&CERTIFICATE, base);
    let key = section.path(&KEY, base);
    let directory = section.path(&TLS_DIRECTORY, base);
    if address.is_none() && section.location_of(&ADDRESS).is_none() {
        let message = format!("{} has no `address`", section.header());
        let diagnostic = Diagnostic::new(section.location(), message).expected(LOOPBACK);
        section.push(diagnostic.write("address = \"127.0.0.1:8443\""));
    }
    if let Some(address) = address.as_ref().filter(|address| !address.value.ip().is_loopback()) {
        beyond_loopback(&section, address, names_callers && (client_ca.is_some() || has_tokens));
    }
    if let (Some(address), Some(location)) = (&address, section.location_of(&TLS_ORIGINS))
        && !address.value.ip().is_loopback()
    {
        let message = format!(
            "`origins` in {} with the address {}: no web page can call there, because a browser \
             asks first, with neither a certificate nor a token",
            section.header(),
            address.value
        );
        let help = "remove this line; pages can call at a loopback address, from browsers on this \
                    machine";
        section.push(Diagnostic::new(Some(location), message).help(help));
    }
    if callers.is_none() && !names_callers && section.location_of(&CALLERS).is_none() {
        let message = format!(
            "{} lets every process on this machine call, regardless of user",
            section.header()
        );
        let write = format!("callers = \"{ANYBODY}\"");
        section.push(
            Diagnostic::new(section.location(), message).help("confirm it explicitly").write(write),
        );
    }
    let pair = match (certificate, key, directory) {
        (Some(certificate), Some(key), None) => {
            Pair::Files { certificate: certificate.value, key: key.value }
        }
        (None, None, directory) => {
            let directory = directory.map(|directory| directory.value);
            Pair::Made { directory: directory.unwrap_or_else(default_tls_directory) }
        }
        _ => {
            let message = format!("{} needs both `certificate` and `key`", section.header());
            let expected = "`certificate` and `key`, or neither of them; then `directory` may say where they are \
                 generated";
            section.push(Diagnostic::new(section.location(), message).expected(expected));
            return None;
        }
    };
    if let (Some(address), Pair::Made { .. }) = (&address, &pair)
        && !address.value.ip().is_loopback()
    {
        let message = format!(
            "{} has no `certificate`, and the one that is made has loopback names only",
            section.header()
        );
        let write = "certificate = \"server.pem\"\nkey = \"server.key\"";
        section.push(Diagnostic::new(address.location.clone(), message).write(write));
    }
    section.finish();
    Some(ListenTls { address: address?.value, client_ca, names, origins, pair })
}

/// Reports an address that others than the programs of this machine can reach, unless every caller
/// proves who it is.
fn beyond_loopback(section: &Section<'_>, address: &Spanned<SocketAddr>, is_proved: bool) {
    if is_proved {
        return;
    }
    let message = format!(
        "`address` of {} is {}, which is not a loopback address",
        section.header(),
        address.value
    );
    let loopback = SocketAddr::from(([127, 0, 0, 1], address.value.port()));
    let expected = "a loopback address; or sections [caller.NAME], with `client_ca` in [listen.tls] \
                    or a section [listen.kubernetes], so that every caller proves itself";
    let diagnostic = Diagnostic::new(address.location.clone(), message).expected(expected);
    section.push(diagnostic.write(format!("address = \"{loopback}\"")));
}

/// Reads the names by which callers reach the listener.
fn names(section: &Section<'_>) -> Vec<SiteName> {
    let strings = section.strings(&NAMES).map(|strings| strings.value).unwrap_or_default();
    let parsed = strings.into_iter().filter_map(|text| {
        let (host, port) = authority::split(&text.value);
        let port = port.map(authority::parse_port);
        if let (true, None | Some(Some(_))) = (authority::is_name(host), port) {
            return Some(SiteName { host: host.to_ascii_lowercase(), port: port.flatten() });
        }
        let message = format!("{:?} in `names` of {} cannot be used", text.value, section.header());
        let diagnostic = Diagnostic::new(text.location, message)
            .expected("a host name or an IPv4 address, and a port if it is another one");
        section.push(diagnostic.write(format!("names = [{:?}]", NAMES.example)));
        None
    });
    parsed.collect()
}
