//! The directory: the machine's identities, and what each may do.

use std::fmt;

/// A managed identity.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// A name for people and tests.
    pub name: String,
    /// Its client id.
    pub client_id: String,
    /// Its object id.
    pub object_id: String,
    /// Its resource id; `None` for the system-assigned one.
    pub resource_id: Option<String>,
    /// What it may do: a service (`vault`, `arm`, `storage`, `sql`) and the beginning of a path. `storage` stands for Blob and both
    /// Data Lakes, and is needed beside `arm` at the path of `listServiceSas`.
    pub roles: Vec<(String, String)>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Identity {
    /// The machine's system-assigned identity, which may do nothing yet.
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

    /// A user-assigned identity of this name, the `number`th, which may do nothing yet.
    #[must_use]
    pub fn user_assigned(name: &str, number: u8) -> Self {
        let provider = "Microsoft.ManagedIdentity/userAssignedIdentities";
        let resource = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/identities/providers/{provider}/{name}");
        Self {
            name: name.to_owned(),
            client_id: format!("22222222-aaaa-4aaa-8aaa-{number:012}"),
            object_id: format!("22222222-bbbb-4bbb-8bbb-{number:012}"),
            resource_id: Some(resource),
            roles: Vec::new(),
        }
    }

    /// The same, with a role: it may do everything at paths of a service that begin so, in whatever case.
    #[must_use]
    pub fn role(mut self, service: &str, path: &str) -> Self {
        self.roles.push((service.to_owned(), path.to_ascii_lowercase()));
        self
    }

    pub(crate) fn may(&self, service: &str, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        self.roles.iter().any(|(of, begins)| of == service && path.starts_with(begins.as_str()))
    }
}

/// The subscription that everything is in.
pub const SUBSCRIPTION: &str = "00000000-1111-4222-8333-444444444444";

/// The tenant.
pub const TENANT: &str = "99999999-8888-4777-8666-555555555555";

/// The identities of the machine.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    identities: Vec<Identity>,
}

impl Directory {
    /// No identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more identity.
    #[must_use]
    pub fn with(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// The machine of the demo. Its system-assigned identity may read secrets and the resource group `demo`, and
    /// everything in storage and the database; the user-assigned identity `reports` may read the resource group `reports`; `idle` may do nothing.
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

    pub(crate) fn find(&self, like: impl Fn(&Identity) -> bool) -> Option<&Identity> {
        self.identities.iter().find(|identity| like(identity))
    }

    pub(crate) fn len(&self) -> usize {
        self.identities.len()
    }

    /// The identity of this name.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<&Identity> {
        self.find(|identity| identity.name == name)
    }
}
