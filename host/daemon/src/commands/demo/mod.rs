//! `keyward demo`: what Keyward does, as a story in a terminal. Each step checks that what it tells is so.

mod databases;
mod steps;
mod storage;
mod story;

use std::io::IsTerminal;
use std::path::Path;
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
use story::Story;

/// The mount of the plugin that tries to steal a token.
const THIEF: &str = r#"
[mount.thief]
plugin = "thief"
endpoint = "https://contoso.vault.azure.net"
allow = ["GET /secrets/db", "PUT /secrets/db"]
"#;

/// What all steps need.
struct Stage {
    emulator: Emulator,
    broker: Broker,
    records: Records,
}

/// The audit, kept to be shown.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Record>>>);

impl AuditSink for Records {
    fn record(&self, record: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
    }
}

/// An answer, whole.
struct Answer {
    status: u16,
    text: String,
    error: Option<CallError>,
}

impl Stage {
    async fn call(&self, mount: &str, path: &str) -> Answer {
        self.send("GET", mount, path, &[], "").await
    }

    async fn send(
        &self,
        method: &str,
        mount: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(Bytes::from_static(body.as_bytes())));
        let Ok(request) = request else { return Answer { status: 0, text: path.to_owned(), error: None } };
        let answered = self.broker.call(mount, &Caller::named("demo"), request).await;
        let (response, error) = match answered {
            Ok(response) => (response, None),
            Err(error) => (error.clone().into_response(), Some(error)),
        };
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Answer { status, text: String::from_utf8_lossy(&body).into_owned(), error }
    }

    /// The records so far.
    fn records(&self) -> Vec<Record> {
        self.records.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) async fn demo() -> Result<Exit, Failure> {
    let mut story = Story::new(std::io::stdout().is_terminal());
    story.title("Keyward: programs act on Azure, and hold no credential");
    story.say(
        "On an Azure machine every process can ask 169.254.169.254 for a token, for everything that the machine may do. \
         Keyward takes that over. This demo runs it against a small Azure on loopback: the metadata service, Key Vault, \
         Resource Manager, Blob Storage, Data Lake and Azure SQL, with TLS, signed tokens, and audiences that must match to \
         the slash.",
    );
    let emulator = Emulator::start(Options::default()).await.map_err(Failure::system)?;
    let plan = plan(&emulator)?;
    story.heading("What each mount may do (as `keyward check` shows it)");
    story.text(&super::check::grants_table(&plan.mounts, width() - 2));
    let records = Records::default();
    let broker = start::broker(plan, Arc::new(records.clone()))?;
    let stage = Stage { emulator, broker, records };

    tell(&stage, &mut story).await;
    stage.broker.drain().await;
    steps::audit(&stage, &mut story);
    steps::no_token_anywhere(&stage, &mut story);
    steps::tokens(&stage, &mut story);
    story.end().map(|()| Exit::Success)
}

/// All steps that make calls.
async fn tell(stage: &Stage, story: &mut Story) {
    steps::read_secret(stage, story).await;
    steps::read_resource_groups(stage, story).await;
    storage::read_blob(stage, story).await;
    storage::spend_a_signature(stage, story).await;
    storage::use_the_lake(stage, story).await;
    databases::query(stage, story).await;
    databases::log_in_with_a_password(stage, story).await;
    databases::only_read(stage, story).await;
    steps::stay_within_grants(stage, story).await;
    steps::thief(stage, story).await;
    steps::surrogate_is_worthless(stage, story).await;
}

fn plan(emulator: &Emulator) -> Result<Plan, Failure> {
    let text = format!("{}{THIEF}", emulator.config(Path::new("ca.pem")));
    // The certificate is at hand, and is not read from a file.
    let text = text.replace("ca_files = [\"ca.pem\"]\n", "");
    let mut config = Config::from_toml(Path::new("demo.toml"), &text)?;
    config.tls.ca_pem.push(emulator.ca_pem().to_owned());
    compile_cache::settle(&mut config);
    Ok(keyward::plan(config, &bundled().with("thief", keyward_bundle::THIEF))?)
}
