//! `hand_out`: the operations whose credentials a mount hands out to its callers.

use std::collections::BTreeSet;

use crate::config::MountConfig;
use crate::diagnostic::{Diagnostic, Diagnostics, Spanned};
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::text::{nearest, one_of};

/// Adds the operations of `hand_out` to the grants of a mount. Returns their names, as the table
/// spells them.
pub(super) fn apply(
    mount: &MountConfig,
    header: &str,
    manifest: &Manifest,
    grants: &mut [Grant],
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let known: BTreeSet<&'static str> =
        grants.iter().flat_map(|grant| grant.minting.names()).collect();
    let mut names = BTreeSet::new();
    for Spanned { value, location } in &mount.hand_out {
        if let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(value)) {
            names.insert((*name).to_owned());
            continue;
        }
        // Without a grant, another mistake is already reported.
        if grants.is_empty() {
            continue;
        }
        let all = || known.iter().copied();
        let message = format!(
            "`{value}` in `hand_out` of {header} is not an operation of its endpoints whose \
             response is a credential"
        );
        let mut diagnostic = Diagnostic::new(location.clone(), message).expected(one_of(all()));
        if let Some(suggestion) = nearest(value, all()) {
            diagnostic = diagnostic.write(format!("hand_out = [{suggestion:?}]"));
        }
        diagnostics.push(diagnostic);
    }
    names.extend(exported(mount, header, manifest, grants, diagnostics));
    for grant in grants {
        let hand_out =
            grant.minting.names().filter(|name| names.contains(*name)).map(str::to_owned);
        grant.minting.hand_out = hand_out.collect();
    }
    names.into_iter().collect()
}

/// The operations that `sas_export = true` hands out: those with a rule in the manifest that has
/// `export`.
fn exported(
    mount: &MountConfig,
    header: &str,
    manifest: &Manifest,
    grants: &[Grant],
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let Some(Spanned { value: true, location }) = &mount.sas_export else { return Vec::new() };
    let exports = manifest
        .audiences
        .iter()
        .flat_map(|audience| &audience.seal)
        .any(|seal| seal.export.is_some());
    if !exports {
        let message = format!(
            "`sas_export` in {header}, but the plugin `{}` has nothing to export",
            manifest.name
        );
        diagnostics.push(Diagnostic::new(location.clone(), message).help("remove this line"));
    }
    let of_grant = |grant: &Grant| -> Vec<String> {
        let seals = grant.seals.iter().filter(|seal| seal.export.is_some());
        seals
            .filter_map(|seal| grant.minting.operation_with_secret(&seal.field))
            .map(|found| found.name.clone())
            .collect()
    };
    grants.iter().flat_map(of_grant).collect()
}
