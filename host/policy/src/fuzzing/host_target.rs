//! Endpoints, host patterns and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::naive;
use crate::address::{forbidden, forbidden_even_if_resolved};
use crate::endpoint::{Endpoint, Protocol};
use crate::host_pattern::HostPattern;

pub(super) fn check(input: &str) {
    let mut lines = input.split('\n');
    let (one, two) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let host = lines.next().unwrap_or_default();
    check_endpoint(one);
    if let Ok(address) = one.parse() {
        check_address(address);
    }
    if let Ok(one) = HostPattern::parse(one) {
        check_pattern(&one, host);
        if let Ok(two) = HostPattern::parse(two) {
            check_pattern(&two, host);
            check_intersection(&one, &two, host);
        }
    }
}

fn check_endpoint(text: &str) {
    let Ok(endpoint) = Endpoint::parse(text) else { return };
    assert_eq!(Endpoint::parse(&endpoint.to_string()).as_ref(), Ok(&endpoint), "{text:?}");
    assert!(text.starts_with(&format!("{}://{}", endpoint.protocol.scheme(), endpoint.host)));
    if endpoint.protocol != Protocol::Https {
        return;
    }
    // Another reader of URLs finds the same origin.
    let Ok(uri) = text.parse::<Uri>() else {
        unreachable!("{text:?} is an endpoint, but no request can be sent there");
    };
    assert_eq!(uri.scheme_str(), Some("https"));
    assert_eq!(uri.host(), Some(endpoint.host.as_str()), "{text:?}");
    assert_eq!(uri.port_u16().unwrap_or(443), endpoint.port, "{text:?}");
    assert_eq!(uri.path().trim_end_matches('/'), endpoint.prefix, "{text:?}");
    assert_eq!(uri.query(), None, "{text:?}");
}

fn check_pattern(pattern: &HostPattern, host: &str) {
    assert_eq!(HostPattern::parse(&pattern.to_string()).as_ref(), Ok(pattern));
    let expected = naive::host_covers(&pattern.to_string(), host);
    assert_eq!(pattern.matches(host), expected, "`{pattern}` and {host:?}");
    if let Some(only) = pattern.only_host() {
        assert!(pattern.matches(only), "`{pattern}` and {only:?}");
        assert_eq!(pattern.matches(host), only == host, "`{pattern}` and {host:?}");
    }
}

fn check_intersection(one: &HostPattern, two: &HostPattern, host: &str) {
    let both = one.intersection(two);
    assert_eq!(two.intersection(one), both, "`{one}` and `{two}`");
    assert_eq!(one.intersection(one).as_ref(), Some(one), "`{one}`");
    let matches = both.as_ref().is_some_and(|both| both.matches(host));
    assert_eq!(matches, one.matches(host) && two.matches(host), "`{one}`, `{two}` and {host:?}");
    if let Some(both) = both {
        assert_eq!(HostPattern::parse(&both.to_string()).as_ref(), Ok(&both));
    }
}

fn check_address(address: IpAddr) {
    if forbidden_even_if_resolved(address).is_some() {
        assert!(forbidden(address).is_some(), "{address}");
    }
    let IpAddr::V4(v4) = address else { return };
    let expected = matches!(
        v4.octets(),
        [0 | 127 | 224..=239, ..] | [169, 254, ..] | [168, 63, 129, 16] | [255, 255, 255, 255]
    );
    assert_eq!(forbidden(address).is_some(), expected, "{address}");
    for spelling in spellings(v4) {
        let spelling = IpAddr::V6(spelling);
        assert!(forbidden(spelling).is_some() || !expected, "{spelling} is {address}");
        assert!(
            forbidden_even_if_resolved(spelling).is_some()
                || forbidden_even_if_resolved(address).is_none(),
            "{spelling} is {address}"
        );
    }
}

/// The IPv6 addresses that embed an IPv4 address.
fn spellings(v4: Ipv4Addr) -> [Ipv6Addr; 4] {
    let [a, b, c, d] = v4.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
    ]
}
