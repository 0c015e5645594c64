//! Which issuer's tokens are accepted, and where its keys are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Uri;

/// An issuer of service account tokens: a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerConfig {
    /// The `iss` of its tokens, an exact string: `--service-account-issuer` of the API server.
    pub(crate) issuer: String,
    /// The audience that tokens must have.
    pub(crate) audience: String,
    /// Where its keys are.
    pub(crate) keys: KeySource,
    /// Addresses of hosts and ports that are not resolved with DNS. Hosts are in lower case.
    pub(crate) addresses: BTreeMap<(String, u16), SocketAddr>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A file with a JSON Web Key Set.
    File(PathBuf),
    /// A URL of a JSON Web Key Set.
    Url {
        /// An `https://` URL.
        url: String,
        /// How the server is spoken to.
        access: Access,
    },
    /// The URL that the issuer's `.well-known/openid-configuration` names, on the same host.
    Discover(Access),
}

impl KeySource {
    /// The files that decide whose tokens are accepted, with their keys in the configuration.
    pub(crate) fn trusted_files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let (key, file) = match self {
            Self::File(file) => ("keys_file", Some(file)),
            Self::Url { access, url: _ } | Self::Discover(access) => {
                ("ca_file", access.ca_file.as_ref())
            }
        };
        file.map(|file| (key, file.as_path())).into_iter()
    }

    /// The files that are read for the keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let (keys, access) = match self {
            Self::File(file) => (Some(file), None),
            Self::Url { access, url: _ } | Self::Discover(access) => (None, Some(access)),
        };
        let ca = access.and_then(|access| access.ca_file.as_deref());
        let token = access.and_then(|access| access.token_file.as_deref());
        keys.map(PathBuf::as_path).into_iter().chain(ca).chain(token)
    }
}

/// How a server with keys is spoken to. Both files are read for each request, since Kubernetes
/// rotates them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// Certificates of the only authorities that are trusted, in PEM. `None` for the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// A bearer token for the server.
    pub(crate) token_file: Option<PathBuf>,
}

/// A configuration that is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidIssuer {
    /// The issuer is empty.
    #[error("the issuer is empty; expected the `--service-account-issuer` of the API server")]
    EmptyIssuer,
    /// The audience is empty.
    #[error("the audience is empty; expected the one of the projected volume, such as \"keyward\"")]
    EmptyAudience,
    /// The issuer is not a URL, but its keys are to be discovered.
    #[error(
        "the issuer's keys can be discovered only if it is an https:// URL without a query; \
         otherwise expected a file or a URL of its keys"
    )]
    NotDiscoverable,
    /// The URL of the keys is not valid.
    #[error("the URL of the keys is invalid; expected \"https://HOST/PATH\" without a user")]
    KeysUrl,
}

impl IssuerConfig {
    /// The port of the server with the keys; `None` if they are in a file.
    pub(crate) fn port(&self) -> Option<u16> {
        let url = match &self.keys {
            KeySource::File(_) => return None,
            KeySource::Url { url, access: _ } => url,
            KeySource::Discover(_) => &self.issuer,
        };
        https_origin(url).map(|(_, port)| port)
    }

    /// Checks the values that can be checked without files and requests.
    pub(super) fn check(&self) -> Result<(), InvalidIssuer> {
        if self.issuer.is_empty() {
            return Err(InvalidIssuer::EmptyIssuer);
        }
        if self.audience.is_empty() {
            return Err(InvalidIssuer::EmptyAudience);
        }
        match &self.keys {
            KeySource::File(_) => Ok(()),
            KeySource::Url { url, access: _ } if https_origin(url).is_some() => Ok(()),
            KeySource::Url { .. } => Err(InvalidIssuer::KeysUrl),
            KeySource::Discover(_) => {
                let is_url = https_origin(&self.issuer).is_some() && !self.issuer.contains('?');
                if is_url { Ok(()) } else { Err(InvalidIssuer::NotDiscoverable) }
            }
        }
    }
}

/// The host, in lower case, and the port of an `https://` URL without userinfo and fragment.
pub(super) fn https_origin(url: &str) -> Option<(String, u16)> {
    // `Uri` would ignore a fragment.
    let uri: Uri = url.parse().ok().filter(|_| !url.contains('#'))?;
    let authority = uri.authority()?;
    let is_valid = uri.scheme() == Some(&http::uri::Scheme::HTTPS)
        && !authority.host().is_empty()
        && !authority.as_str().contains('@');
    let port = match authority.port() {
        None if authority.as_str().ends_with(':') => return None,
        None => 443,
        Some(port) => port.as_u16(),
    };
    is_valid.then(|| (authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_host_and_port_of_an_https_url() {
        let origin = |host: &str, port| Some((host.to_owned(), port));
        for (url, expected) in [
            ("https://Kubernetes.default.svc/keys", origin("kubernetes.default.svc", 443)),
            ("https://kubernetes.default.svc:443", origin("kubernetes.default.svc", 443)),
            ("https://10.0.0.1:6443/openid/v1/jwks?a=b", origin("10.0.0.1", 6443)),
            ("https://[fd00::1]:6443/", origin("[fd00::1]", 6443)),
            ("http://kubernetes.default.svc/keys", None),
            ("https://user@kubernetes.default.svc/keys", None),
            ("https://kubernetes.default.svc/keys#key", None),
            ("https://kubernetes.default.svc:/keys", None),
            ("https://", None),
            ("https:///keys", None),
            ("kubernetes.default.svc", None),
            ("/keys", None),
            ("", None),
        ] {
            assert_eq!(https_origin(url), expected, "{url}");
        }
    }

    #[test]
    fn an_invalid_configuration_is_an_error_before_any_request() {
        let url = |url: &str| KeySource::Url { url: url.to_owned(), access: Access::default() };
        let file = || KeySource::File("/etc/keyward/jwks.json".into());
        let discover = || KeySource::Discover(Access::default());
        for (issuer, audience, keys, expected) in [
            ("https://issuer.example/a", "keyward", discover(), Ok(())),
            ("https://issuer.example", "keyward", url("https://keys.example/"), Ok(())),
            ("kubernetes/serviceaccount", "keyward", file(), Ok(())),
            ("", "keyward", file(), Err(InvalidIssuer::EmptyIssuer)),
            ("https://a", "", file(), Err(InvalidIssuer::EmptyAudience)),
            ("https://a", "keyward", url("http://a/"), Err(InvalidIssuer::KeysUrl)),
            ("http://a", "keyward", discover(), Err(InvalidIssuer::NotDiscoverable)),
            ("https://a/?b", "keyward", discover(), Err(InvalidIssuer::NotDiscoverable)),
            ("kubernetes", "keyward", discover(), Err(InvalidIssuer::NotDiscoverable)),
        ] {
            let config = IssuerConfig {
                issuer: issuer.to_owned(),
                audience: audience.to_owned(),
                keys,
                addresses: BTreeMap::new(),
            };
            assert_eq!(config.check(), expected, "{config:?}");
        }
    }
}
