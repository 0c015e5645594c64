//! Addresses that requests must not connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Azure's wire server, the platform's endpoint on every virtual machine.
const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The metadata service of AWS, in a range that is otherwise private.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// Returns why an address that DNS returned is forbidden; `None` if it is allowed. Private ranges
/// are allowed, since Private Link uses them.
#[must_use]
pub fn forbidden(address: IpAddr) -> Option<&'static str> {
    forbidden_even_if_resolved(address).or_else(|| {
        let is_loopback = with_embedded_v4(address).iter().any(IpAddr::is_loopback);
        is_loopback.then_some("a loopback address, which only [egress.resolve] can allow")
    })
}

/// Returns why an address is forbidden even in `[egress.resolve]`; `None` if it is allowed there.
#[must_use]
pub fn forbidden_even_if_resolved(address: IpAddr) -> Option<&'static str> {
    with_embedded_v4(address).into_iter().find_map(|address| match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    })
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_link_local() {
        Some("a link-local address, where the machine's metadata service is")
    } else if address == WIRE_SERVER {
        Some("the platform's own address on this machine")
    } else if address.is_multicast() || address.is_broadcast() {
        Some("a multicast or broadcast address")
    } else if address.octets()[0] == 0 {
        Some("an unspecified address")
    } else {
        None
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unicast_link_local() {
        Some("a link-local address")
    } else if address == METADATA_V6 {
        Some("a metadata service's address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_unspecified() {
        Some("an unspecified address")
    } else {
        None
    }
}

/// The address itself, and the IPv4 address that it embeds: mapped, compatible, translated
/// (64:ff9b::/96) or 6to4 (2002::/16).
fn with_embedded_v4(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return vec![address] };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    let mut addresses = vec![address];
    match [a, b, c, d, e, f] {
        // `::` and `::1` are not IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0] if (g, h) != (0, 0) && (g, h) != (0, 1) => addresses.push(v4(g, h)),
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            addresses.push(v4(g, h));
        }
        [0x2002, high, low, ..] => addresses.push(v4(high, low)),
        _ => {}
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_services_are_forbidden_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:127.0.0.1",
            "::ffff:0:169.254.169.254",
            "::169.254.169.254",
            "::168.63.129.16",
            "64:ff9b::169.254.169.254",
            "64:ff9b::a83f:8110",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::",
        ] {
            assert!(forbidden(address.parse().unwrap()).is_some(), "{address}");
        }
    }

    #[test]
    fn public_and_private_addresses_are_allowed() {
        for address in [
            "20.190.128.1",
            "10.0.0.4",
            "172.16.0.1",
            "192.168.1.1",
            "2603:1030::1",
            "fd12::1",
            "::ffff:10.0.0.4",
        ] {
            assert_eq!(forbidden(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn resolve_allows_loopback_and_nothing_else_that_is_forbidden() {
        assert_eq!(forbidden_even_if_resolved("127.0.0.1".parse().unwrap()), None);
        assert_eq!(forbidden_even_if_resolved("::1".parse().unwrap()), None);
        assert!(forbidden_even_if_resolved("::ffff:169.254.169.254".parse().unwrap()).is_some());
        assert!(forbidden_even_if_resolved("168.63.129.16".parse().unwrap()).is_some());
    }
}
