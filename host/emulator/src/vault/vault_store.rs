//! The content of a vault: objects with their versions, deleted objects, and backups.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::collection::Collection;
use super::vault_error::VaultError;
use crate::token_issuer::now;

/// An object: its versions, the latest last, and what is not part of a version.
#[derive(Clone, Default)]
pub(super) struct Object {
    pub(super) versions: Vec<Version>,
    /// A certificate's policy, or a key's rotation policy.
    pub(super) policy: Option<Value>,
    /// The current or last operation that creates a certificate.
    pub(super) pending: Option<Value>,
}

/// A version of an object.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) content: Map<String, Value>,
    /// `enabled`, `nbf`, `exp` and `exportable`, as a client has set them.
    pub(super) attributes: Map<String, Value>,
    pub(super) created: u64,
    pub(super) updated: u64,
}

/// A deleted object.
pub(super) struct Deleted {
    pub(super) object: Object,
    pub(super) deleted_at: u64,
}

/// One vault.
#[derive(Default)]
pub(super) struct Vault {
    objects: BTreeMap<Collection, BTreeMap<String, Object>>,
    deleted: BTreeMap<Collection, BTreeMap<String, Deleted>>,
    backups: BTreeMap<String, (Collection, String, Object)>,
    /// The number of versions so far.
    version_count: u64,
}

impl Version {
    pub(super) fn is_enabled(&self) -> bool {
        self.attributes.get("enabled") != Some(&Value::Bool(false))
    }

    /// Applies an update.
    pub(super) fn update(&mut self, update: &Value) {
        if let Some(attributes) = update.get("attributes").and_then(Value::as_object) {
            self.attributes.extend(settable(attributes));
        }
        for name in ["tags", "contentType", "key_ops"] {
            match (update.get(name), self.content.get_mut("key").and_then(Value::as_object_mut)) {
                (None | Some(Value::Null), _) => {}
                (Some(value), Some(key)) if name == "key_ops" => {
                    drop(key.insert(name.to_owned(), value.clone()));
                }
                (Some(value), _) => drop(self.content.insert(name.to_owned(), value.clone())),
            }
        }
        self.updated = now();
    }
}

/// The attributes that a client can set.
fn settable(attributes: &Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    let is_settable = |name: &str| matches!(name, "enabled" | "nbf" | "exp" | "exportable");
    let settable =
        attributes.iter().filter(move |(name, value)| is_settable(name) && !value.is_null());
    settable.map(|(name, value)| (name.clone(), value.clone()))
}

impl Vault {
    /// Adds a version to an object, which is created if needed. `content` may have `attributes`.
    ///
    /// # Errors
    ///
    /// The name is that of a deleted object.
    pub(super) fn put(
        &mut self,
        collection: Collection,
        name: &str,
        content: Value,
    ) -> Result<Version, VaultError> {
        self.check_name(collection, name)?;
        let mut content = if let Value::Object(content) = content { content } else { Map::new() };
        content.retain(|_, value| !value.is_null());
        let attributes = content.remove("attributes");
        let attributes = attributes
            .as_ref()
            .and_then(Value::as_object)
            .map(|attributes| settable(attributes).collect());
        self.version_count += 1;
        let time = now();
        let version = Version {
            id: format!("{:032x}", self.version_count),
            content,
            attributes: attributes.unwrap_or_default(),
            created: time,
            updated: time,
        };
        let objects = self.objects.entry(collection).or_default();
        objects.entry(name.to_owned()).or_default().versions.push(version.clone());
        Ok(version)
    }

    /// Fails if the name is that of a deleted object.
    pub(super) fn check_name(&self, collection: Collection, name: &str) -> Result<(), VaultError> {
        let taken = self.deleted.get(&collection).is_some_and(|deleted| deleted.contains_key(name));
        if taken { Err(VaultError::recoverable(collection, name)) } else { Ok(()) }
    }

    pub(super) fn all(&self, collection: Collection) -> impl Iterator<Item = (&str, &Object)> {
        self.objects
            .get(&collection)
            .into_iter()
            .flatten()
            .map(|(name, object)| (name.as_str(), object))
    }

