//! What hosts are called, and what is spoken there.

/// What is spoken at an endpoint. Both within TLS, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP.
    #[default]
    Https,
    /// TDS, the protocol of SQL Server. The scheme is the one that drivers have for it.
    SqlServer,
}

impl Protocol {
    /// The scheme of its endpoints.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::SqlServer => "sqlserver",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::SqlServer => 1433,
        }
    }
}

/// The label of a host pattern that matches hexadecimal digits.
pub(crate) const HEX: &str = "<hex>";

/// Whether a host is one of a pattern's: see [`HostPattern`](crate::grant::HostPattern).
pub(crate) fn is_host_of(pattern: &str, host: &str) -> bool {
    let (mut pattern, mut labels) = (pattern.split('.'), host.split('.'));
    loop {
        match (pattern.next(), labels.next()) {
            (None, None) => return true,
            (Some(expected), Some(label)) if is_label_of(expected, label) => {}
            _ => return false,
        }
    }
}

fn is_label_of(pattern: &str, label: &str) -> bool {
    let matches = |(expected, byte): (u8, u8)| if expected == b'#' { byte.is_ascii_digit() } else { expected == byte };
    match pattern {
        "*" => is_label(label),
        HEX => is_label(label) && label.bytes().all(|byte| byte.is_ascii_hexdigit()),
        pattern => pattern.len() == label.len() && pattern.bytes().zip(label.bytes()).all(matches),
    }
}

/// A label of a host name: letters in lower case, digits, hyphens within.
pub(crate) fn is_label(label: &str) -> bool {
    let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    fits && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
