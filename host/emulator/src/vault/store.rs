//! What a vault holds: objects with their versions, those that were deleted and can be recovered, and backups.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::{certificates, keys};
use crate::authority::now;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Collection {
    Secrets,
    Keys,
    Certificates,
}

impl Collection {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "secrets" => Some(Self::Secrets),
            "keys" => Some(Self::Keys),
            "certificates" => Some(Self::Certificates),
            _ => None,
        }
    }

    /// The collection of `deletedsecrets` and the like.
    pub(super) fn deleted(name: &str) -> Option<Self> {
        Self::named(name.strip_prefix("deleted")?)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Keys => "keys",
            Self::Certificates => "certificates",
        }
    }

    /// As its errors name it: `SecretNotFound`.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Secrets => "Secret",
            Self::Keys => "Key",
            Self::Certificates => "Certificate",
        }
    }
}

/// An object: its versions, the newest last, and what does not belong to one of them.
#[derive(Clone, Default)]
pub(super) struct Object {
    pub(super) versions: Vec<Version>,
    /// A certificate's policy, or a key's rotation policy.
    pub(super) policy: Option<Value>,
    /// A certificate's operation that is under way, or was last.
    pub(super) pending: Option<Value>,
}

/// A version of an object: what it is beside its id and attributes.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) content: Map<String, Value>,
    /// `enabled`, `nbf`, `exp`, as they were given.
    pub(super) attributes: Map<String, Value>,
    pub(super) created: u64,
    pub(super) updated: u64,
}

/// An object that was deleted.
pub(super) struct Deleted {
    pub(super) object: Object,
    pub(super) at: u64,
}

/// One vault.
#[derive(Default)]
pub(super) struct Vault {
    objects: BTreeMap<Collection, BTreeMap<String, Object>>,
    deleted: BTreeMap<Collection, BTreeMap<String, Deleted>>,
    backups: BTreeMap<String, (Collection, String, Object)>,
    /// How many versions it has made.
    made: u64,
}

impl Version {
    pub(super) fn is_enabled(&self) -> bool {
        self.attributes.get("enabled") != Some(&Value::Bool(false))
    }

    /// Takes the members of an update.
    pub(super) fn update(&mut self, update: &Value) {
        if let Some(attributes) = update.get("attributes").and_then(Value::as_object) {
            self.attributes.extend(given(attributes));
        }
        for name in ["tags", "contentType", "key_ops"] {
            match (update.get(name), self.content.get_mut("key").and_then(Value::as_object_mut)) {
                (None | Some(Value::Null), _) => {}
                (Some(value), Some(key)) if name == "key_ops" => drop(key.insert(name.to_owned(), value.clone())),
                (Some(value), _) => drop(self.content.insert(name.to_owned(), value.clone())),
            }
        }
        self.updated = now();
    }
}

/// The attributes that a client may set, as far as it does.
fn given(attributes: &Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    let settable = |name: &str| matches!(name, "enabled" | "nbf" | "exp" | "exportable");
    let given = attributes.iter().filter(move |(name, value)| settable(name) && !value.is_null());
    given.map(|(name, value)| (name.clone(), value.clone()))
}

impl Vault {
    /// The vault of the demo.
    pub(super) fn contoso() -> Result<Self, String> {
        let mut vault = Self::default();
        let secret = |value: &str| json!({ "value": value, "contentType": "text/plain" });
        let mut put = |collection, name: &str, content: Value| {
            vault.put(collection, name, content).map(drop).map_err(|refusal| format!("{refusal:?}"))
        };
        put(Collection::Secrets, "db", secret("swordfish-in-the-harbour"))?;
        put(Collection::Secrets, "api-key", secret("a-key-for-an-api"))?;
        put(Collection::Secrets, "sql-password", secret(crate::sql::PASSWORD))?;
        put(Collection::Keys, "signing", keys::content("P-256", &json!({ "key_ops": ["sign", "verify"] }))?)?;
        certificates::make(&mut vault, "web", &certificates::default_policy("CN=web"), &Value::Null)?;
        Ok(vault)
    }

    /// A further version of an object. `content` may have `attributes`.
    ///
    /// # Errors
    ///
    /// The name is that of an object that was deleted and not purged.
    pub(super) fn put(&mut self, collection: Collection, name: &str, content: Value) -> Result<Version, Refusal> {
        self.free(collection, name)?;
        let mut content = if let Value::Object(content) = content { content } else { Map::new() };
        content.retain(|_, value| !value.is_null());
        let attributes = content.remove("attributes");
        let attributes = attributes.as_ref().and_then(Value::as_object).map(|it| given(it).collect());
        self.made += 1;
        let at = now();
        let version = Version {
            id: format!("{:032x}", self.made),
            content,
            attributes: attributes.unwrap_or_default(),
            created: at,
            updated: at,
        };
        let objects = self.objects.entry(collection).or_default();
        objects.entry(name.to_owned()).or_default().versions.push(version.clone());
        Ok(version)
    }

