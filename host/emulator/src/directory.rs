//! The directory: the machine's identities and their roles.

use std::fmt;

/// A managed identity.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// A display name.
    pub name: String,
    /// The client id.
    pub client_id: String,
    /// The object id.
    pub object_id: String,
    /// The resource id; `None` for the system-assigned identity.
    pub resource_id: Option<String>,
    /// Its roles: a service (`vault`, `arm`, `storage`, `sql`) and a prefix of paths. `storage` is
    /// Blob and both Data Lakes; `listServiceSas` needs it in addition to `arm`.
    pub roles: Vec<(String, String)>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Identity {
    /// The machine's system-assigned identity, without roles.
    #[must_use]
    pub fn system_assigned() -> Self {
        Self {
            name: "system".to_owned(),
            client_id: "11111111-aaaa-4aaa-8aaa-000000000001".to_owned(),
            object_id: "11111111-bbbb-4bbb-8bbb-000000000001".to_owned(),
            resource_id: None,
            roles: Vec::new(),
        }
    }

    /// A user-assigned identity without roles. Its ids contain `number`.
    #[must_use]
    pub fn user_assigned(name: &str, number: u8) -> Self {
        let provider = "Microsoft.ManagedIdentity/userAssignedIdentities";
        let resource = format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/identities/providers/{provider}/{name}"
        );
        Self {
            name: name.to_owned(),
            client_id: format!("22222222-aaaa-4aaa-8aaa-{number:012}"),
            object_id: format!("22222222-bbbb-4bbb-8bbb-{number:012}"),
            resource_id: Some(resource),
            roles: Vec::new(),
        }
    }

    /// Adds a role: every operation on the paths of a service with this prefix. Case is ignored.
    #[must_use]
    pub fn role(mut self, service: &str, path: &str) -> Self {
        self.roles.push((service.to_owned(), path.to_ascii_lowercase()));
        self
    }

    /// Whether a role covers a path of a service.
    pub(crate) fn is_allowed(&self, service: &str, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        self.roles.iter().any(|(name, prefix)| name == service && path.starts_with(prefix.as_str()))
    }
}

/// The id of the subscription.
pub const SUBSCRIPTION: &str = "00000000-1111-4222-8333-444444444444";

/// The id of the tenant.
pub const TENANT: &str = "99999999-8888-4777-8666-555555555555";

/// The identities of the machine.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    identities: Vec<Identity>,
}

impl Directory {
    /// A directory without identities.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identity.
    #[must_use]
    pub fn with(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// The machine of the demo. The system-assigned identity can access the vault, storage, the
    /// database and the resource group `demo`; the user-assigned identity `reports` can access the
    /// resource group `reports`; `idle` has no role.
    #[must_use]
    pub fn contoso() -> Self {
        let group = |name: &str| format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}");
        let system = Identity::system_assigned()
            .role("vault", "/")
            .role("storage", "/")
            .role("sql", "/")
            .role("arm", &group("demo"))
            .role("arm", &format!("/subscriptions/{SUBSCRIPTION}/operationresults/"))
            .role("arm", &format!("/subscriptions/{SUBSCRIPTION}/providers/"));
        let reports = Identity::user_assigned("reports", 1)
            .role("arm", &group("reports"))
            .role("arm", &format!("/subscriptions/{SUBSCRIPTION}/resourceGroups"))
            .role("arm", "/subscriptions");
        Self::new().with(system).with(reports).with(Identity::user_assigned("idle", 2))
    }

    pub(crate) fn system_assigned(&self) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.resource_id.is_none())
    }

    pub(crate) fn find(&self, predicate: impl Fn(&Identity) -> bool) -> Option<&Identity> {
        self.identities.iter().find(|identity| predicate(identity))
    }

    pub(crate) fn len(&self) -> usize {
        self.identities.len()
    }

    /// Returns the identity with this name.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<&Identity> {
        self.find(|identity| identity.name == name)
    }
}
