//! Components of the hostile guests in `guests/`.

static GUESTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The component of this name.
///
/// # Panics
///
/// There is no such guest.
#[must_use]
pub fn guest(name: &str) -> &'static [u8] {
    let found = GUESTS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no guest {name}")).1
}

/// The manifests of the guests, as they are compiled in.
const MANIFESTS: [&[u8]; 3] = [
    include_bytes!("../guests/manifest.toml"),
    include_bytes!("../guests/sealed.toml"),
    include_bytes!("../guests/sql.toml"),
];

/// The component of this name with another manifest, which must not be longer than its own.
///
/// # Panics
///
/// There is no such guest, or the manifest is longer.
#[must_use]
pub fn guest_with_manifest(name: &str, manifest: &str) -> Vec<u8> {
    let mut component = guest(name).to_vec();
    // The module's data contains the manifest as well; the section's name precedes the right one.
    let name = b"keyward:manifest";
    let start = component.windows(name.len()).position(|bytes| bytes == name).expect("a manifest")
        + name.len();
    let begins = |old: &&&[u8]| component.get(start..).is_some_and(|rest| rest.starts_with(old));
    let length = MANIFESTS.iter().find(begins).expect("a manifest of the guests").len();
    assert!(manifest.len() <= length, "the manifest is longer than the guest's own");
    let own = component.get_mut(start..start + length).expect("found");
    own.fill(b'\n');
    own.get_mut(..manifest.len()).expect("not longer").copy_from_slice(manifest.as_bytes());
    assert!(
        keyward_policy::manifest::read_text(&component)
            .is_ok_and(|text| text.starts_with(manifest)),
        "replaced"
    );
    component
}
