//! Which host a request is for.
//!
//! A web page can resolve its own name to 127.0.0.1 (DNS rebinding), and then the browser takes the
//! daemon for the page's own server. The name that the page was loaded from remains in `host`. So a
//! listener at an address serves requests for loopback names and for those that the configuration
//! has, and only with its own port.

use std::net::Ipv6Addr;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri, Version};
use keyward::Rejection;

use super::site::{Site, TcpSite};
use crate::authority;

/// Returns the host and port that a request is for, as the caller wrote them.
pub(super) fn check(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    site: &Site,
) -> Result<String, Rejection> {
    let mut fields = headers.get_all(HOST).iter();
    let host = match (fields.next(), fields.next()) {
        (Some(host), None) => host,
        // HTTP/1.0 did not have the field yet.
        (None, _) if version == Version::HTTP_10 && matches!(site, Site::Unix) => {
            return Ok("localhost".to_owned());
        }
        (None, _) => return Err(Rejection::malformed("the request has no `host` field")),
        (Some(_), Some(_)) => {
            return Err(Rejection::malformed("the request has more than one `host` field"));
        }
    };
    let malformed = || Rejection::malformed("`host` is not a host name or address, and a port");
    let host = host.to_str().map_err(|_| malformed())?;
    if let Some(authority) = uri.authority() {
        check_absolute(uri, authority, host, site)?;
    }
    match site {
        // Behind a Unix socket there is no host, so that the field may be empty, or anything.
        Site::Unix if host.is_empty() => Ok("localhost".to_owned()),
        Site::Unix => {
            let authority = host.parse::<Authority>().ok().filter(|_| !host.contains('@'));
            authority.map(|_| host.to_owned()).ok_or_else(malformed)
        }
        Site::Tcp(site) => {
            let (name, port) = parse(host).ok_or_else(malformed)?;
            if site.is_at(name, port) { Ok(host.to_owned()) } else { Err(misdirected(site)) }
        }
    }
}

/// Checks a target with a scheme and a host of its own: both must agree.
fn check_absolute(
    uri: &Uri,
    authority: &Authority,
    host: &str,
    site: &Site,
) -> Result<(), Rejection> {
    if !authority.as_str().eq_ignore_ascii_case(host) {
        let detail = "the request's target and its `host` field name different hosts";
        return Err(Rejection::malformed(detail));
    }
    match (site, uri.scheme_str()) {
        (Site::Tcp(site), Some(scheme)) if scheme != site.scheme => Err(misdirected(site)),
        (_, Some("http" | "https")) => Ok(()),
        // Of CONNECT.
        (_, None) => Ok(()),
        (_, Some(_)) => Err(Rejection::malformed("the request's target has an unknown scheme")),
    }
}

/// Splits `host` or `host:port`, without a user or anything else.
fn parse(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = authority::split(host);
    let is_host = match authority::bracketed(name) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => authority::is_name(name),
    };
    let port = match port {
        None => None,
        Some(text) => Some(authority::parse_port(text)?),
    };
    is_host.then_some((name, port))
}

