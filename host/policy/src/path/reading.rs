//! How services read the paths of their requests.

/// How a service reads the paths of its requests: data of the cloud table, or of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PathReading {
    /// By segments. A path that a server or proxy may read in another form is rejected.
    #[default]
    Segments,
    /// Segments, followed by one name, such as a blob's. A slash, `%2F`, a backslash and `%5C` are
    /// the same in the name, and it may have several slashes in a row.
    Names {
        /// How many segments precede the name.
        after: u8,
    },
    /// Segments, followed by the name of a file, as in WebHDFS: several slashes in a row are one.
    Files {
        /// How many segments precede the name.
        after: u8,
    },
    /// Segments, followed by keys: an encoded slash or backslash is a part of a key.
    Keys {
        /// How many segments precede the keys.
        after: u8,
    },
}

impl PathReading {
    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Names { .. } => "names",
            Self::Files { .. } => "files",
            Self::Keys { .. } => "keys",
        }
    }

    /// How many segments precede a name; `None` for paths without names.
    #[must_use]
    pub const fn names_after(self) -> Option<u8> {
        match self {
            Self::Segments => None,
            Self::Names { after } | Self::Files { after } | Self::Keys { after } => Some(after),
        }
    }
}

/// What a path is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The grant has no patterns, and the path is sent unchanged.
    Forward,
    /// The path is compared with patterns, and sent in the form that was compared.
    Compare,
    /// The path is compared with patterns, and sent unchanged, for example in a header field.
    CompareUnchanged,
}
