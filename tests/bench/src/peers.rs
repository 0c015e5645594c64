//! Runs the upstream, the baseline and Keyward.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::Result;
use crate::bulk::GIBIBYTE;
#[cfg(unix)]
use crate::callers::{self, CallerSections, Listeners};
use crate::queries::{CONNECTIONS, Database, SERVER};

const HOST: &str = "contoso.vault.azure.net";
const BLOBS: &str = "bench.blob.core.windows.net";
const UPLOADS: &str = "contoso.blob.core.windows.net";

/// A secret as Key Vault sends it.
const SECRET: &str = "{\"value\":\"swordfish-in-the-harbour\",\"contentType\":\"text/plain\",\
    \"id\":\"https://contoso.vault.azure.net/secrets/db/00000000000000000000000000000001\",\
    \"attributes\":{\"enabled\":true,\"created\":1700000000,\"updated\":1700000000,\
    \"recoveryLevel\":\"Recoverable+Purgeable\"}}";

/// The processes of a benchmark. Dropping them ends them.
pub(crate) struct Peers {
    /// The baseline's port.
    pub(crate) nginx: u16,
    /// Keyward's port.
    pub(crate) keyward: u16,
    daemon: Child,
    /// The baseline.
    baseline: Process,
    _upstream: Process,
    /// A proxy of hyper, with its port.
    bare: (Process, u16),
    emulator: Emulator,
    runtime: tokio::runtime::Runtime,
    directory: TempDir,
}

/// A proxy before the upstream.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Its processes.
    pub(crate) processes: Vec<u32>,
}

/// The processor time that processes have used, in seconds: fields 14 and 15 of `/proc/PID/stat`,
/// in hundredths.
pub(crate) fn processor_time(processes: &[u32]) -> Result<f64> {
    let mut all = 0.0;
    for process in processes {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        all += ticks.sum::<std::result::Result<f64, _>>()? / 100.0;
    }
    Ok(all)
}

/// A process and those that it has started.
fn family(process: u32) -> Result<Vec<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let children = children.split_whitespace().map(str::parse);
    Ok([Ok(process)].into_iter().chain(children).collect::<std::result::Result<_, _>>()?)
}

/// A daemon with the same configuration at another port. Dropping it ends it.
pub(crate) struct Another {
    pub(crate) port: u16,
    process: Process,
}

impl Another {
    /// The processor time that it has used, in seconds.
    pub(crate) fn processor_time(&self) -> Result<f64> {
        processor_time(&[self.process.0.id()])
    }
}

/// Another daemon. Dropping it ends it.
#[cfg(unix)]
pub(crate) struct Beside {
    listeners: Listeners,
    _process: Process,
}