fn misdirected(site: &TcpSite) -> Rejection {
    let (scheme, example) = (site.scheme, site.example());
    let hosts = if site.names.is_empty() {
        "a loopback name or address and its port"
    } else {
        "one of `names` in [listen.tls], or a loopback name or address and its port"
    };
    let detail = format!(
        "the request is not for this listener, whose `host` is {hosts}. Send it to \
         {scheme}://{example}"
    );
    Rejection::denied(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Wrong host", "host", detail)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn status(target: &str, hosts: &[&[u8]], site: &Site) -> u16 {
        let mut request = Request::get(target).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        let checked = check(request.version(), request.uri(), request.headers(), site);
        checked.map_or_else(|rejection| rejection.status.as_u16(), |_| 200)
    }

    fn tcp() -> Site {
        Site::tcp("http", "127.0.0.1:8200".parse().unwrap(), &[], &[])
    }

    #[test]
    fn one_loopback_name_with_the_listeners_port_is_served() {
        for host in ["localhost:8200", "127.0.0.1:8200", "[::1]:8200", "My.LocalHost:8200"] {
            assert_eq!(status("/x", &[host.as_bytes()], &tcp()), 200, "{host}");
            let absolute = format!("http://{host}/x");
            assert_eq!(status(&absolute, &[host.as_bytes()], &tcp()), 200, "{absolute}");
        }
    }

    #[test]
    fn anything_else_is_malformed_or_misdirected() {
        for (target, hosts, expected) in [
            ("/x", &[][..], 400),
            ("/x", &[&b"localhost:8200"[..], b"localhost:8200"], 400),
            ("/x", &[b"localhost:8200", b"evil.example"], 400),
            ("/x", &[b""], 400),
            ("/x", &[b"\xff\xfe"], 400),
            ("/x", &[b"evil.example\xe4"], 400),
            ("/x", &[b"evil.example@localhost:8200"], 400),
            ("/x", &[b"localhost:8200@evil.example"], 400),
            ("/x", &[b"localhost:99999"], 400),
            ("/x", &[b"localhost:abc"], 400),
            ("/x", &[b"localhost:"], 400),
            ("/x", &[b"localhost:+8200"], 400),
            ("/x", &[b"localhost:08200"], 400),
            ("/x", &[b":8200"], 400),
            ("/x", &[b"::1"], 400),
            ("/x", &[b"[::1]x:8200"], 400),
            ("/x", &[b"localhost:8200, evil.example"], 400),
            ("/x", &[b"http://localhost:8200"], 400),
            ("/x", &[b"localhost:8200/"], 400),
            ("/x", &[b"local host:8200"], 400),
            ("/x", &[b"localhost"], 421),
            ("/x", &[b"localhost:8201"], 421),
            ("/x", &[b"localhost:80"], 421),
            ("/x", &[b"evil.example"], 421),
            ("/x", &[b"evil.example:8200"], 421),
            ("/x", &[b"localhost.evil.example:8200"], 421),
            ("/x", &[b"0.0.0.0:8200"], 421),
            ("/x", &[b"10.0.0.1:8200"], 421),
            ("http://evil.example/x", &[b"localhost:8200"], 400),
            ("http://localhost:8200/x", &[b"evil.example"], 400),
            ("http://localhost/x", &[b"localhost:8200"], 400),
            ("http://u@localhost:8200/x", &[b"localhost:8200"], 400),
            ("http://evil.example/x", &[b"evil.example"], 421),
            ("https://localhost:8200/x", &[b"localhost:8200"], 421),
            ("http://localhost:8200/x", &[], 400),
        ] {
            assert_eq!(status(target, hosts, &tcp()), expected, "{target} {hosts:?}");
        }
        let tls = Site::tcp("https", "[::1]:443".parse().unwrap(), &[], &[]);
        assert_eq!(status("/x", &[b"localhost"], &tls), 200);
        assert_eq!(status("http://localhost/x", &[b"localhost"], &tls), 421);
    }

    #[test]
    fn a_unix_socket_takes_any_host_but_only_one() {
        for (hosts, expected) in [
            (&[&b"localhost"[..]][..], 200),
            (&[b"keyward"], 200),
            (&[b""], 200),
            (&[], 400),
            (&[b"a", b"a"], 400),
            (&[b"a b"], 400),
            (&[b"a@b"], 400),
        ] {
            assert_eq!(status("/x", hosts, &Site::Unix), expected, "{hosts:?}");
        }
        assert_eq!(status("http://a/x", &[b"a"], &Site::Unix), 200);
        assert_eq!(status("http://a/x", &[b"b"], &Site::Unix), 400);
        assert_eq!(status("ftp://a/x", &[b"a"], &Site::Unix), 400);
    }
}
