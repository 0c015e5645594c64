//! Workload identity: a pod of Kubernetes changes its service account's token for one of Entra's ([how], [the request]).
//!
//! [how]: https://azure.github.io/azure-workload-identity/docs/introduction.html
//! [the request]: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::endpoint::{self, Endpoint, form, post};
use super::retry::Attempt;
use super::{Env, Fetch, InvalidSource, Issued, Settings, SourceKind, TokenSource, UserAssigned, invalid};
use crate::{Audience, TokenError};

const KIND: SourceKind = SourceKind::WorkloadIdentity;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The authority of the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com/";

/// The longest assertion that is sent, in bytes. A service account's token has 1 to 2 KiB.
const LONGEST: usize = 32 * 1024;

/// A workload identity, in the tenant of an authority. The file is read again for every token, since Kubernetes changes it.
#[derive(Clone)]
pub struct WorkloadIdentity {
    endpoint: Endpoint,
    client_id: String,
    file: PathBuf,
}

impl WorkloadIdentity {
    /// The client id of the identity, its tenant, the file with the service account's token, and the cloud's authority, such
    /// as `https://login.chinacloudapi.cn`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where they cannot be used.
    pub fn new(client_id: &str, tenant: &str, file: impl AsRef<Path>, authority: &str) -> Result<Self, InvalidSource> {
        let part = |text: &str| {
            !text.is_empty()
                && text.len() <= 255
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        };
        let value = |name, expected| InvalidSource::Value { kind: KIND, name, expected };
        if !part(tenant) || tenant.contains("..") {
            return Err(value("tenant", "a UUID or a domain, as in AZURE_TENANT_ID"));
        }
        if !part(client_id) {
            return Err(value("client id", "a UUID, as in AZURE_CLIENT_ID"));
        }
        if file.as_ref().as_os_str().is_empty() {
            return Err(value("token file", "a path, as in AZURE_FEDERATED_TOKEN_FILE"));
        }
        let authority = authority.trim().trim_end_matches('/');
        let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
        if authority.contains(['?', '#']) {
            let (endpoint, expected) = (authority.chars().take(200).collect(), "\"https://login.microsoftonline.com\"");
            return Err(InvalidSource::Endpoint { kind: KIND, endpoint, expected });
        }
        let endpoint = Endpoint::new(KIND, "https", &url)?;
        Ok(Self { endpoint, client_id: client_id.to_owned(), file: file.as_ref().to_owned() })
    }

    /// The same, from the variables that the cluster's webhook sets. `AZURE_AUTHORITY_HOST` comes before the authority of
    /// the cloud, where one is given here; without both it is the public cloud's. A client id here comes before
    /// `AZURE_CLIENT_ID`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where they are not there, or cannot be used, or the identity is named in another form.
    pub fn from_env(
        env: Env<'_>,
        identity: Option<UserAssigned>,
        authority: Option<&str>,
    ) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        let client_id = match identity {
            Some(UserAssigned::ClientId(id)) => id,
            _ => endpoint::variable(KIND, env, "AZURE_CLIENT_ID")?,
        };
        let tenant = endpoint::variable(KIND, env, "AZURE_TENANT_ID")?;
        let file = endpoint::variable(KIND, env, "AZURE_FEDERATED_TOKEN_FILE")?;
        let host = endpoint::variable(KIND, env, "AZURE_AUTHORITY_HOST").ok();
        Self::new(client_id.trim(), tenant.trim(), file, host.as_deref().or(authority).unwrap_or(AUTHORITY))
    }

    /// How it is asked.
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
        self.endpoint.ask(audience, None, post(&self.endpoint.url, form)).await
    }

    async fn assertion(&self) -> Result<Zeroizing<String>, TokenError> {
        let refuse = |said: String| TokenError::File { path: self.file.display().to_string(), said };
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file).map(Zeroizing::new)).await;
        let text = read.map_err(|_| refuse("reading it was abandoned".to_owned()))?;
        let text = text.map_err(|error| {
            refuse(format!(
                "{error}. The webhook of workload identity puts it there: label the pod, and its service account"
            ))
        })?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.len() > LONGEST || !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("it contains no service account token".to_owned()));
        }
        Ok(Zeroizing::new(trimmed.to_owned()))
    }
}

impl TokenSource for WorkloadIdentity {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(self.endpoint.token(move || self.attempt(audience)))
    }

    fn describe(&self) -> String {
        format!("workload identity, client id {} at {}", self.client_id, self.endpoint.url)
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