#[cfg(unix)]
impl Beside {
    pub(crate) fn listeners(&self) -> &Listeners {
        &self.listeners
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // nginx's workers end with their master if it is terminated, but not if it is killed.
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

impl Peers {
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        certificates(at)?;
        File::create(at.join("big"))?.set_len(GIBIBYTE)?;
        let (upstream, nginx, keyward) = (free_port()?, free_port()?, free_port()?);
        let runtime = tokio::runtime::Runtime::new()?;
        let emulator = runtime.block_on(Emulator::start(Options::default()))?;
        emulator.faults().add(Fault::always("blob", FaultKind::DiscardBody));
        std::fs::write(at.join("emulator.pem"), emulator.ca_pem())?;
        let upstream_server = server(at, "upstream", &upstream_config(at, upstream))?;
        let uploads = emulator.tls_address();
        let baseline = server(at, "baseline", &baseline_config(at, upstream, uploads, nginx))?;
        let bare = free_port()?;
        let bare = (bare_proxy(bare, upstream, &at.join("ca.pem"))?, bare);

        let config = format!(
            "[identity.default]\nsource = \"imds\"\nendpoint = {:?}\n[mount.vault]\nplugin = \
             \"keyvault\"\nendpoint = \"https://{HOST}\"\n\
             [mount.blobs]\nplugin = \"storage\"\nendpoint = \"https://{BLOBS}\"\n\
             [mount.up]\nplugin = \"storage\"\nendpoint = \"https://{UPLOADS}\"\n\
             [mount.orders]\nplugin = \"sql\"\nendpoint = \"sqlserver://{SERVER}\"\n\
             [mount.orders.settings]\ndatabase = \"shop\"\n[mount.orders.pool]\nconnections = \
             {CONNECTIONS}\n\
             [egress.resolve]\n\"{HOST}:443\" = \"127.0.0.1:{upstream}\"\n\"{BLOBS}:443\" = \
             \"127.0.0.1:{upstream}\"\n\
             \"{UPLOADS}:443\" = \"{}\"\n\"{SERVER}:1433\" = \"{}\"\n[tls]\nca_files = \
             [\"ca.pem\", \"emulator.pem\"]\n[audit]\nfile = \"audit.jsonl\"\n\
             [listen]\ntcp = \"127.0.0.1:{keyward}\"\ntcp_callers = \"anybody-on-this-machine\"\n",
            emulator.imds_url(),
            emulator.tls_address(),
            emulator.sql_address()
        );
        std::fs::write(at.join("keyward.toml"), config)?;
        let daemon = daemon(at)?;
        for port in [upstream, nginx, keyward, bare.1] {
            wait_for(port)?;
        }
        Ok(Self {
            nginx,
            keyward,
            daemon,
            baseline,
            _upstream: upstream_server,
            bare,
            emulator,
            runtime,
            directory,
        })
    }

    /// nginx, the bare proxy and Keyward.
    pub(crate) fn proxies(&self) -> Result<[Proxy; 3]> {
        let (bare, port) = &self.bare;
        Ok([
            Proxy { port: self.nginx, processes: family(self.baseline.0.id())? },
            Proxy { port: *port, processes: vec![bare.0.id()] },
            Proxy { port: self.keyward, processes: vec![self.daemon.id()] },
        ])
    }

    /// Memory of the daemon that no file holds, in KiB.
    pub(crate) fn anonymous_memory(&self) -> Result<u64> {
        self.of_proc("smaps_rollup", "Anonymous:")
    }

    /// The address space of the daemon, in KiB.
    pub(crate) fn address_space(&self) -> Result<u64> {
        self.of_proc("status", "VmSize:")
    }

    /// A number of KiB in a file of the daemon's in `/proc`.
    fn of_proc(&self, file: &str, name: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.daemon.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.ok_or_else(|| format!("no {name} in {file}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    pub(crate) fn keyward_id(&self) -> u32 {
        self.daemon.id()
    }

    /// The database server.
    pub(crate) fn database(&self) -> Database<'_> {
        Database {
            address: self.emulator.sql_address(),
            ca_pem: self.emulator.ca_pem(),
            runtime: &self.runtime,
        }
    }

    /// Sets whether the database server waits for a millisecond before each statement.
    pub(crate) fn let_queries_wait(&self, wait: bool) {
        self.emulator.faults().clear();
        if wait {
            self.emulator.faults().add(Fault::always("sql", FaultKind::Delay(1)).at("RPC"));
        }
    }

    /// A directory for the files of a benchmark.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Resets the daemon's peak memory in the kernel. Without the permission, it stays as it is.
    pub(crate) fn forget_peak(&self) {
        drop(std::fs::write(format!("/proc/{}/clear_refs", self.daemon.id()), "5"));
    }

    /// Peak memory of the daemon, in KiB.
    pub(crate) fn keyward_memory(&self) -> Result<i64> {
        Ok(i64::try_from(self.of_proc("status", "VmHWM:")?)?)
    }

    /// Another daemon, at a socket and a port, that tells callers apart or does not.
    #[cfg(unix)]
    pub(crate) fn beside(&self, sections: CallerSections) -> Result<Beside> {
        let (at, tcp) = (self.directory.path(), free_port()?);
        let name = sections.name();
        let socket = at.join(format!("{name}.sock"));
        let text = std::fs::read_to_string(at.join("keyward.toml"))?;
        let (text, _) = text.split_once("[listen]").ok_or("no [listen]")?;
        let user = std::fs::metadata(at)?.uid();
        let (sections, mount) = callers::sections(sections, user);
        // Only the vault names callers.
        let (before, after) = text.split_once("[mount.blobs]").ok_or("no blobs")?;
        let (_, after) = after.split_once("[egress.resolve]").ok_or("no addresses")?;
        let text = format!(
            "{before}{mount}{sections}[egress.resolve]{}[listen]\nsocket = {socket:?}\n\
             tcp = \"127.0.0.1:{tcp}\"\ntcp_callers = \"anybody-on-this-machine\"\n",
            after.replace("audit.jsonl", &format!("{name}.jsonl"))
        );
        let file = at.join(format!("{name}.toml"));
        std::fs::write(&file, text)?;
        let process = Process(keyward(&file, at)?);
        wait_for(tcp)?;
        Ok(Beside { listeners: Listeners { socket, tcp }, _process: process })
    }

    /// A daemon of another program, or of this build, with the same configuration.
    pub(crate) fn another(&self, other: Option<&Path>) -> Result<Another> {
        let port = free_port()?;
        let text = std::fs::read_to_string(self.directory.path().join("keyward.toml"))?;
        let name = if other.is_some() { "other" } else { "own" };
        let text = text
            .replace(&format!("127.0.0.1:{}\"", self.keyward), &format!("127.0.0.1:{port}\""))
            .replace("audit.jsonl", &format!("{name}.jsonl"));
        let file = self.directory.path().join(format!("{name}.toml"));
        std::fs::write(&file, text)?;
        let program = match other {
            Some(other) => other.to_owned(),
            None => program()?,
        };
        let process = Process(run(&program, &file, self.directory.path())?);
        wait_for(port)?;
        Ok(Another { port, process })
    }

    /// The time until another daemon with the same configuration responds.
    pub(crate) fn time_to_ready(&self) -> Result<Duration> {
        let port = free_port()?;
        let text = std::fs::read_to_string(self.directory.path().join("keyward.toml"))?;
        let text =
            text.replace(&format!("127.0.0.1:{}\"", self.keyward), &format!("127.0.0.1:{port}\""));
        let file = self.directory.path().join("ready.toml");
        std::fs::write(&file, text)?;
        let began = Instant::now();
        let _daemon = Process(keyward(&file, self.directory.path())?);
        wait_for(port)?;
        Ok(began.elapsed())
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > until {
            return Err(format!("no listener on port {port}").into());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

/// A certificate for the names of the vault and the blobs, and the one that signed it.
fn certificates(at: &Path) -> Result<()> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Bench");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate()?;
    std::fs::write(at.join("ca.pem"), ca.self_signed(&ca_key)?.pem())?;
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new([HOST.to_owned(), BLOBS.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, HOST);
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
    std::fs::write(at.join("server.pem"), leaf.pem())?;
    std::fs::write(at.join("server.key"), key.serialize_pem())?;
    Ok(())
}

fn server(at: &Path, name: &str, http: &str) -> Result<Process> {
    let path = at.join(format!("{name}.conf"));
    let error = at.join(format!("{name}.log"));
    let config = format!(
        "daemon off; worker_processes 2; pid {name}.pid; error_log {} warn;\nevents {{ \
         worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on; \
         client_body_temp_path {dir}/{name}-body; proxy_temp_path \
         {dir}/{name}-proxy;\n{http}\n}}\n",
        error.display(),
        dir = at.display(),
    );
    std::fs::write(&path, config)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(at).arg("-c").arg(&path).arg("-e").arg(&error).stderr(Stdio::inherit());
    let child = command
        .spawn()
        .map_err(|error| format!("nginx does not run: {error}; `make bench` installs it"))?;
    Ok(Process(child))
}

fn upstream_config(at: &Path, port: u16) -> String {
    format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {dir}/server.pem; \
         ssl_certificate_key {dir}/server.key;\n\
         location = /secrets/db {{ default_type application/json; return 200 '{SECRET}'; }}\n\
         location = /hello/small.txt {{ default_type text/plain; return 200 '{SECRET}'; }}\n\
         location = /hello/big {{ default_type application/octet-stream; alias {dir}/big; }} }}",
        dir = at.display()
    )
}

/// The header is as long as a token is.
fn baseline_config(at: &Path, upstream: u16, uploads: SocketAddr, port: u16) -> String {
    let token = "x".repeat(1600);
    let location = |from: &str, to: &str, host: &str, ca: &str| {
        format!(
            "location {from} {{ proxy_pass https://{to}/; proxy_http_version 1.1; \
             proxy_set_header connection \"\";\n\
             proxy_set_header host {host}; proxy_set_header authorization \"Bearer {token}\"; \
             proxy_ssl_server_name on;\n\
             proxy_ssl_name {host}; proxy_ssl_verify on; proxy_ssl_trusted_certificate {}/{ca};\n\
             proxy_max_temp_file_size 0; proxy_request_buffering off; client_max_body_size 0; }}\n",
            at.display()
        )
    };
    let locations = [
        location("/vault/", "vault", HOST, "ca.pem"),
        location("/blobs/", "vault", BLOBS, "ca.pem"),
        location("/up/", "uploads", UPLOADS, "emulator.pem"),
    ];
    format!(
        "upstream vault {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests \
         100000000; }}\n\
         upstream uploads {{ server {uploads}; keepalive 16; }}\n\
         server {{ listen 127.0.0.1:{port};\n{} }}",
        locations.concat()
    )
}

/// The bare proxy, which this program has too.
fn bare_proxy(port: u16, upstream: u16, ca: &Path) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare-proxy", &port.to_string(), &upstream.to_string(), HOST]).arg(ca);
    Ok(Process(command.spawn()?))
}

fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().ok_or("no directory")?.join("keyward"))
}

fn keyward(config: &Path, at: &Path) -> Result<Child> {
    run(&program()?, config, at)
}

fn run(program: &Path, config: &Path, at: &Path) -> Result<Child> {
    let log = File::create(at.join("keyward.log"))?;
    let mut command = Command::new(program);
    command
        .args(["serve", "--config"])
        .arg(config)
        .env("XDG_CACHE_HOME", at)
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command.spawn().map_err(|error| format!("{} does not run: {error}", program.display()))?)
}

fn daemon(at: &Path) -> Result<Child> {
    std::io::stdout().flush()?;
    keyward(&at.join("keyward.toml"), at)
}
