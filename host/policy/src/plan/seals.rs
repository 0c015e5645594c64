//! The fields of a mount's responses that are sealed: those that the manifest declares, and the
//! secrets of a Key Vault that is not the mount's first audience.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mount_planner::MountPlanner;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::endpoint::Protocol;
use crate::grant::{Grant, Seal};
use crate::manifest::{DeclaredSeal, Manifest, SpendPlace};
use crate::text::toml_key;

/// Key Vault's name in the cloud table.
const VAULT: &str = "vault";

/// The field of Key Vault's responses that has a secret.
const SECRET: &str = "/value";

impl MountPlanner<'_> {
    /// Adds the seals that the manifest declares to the grants. A value that no grant can spend is
    /// sealed too.
    pub(super) fn seals(&mut self, manifest: &Manifest, grants: &mut [Grant]) {
        let names: Vec<Arc<str>> = grants.iter().map(|grant| Arc::clone(&grant.name)).collect();
        for grant in grants.iter_mut() {
            let Some(declared) = manifest.audience(&grant.name) else { continue };
            for seal in &declared.seal {
                let DeclaredSeal { field, spend, place, keep, export } = seal.clone();
                if manifest.audience(&spend).is_none() {
                    let message = format!(
                        "the plugin `{}` seals `{field}` for the audience `{spend}`, which it \
                         does not declare",
                        manifest.name
                    );
                    self.diagnostics
                        .push(Diagnostic::new(self.mount.plugin.location.clone(), message));
                }
                let spend = names.iter().find(|name| ***name == *spend).cloned();
                grant.seals.push(Seal { field, spend, place, keep, export, imposed: false });
            }
        }
        self.impose_seals(manifest, grants);
    }

    /// Seals the secrets of a Key Vault that is not the mount's first audience. The mount is for
    /// another service, and its plugin needs a secret of the vault only to log in there. `unseal`
    /// shows the secrets to the plugin.
    fn impose_seals(&mut self, manifest: &Manifest, grants: &mut [Grant]) {
        let first = manifest.audiences.first().map(|first| first.name.as_str());
        // The secret may be the password of a database. For other services it cannot be spent.
        let is_database = |grant: &Grant| {
            Some(&*grant.name) == first && grant.endpoint.protocol == Protocol::SqlServer
        };
        let spend = grants.iter().find(|grant| is_database(grant)).map(|grant| grant.name.clone());
        let spend_places: BTreeMap<Arc<str>, Option<SpendPlace>> =
            grants.iter().map(|grant| (grant.name.clone(), spend_place_at(grant))).collect();
        let mut unused: Vec<(String, &Spanned<bool>)> = Vec::new();
        unused.extend(self.mount.first.unseal.as_ref().map(|unseal| (self.header.clone(), unseal)));
        for (name, audience) in &self.mount.audiences {
            let header = format!("[mount.{}.audience.{}]", toml_key(self.name), toml_key(name));
            unused.extend(audience.unseal.as_ref().map(|unseal| (header, unseal)));
        }
        for grant in grants.iter_mut().filter(|grant| Some(&*grant.name) != first) {
            if !grant.minting.services.contains(VAULT) {
                continue;
            }
            let is_spendable = |seal: &Seal| {
                let place = seal.spend.as_ref().and_then(|spend| spend_places.get(spend));
                place.is_none_or(|place| *place == Some(seal.place))
            };
            if grant.seals.iter().any(|seal| seal.field == SECRET && is_spendable(seal)) {
                continue;
            }
            let unseal = self
                .mount
                .audiences
                .get(&*grant.name)
                .and_then(|configured| configured.unseal.as_ref());
            let header =
                format!("[mount.{}.audience.{}]", toml_key(self.name), toml_key(&grant.name));
            unused.retain(|(other, _)| *other != header);
            grant.unsealed = unseal.is_some_and(|unseal| unseal.value);
            if !grant.unsealed {
                // The manifest must not make the host send a secret elsewhere, such as in a query
                // to its author's host.
                grant.seals.retain(|seal| seal.field != SECRET);
                let (field, place) = (SECRET.to_owned(), SpendPlace::LoginPassword);
                let spend = spend.clone();
                grant.seals.push(Seal {
                    field,
                    spend,
                    place,
                    keep: None,
                    export: None,
                    imposed: true,
                });
            }
        }
        for (header, Spanned { location, .. }) in unused {
            let message = format!(
                "`unseal` in {header}, where Keyward seals nothing in addition to what the \
                 manifest declares"
            );
            let expected = "`unseal` only for a Key Vault that is not the mount's first audience, \
                            and whose `/value` the manifest does not seal";
            self.diagnostics.push(Diagnostic::new(location.clone(), message).expected(expected));
        }
    }
}

/// The part of a request to a grant's endpoint where a secret of a Key Vault may be a credential.
fn spend_place_at(grant: &Grant) -> Option<SpendPlace> {
    match grant.endpoint.protocol {
        Protocol::SqlServer => Some(SpendPlace::LoginPassword),
        Protocol::Https if grant.minting.is_storage() => Some(SpendPlace::Query),
        Protocol::Https => None,
    }
}
