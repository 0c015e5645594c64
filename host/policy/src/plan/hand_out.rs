//! `hand_out`: the operations whose credentials a mount gives to its callers.

use std::collections::BTreeSet;

use crate::config::MountConfig;
use crate::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::text::{nearest, one_of};

/// Grants what a mount hands out, and returns the operations' names as the table has them.
pub(super) fn grant(
    mount: &MountConfig,
    header: &str,
    manifest: &Manifest,
    grants: &mut [Grant],
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let known: BTreeSet<&'static str> =
        grants.iter().flat_map(|grant| grant.minting.names()).collect();
    let mut names = BTreeSet::new();
    for Located { value, place } in &mount.hand_out {
        if let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(value)) {
            names.insert((*name).to_owned());
            continue;
        }
        // Without a grant there is another mistake to be reported first.
        if grants.is_empty() {
            continue;
        }
        let all = || known.iter().copied();
        let message = format!(
            "`{value}` in `hand_out` of {header} is not an operation there whose response is a \
             credential"
        );
        let mut diagnostic = Diagnostic::new(place.clone(), message).expected(one_of(all()));
        if let Some(suggestion) = nearest(value, all()) {
            diagnostic = diagnostic.write(format!("hand_out = [{suggestion:?}]"));
        }
        diagnostics.push(diagnostic);
    }
    names.extend(exported(mount, header, manifest, grants, diagnostics));
    for grant in grants {
        let of_the_grant =
            grant.minting.names().filter(|name| names.contains(*name)).map(str::to_owned);
        grant.minting.hand_out = of_the_grant.collect();
    }
    names.into_iter().collect()
}

/// The operations that `sas_export = true` means: those whose responses the plugin can hand out by
/// a route of its own.
fn exported(
    mount: &MountConfig,
    header: &str,
    manifest: &Manifest,
    grants: &[Grant],
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let Some(Located { value: true, place }) = &mount.sas_export else { return Vec::new() };
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
        diagnostics.push(Diagnostic::new(place.clone(), message).help("remove this line"));
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
