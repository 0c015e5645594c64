//! Runs the daemon as a process, with an emulator in the test's process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use keyward_emulator::{Emulator, Options};
use keyward_tests::Secrets;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::watch;

/// A listener with TLS.
pub(crate) const LISTEN_TLS: &str = "[listen.tls]\naddress = \"127.0.0.1:0\"\ncallers = \
                                     \"anybody-on-this-machine\"\ndirectory = \"tls\"\n";

/// The program: the one that is tested, or where it is timed, one that is built for that.
pub(crate) fn keyward() -> Command {
    let timed = std::env::var_os("KEYWARD_BINARY");
    let mut command = Command::new(timed.unwrap_or_else(|| env!("CARGO_BIN_EXE_keyward").into()));
    // Compiled plugins are cached between tests, but not in the user's cache.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    // What a daemon stores is not the user's either.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR")).env_remove("STATE_DIRECTORY");
    // The user's own daemon may be listening at the default socket.
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    // Wide enough that what tests look for is not wrapped.
    command.env("COLUMNS", "120");
    command.env_remove("KEYWARD_CONFIG").env_remove("KEYWARD_SOCKET").env_remove("KEYWARD_LOG");
    command
}

/// The program in an environment without a platform's variables or proxies.
pub(crate) fn keyward_nowhere() -> Command {
    let mut command = keyward();
    for (name, _) in std::env::vars() {
        // The tests may run on a platform with an identity.
        let platform = ["IDENTITY_", "MSI_", "IMDS_", "AZURE_", "KUBERNETES_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if platform || name.to_ascii_uppercase().ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the program until it exits.
pub(crate) fn run(arguments: &[&str]) -> Output {
    keyward().args(arguments).output().expect("the program runs")
}

/// Runs a client from `tests/peers`, and asserts that it completes this many steps.
pub(crate) async fn run_steps(mut client: Command, count: usize) {
    let output = tokio::task::spawn_blocking(move || client.output().expect("the client runs"))
        .await
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), count, "{text}");
}

/// Collects the output of a process while it runs.
struct OutputReader {
    text: Arc<Mutex<String>>,
    lines: watch::Receiver<usize>,
    reader: Option<JoinHandle<()>>,
}

impl OutputReader {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (text, (counter, lines)) = (Arc::new(Mutex::new(String::new())), watch::channel(0));
        let collected = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                let mut text = collected.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
                counter.send_modify(|count| *count += 1);
            }
        });
        Self { text, lines, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    async fn wait_for_line(&mut self, words: &str) -> String {
        loop {
            if let Some(line) = self.text().lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(
                self.lines.changed().await.is_ok(),
                "it ended without {words:?}:\n{}",
                self.text()
            );
        }
    }

    fn join(&mut self) {
        self.reader.take().map(JoinHandle::join);
    }
}

/// A running daemon and its emulator.
pub(crate) struct Daemon {
    pub emulator: Emulator,
    pub directory: TempDir,
    child: Child,
    stdout: OutputReader,
    stderr: OutputReader,
}

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// The lines of `[egress.resolve]` for all host names of an emulator.
pub(crate) fn resolve(emulator: &Emulator) -> String {
    lines_of_resolve(emulator.host_names(), emulator.tls_address())
}

/// The same for its database servers, too.
pub(crate) fn resolve_with_sql(emulator: &Emulator) -> String {
    resolve(emulator) + &lines_of_resolve(emulator.sql_host_names(), emulator.sql_address())
}

fn lines_of_resolve(names: Vec<String>, address: SocketAddr) -> String {
    names.iter().map(|name| format!("{name:?} = \"{address}\"\n")).collect()
}

/// A configuration with identities and mounts in one cloud.
pub(crate) fn config(cloud: &str, vault: &str, emulator: &Emulator) -> String {
    let (imds, resolve) = (emulator.imds_url(), resolve(emulator));
    format!(
        "cloud = {cloud:?}\n\
         [identity.default]\nsource = \"imds\"\nendpoint = {imds:?}\n\
         [identity.reports]\nsource = \"imds\"\nendpoint = {imds:?}\n\
         client_id = \"22222222-aaaa-4aaa-8aaa-000000000001\"\n\
         [mount.vault]\nplugin = \"keyvault\"\nendpoint = \"https://{vault}\"\n\
         [mount.arm]\nplugin = \"arm\"\n\
         [mount.reports]\nplugin = \"arm\"\nidentity = \"reports\"\n\
         [egress.resolve]\n{resolve}\
         [tls]\nca_files = [\"ca.pem\"]\nsystem_roots = false\n"
    )
}

impl Daemon {
    /// A daemon with the mounts of the public cloud.
    pub(crate) async fn start() -> Self {
        Self::with(
            |emulator| config("public", "contoso.vault.azure.net", emulator),
            "[listen]\nsocket = \"k.sock\"\n",
        )
        .await
    }

    /// A daemon with a configuration and additional sections, which logs at `trace`.
    pub(crate) async fn with(config: impl FnOnce(&Emulator) -> String, sections: &str) -> Self {
        Self::logging("trace", config, sections).await
    }

    /// The same, but it logs at `info`.
    pub(crate) async fn quiet(config: impl FnOnce(&Emulator) -> String, sections: &str) -> Self {
        Self::logging("info", config, sections).await
    }

