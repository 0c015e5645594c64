//! `keyward schema`: the keys of a configuration or of a manifest, as a JSON Schema or as Markdown.

use keyward_policy::document::SectionKeys;
use keyward_policy::manifest;
use keyward_policy::reference::{json_schema, markdown};

use crate::cli::{Document, Schema};
use crate::config;
use crate::exit::{Exit, Failure};
use crate::output::print;

const CONFIGURATION: &str = "\
# Configuration

One TOML file. Mistakes are reported all at once, each with its line, what was expected and, where
there is one, the line to write instead. `keyward check --config FILE` shows them, and what each
mount may do.

Relative paths are relative to the file's directory; `~` and variables are not expanded. Durations
are strings such as `\"30s\"` or `\"1h 30m\"`, and sizes such as `\"64KiB\"`, `\"16MiB\"` or \
`\"1GiB\"`.

Editors complete and check the file by [keyward.schema.json](keyward.schema.json), which
`keyward schema` prints too. With Even Better TOML, or another editor that uses Taplo, the first
line of the file names it: `#:schema ./keyward.schema.json`.

<!-- Written by `keyward schema --markdown`. -->
";

const MANIFEST: &str = "\
# Manifests

What a plugin declares, in TOML: [plugins.md](plugins.md) says where it is and what it means.
[manifest.schema.json](manifest.schema.json) has it for editors.

<!-- Written by `keyward schema manifest --markdown`. -->
";

pub(crate) fn schema(schema: &Schema) -> Result<Exit, Failure> {
    print(&text(schema.document, schema.markdown))?;
    Ok(Exit::Success)
}

fn text(document: Document, as_markdown: bool) -> String {
    let (title, introduction, sections): (_, _, Vec<&'static SectionKeys>) = match document {
        Document::Configuration => ("Keyward's configuration", CONFIGURATION, config::sections()),
        Document::Manifest => ("A plugin's manifest", MANIFEST, manifest::SECTIONS.to_vec()),
    };
    if as_markdown { markdown(introduction, &sections) } else { json_schema(title, &sections) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_references_are_what_the_program_prints() {
        for (command, committed, printed) in [
            (
                "keyward schema > docs/keyward.schema.json",
                include_str!("../../../../docs/keyward.schema.json"),
                text(Document::Configuration, false),
            ),
            (
                "keyward schema --markdown > docs/configuration.md",
                include_str!("../../../../docs/configuration.md"),
                text(Document::Configuration, true),
            ),
            (
                "keyward schema manifest > docs/manifest.schema.json",
                include_str!("../../../../docs/manifest.schema.json"),
                text(Document::Manifest, false),
            ),
            (
                "keyward schema manifest --markdown > docs/manifest.md",
                include_str!("../../../../docs/manifest.md"),
                text(Document::Manifest, true),
            ),
        ] {
            assert!(committed == printed, "run `{command}`");
        }
    }

    #[test]
    fn a_line_of_the_references_has_at_most_100_columns() {
        for document in [Document::Configuration, Document::Manifest] {
            for line in text(document, true).lines() {
                let is_one_word = !line.trim_start().contains(' ');
                assert!(is_one_word || line.chars().count() <= 100, "{line}");
            }
        }
    }
}
