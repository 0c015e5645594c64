//! How services read the paths of their requests.

/// How a service reads the paths of its requests: data of the cloud table, or of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(not(fuzzing), derive(serde::Deserialize))]
#[cfg_attr(not(fuzzing), serde(rename_all = "lowercase", deny_unknown_fields))]
pub enum PathReading {
    /// By segments. A path that somebody on the way may read in another form is refused.
    #[default]
    Segments,
    /// The first segments are read so; what follows is one name, as a blob's is. A slash, `%2F`, a
    /// backslash and `%5C` are the same in it, and slashes may follow each other.
    Names {
        /// How many segments stand before the name.
        after: u8,
    },
    /// The name is a file's: slashes that follow each other are one, as with WebHDFS.
    Files {
        /// How many segments stand before the name.
        after: u8,
    },
    /// The segments behind the first are keys: an encoded slash or backslash is a part of them.
    Keys {
        /// How many segments stand before the keys.
        after: u8,
    },
}

impl PathReading {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Names { .. } => "names",
            Self::Files { .. } => "files",
            Self::Keys { .. } => "keys",
        }
    }

    /// How many segments stand before a name; `None` where there are no names.
    #[must_use]
    pub const fn names_after(self) -> Option<u8> {
        match self {
            Self::Segments => None,
            Self::Names { after } | Self::Files { after } | Self::Keys { after } => Some(after),
        }
    }
}

/// What becomes of a path that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// No pattern narrows the request, and the path is sent as it was written.
    Forward,
    /// Patterns are compared with the path, and it is sent in the form that they are compared with.
    Compare,
    /// Patterns are compared with it, and it is sent as it was written: in a header field, say.
    CompareUnchanged,
}