    async fn logging(
        level: &str,
        config: impl FnOnce(&Emulator) -> String,
        sections: &str,
    ) -> Self {
        let emulator = Emulator::start(Options::default()).await.expect("the emulator starts");
        let config = config(&emulator);
        Self::serve(level, emulator, &config, sections, &[]).await
    }

    /// A daemon with a configuration for a running emulator.
    pub(crate) async fn with_emulator(emulator: Emulator, config: &str, sections: &str) -> Self {
        Self::with_emulator_logging("trace", emulator, config, sections).await
    }

    /// The same, with a level of the log.
    pub(crate) async fn with_emulator_logging(
        level: &str,
        emulator: Emulator,
        config: &str,
        sections: &str,
    ) -> Self {
        Self::serve(level, emulator, config, sections, &[]).await
    }

    /// The same, with these environment variables.
    pub(crate) async fn with_variables(
        emulator: Emulator,
        config: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::serve("trace", emulator, config, "[listen]\nsocket = \"k.sock\"\n", variables).await
    }

    async fn serve(
        level: &str,
        emulator: Emulator,
        config: &str,
        sections: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = keyward_nowhere();
        command.envs(variables.iter().copied());
        Self::run(command, level, emulator, config, sections).await
    }

    /// A daemon that logs at `info`, with these environment variables.
    pub(crate) async fn with_environment(
        config: impl FnOnce(&Emulator) -> String,
        sections: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let emulator = Emulator::start(Options::default()).await.expect("the emulator starts");
        let config = config(&emulator);
        Self::serve("info", emulator, &config, sections, variables).await
    }

    /// A daemon whose soft and hard limits of open files are these.
    pub(crate) async fn with_open_files(soft: u32, hard: u32, sections: &str) -> Self {
        let emulator = Emulator::start(Options::default()).await.expect("the emulator starts");
        let text = config("public", "contoso.vault.azure.net", &emulator);
        let inner = keyward_nowhere();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"")]);
        command.arg(inner.get_program());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self::run(command, "info", emulator, &text, sections).await
    }

    /// A daemon to which a service manager passes this socket, under this name.
    pub(crate) async fn activated(
        listener: std::os::fd::OwnedFd,
        name: &str,
        emulator: Emulator,
        sections: &str,
    ) -> Self {
        let text = config("public", "contoso.vault.azure.net", &emulator);
        let inner = keyward_nowhere();
        let mut command = Command::new("sh");
        let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
        command.args(["-c", script]).arg(inner.get_program());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name).stdin(listener);
        Self::run(command, "info", emulator, &text, sections).await
    }

    async fn run(
        mut command: Command,
        level: &str,
        emulator: Emulator,
        config: &str,
        sections: &str,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        let text = format!("{config}{sections}");
        std::fs::write(directory.path().join("keyward.toml"), text).unwrap();
        command
            .args(["serve", "--log", level, "--config"])
            .arg(directory.path().join("keyward.toml"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let (stdout, stderr) = (
            OutputReader::of(child.stdout.take().unwrap()),
            OutputReader::of(child.stderr.take().unwrap()),
        );
        let mut daemon = Self { emulator, directory, child, stdout, stderr };
        daemon.stderr.wait_for_line(" ready ").await;
        daemon
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("keyward.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("k.sock")
    }

    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.directory.path().join("k-admin.sock")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// The audit records of all calls that have ended.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        self.stdout.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for a line of the log that contains these words.
    pub(crate) async fn log_line(&mut self, words: &str) -> String {
        self.stderr.wait_for_line(words).await
    }

    /// Waits for the listener of [`LISTEN_TLS`], and returns its URL and the path of its CA
    /// certificate.
    pub(crate) async fn tls_listener(&mut self) -> (String, String) {
        let line = self.log_line("https://127.0.0.1:").await;
        let (_, rest) = line.split_once("https://127.0.0.1:").unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let (_, ca) = line.split_once("clients must trust ").unwrap();
        (format!("https://localhost:{port}"), ca.split(')').next().unwrap().to_owned())
    }

    /// Waits for an audit record that contains these words.
    pub(crate) async fn record(&mut self, words: &str) -> serde_json::Value {
        serde_json::from_str(&self.stdout.wait_for_line(words).await).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response {
        send(&self.socket(), request).await
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the process to exit, and returns its exit code.
    pub(crate) async fn wait_for_exit(&mut self) -> Option<i32> {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.stdout.join();
                self.stderr.join();
                return status.code();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Stops the daemon, and asserts that its log and audit contain no token.
    pub(crate) async fn stop(mut self) {
        self.terminate();
        assert_eq!(self.wait_for_exit().await, Some(0), "{}", self.log());
        let tokens = Secrets::tokens(self.emulator.issued_tokens());
        assert!(tokens.count() > 0, "a test without tokens searches for nothing");
        tokens.assert_absent("the log", self.stderr.text().as_bytes());
        tokens.assert_absent("the audit", self.stdout.text().as_bytes());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a request to a socket.
pub(crate) async fn send(socket: &Path, mut request: Request<Full<Bytes>>) -> Response {
    let stream = UnixStream::connect(socket).await.expect("a daemon is listening");
    request.headers_mut().entry("host").or_insert(http::HeaderValue::from_static("localhost"));
    exchange(TokioIo::new(stream), request).await
}

/// Sends a request over a connection of its own.
pub(crate) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Response
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("a response");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    driver.abort();
    Response { status: parts.status, headers: parts.headers, body }
}
