//! The hostile guests in `guests/`, built.

static GUESTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The component of this name.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn guest(name: &str) -> &'static [u8] {
    let found = GUESTS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no guest {name}")).1
}
