//! `keyward demo`: demonstrates Keyward in a terminal, against an emulator. Each step checks its
//! outcome.

mod databases;
mod steps;
mod storage;
mod transcript;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use keyward::audit::{AuditSink, Record};
use keyward::{Broker, CallError, Caller, Plan};
use keyward_emulator::{Emulator, Options};
use keyward_policy::config::Config;

use super::start;
use crate::compile_cache;
use crate::config::bundled;
use crate::exit::{Exit, Failure};
use crate::output::width;
use transcript::Transcript;

/// The mount of a hostile plugin, which tries to steal a token.
const THIEF: &str = r#"
[mount.thief]
plugin = "thief"
endpoint = "https://contoso.vault.azure.net"
allow = ["GET /secrets/db", "PUT /secrets/db"]
"#;

/// What the steps use, and counters of what they did.
struct Demo {
    emulator: Emulator,
    broker: Broker,
    records: Records,
    calls: AtomicUsize,
    /// How many of the calls the broker denied.
    denied: AtomicUsize,
}

/// An audit sink in memory.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Record>>>);

impl AuditSink for Records {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }
}

/// A response with its body, or the broker's error and its response.
struct Response {
    status: u16,
    text: String,
    error: Option<CallError>,
}

impl Demo {
    fn new(emulator: Emulator, broker: Broker, records: Records) -> Self {
        let (calls, denied) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { emulator, broker, records, calls, denied }
    }

    /// Sends a GET request to a mount.
    async fn get(&self, mount: &str, path: &str) -> Response {
        self.send("GET", mount, path, &[], "").await
    }

    /// Sends a request to a mount.
    async fn send(
        &self,
        method: &str,
        mount: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match request.body(Full::new(Bytes::from_static(body.as_bytes()))) {
            Ok(request) => request,
            Err(error) => return Response { status: 0, text: error.to_string(), error: None },
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        let result = self.broker.call(mount, &Caller::named("demo"), request).await;
        let (response, error) = match result {
            Ok(response) => (response, None),
            Err(error) => {
                self.denied.fetch_add(1, Ordering::Relaxed);
                (error.clone().into_response(), Some(error))
            }
        };
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Response { status, text: String::from_utf8_lossy(&body).into_owned(), error }
    }

    /// The audit records so far.
    fn records(&self) -> Vec<Record> {
        self.records.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) async fn demo() -> Result<Exit, Failure> {
    let mut transcript = Transcript::new(std::io::stdout().is_terminal());
    transcript.title("Keyward: programs use Azure, and hold no credential");
    transcript.paragraph(
        "On an Azure machine, every process can request a token from 169.254.169.254 for anything \
         that the machine may do. With Keyward, only the broker does. This demo runs it against an \
         emulator on loopback: the metadata service, Key Vault, Resource Manager, Blob Storage, \
         Data Lake and Azure SQL, with TLS, signed tokens, and audiences that must match exactly.",
    );
    let emulator = Emulator::start(Options::default()).await.map_err(Failure::system)?;
    let plan = plan(&emulator)?;
    transcript.heading("What each mount may do, as `keyward check` prints it");
    transcript.indented(&super::check::grants_table(&plan.mounts, width() - 2));
    let records = Records::default();
    let broker = start::broker(plan, Arc::new(records.clone()), Vec::new())?;
    let demo = Demo::new(emulator, broker, records);

    make_calls(&demo, &mut transcript).await;
    demo.broker.drain().await;
    steps::audit(&demo, &mut transcript);
    steps::no_token_in_audit(&demo, &mut transcript);
    steps::tokens_are_cached(&demo, &mut transcript);
    transcript.finish().map(|()| Exit::Success)
}

/// Runs all steps that make calls.
async fn make_calls(demo: &Demo, transcript: &mut Transcript) {
    steps::read_secret(demo, transcript).await;
    steps::read_resource_groups(demo, transcript).await;
    storage::read_blob(demo, transcript).await;
    storage::use_signature(demo, transcript).await;
    storage::use_data_lake(demo, transcript).await;
    databases::query(demo, transcript).await;
    databases::log_in_with_password(demo, transcript).await;
    databases::deny_writes(demo, transcript).await;
    steps::deny_other_requests(demo, transcript).await;
    steps::run_hostile_plugin(demo, transcript).await;
    steps::use_stolen_surrogate(demo, transcript).await;
}

fn plan(emulator: &Emulator) -> Result<Plan, Failure> {
    let text = format!("{}{THIEF}", emulator.config(Path::new("ca.pem")));
    // The certificate is in memory, not in a file.
    let text = text.replace("ca_files = [\"ca.pem\"]\n", "");
    let mut config = Config::from_toml(Path::new("demo.toml"), &text)?;
    config.tls.ca_pem.push(emulator.ca_pem().to_owned());
    compile_cache::settle(&mut config);
    Ok(keyward::plan(config, &bundled().with("thief", keyward_bundle::THIEF))?)
}
