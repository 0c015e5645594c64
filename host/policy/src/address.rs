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

/// The address itself, and the IPv4 addresses that it embeds: mapped, compatible, translated
/// (64:ff9b::/96 and 64:ff9b:1::/48), 6to4 (2002::/16), Teredo (2001::/32) or ISATAP.
fn with_embedded_v4(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return vec![address] };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let mut addresses = vec![address];
    let mut embeds = |high: u16, low: u16| addresses.push(v4(high, low));
    match [a, b, c, d, e, f] {
        // `::` and `::1` are not IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0] if (g, h) != (0, 0) && (g, h) != (0, 1) => embeds(g, h),
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            embeds(g, h);
        }
        [0x64, 0xff9b, 1, ..] => addresses.extend(local_nat64(v6)),
        [0x2002, high, low, ..] => embeds(high, low),
        // RFC 4380: the server, and the client, whose bits are inverted.
        [0x2001, 0, high, low, ..] => {
            embeds(high, low);
            embeds(!g, !h);
        }
        _ => {}
    }
    // RFC 5214, with the bit for globally unique identifiers or without it, below any prefix.
    if matches!((e, f), (0 | 0x0200, 0x5efe)) {
        addresses.push(v4(g, h));
    }
    addresses
}

/// The IPv4 addresses that an address in 64:ff9b:1::/48 may embed.
///
/// Which one it is depends on the length of the network's own prefix (RFC 6052, 2.2), which only
/// its translator knows. Byte 8 is not part of the address.
fn local_nat64(address: Ipv6Addr) -> impl Iterator<Item = IpAddr> {
    let [.., h, i, _, j, k, l, m, n, o, p] = address.octets();
    let lengths = [[h, i, j, k], [i, j, k, l], [j, k, l, m], [m, n, o, p]].map(Ipv4Addr::from);
    // Most addresses have zeros where a prefix of another length has its IPv4 address.
    lengths.into_iter().filter(|address| address.octets()[0] != 0).map(IpAddr::V4)
}

fn v4(high: u16, low: u16) -> IpAddr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
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
            // RFC 6052: prefixes of 48, 56, 64 and 96 bits.
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:12a9:fe:a9fe::",
            "64:ff9b:1:1234:a9:fea9:fe00:0",
            "64:ff9b:1:1234:a8:3f81:1000:0",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:ffff:1:2:127.0.0.1",
            // Byte 8 is ignored, and so is what follows the IPv4 address.
            "64:ff9b:1:a9fe:ffa9:feff:ffff:ffff",
            // Teredo: the server, and the inverted client.
            "2001:0:a9fe:a9fe:0:0:f5ff:fffb",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
            "2001:0:4136:e378:8000:63bf:57c0:7eef",
            // ISATAP.
            "2603:1030::5efe:169.254.169.254",
            "2603:1030::200:5efe:169.254.169.254",
            "fd00::5efe:168.63.129.16",
            "fd00::200:5efe:127.0.0.1",
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
            "64:ff9b:1::10.0.0.4",
            "64:ff9b:1:a00:0:400::",
            "64:ff9b:1:120a:0:4::",
            "64:ff9b:1:1234:a:0:400:0",
            "64:ff9b:2::169.254.169.254",
            "2001:0:4136:e378:8000:63bf:f5ff:fffb",
            "2001:1::169.254.169.254",
            "2603:1030::5efe:10.0.0.4",
            "2603:1030::100:5efe:169.254.169.254",
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
        for address in ["64:ff9b:1::127.0.0.1", "fd00::5efe:127.0.0.1"] {
            assert_eq!(forbidden_even_if_resolved(address.parse().unwrap()), None, "{address}");
        }
    }
}