    /// Whether a name may be given to an object.
    pub(super) fn free(&self, collection: Collection, name: &str) -> Result<(), Refusal> {
        let taken = self.deleted.get(&collection).is_some_and(|deleted| deleted.contains_key(name));
        if taken { Err(Refusal::recoverable(collection, name)) } else { Ok(()) }
    }

    pub(super) fn all(&self, collection: Collection) -> impl Iterator<Item = (&str, &Object)> {
        self.objects.get(&collection).into_iter().flatten().map(|(name, object)| (name.as_str(), object))
    }

    pub(super) fn get(&self, collection: Collection, name: &str) -> Result<&Object, Refusal> {
        let object = self.objects.get(&collection).and_then(|objects| objects.get(name));
        object.ok_or_else(|| Refusal::missing(collection, name))
    }

    pub(super) fn get_mut(&mut self, collection: Collection, name: &str) -> Result<&mut Object, Refusal> {
        let object = self.objects.get_mut(&collection).and_then(|objects| objects.get_mut(name));
        object.ok_or_else(|| Refusal::missing(collection, name))
    }

    /// Its object, made where there is none.
    pub(super) fn entry(&mut self, collection: Collection, name: &str) -> &mut Object {
        self.objects.entry(collection).or_default().entry(name.to_owned()).or_default()
    }

    pub(super) fn all_deleted(&self, collection: Collection) -> impl Iterator<Item = (&str, &Deleted)> {
        self.deleted.get(&collection).into_iter().flatten().map(|(name, deleted)| (name.as_str(), deleted))
    }

    pub(super) fn get_deleted(&self, collection: Collection, name: &str) -> Result<&Deleted, Refusal> {
        let deleted = self.deleted.get(&collection).and_then(|deleted| deleted.get(name));
        deleted.ok_or_else(|| Refusal::not_deleted(collection, name))
    }

    /// Deletes an object; a certificate with its key and its secret.
    pub(super) fn delete(&mut self, collection: Collection, name: &str) -> Result<(), Refusal> {
        self.get(collection, name)?;
        for collection in Self::with(collection) {
            if let Some(object) = self.objects.get_mut(collection).and_then(|objects| objects.remove(name)) {
                let deleted = Deleted { object, at: now() };
                self.deleted.entry(*collection).or_default().insert(name.to_owned(), deleted);
            }
        }
        Ok(())
    }

    pub(super) fn recover(&mut self, collection: Collection, name: &str) -> Result<(), Refusal> {
        self.get_deleted(collection, name)?;
        for collection in Self::with(collection) {
            if let Some(deleted) = self.deleted.get_mut(collection).and_then(|deleted| deleted.remove(name)) {
                self.objects.entry(*collection).or_default().insert(name.to_owned(), deleted.object);
            }
        }
        Ok(())
    }

    pub(super) fn purge(&mut self, collection: Collection, name: &str) -> Result<(), Refusal> {
        self.get_deleted(collection, name)?;
        for collection in Self::with(collection) {
            self.deleted.get_mut(collection).map(|deleted| deleted.remove(name));
        }
        Ok(())
    }

    /// What goes with an object of a collection.
    fn with(collection: Collection) -> &'static [Collection] {
        match collection {
            Collection::Secrets => &[Collection::Secrets],
            Collection::Keys => &[Collection::Keys],
            Collection::Certificates => &[Collection::Certificates, Collection::Keys, Collection::Secrets],
        }
    }

    /// Keeps a copy of an object, and gives the name of the copy.
    pub(super) fn back_up(&mut self, collection: Collection, name: &str) -> Result<String, Refusal> {
        let object = self.get(collection, name)?.clone();
        let backup = format!("backup-{}-of-{}-{name}", self.backups.len() + 1, collection.name());
        self.backups.insert(backup.clone(), (collection, name.to_owned(), object));
        Ok(backup)
    }

    /// Puts a copy back, and gives the name of the object.
    pub(super) fn restore(&mut self, collection: Collection, backup: &str) -> Result<String, Refusal> {
        let unknown = || Refusal::bad("The backup is not one of this vault.");
        let (of, name, object) = self.backups.get(backup).cloned().ok_or_else(unknown)?;
        if of != collection {
            return Err(unknown());
        }
        self.free(collection, &name)?;
        if self.get(collection, &name).is_ok() {
            return Err(Refusal::exists(collection, &name));
        }
        *self.entry(collection, &name) = object;
        Ok(name)
    }
}