    pub(super) fn get(&self, collection: Collection, name: &str) -> Result<&Object, VaultError> {
        let object = self.objects.get(&collection).and_then(|objects| objects.get(name));
        object.ok_or_else(|| VaultError::object_not_found(collection, name))
    }

    pub(super) fn get_mut(
        &mut self,
        collection: Collection,
        name: &str,
    ) -> Result<&mut Object, VaultError> {
        let object = self.objects.get_mut(&collection).and_then(|objects| objects.get_mut(name));
        object.ok_or_else(|| VaultError::object_not_found(collection, name))
    }

    /// The object with this name, which is created if needed.
    pub(super) fn entry(&mut self, collection: Collection, name: &str) -> &mut Object {
        self.objects.entry(collection).or_default().entry(name.to_owned()).or_default()
    }

    pub(super) fn all_deleted(
        &self,
        collection: Collection,
    ) -> impl Iterator<Item = (&str, &Deleted)> {
        self.deleted
            .get(&collection)
            .into_iter()
            .flatten()
            .map(|(name, deleted)| (name.as_str(), deleted))
    }

    pub(super) fn get_deleted(
        &self,
        collection: Collection,
        name: &str,
    ) -> Result<&Deleted, VaultError> {
        let deleted = self.deleted.get(&collection).and_then(|deleted| deleted.get(name));
        deleted.ok_or_else(|| VaultError::deleted_not_found(collection, name))
    }

    /// Deletes an object, and with a certificate its key and its secret.
    pub(super) fn delete(&mut self, collection: Collection, name: &str) -> Result<(), VaultError> {
        self.get(collection, name)?;
        for collection in Self::linked(collection) {
            if let Some(object) =
                self.objects.get_mut(collection).and_then(|objects| objects.remove(name))
            {
                let deleted = Deleted { object, deleted_at: now() };
                self.deleted.entry(*collection).or_default().insert(name.to_owned(), deleted);
            }
        }
        Ok(())
    }

    pub(super) fn recover(&mut self, collection: Collection, name: &str) -> Result<(), VaultError> {
        self.get_deleted(collection, name)?;
        for collection in Self::linked(collection) {
            if let Some(deleted) =
                self.deleted.get_mut(collection).and_then(|deleted| deleted.remove(name))
            {
                self.objects
                    .entry(*collection)
                    .or_default()
                    .insert(name.to_owned(), deleted.object);
            }
        }
        Ok(())
    }

    pub(super) fn purge(&mut self, collection: Collection, name: &str) -> Result<(), VaultError> {
        self.get_deleted(collection, name)?;
        for collection in Self::linked(collection) {
            self.deleted.get_mut(collection).map(|deleted| deleted.remove(name));
        }
        Ok(())
    }

    /// The collections whose objects are deleted and recovered together.
    fn linked(collection: Collection) -> &'static [Collection] {
        match collection {
            Collection::Secrets => &[Collection::Secrets],
            Collection::Keys => &[Collection::Keys],
            Collection::Certificates => {
                &[Collection::Certificates, Collection::Keys, Collection::Secrets]
            }
        }
    }

    /// Stores a copy of an object and returns the name of the copy.
    pub(super) fn back_up(
        &mut self,
        collection: Collection,
        name: &str,
    ) -> Result<String, VaultError> {
        let object = self.get(collection, name)?.clone();
        let backup = format!("backup-{}-of-{}-{name}", self.backups.len() + 1, collection.name());
        self.backups.insert(backup.clone(), (collection, name.to_owned(), object));
        Ok(backup)
    }

    /// Restores a copy and returns the name of the object.
    pub(super) fn restore(
        &mut self,
        collection: Collection,
        backup: &str,
    ) -> Result<String, VaultError> {
        let unknown = || VaultError::bad_parameter("The backup is not one of this vault.");
        let (original, name, object) = self.backups.get(backup).cloned().ok_or_else(unknown)?;
        if original != collection {
            return Err(unknown());
        }
        self.check_name(collection, &name)?;
        if self.get(collection, &name).is_ok() {
            return Err(VaultError::already_exists(collection, &name));
        }
        *self.entry(collection, &name) = object;
        Ok(name)
    }
}
