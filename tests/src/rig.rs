//! A broker with one mount and an emulator, both in this process.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use keyward::audit::{AuditSink, Record};
use keyward::identity::clock::Clock;
use keyward::{Broker, CallError, Caller, Lock, Options, Plugins, Resolve, Violation};
use keyward_emulator::Emulator;
use keyward_policy::config::{CompileCache, Config};
use tokio::sync::watch;

use crate::{LogReader, Logs, Secrets};

/// An audit sink that collects its records.
#[derive(Clone)]
pub struct Recorded {
    records: Arc<Mutex<Vec<Record>>>,
    count: watch::Sender<usize>,
}

impl AuditSink for Recorded {
    fn record(&self, record: &Record) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record.clone());
        self.count.send_replace(records.len());
    }
}

impl Default for Recorded {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorded {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self { records: Arc::default(), count: watch::channel(0).0 }
    }

    /// All records so far.
    #[must_use]
    pub fn all(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for this number of records, and returns the last of them.
    ///
    /// # Panics
    ///
    /// If they do not arrive within 30 seconds.
    pub async fn wait(&self, count: usize) -> Record {
        let mut counted = self.count.subscribe();
        let enough =
            tokio::time::timeout(Duration::from_secs(30), counted.wait_for(|now| *now >= count))
                .await;
        assert!(enough.is_ok(), "{count} audit records do not come; there are {:?}", self.all());
        self.all().get(count - 1).cloned().expect("counted")
    }
}

/// The response to a call, with its whole body.
#[derive(Debug)]
pub struct CallResponse {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, up to an error.
    pub body: Bytes,
    /// The error that aborted the body, if any.
    pub broken: Option<String>,
    /// The error, if the broker responded instead of the plugin.
    pub error: Option<CallError>,
}

impl CallResponse {
    /// The body as text, up to the memory that a hostile guest appends.
    #[must_use]
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.split("\n--- memory ---\n").next().unwrap_or_default().to_owned()
    }

    /// The violation that ended the call.
    ///
    /// # Panics
    ///
    /// None did.
    #[must_use]
    #[track_caller]
    pub fn violation(&self) -> &Violation {
        match &self.error {
            Some(CallError::Violation { violation, .. }) => violation,
            other => panic!("no violation: {other:?}, {}", self.text()),
        }
    }
}

/// A broker and its emulator.
pub struct Rig {
    /// The emulator.
    pub emulator: Emulator,
    /// The broker.
    pub broker: Broker,
    /// Its audit.
    pub audit: Recorded,
    mount: String,
    _logs: LogReader,
}

/// Builder of a [`Rig`].
pub struct RigBuilder {
    mount: String,
    plugin: Plugins,
    plugin_name: String,
    base_lines: String,
    mount_lines: String,
    sections: String,
    resolve: bool,
    also: Vec<String>,
    also_sql: Vec<String>,
    options: keyward_emulator::Options,
    resolver: Option<Arc<dyn Resolve>>,
    clock: Option<Arc<dyn Clock>>,
    locks: Vec<Lock>,
    trusting: bool,
    cloud: String,
}

impl RigBuilder {
    /// Adds lines to the mount's section, and sections within it.
    #[must_use]
    pub fn mount_lines(mut self, lines: &str) -> Self {
        self.mount_lines = lines.to_owned();
        self
    }

    /// Sets the endpoint, and removes all other lines of the mount.
    #[must_use]
    pub fn at(mut self, endpoint: &str) -> Self {
        self.base_lines = format!("endpoint = {endpoint:?}");
        self
    }

    /// Adds sections to the configuration.
    #[must_use]
    pub fn sections(mut self, sections: &str) -> Self {
        self.sections = sections.to_owned();
        self
    }

    /// Sets limits of the mount.
    #[must_use]
    pub fn limits(mut self, limits: &str) -> Self {
        self.mount_lines.push_str(&format!("\n[mount.{}.limits]\n{limits}", self.mount));
        self
    }

