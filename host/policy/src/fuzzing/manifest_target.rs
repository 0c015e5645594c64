//! Manifests, and the components that have them.

use super::diagnostics;
use super::sample_plugin::component;
use crate::cloud::Cloud;
use crate::manifest::{Manifest, ManifestError, read_text};
use crate::plan::disabled_features_of;

const FILE: &str = "manifest.toml";

pub(super) fn check(input: &[u8]) {
    if input.starts_with(b"\0asm") {
        check_component(input);
        return;
    }
    let text = String::from_utf8_lossy(input);
    let parsed = Manifest::parse(FILE, &text);
    match &parsed {
        Ok(manifest) => check_manifest(manifest),
        Err(error) => {
            assert!(!error.diagnostics().is_empty(), "an error has a mistake");
            diagnostics::check(error.diagnostics(), FILE, &text);
        }
    }
    let component = component(&text);
    assert_eq!(read_text(&component).ok().as_deref(), Some(&*text), "the section has the text");
    match Manifest::of_component(FILE, &component) {
        Ok(manifest) => assert_eq!(format!("{:?}", parsed.ok()), format!("{:?}", Some(manifest))),
        Err(ManifestError::Invalid(error)) => {
            let here = parsed.err().map(|error| error.diagnostics().len());
            assert_eq!(here, Some(error.diagnostics().len()), "{error}");
        }
        Err(other) => unreachable!("the component has a manifest: {other}"),
    }
}

fn check_manifest(manifest: &Manifest) {
    assert!(!manifest.name.is_empty() && !manifest.name.contains(['/', '.', ' ']));
    for audience in &manifest.audiences {
        let named = manifest.audiences.iter().filter(|other| other.name == audience.name);
        assert_eq!(named.count(), 1, "{}", audience.name);
        for cloud in Cloud::names().filter_map(Cloud::named) {
            if let Ok(services) = audience.resolve(cloud) {
                assert!(!services.is_empty(), "{}", audience.name);
            }
        }
        assert!(audience.seal.iter().all(|seal| seal.field.starts_with('/')));
    }
}

fn check_component(bytes: &[u8]) {
    let _ = disabled_features_of(bytes);
    match Manifest::of_component(FILE, bytes) {
        Ok(manifest) => check_manifest(&manifest),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
