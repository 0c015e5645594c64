//! A source and its endpoint.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keyward_identity::clock::ManualClock;
use keyward_identity::source::{
    AppService, AzureArc, CloudShell, Imds, InvalidSource, ServiceFabric, Settings, SourceKind,
    Tls, UserAssigned, WorkloadIdentity, create,
};
use keyward_identity::{Audience, TokenError, TokenSource};
use tokio_rustls::TlsAcceptor;

use crate::fake_endpoint::{FakeEndpoint, HANG, Options, Step};

pub const NOW: u64 = 1_700_000_000;
pub const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
pub const OBJECT: &str = "00005555-dddd-6666-eeee-7777ffff8888";
pub const RESOURCE: &str = "/subscriptions/s/resourceGroups/g/providers/\
                            Microsoft.ManagedIdentity/userAssignedIdentities/reports";

/// The sources that use HTTP.
pub const HTTP: [SourceKind; 6] = [
    SourceKind::Imds,
    SourceKind::AppService,
    SourceKind::Arc,
    SourceKind::ServiceFabric,
    SourceKind::CloudShell,
    SourceKind::WorkloadIdentity,
];

pub fn identities() -> [Option<UserAssigned>; 4] {
    [
        None,
        Some(UserAssigned::ClientId(CLIENT.to_owned())),
        Some(UserAssigned::ObjectId(OBJECT.to_owned())),
        Some(UserAssigned::ResourceId(RESOURCE.to_owned())),
    ]
}

/// A self-signed certificate, for all tests.
pub struct Certificate {
    pub acceptor: TlsAcceptor,
    pub thumbprint: String,
    pub trusting: Tls,
}

pub fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let generated = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let der = generated.cert.der().clone();
        let key = generated.signing_key.serialize_der();
        let key = rustls_pki_types::PrivateKeyDer::try_from(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![der.clone()], key).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        Certificate {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            thumbprint: digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect(),
            trusting: Tls::system_and_pem(generated.cert.pem().as_bytes()).unwrap(),
        }
    })
}

/// A source, its endpoint, and a clock that skips sleeps.
pub struct Fixture {
    pub endpoint: FakeEndpoint,
    pub clock: ManualClock,
    pub files: tempfile::TempDir,
    kind: SourceKind,
}

impl Fixture {
    pub async fn new(kind: SourceKind, steps: Vec<Step>) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("a.key"), "key of the agent").unwrap();
        std::fs::write(files.path().join("assertion"), "service.account.token\n").unwrap();
        let is_https = matches!(kind, SourceKind::ServiceFabric | SourceKind::WorkloadIdentity);
        let clock = ManualClock::skipping_sleeps(Duration::from_secs(NOW));
        let options = Options {
            clock: Some(clock.clone()),
            tls: is_https.then(|| certificate().acceptor.clone()),
            challenge: (kind == SourceKind::Arc).then(|| files.path().join("a.key")),
            ..Options::default()
        };
        Self { endpoint: FakeEndpoint::start(steps, options).await, clock, files, kind }
    }

    pub fn settings(&self) -> Settings {
        let settings = Settings::default().clock(Arc::new(self.clock.clone())).timeout(HANG);
        settings.tls(certificate().trusting.clone())
    }

    pub fn source(
        &self,
        identity: Option<UserAssigned>,
    ) -> Result<Arc<dyn TokenSource>, InvalidSource> {
        self.with(identity, self.settings())
    }

    pub fn with(
        &self,
        identity: Option<UserAssigned>,
        settings: Settings,
    ) -> Result<Arc<dyn TokenSource>, InvalidSource> {
        let origin = &self.endpoint.origin;
        let env = |name: &str| self.variable(name);
        Ok(match self.kind {
            SourceKind::Imds => {
                let imds = Imds::new().endpoint(origin).unwrap().settings(settings);
                Arc::new(identity.into_iter().fold(imds, Imds::user_assigned))
            }
            SourceKind::AppService => {
                Arc::new(AppService::from_env(&env, identity)?.settings(settings))
            }
            SourceKind::Arc => {
                let arc = AzureArc::from_env(&env, identity)?.settings(settings);
                Arc::new(arc.directory(self.files.path()))
            }
            SourceKind::ServiceFabric => {
                Arc::new(ServiceFabric::from_env(&env, identity)?.settings(settings))
            }
            SourceKind::CloudShell => {
                Arc::new(CloudShell::from_env(&env, identity)?.settings(settings))
            }
            SourceKind::WorkloadIdentity => {
                Arc::new(WorkloadIdentity::from_env(&env, identity, None)?.settings(settings))
            }
            SourceKind::AzureCli => panic!("the Azure CLI has no endpoint"),
        })
    }

    /// The source as a configuration creates it.
    pub fn create(
        &self,
        identity: Option<UserAssigned>,
    ) -> Result<Arc<dyn TokenSource>, InvalidSource> {
        create(self.kind, &|name| self.variable(name), identity, None, self.settings())
    }

    /// An environment variable of the platform.
    fn variable(&self, name: &str) -> Option<String> {
        let origin = &self.endpoint.origin;
        Some(match name {
            "IDENTITY_ENDPOINT" => format!("{origin}/msi/token"),
            "IDENTITY_HEADER" => "secret of the platform".to_owned(),
            "IDENTITY_SERVER_THUMBPRINT" => certificate().thumbprint.clone(),
            "MSI_ENDPOINT" => format!("{origin}/oauth2/token"),
            "AZURE_CLIENT_ID" => CLIENT.to_owned(),
            "AZURE_TENANT_ID" => "contoso.com".to_owned(),
            "AZURE_FEDERATED_TOKEN_FILE" => {
                self.files.path().join("assertion").display().to_string()
            }
            "AZURE_AUTHORITY_HOST" => format!("{origin}/"),
            _ => return None,
        })
    }

    /// The expiry of a token from the endpoint, absolute and relative.
    pub async fn fetch(
        &self,
        identity: Option<UserAssigned>,
    ) -> Result<(u64, Option<u64>), TokenError> {
        let source = self.source(identity).unwrap();
        let issued = source.fetch(&vault()).await?;
        assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret");
        Ok((issued.token.expires_on(), issued.expires_in.map(|left| left.as_secs())))
    }
}

pub fn vault() -> Audience {
    Audience::new("https://vault.azure.net").unwrap()
}

pub fn name(error: &TokenError) -> &'static str {
    match error {
        TokenError::IdentityNotFound { .. } => "identity not found",
        TokenError::SeveralIdentities { .. } => "several identities",
        TokenError::ResourceUnknown { .. } => "resource unknown",
        TokenError::Unreachable { .. } => "unreachable",
        TokenError::NoManagedIdentity { .. } => "no managed identity",
        TokenError::WrongIdentity { .. } => "wrong identity",
        TokenError::Untrusted { .. } => "untrusted",
        TokenError::File { .. } => "file",
        TokenError::Command { .. } => "command",
        TokenError::Rejected { .. } => "rejected",
        TokenError::Throttled { .. } => "throttled",
        TokenError::Unavailable { .. } => "unavailable",
        TokenError::Malformed { .. } => "malformed",
        TokenError::Expired { .. } => "expired",
    }
}
