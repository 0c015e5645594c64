//! Reference of configuration keys, as Markdown and as a JSON Schema, generated from their
//! declarations.

mod json_schema;
mod markdown;

pub use json_schema::json_schema;
pub use markdown::markdown;

use crate::document::{DefaultValue, Deprecated, Key, Kind, human_duration};
use crate::text::human_size;

/// The type, bounds and default of a key, as sentences: `An integer from 1 to 4096; 128 by
/// default.`
fn constraints(key: &Key) -> String {
    let mut sentences = String::new();
    if key.required {
        sentences.push_str(" Required.");
    }
    let clauses: Vec<String> =
        [kind(key), default(key)].into_iter().filter(|clause| !clause.is_empty()).collect();
    if !clauses.is_empty() {
        sentences.push_str(&format!(" {}.", capitalized(&clauses.join("; "))));
    }
    let example = key.example_toml();
    if has_example(key) && default_toml(key).as_ref() != Some(&example) {
        sentences.push_str(&format!(" Example: `{example}`."));
    }
    if let Some(deprecated) = &key.deprecated {
        sentences.push_str(&format!(" {}", deprecation(deprecated)));
    }
    sentences.trim_start().to_owned()
}

fn deprecation(deprecated: &Deprecated) -> String {
    format!(
        "Deprecated: version {} will not have it; write `{}`.",
        deprecated.removed_in, deprecated.instead
    )
}

fn kind(key: &Key) -> String {
    match key.kind {
        Kind::String | Kind::Form { .. } | Kind::Scalar | Kind::ScalarOrTable => String::new(),
        Kind::Path => "a path".to_owned(),
        Kind::OneOf(strings) => {
            let strings = strings().into_iter().map(|string| format!("`{string:?}`"));
            let strings: Vec<String> = strings.collect();
            crate::text::one_of(strings.iter().map(String::as_str))
        }
        Kind::Strings => "a list of strings".to_owned(),
        Kind::StringOrStrings => "a string or a list of strings".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Integer { least, most } => format!("an integer from {least} to {most}"),
        Kind::Integers { count, least, most } => {
            format!("a list of {count} integers from {least} to {most}")
        }
        Kind::Size { least, most } => {
            format!("a size from {} to {}", human_size(least), human_size(most))
        }
        Kind::Duration { least, most } => {
            format!("a duration from {} to {}", human_duration(least), human_duration(most))
        }
        Kind::Table => "a table".to_owned(),
        Kind::Tables(_) => "a list of tables".to_owned(),
    }
}

/// Whether an example adds to the type and its bounds.
fn has_example(key: &Key) -> bool {
    match key.kind {
        Kind::String
        | Kind::Path
        | Kind::Form { .. }
        | Kind::Strings
        | Kind::StringOrStrings
        | Kind::Integers { .. }
        | Kind::Table
        | Kind::Tables(_) => true,
        Kind::OneOf(_)
        | Kind::Boolean
        | Kind::Integer { .. }
        | Kind::Size { .. }
        | Kind::Duration { .. }
        | Kind::Scalar
        | Kind::ScalarOrTable => false,
    }
}

fn default(key: &Key) -> String {
    match default_toml(key) {
        Some(toml) => format!("`{toml}` by default"),
        None => match key.default {
            DefaultValue::Described(description) => format!("by default, {description}"),
            _ => String::new(),
        },
    }
}

/// The default as TOML, if it is a value.
fn default_toml(key: &Key) -> Option<String> {
    match key.default {
        DefaultValue::None | DefaultValue::Described(_) => None,
        DefaultValue::String(text) => Some(format!("{text:?}")),
        DefaultValue::Boolean(value) => Some(value.to_string()),
        DefaultValue::Integer(number) => Some(number.to_string()),
        DefaultValue::Size(bytes) => Some(format!("{:?}", human_size(bytes))),
        DefaultValue::Duration(duration) => Some(format!("{:?}", human_duration(duration))),
    }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