    /// Sets the options of the emulator.
    #[must_use]
    pub fn emulator(mut self, options: keyward_emulator::Options) -> Self {
        self.options = options;
        self
    }

    /// Resolves another host to the emulator.
    #[must_use]
    pub fn resolving(mut self, host: &str) -> Self {
        self.also.push(format!("{host}:443"));
        self
    }

    /// Resolves another host and port to the emulator's databases.
    #[must_use]
    pub fn resolving_sql(mut self, host_and_port: &str) -> Self {
        self.also_sql.push(host_and_port.to_owned());
        self
    }

    /// Selects another cloud, and the mount's endpoint in it.
    #[must_use]
    pub fn in_cloud(mut self, cloud: &str, endpoint: &str) -> Self {
        self.cloud = format!("cloud = {cloud:?}");
        self.base_lines = format!("endpoint = {endpoint:?}");
        self
    }

    /// Defines a custom cloud with this section, and the mount's endpoint in it.
    #[must_use]
    pub fn in_own_cloud(mut self, section: &str, endpoint: &str) -> Self {
        self.cloud = section.to_owned();
        self.base_lines = format!("endpoint = {endpoint:?}");
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Starts the broker with these locks.
    #[must_use]
    pub fn locks(mut self, locks: impl IntoIterator<Item = Lock>) -> Self {
        self.locks.extend(locks);
        self
    }

    /// Trusts another certificate authority instead of the emulator's.
    #[must_use]
    pub fn untrusting(mut self) -> Self {
        self.trusting = false;
        self
    }

    /// Sets a resolver, instead of `[egress.resolve]`.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self.resolve = false;
        self
    }

    /// Starts the emulator and the broker.
    ///
    /// # Panics
    ///
    /// If one of them does not start.
    pub async fn start(self) -> Rig {
        let logs = Logs::read();
        let emulator = Emulator::start(self.options).await.expect("the emulator starts");
        let resolve: String = if self.resolve {
            let names: Vec<String> =
                emulator.host_names().into_iter().chain(self.also.clone()).collect();
            let http =
                names.iter().map(|name| format!("{name:?} = \"{}\"\n", emulator.tls_address()));
            let sql = emulator.sql_host_names();
            let sql = sql
                .into_iter()
                .chain(["sql.contoso.example:1433".to_owned()])
                .chain(self.also_sql.clone());
            http.chain(sql.map(|name| format!("{name:?} = \"{}\"\n", emulator.sql_address())))
                .collect()
        } else {
            String::new()
        };
        let (mount, imds) = (&self.mount, emulator.imds_url());
        let text = format!(
            "{}\n[identity.default]\nsource = \"imds\"\nendpoint = {imds:?}\ndeadline = \"100ms\"\n\
             [mount.{mount}]\nplugin = \
             {:?}\n{}\n{}\n{}\n[egress.resolve]\n{resolve}\n[tls]\nsystem_roots = false\n",
            self.cloud, self.plugin_name, self.base_lines, self.mount_lines, self.sections
        );
        let mut config = Config::from_toml(Path::new("rig.toml"), &text)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let other = if self.trusting {
            None
        } else {
            Some(Emulator::start(Default::default()).await.expect("another"))
        };
        config.tls.ca_pem.push(other.as_ref().unwrap_or(&emulator).ca_pem().to_owned());
        config.compile_cache = compiled();
        let plan =
            keyward::plan(config, &self.plugin).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let audit = Recorded::new();
        let mut options =
            Options { audit: Arc::new(audit.clone()), locks: self.locks, ..Options::default() };
        if let Some(resolver) = self.resolver {
            options.resolver = resolver;
        }
        if let Some(clock) = self.clock {
            options.clock = clock;
        }
        let broker = Broker::start_with(plan, options).unwrap_or_else(|error| panic!("{error}"));
        Rig { emulator, broker, audit, mount: self.mount, _logs: logs }
    }
}

