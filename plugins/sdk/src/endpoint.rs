//! An audience's endpoint.

/// The one origin, and the path prefix, that the mount talks to for an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host, and port where there is one.
    pub authority: String,
    /// What all paths begin with; empty, or a slash and more, without a slash at its end.
    pub prefix: String,
}

impl Endpoint {
    /// Reads an endpoint as the host writes it: `https://host[:port][/prefix]`.
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

    /// The endpoint as a URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.prefix)
    }
}
