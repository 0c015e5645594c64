//! Origins of web pages, as `origins` of a listener names them.

use std::net::Ipv6Addr;

use crate::authority;

/// An origin in the form that browsers send: scheme, host, and the port if it is not the scheme's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

/// Why a string is not an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidOrigin {
    pub(crate) reason: &'static str,
    /// The origin that was probably meant.
    pub(crate) meant: Option<String>,
}

impl InvalidOrigin {
    fn because(reason: &'static str) -> Self {
        Self { reason, meant: None }
    }

    fn meant(self, origin: &str) -> Self {
        let meant = Origin::parse(origin).ok().map(|origin| origin.0);
        Self { meant, ..self }
    }
}

impl Origin {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "null" {
            let reason = "every sandboxed page and every local file has the origin `null`";
            return Err(InvalidOrigin::because(reason));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let error = InvalidOrigin::because("it has no scheme");
            return Err(error.meant(&format!("https://{text}")));
        };
        let lower = text.to_ascii_lowercase();
        if lower != text {
            return Err(InvalidOrigin::because("browsers send it in lower case").meant(&lower));
        }
        if !is_scheme(scheme) {
            return Err(InvalidOrigin::because("its scheme is malformed"));
        }
        if let Some(end) = rest.find(['/', '?', '#']) {
            let (authority, _) = rest.split_at(end);
            let error = InvalidOrigin::because("an origin ends behind its host and port");
            return Err(error.meant(&format!("{scheme}://{authority}")));
        }
        let (host, port) = authority::split(rest);
        check_host(host)?;
        let port = match port {
            None => return Ok(Self(text.to_owned())),
            Some(port) => port,
        };
        if matches!(authority::parse_port(port), None | Some(0)) {
            return Err(InvalidOrigin::because("its port is not a number from 1 to 65535"));
        }
        // Browsers leave out the port of the scheme.
        Ok(match (scheme, port) {
            ("http", "80") | ("https", "443") => Self(format!("{scheme}://{host}")),
            _ => Self(text.to_owned()),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_scheme(scheme: &str) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_lowercase()) && scheme.bytes().all(is_part)
}

fn check_host(host: &str) -> Result<(), InvalidOrigin> {
    if host.contains('*') {
        return Err(InvalidOrigin::because("it names one host, without `*`"));
    }
    if host.contains('@') {
        return Err(InvalidOrigin::because("an origin has no user"));
    }
    if !host.is_ascii() {
        return Err(InvalidOrigin::because("browsers send such a host as `xn--...`"));
    }
    let is_valid = match authority::bracketed(host) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_string() == address),
        None => authority::is_name(host),
    };
    if is_valid { Ok(()) } else { Err(InvalidOrigin::because("its host is malformed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (text, sent) in [
            ("https://app.example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("https://app.example:80", "https://app.example:80"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ] {
            assert_eq!(Origin::parse(text).as_ref().map(Origin::as_str), Ok(sent), "{text}");
        }
    }

    #[test]
    fn anything_else_is_explained() {
        for (text, reason, meant) in [
            ("null", "`null`", None),
            ("", "no scheme", None),
            ("*", "no scheme", None),
            ("app.example", "no scheme", Some("https://app.example")),
            ("https:app.example", "no scheme", None),
            ("https://app.example/", "ends behind", Some("https://app.example")),
            ("https://app.example/a?b#c", "ends behind", Some("https://app.example")),
            ("https://app.example?b", "ends behind", Some("https://app.example")),
            ("HTTPS://App.example", "lower case", Some("https://app.example")),
            ("https://*.example", "without `*`", None),
            ("https://user@app.example", "no user", None),
            ("https://bücher.example", "xn--", None),
            ("https://", "host", None),
            ("https://:443", "host", None),
            ("https://a b", "host", None),
            ("https://[::1", "host", None),
            ("https://[0::1]", "host", None),
            ("https://app.example:", "port", None),
            ("https://app.example:0", "port", None),
            ("https://app.example:70000", "port", None),
            ("https://app.example:0443", "port", None),
            ("1http://app.example", "scheme", None),
            ("://app.example", "scheme", None),
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert!(error.reason.contains(reason), "{text}: {error:?}");
            assert_eq!(error.meant.as_deref(), meant, "{text}");
        }
    }
}
