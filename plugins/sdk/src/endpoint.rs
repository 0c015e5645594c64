//! The endpoint of an audience.

/// The origin and path prefix that the mount sends requests for an audience to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host with an optional port.
    pub authority: String,
    /// Prefix of all paths: empty, or a path with a leading and without a trailing slash.
    pub prefix: String,
}

impl Endpoint {
    /// Parses an endpoint in the host's format: `https://host[:port][/prefix]`.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let (authority, prefix) = rest
            .split_once('/')
            .map_or((rest, ""), |(authority, _)| rest.split_at(authority.len()));
        (!authority.is_empty()).then(|| Self {
            authority: authority.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }

    /// The endpoint as a URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.prefix)
    }
}
