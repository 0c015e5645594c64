//! Workload identity: a pod in Kubernetes exchanges its service account's token for one of Entra's
//! ([introduction], [token request]).
//!
//! [introduction]: https://azure.github.io/azure-workload-identity/docs/introduction.html
//! [token request]: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::endpoint::{self, Endpoint, form, post};
use super::invalid::{self, InvalidSource};
use super::issued::Issued;
use super::needs::Needs;
use super::retry::Attempt;
use super::settings::Settings;
use super::token_source::{Env, Fetch, TokenSource};
use super::{SourceKind, UserAssigned};
use crate::{Audience, TokenError};

const KIND: SourceKind = SourceKind::WorkloadIdentity;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The authority of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com/";

/// The longest assertion, in bytes. Service account tokens have 1 to 2 KiB.
const MAX_ASSERTION: usize = 32 * 1024;

/// A workload identity in the tenant of an authority. The file is read for every token, since
/// Kubernetes rotates it.
#[derive(Clone)]
pub struct WorkloadIdentity {
    endpoint: Endpoint,
    client_id: String,
    file: PathBuf,
}

impl WorkloadIdentity {
    /// A source with a client id, a tenant, the file of the service account's token, and the
    /// cloud's authority, such as `https://login.chinacloudapi.cn`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if a value is invalid.
    pub fn new(
        client_id: &str,
        tenant: &str,
        file: impl AsRef<Path>,
        authority: &str,
    ) -> Result<Self, InvalidSource> {
        let is_valid = |value: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=255).contains(&value.len()) && value.bytes().all(is_allowed)
        };
        let invalid = |name, expected| InvalidSource::Value { kind: KIND, name, expected };
        if !is_valid(tenant) || tenant.contains("..") {
            return Err(invalid("tenant", "a UUID or a domain, as in AZURE_TENANT_ID"));
        }
        if !is_valid(client_id) {
            return Err(invalid("client id", "a UUID, as in AZURE_CLIENT_ID"));
        }
        if file.as_ref().as_os_str().is_empty() {
            return Err(invalid("token file", "a path, as in AZURE_FEDERATED_TOKEN_FILE"));
        }
        let authority = authority.trim().trim_end_matches('/');
        if authority.contains(['?', '#']) {
            let expected = "\"https://login.microsoftonline.com\"";
            return Err(InvalidSource::endpoint(KIND, authority, expected));
        }
        let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
        let endpoint = Endpoint::new(KIND, "https", &url)?;
        Ok(Self { endpoint, client_id: client_id.to_owned(), file: file.as_ref().to_owned() })
    }

    /// A source with the variables that the cluster's webhook sets. `AZURE_AUTHORITY_HOST` takes
    /// precedence over `authority`; without both, the authority is the public cloud's. A client id
    /// in `identity` takes precedence over `AZURE_CLIENT_ID`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if a variable is missing or invalid, or `identity` is not a client id.
    pub fn from_env(
        env: Env<'_>,
        identity: Option<UserAssigned>,
        authority: Option<&str>,
    ) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        let client_id = match identity {
            Some(UserAssigned::ClientId(id)) => id,
            Some(UserAssigned::ObjectId(_) | UserAssigned::ResourceId(_)) | None => {
                endpoint::variable(KIND, env, "AZURE_CLIENT_ID")?
            }
        };
        let tenant = endpoint::variable(KIND, env, "AZURE_TENANT_ID")?;
        let file = endpoint::variable(KIND, env, "AZURE_FEDERATED_TOKEN_FILE")?;
        let host = endpoint::variable(KIND, env, "AZURE_AUTHORITY_HOST").ok();
        let authority = host.as_deref().or(authority).unwrap_or(AUTHORITY);
        Self::new(client_id.trim(), tenant.trim(), file, authority)
    }

    /// How it talks to the endpoint.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings);
        self
    }

    async fn attempt(&self, audience: &Audience) -> Attempt<Issued> {
        let assertion = match self.assertion().await {
            Ok(assertion) => assertion,
            Err(error) => return Attempt::Final(error),
        };
        let form = form(&[
            ("client_id", &self.client_id),
            ("scope", &audience.to_scope()),
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ]);
        self.endpoint.request(audience, None, post(&self.endpoint.url, form)).await
    }

    async fn assertion(&self) -> Result<Zeroizing<String>, TokenError> {
        const WEBHOOK: &str = "The workload identity webhook adds the file: label the pod and its \
                               service account";
        let path = self.file.display().to_string();
        let error = |reason: String, help| TokenError::File { path: path.clone(), reason, help };
        let file = self.file.clone();
        let read = move || std::fs::read_to_string(file).map(Zeroizing::new);
        let contents = tokio::task::spawn_blocking(read).await;
        let contents = contents.map_err(|_| error("reading was aborted".to_owned(), None))?;
        let contents = contents.map_err(|failed| error(failed.to_string(), Some(WEBHOOK)))?;
        let assertion = contents.trim();
        let is_text = assertion.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_text || !(1..=MAX_ASSERTION).contains(&assertion.len()) {
            return Err(error("it does not contain a service account token".to_owned(), None));
        }
        Ok(Zeroizing::new(assertion.to_owned()))
    }
}

impl TokenSource for WorkloadIdentity {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(self.endpoint.token(move || self.attempt(audience)))
    }

    fn describe(&self) -> String {
        format!("workload identity, client id {} at {}", self.client_id, self.endpoint.url)
    }

    fn needs(&self) -> Needs {
        Needs::port(self.endpoint.port()).read(&self.file)
    }
}

impl fmt::Debug for WorkloadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadIdentity")
            .field("endpoint", &self.endpoint.url)
            .field("client_id", &self.client_id)
            .field("file", &self.file)
            .finish()
    }
}