impl Rig {
    /// A mount `m` of a component. It may do everything under `/secrets` of the vault.
    #[must_use]
    pub fn of(component: impl Into<Vec<u8>>) -> RigBuilder {
        let lines = "endpoint = \"https://contoso.vault.azure.net\"\nallow = [\"* /secrets\", \"* \
                     /secrets/**\"]";
        Self::builder("m", "plugin", Plugins::new().with("plugin", component.into()), lines)
    }

    /// A mount, named after it, of a hostile guest. It may do everything under `/secrets` of the
    /// vault.
    #[must_use]
    pub fn hostile(name: &str) -> RigBuilder {
        let mut builder = Self::of(crate::guest(name));
        builder.mount = name.replace('_', "-");
        builder
    }

    /// A mount, named after it, of a hostile guest that may request a shared access signature and
    /// spend it at the storage.
    #[must_use]
    pub fn hostile_to_seals(name: &str) -> RigBuilder {
        let mut builder = Self::of(crate::guest(name));
        builder.mount = name.replace('_', "-");
        builder.base_lines = "endpoint = \"https://contoso.blob.core.windows.net\"".to_owned();
        let section = format!("[mount.{}.audience.arm]", builder.mount);
        builder.mount_lines(&section)
    }

    /// The same, with further lines of the mount's section, and sections within it.
    #[must_use]
    pub fn hostile_to_seals_with(name: &str, lines: &str) -> RigBuilder {
        let builder = Self::hostile_to_seals(name);
        let section = format!("[mount.{}.audience.arm]", builder.mount);
        builder.mount_lines(&format!("{lines}\n{section}"))
    }

    /// A mount `database` of a guest that may open databases of the server, and read passwords in
    /// the vault.
    #[must_use]
    pub fn database(lines: &str) -> RigBuilder {
        Self::database_of(crate::guest("database"), lines)
    }

    /// The same, of another component of such a guest.
    #[must_use]
    pub fn database_of(component: impl Into<Vec<u8>>, lines: &str) -> RigBuilder {
        let mut builder = Self::of(component);
        builder.mount = "database".to_owned();
        builder.base_lines = "endpoint = \"sqlserver://contoso.database.windows.net\"".to_owned();
        let vault =
            "[mount.database.audience.vault]\nendpoint = \"https://contoso.vault.azure.net\"";
        builder.mount_lines(&format!("{lines}\n{vault}"))
    }

    /// A mount `orders` of the bundled plugin for databases, with these further lines of its
    /// settings.
    #[must_use]
    pub fn orders(settings: &str) -> RigBuilder {
        let endpoint = "endpoint = \"sqlserver://contoso.database.windows.net\"";
        let settings = format!("[mount.orders.settings]\ndatabase = \"shop\"\n{settings}");
        Self::builder("orders", "sql", bundled(), endpoint).mount_lines(&settings)
    }

    /// A mount `blobs` of the bundled plugin for Blob Storage, with these further lines.
    #[must_use]
    pub fn storage(lines: &str) -> RigBuilder {
        Self::builder(
            "blobs",
            "storage",
            bundled(),
            "endpoint = \"https://contoso.blob.core.windows.net\"",
        )
        .mount_lines(lines)
    }

    /// A mount `blobs` of the bundled plugin for Blob Storage, with shared access signatures, and
    /// these further lines.
    #[must_use]
    pub fn storage_with_sas(lines: &str) -> RigBuilder {
        let account = format!(
            "/subscriptions/{}/resourceGroups/demo/providers/Microsoft.Storage/storageAccounts/\
             contoso",
            keyward_emulator::SUBSCRIPTION
        );
        let sections = format!(
            "[mount.blobs.settings]\nauth = \"sas\"\naccount = \
             {account:?}\n[mount.blobs.audience.arm]"
        );
        Self::storage(&format!("{lines}\n{sections}"))
    }

    /// A mount `lake` of the bundled plugin for Data Lake, at this host.
    #[must_use]
    pub fn lake(host: &str) -> RigBuilder {
        Self::builder("lake", "adls", bundled(), &format!("endpoint = \"https://{host}\""))
    }

