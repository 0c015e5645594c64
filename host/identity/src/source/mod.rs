//! Identity sources, one per file.

mod app_service;
mod arc;
mod auto;
mod azure_cli;
mod cloud_shell;
mod create;
mod document;
mod endpoint;
mod error_response;
mod expiry;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod imds;
mod invalid;
mod issued;
mod needs;
mod quote;
mod rate_limit;
mod response;
mod retry;
mod service_fabric;
mod settings;
mod tls;
mod token_source;
mod transport;
mod workload_identity;

pub use keyward_types::{SourceKind, UserAssigned};

pub use app_service::AppService;
pub use arc::AzureArc;
pub use auto::{Detected, auto, detect, evidence};
pub use azure_cli::AzureCli;
pub use cloud_shell::CloudShell;
pub use create::create;
pub use document::{DocumentError, document};
pub use imds::Imds;
pub use invalid::InvalidSource;
pub use issued::Issued;
pub use needs::Needs;
pub use rate_limit::RateLimit;
pub use retry::Retry;
pub use service_fabric::ServiceFabric;
pub use settings::Settings;
pub use tls::{InvalidCertificates, Tls};
pub use token_source::{Env, Fetch, TokenSource};
pub use workload_identity::WorkloadIdentity;
