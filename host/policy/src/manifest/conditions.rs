//! `required_if`: conditions on settings with which an audience or a setting is required.

use std::collections::BTreeMap;

use crate::document::{Key, Section};

/// `required_if` of an audience or a setting.
pub(super) const CONDITIONS: Key = Key::table(
    "required_if",
    "{ auth = \"sas\" }",
    "the mount must have it if these settings have these values",
);

/// Reads the settings and their values; empty if there is no condition.
pub(super) fn read_conditions(section: &Section<'_>) -> BTreeMap<String, String> {
    let table = section.table(&CONDITIONS);
    let names = table.names().into_iter();
    names
        .filter_map(|name| Some((name.value.clone(), table.scalar_entry(&name.value)?.value)))
        .collect()
}
