//! What is sealed of a mount's responses: what the manifest declares, and what a further Key Vault
//! holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mount::Planning;
use crate::diagnostic::{Diagnostic, Located};
use crate::endpoint::Protocol;
use crate::grant::{Grant, Seal};
use crate::manifest::{DeclaredSeal, Manifest, SpendPlace};
use crate::text::bare;

/// The service whose responses hold secrets, by its name in the cloud table, and the field that
/// holds one.
const VAULT: &str = "vault";
const SECRET: &str = "/value";

impl Planning<'_> {
    /// Ties what is sealed to the grants where it may be spent. Without one, the value is sealed
    /// all the same.
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
                        .push(Diagnostic::new(self.mount.plugin.place.clone(), message));
                }
                let spend = names.iter().find(|name| ***name == *spend).cloned();
                grant.seals.push(Seal { field, spend, place, keep, export, imposed: false });
            }
        }
        self.impose(manifest, grants);
    }

    /// Seals the secrets of a Key Vault that is not the mount's own endpoint: the mount is for
    /// another service, and the plugin needs a secret of the vault to log in there. Only the
    /// operator shows them to the plugin (`unseal`).
    fn impose(&mut self, manifest: &Manifest, grants: &mut [Grant]) {
        let first = manifest.audiences.first().map(|first| first.name.as_str());
        // Where there is a database, the secret can be its password. Elsewhere it is spent nowhere.
        let is_database = |grant: &Grant| {
            Some(&*grant.name) == first && grant.endpoint.protocol == Protocol::SqlServer
        };
        let spend = grants.iter().find(|grant| is_database(grant)).map(|grant| grant.name.clone());
        let places: BTreeMap<Arc<str>, Option<SpendPlace>> =
            grants.iter().map(|grant| (grant.name.clone(), place_at(grant))).collect();
        let mut unused: Vec<(String, &Located<bool>)> = Vec::new();
        unused.extend(self.mount.first.unseal.as_ref().map(|unseal| (self.header.clone(), unseal)));
        for (name, audience) in &self.mount.audiences {
            let header = format!("[mount.{}.audience.{}]", bare(self.name), bare(name));
            unused.extend(audience.unseal.as_ref().map(|unseal| (header, unseal)));
        }
        for grant in grants.iter_mut().filter(|grant| Some(&*grant.name) != first) {
            if !grant.minting.services.contains(VAULT) {
                continue;
            }
            let fits = |seal: &Seal| {
                let place = seal.spend.as_ref().and_then(|spend| places.get(spend));
                place.is_none_or(|place| *place == Some(seal.place))
            };
            if grant.seals.iter().any(|seal| seal.field == SECRET && fits(seal)) {
                continue;
            }
            let unseal = self
                .mount
                .audiences
                .get(&*grant.name)
                .and_then(|configured| configured.unseal.as_ref());
            let header = format!("[mount.{}.audience.{}]", bare(self.name), bare(&grant.name));
            unused.retain(|(other, _)| *other != header);
            grant.unsealed = unseal.is_some_and(|unseal| unseal.value);
            if !grant.unsealed {
                // A manifest does not choose to send a secret anywhere else, such as in a query to
                // its author's host.
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
        for (header, Located { place, .. }) in unused {
            let message = format!(
                "`unseal` in {header}, where Keyward seals nothing beside what the manifest \
                 declares"
            );
            let expected = "`unseal` only for a Key Vault that is not the mount's first audience, and whose `/value` the \
                            manifest does not seal";
            self.diagnostics.push(Diagnostic::new(place.clone(), message).expected(expected));
        }
    }
}

/// The place in a request to a grant's endpoint where a secret of a Key Vault is a credential of
/// that service's.
fn place_at(grant: &Grant) -> Option<SpendPlace> {
    match grant.endpoint.protocol {
        Protocol::SqlServer => Some(SpendPlace::LoginPassword),
        Protocol::Https if grant.minting.is_storage() => Some(SpendPlace::Query),
        Protocol::Https => None,
    }
}
