//! Extraction of the manifest from a component.

use wasmparser::{Encoding, Parser, Payload};

use crate::diagnostic::ConfigError;

/// The custom section's name.
const SECTION: &str = "keyward:manifest";

/// The longest manifest, in bytes.
const LONGEST: usize = 64 * 1024;

/// Why a component has no valid manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The bytes are not a component.
    #[error("not a WebAssembly component{0}")]
    NotAComponent(&'static str),
    /// The bytes are not valid WebAssembly.
    #[error("not a WebAssembly component: {0}")]
    Malformed(String),
    /// The component has no manifest.
    #[error(
        "the component has no section `{SECTION}`. In Rust, \
         `keyward_plugin::manifest!(\"manifest.toml\")` embeds it"
    )]
    Missing,
    /// The component has more than one manifest.
    #[error("the component has {0} sections `{SECTION}`, where one is expected")]
    Several(usize),
    /// The manifest is not text, or too long.
    #[error("the section `{SECTION}` is not UTF-8 text of at most {LONGEST} bytes")]
    NotText,
    /// The manifest has mistakes.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

/// Returns the manifest's text, from a custom section of the component, or of a core module in it,
/// where compilers put it.
///
/// # Errors
///
/// The bytes are not a component, or it has no manifest or more than one.
pub fn read_text(component: &[u8]) -> Result<String, ManifestError> {
    let mut found = Vec::new();
    let mut is_component = false;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| ManifestError::Malformed(error.message().to_owned()))? {
            Payload::Version { encoding, .. } if !is_component => match encoding {
                Encoding::Component => is_component = true,
                Encoding::Module => {
                    let fix = ", but a core module: make a component of it first \
                               (`wasm-tools component new`)";
                    return Err(ManifestError::NotAComponent(fix));
                }
            },
            Payload::CustomSection(section) if section.name() == SECTION => {
                found.push(section.data());
            }
            _ => {}
        }
    }
    match found.as_slice() {
        _ if !is_component => Err(ManifestError::NotAComponent("")),
        [] => Err(ManifestError::Missing),
        [data] if data.len() > LONGEST => Err(ManifestError::NotText),
        [data] => std::str::from_utf8(data).map(str::to_owned).map_err(|_| ManifestError::NotText),
        several => Err(ManifestError::Several(several.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with custom sections of these names and contents.
    fn component(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for (name, data) in sections {
            let length = u8::try_from(1 + name.len() + data.len()).unwrap();
            bytes.extend([0, length, u8::try_from(name.len()).unwrap()]);
            bytes.extend(name.as_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    #[test]
    fn the_manifest_is_read_without_running_anything() {
        let bytes = component(&[("producers", b"x"), (SECTION, b"name = \"a\"")]);
        assert_eq!(read_text(&bytes).unwrap(), "name = \"a\"");
    }

    #[test]
    fn a_manifest_that_is_missing_or_ambiguous_is_an_error() {
        let error = |bytes: &[u8]| read_text(bytes).unwrap_err();
        assert!(matches!(error(&component(&[])), ManifestError::Missing));
        assert!(matches!(
            error(&component(&[(SECTION, b"a"), (SECTION, b"a")])),
            ManifestError::Several(2)
        ));
        assert!(matches!(error(&component(&[(SECTION, b"\xff")])), ManifestError::NotText));
        assert!(matches!(error(b"\0asm\x01\0\0\0"), ManifestError::NotAComponent(_)));
        assert!(matches!(error(b"name = 1"), ManifestError::Malformed(_)));
        assert!(matches!(
            error(b""),
            ManifestError::Malformed(_) | ManifestError::NotAComponent(_)
        ));
        let truncated = component(&[(SECTION, b"name")]);
        assert!(matches!(error(&truncated[..truncated.len() - 1]), ManifestError::Malformed(_)));
    }
}
