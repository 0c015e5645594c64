//! JSON Schema, in draft 7, which editors that complete TOML understand.

use serde_json::{Map, Value, json};

use super::{capitalized, constraints, default_toml, deprecation};
use crate::document::{Key, Kind, SectionKeys, is_placeholder};

const SIZE: &str = r"^[0-9]+ *(GiB|MiB|KiB|B)$";
const DURATION: &str = r"^( *[0-9]+(\.[0-9]+)? *[A-Za-zµ]+)+ *$";

/// Returns a JSON Schema of documents with these sections, as text.
#[must_use]
pub fn json_schema(title: &str, sections: &[&'static SectionKeys]) -> String {
    let mut root = Node::default();
    for section in sections {
        root.insert(section.path, section);
    }
    let mut schema = root.schema();
    schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".to_owned(), title.into());
    format!("{:#}\n", Value::Object(schema))
}

/// A table of the document.
#[derive(Default)]
struct Node {
    keys: Option<&'static SectionKeys>,
    children: Vec<(&'static str, Node)>,
}

impl Node {
    fn insert(&mut self, path: &[&'static str], keys: &'static SectionKeys) {
        let Some((first, rest)) = path.split_first() else {
            self.keys = Some(keys);
            return;
        };
        match self.children.iter_mut().find(|(name, _)| name == first) {
            Some((_, child)) => child.insert(rest, keys),
            None => {
                let mut child = Self::default();
                child.insert(rest, keys);
                self.children.push((first, child));
            }
        }
    }

    fn schema(&self) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut schema = self.keys.map(|keys| table(keys, &mut properties)).unwrap_or_default();
        schema.insert("type".to_owned(), "object".into());
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
        for (name, child) in &self.children {
            let value = Value::Object(child.schema());
            if !is_placeholder(name) {
                let value = match properties.remove(*name) {
                    Some(key) => json!({ "anyOf": [key, value] }),
                    None => value,
                };
                properties.insert((*name).to_owned(), value);
            } else if let Some(names) = child.keys.and_then(|keys| keys.names) {
                schema.insert("patternProperties".to_owned(), json!({ names: value }));
            } else {
                schema.insert("additionalProperties".to_owned(), value);
            }
        }
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), properties.into());
        }
        schema
    }
}

/// The schema of a section, without the sections within it.
fn table(keys: &SectionKeys, properties: &mut Map<String, Value>) -> Map<String, Value> {
    let mut schema = Map::new();
    let mut description = keys.doc.to_owned();
    if let Some(deprecated) = &keys.deprecated {
        description.push_str(&format!(" {}", deprecation(deprecated)));
        schema.insert("deprecated".to_owned(), Value::Bool(true));
    }
    if !description.is_empty() {
        schema.insert("description".to_owned(), without_links(&description).into());
    }
    properties.extend(keys.keys.iter().map(|key| (key.name.to_owned(), value(key))));
    let required = keys.keys.iter().filter(|key| key.required).map(|key| key.name);
    let required: Vec<&str> = required.collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if let Some(each) = keys.entries {
        schema.insert("additionalProperties".to_owned(), value(each));
    }
    schema
}

fn value(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::String | Kind::Path | Kind::Form { pattern: None, .. } => json!({ "type": "string" }),
        Kind::Form { pattern: Some(pattern), .. } => {
            json!({ "type": "string", "pattern": pattern })
        }
        Kind::OneOf(strings) => json!({ "enum": strings() }),
        Kind::Strings => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::StringOrStrings => {
            json!({ "type": ["string", "array"], "items": { "type": "string" } })
        }
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Integers { count, least, most } => json!({
            "type": "array",
            "items": { "type": "integer", "minimum": least, "maximum": most },
            "minItems": count,
            "maxItems": count,
        }),
        Kind::Size { .. } => json!({ "type": "string", "pattern": SIZE }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
        Kind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Kind::ScalarOrTable => json!({
            "type": ["string", "number", "boolean", "object"],
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        }),
        Kind::Table => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        }),
        Kind::Tables(keys) => {
            let mut properties = Map::new();
            let mut item = table(keys, &mut properties);
            item.insert("type".to_owned(), "object".into());
            item.insert("properties".to_owned(), properties.into());
            item.insert("additionalProperties".to_owned(), Value::Bool(false));
            json!({ "type": "array", "items": item })
        }
    };
    if let Value::Object(schema) = &mut schema {
        let description = format!("{}. {}", capitalized(key.doc), constraints(key));
        schema.insert("description".to_owned(), without_links(description.trim_end()).into());
        // Strings, numbers and truth values are the same in TOML and JSON.
        let default = default_toml(key).and_then(|toml| serde_json::from_str(&toml).ok());
        schema.extend(default.map(|default: Value| ("default".to_owned(), default)));
        if key.deprecated.is_some() {
            schema.insert("deprecated".to_owned(), Value::Bool(true));
        }
    }
    schema
}

/// Replaces the links of Markdown with their text.
fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        match after.split_once("](").and_then(|(label, tail)| Some((label, tail.split_once(')')?)))
        {
            Some((label, (_, tail))) if !label.contains(['[', ']']) => {
                text.push_str(label);
                rest = tail;
            }
            _ => {
                text.push('[');
                rest = after;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_replaced_by_their_text() {
        let text = "see [a.md](a.md#b), `[mount.NAME]` and ([b](c))";
        assert_eq!(without_links(text), "see a.md, `[mount.NAME]` and (b)");
    }
}
