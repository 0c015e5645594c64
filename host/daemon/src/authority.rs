//! The parts of an authority: the host and the port of a URL, an origin or a `host` field (RFC 3986,
//! section 3.2).

/// Splits an authority without a user into its host and the text of its port.
pub(crate) fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address.
        Some((_, port)) if port.ends_with(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// The address of an IPv6 host, without its brackets.
pub(crate) fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Whether a host without brackets may be a name or an IPv4 address.
pub(crate) fn is_name(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && host.bytes().all(is_part)
}

/// Parses a port in the one form that everybody reads in the same way.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| port.to_string() == text)
}
