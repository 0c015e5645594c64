//! Formatting of keys, sizes and lists in messages.

/// Formats a TOML key, in quotes if it needs them.
#[must_use]
pub fn toml_key(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_bare { key.to_owned() } else { format!("{key:?}") }
}

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a string is not a size.
pub(crate) enum SizeError {
    /// It has no unit, or an unknown one.
    Unit,
    /// It does not begin with a number.
    Number,
    /// It is negative, or has more than 64 bits.
    Overflow,
}

pub(crate) fn parse_size(text: &str) -> Result<u64, SizeError> {
    let unsigned = text.trim_start_matches('-');
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at_checked(end).unwrap_or_default();
    if number.is_empty() {
        return Err(SizeError::Number);
    }
    let factor = UNITS.iter().find(|(known, _)| *known == unit.trim());
    let (_, factor) = factor.ok_or(SizeError::Unit)?;
    let number = number.parse::<u64>().ok().filter(|_| unsigned.len() == text.len());
    number.and_then(|number| number.checked_mul(*factor)).ok_or(SizeError::Overflow)
}

/// Formats a size in the largest unit in which it is a whole number.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    let exact = UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    exact.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

/// The most similar of the known names; `None` if none is similar.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored =
        known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 > 0.8).then_some(best.1)
}

/// Joins names for a message: `a, b or c`.
#[must_use]
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