    /// A mount `vault` of the bundled plugin for Key Vault, which may do everything.
    #[must_use]
    pub fn keyvault() -> RigBuilder {
        Self::builder(
            "vault",
            "keyvault",
            bundled(),
            "endpoint = \"https://contoso.vault.azure.net\"",
        )
    }

    /// A mount `arm` of the bundled plugin for Resource Manager, which may do everything.
    #[must_use]
    pub fn arm() -> RigBuilder {
        Self::builder("arm", "arm", bundled(), "")
    }

    fn builder(mount: &str, plugin_name: &str, plugin: Plugins, lines: &str) -> RigBuilder {
        RigBuilder {
            mount: mount.to_owned(),
            plugin,
            plugin_name: plugin_name.to_owned(),
            base_lines: lines.to_owned(),
            mount_lines: String::new(),
            sections: String::new(),
            resolve: true,
            also: Vec::new(),
            also_sql: Vec::new(),
            options: keyward_emulator::Options::default(),
            resolver: None,
            clock: None,
            locks: Vec::new(),
            trusting: true,
            cloud: "cloud = \"public\"".to_owned(),
        }
    }

    /// Calls the mount, and reads the whole response.
    pub async fn call(&self, request: Request<Full<Bytes>>) -> CallResponse {
        let answered = self.broker.call(&self.mount, &Caller::named("test"), request).await;
        let (response, error) = match answered {
            Ok(response) => (response, None),
            Err(error) => (error.clone().into_response(), Some(error)),
        };
        let (parts, mut body) = response.into_parts();
        let (mut bytes, mut broken) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(error) => broken = Some(error.to_string()),
            }
        }
        CallResponse {
            status: parts.status,
            headers: parts.headers,
            body: bytes.into(),
            broken,
            error,
        }
    }

    /// All tokens that were issued so far.
    #[must_use]
    pub fn tokens(&self) -> Secrets {
        Secrets::tokens(self.emulator.issued_tokens()).and_signatures(self.emulator.issued_sas())
    }

    /// Asserts that a response contains no token. Dropping the rig checks the log and the audit.
    ///
    /// # Panics
    ///
    /// If a token is found.
    pub fn assert_no_token_in(&self, response: &CallResponse) {
        let secrets = self.tokens();
        secrets.assert_absent("the caller's response", &response.body);
        secrets.assert_absent(
            "the caller's header fields",
            format!("{:?}", response.headers).as_bytes(),
        );
        secrets.assert_absent(
            "the error",
            format!("{:?} {:?}", response.error, response.broken).as_bytes(),
        );
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let secrets = self.tokens();
            secrets.assert_absent("the audit", format!("{:?}", self.audit.all()).as_bytes());
            secrets.assert_absent("the log", Logs::collect().text().as_bytes());
        }
    }
}

/// The cache of compiled plugins. Compiling a large one takes longer than most tests.
fn compiled() -> CompileCache {
    let test = std::env::current_exe().unwrap_or_default();
    match test.ancestors().nth(3) {
        Some(target) if cfg!(unix) => {
            CompileCache::Directory(target.join("tmp").join("compiled-plugins"))
        }
        _ => CompileCache::Off,
    }
}

fn bundled() -> Plugins {
    keyward_bundle::PLUGINS
        .iter()
        .fold(Plugins::new(), |plugins, plugin| plugins.with(plugin.name, plugin.component))
}

/// A `POST` of JSON, with header fields.
///
/// # Panics
///
/// The path or a header field is invalid.
#[must_use]
pub fn post(
    path: &str,
    headers: &[(&str, &str)],
    body: &serde_json::Value,
) -> Request<Full<Bytes>> {
    let request = headers
        .iter()
        .fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
    let request = request.header("content-type", "application/json");
    request.body(Full::from(body.to_string())).expect("a request")
}

/// A `GET`, with header fields.
///
/// # Panics
///
/// The path or a header field is invalid.
#[must_use]
pub fn get(path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = headers
        .iter()
        .fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Full::default()).expect("a request")
}
