//! Owns: the state `online`: a default route, IPv4 or IPv6, through an interface that is up and running.
//! Never: whether another machine answers.
//!
//! The routes come from rtnetlink(7), not from /proc/net: there, IPv4 has only the table `main` and one next
//! hop of several, and IPv6 does not name the table.

use std::io;

use libc::{
    AF_INET, AF_INET6, IFF_LOOPBACK, IFF_RUNNING, IFF_UP, IFLA_INFO_KIND, IFLA_LINKINFO, RT_TABLE_MAIN,
    RTA_MULTIPATH, RTA_OIF, RTA_TABLE, RTM_DELROUTE, RTM_GETLINK, RTM_GETROUTE, RTM_NEWADDR, RTM_NEWLINK,
    RTM_NEWROUTE, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, RTMGRP_LINK, RTN_UNICAST,
};
use nix::sys::socket::SockProtocol;

use super::netlink::{Message, NetlinkSocket, attributes, dump, messages, u16_at, u32_at};

/// With an interface or an address, the kernel removes its IPv4 routes without a message about them.
const GROUPS: i32 = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;

/// How often tables that change while they are read are read. The last reading counts as it is.
const READINGS_MAX: u32 = 5;

/// The lengths of `ifinfomsg` and `rtmsg`, which precede the attributes, and of `rtnexthop`.
const LINK_HEAD: usize = 16;
const ROUTE_HEAD: usize = 12;
const HOP_HEAD: usize = 8;

/// `RTNH_F_DEAD` and `RTNH_F_LINKDOWN`, of linux/rtnetlink.h.
const UNUSABLE: u32 = 1 | 16;

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    index: u32,
    /// `IFF_`, of netdevice(7). `IFF_RUNNING` is set if it can carry data, or cannot say.
    flags: u32,
    kind: LinkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkKind {
    /// It carries its data through another interface, and is running without that too.
    Tunnel,
    /// It drops what is sent.
    Dummy,
    Other,
}

/// A default route for unicast.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DefaultRoute {
    /// See ip-rule(8).
    table: u32,
    /// More than one if the load is shared; none if they are given as an object of ip-nexthop(8).
    hops: Vec<Hop>,
    /// `RTNH_F_`.
    flags: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    link: u32,
    /// `RTNH_F_`.
    flags: u32,
}

/// Opens the socket that receives changes.
pub(super) fn listen() -> io::Result<NetlinkSocket> {
    NetlinkSocket::open(SockProtocol::NetlinkRoute, GROUPS.cast_unsigned())
}

/// Returns whether a datagram has a change that may make a difference. A route to one network makes none,
/// and a router may change thousands of them a second.
pub(super) fn concerns(datagram: &[u8]) -> bool {
    messages(datagram).any(|message| match message.kind {
        RTM_NEWROUTE | RTM_DELROUTE => is_to_everywhere(message.body),
        RTM_NEWADDR => false,
        _ => true,
    })
}

/// Returns whether there is a route to other machines.
pub(super) fn read() -> io::Result<bool> {
    let mut reading = 1;
    loop {
        let (mut links, mut routes) = (Vec::new(), Vec::new());
        // Links first. The message that an address is gone is sent before its routes are removed, and the
        // dump of links, unlike that of routes, waits for the lock that the kernel holds meanwhile.
        let mut is_torn = dump(RTM_GETLINK, &[0; LINK_HEAD], |message| links.extend(link_of(message)))?;
        is_torn |= dump(RTM_GETROUTE, &[0; ROUTE_HEAD], |message| routes.extend(default_route_of(message)))?;
        if !is_torn || reading == READINGS_MAX {
            return Ok(is_online(&links, &routes));
        }
        reading += 1;
    }
}

fn is_online(links: &[Link], routes: &[DefaultRoute]) -> bool {
    routes.iter().any(|route| {
        let is_usable = |hop: &Hop| {
            let mut links = links.iter().filter(|link| link.index == hop.link);
            hop.flags & UNUSABLE == 0 && links.any(|link| carries(*link, route.table))
        };
        route.flags & UNUSABLE == 0 && (route.hops.is_empty() || route.hops.iter().any(is_usable))
    })
}

/// Returns whether a default route of this table through the link leads to other machines.
fn carries(link: Link, table: u32) -> bool {
    let [up, running, loopback] = [IFF_UP, IFF_RUNNING, IFF_LOOPBACK].map(|flag| {
        let flag = flag.cast_unsigned();
        link.flags & flag == flag
    });
    let is_way_out = match link.kind {
        // A VPN for all traffic has its default route in a table of its own, and the network that carries
        // it has another in `main`. If the network goes away, the route of the VPN stays.
        LinkKind::Tunnel => table == u32::from(RT_TABLE_MAIN),
        LinkKind::Dummy => false,
        LinkKind::Other => true,
    };
    up && running && !loopback && is_way_out
}

fn link_of(message: Message<'_>) -> Option<Link> {
    if message.kind != RTM_NEWLINK {
        return None;
    }
    let info = attribute(message.body.get(LINK_HEAD..)?, IFLA_LINKINFO).unwrap_or_default();
    let kind = attribute(info, IFLA_INFO_KIND).unwrap_or_default();
    let kind = match kind.strip_suffix(b"\0").unwrap_or(kind) {
        b"tun" | b"wireguard" => LinkKind::Tunnel,
        b"dummy" => LinkKind::Dummy,
        _ => LinkKind::Other,
    };
    Some(Link { index: u32_at(message.body, 4)?, flags: u32_at(message.body, 8)?, kind })
}

/// Returns whether a message about a route is about a default route.
fn is_to_everywhere(body: &[u8]) -> bool {
    let family_and_length = body.first_chunk().map(|[family, length]| (i32::from(*family), *length));
    matches!(family_and_length, Some((AF_INET | AF_INET6, 0)))
}

/// Returns the route in a message if it is one that can lead to other machines: not of the kinds
/// `unreachable`, `blackhole`, `prohibit` and `throw`, and not for multicast.
fn default_route_of(message: Message<'_>) -> Option<DefaultRoute> {
    let [_, _, _, _, table, _, _, kind] = message.body.first_chunk::<8>()?;
    if message.kind != RTM_NEWROUTE || !is_to_everywhere(message.body) || *kind != RTN_UNICAST {
        return None;
    }
    let rest = message.body.get(ROUTE_HEAD..)?;
    let of = |number: u16| attribute(rest, number);
    // The field in the head has room for numbers up to 255.
    let table = of(RTA_TABLE).and_then(|table| u32_at(table, 0)).unwrap_or(u32::from(*table));
    let link = of(RTA_OIF).and_then(|link| u32_at(link, 0));
    let mut hops: Vec<Hop> = link.map(|link| Hop { link, flags: 0 }).into_iter().collect();
    hops.extend(hops_of(of(RTA_MULTIPATH).unwrap_or_default()));
    Some(DefaultRoute { table, hops, flags: u32_at(message.body, 8)? })
}

/// Returns the next hops of a route with several, up to the first that is malformed.
fn hops_of(mut bytes: &[u8]) -> impl Iterator<Item = Hop> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let hop = Hop { link: u32_at(bytes, 4)?, flags: u32::from(*bytes.get(2)?) };
        bytes = bytes.get(length.max(HOP_HEAD).next_multiple_of(4)..).unwrap_or_default();
        Some(hop)
    })
}

fn attribute(bytes: &[u8], number: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(other, _)| *other == number).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use libc::{RTA_GATEWAY, RTA_PRIORITY, RTN_BLACKHOLE, RTN_MULTICAST, RTN_THROW, RTN_UNREACHABLE};

    use super::super::netlink::message;
    use super::super::sandbox::attribute as coded;
    use super::*;

    const MAIN: u32 = RT_TABLE_MAIN as u32;
    const UP: u32 = IFF_UP.cast_unsigned();
    const RUNNING: u32 = UP | IFF_RUNNING.cast_unsigned();
    const DEAD: u32 = 1;
    const LINK_DOWN: u32 = 16;

    const LO: Link = link(1, RUNNING | IFF_LOOPBACK.cast_unsigned(), LinkKind::Other);
    const ETH: Link = link(2, RUNNING, LinkKind::Other);
    /// Its cable is not plugged in.
    const BARE: Link = link(3, UP, LinkKind::Other);
    const OFF: Link = link(4, 0, LinkKind::Other);
    const VPN: Link = link(5, RUNNING, LinkKind::Tunnel);
    const DUMMY: Link = link(6, RUNNING, LinkKind::Dummy);
    const LINKS: [Link; 6] = [LO, ETH, BARE, OFF, VPN, DUMMY];

    const fn link(index: u32, flags: u32, kind: LinkKind) -> Link {
        Link { index, flags, kind }
    }

    fn through(link: Link) -> DefaultRoute {
        DefaultRoute { table: MAIN, hops: vec![hop(link, 0)], flags: 0 }
    }

    fn hop(link: Link, flags: u32) -> Hop {
        Hop { link: link.index, flags }
    }

    #[track_caller]
    fn check(is: bool, routes: &[DefaultRoute]) {
        assert_eq!(is_online(&LINKS, routes), is, "{routes:?}");
    }

    #[test]
    fn a_machine_is_online_by_a_default_route_through_a_running_interface() {
        check(false, &[]);
        check(true, &[through(ETH)]);
        for link in [LO, BARE, OFF, DUMMY, link(99, RUNNING, LinkKind::Other)] {
            check(false, &[through(link)]);
            check(true, &[through(link), through(ETH)]);
        }
        check(false, &[through(LO), through(BARE), through(OFF)]);
    }

    #[test]
    fn a_route_that_the_kernel_does_not_use_is_none() {
        for flags in [DEAD, LINK_DOWN, DEAD | LINK_DOWN] {
            check(false, &[DefaultRoute { flags, ..through(ETH) }]);
            check(false, &[DefaultRoute { hops: vec![hop(ETH, flags)], ..through(ETH) }]);
        }
        // `RTNH_F_ONLINK` says nothing about it.
        check(true, &[DefaultRoute { flags: 4, ..through(ETH) }]);
    }

    #[test]
    fn one_of_several_next_hops_suffices() {
        let hops = vec![hop(BARE, LINK_DOWN), hop(ETH, 0)];
        check(true, &[DefaultRoute { hops, ..through(ETH) }]);
        let hops = vec![hop(BARE, LINK_DOWN), hop(OFF, DEAD)];
        check(false, &[DefaultRoute { hops, ..through(ETH) }]);
        // The kernel gives only the number of a group of hops.
        check(true, &[DefaultRoute { hops: Vec::new(), ..through(ETH) }]);
        check(false, &[DefaultRoute { hops: Vec::new(), flags: DEAD, ..through(ETH) }]);
    }

    #[test]
    fn a_tunnel_counts_in_the_main_table_only() {
        let beside = |link| DefaultRoute { table: 51_820, ..through(link) };
        check(true, &[through(VPN)]);
        check(false, &[beside(VPN)]);
        check(true, &[beside(VPN), through(ETH)]);
        check(false, &[beside(VPN), through(BARE)]);
        check(true, &[beside(ETH)]);
    }

    /// Returns the body of an `RTM_NEWROUTE` with the table `main`.
    fn route(family: i32, length: u8, kind: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let family = u8::try_from(family).expect("families are small");
        let mut body = vec![family, length, 0, 0, RT_TABLE_MAIN, 3, 0, kind, 0, 0, 0, 0];
        body.extend(attributes.concat());
        body
    }

    fn parsed(body: &[u8]) -> Option<DefaultRoute> {
        default_route_of(Message { kind: RTM_NEWROUTE, flags: 0, body })
    }

    fn number(attribute: u16, value: u32) -> Vec<u8> {
        coded(attribute, &value.to_ne_bytes())
    }

    #[test]
    fn the_message_of_a_default_route_is_read() {
        let attributes = [
            number(RTA_TABLE, MAIN),
            number(RTA_PRIORITY, 600),
            coded(RTA_GATEWAY, &[192, 0, 2, 1]),
            number(RTA_OIF, 2),
        ];
        for family in [AF_INET, AF_INET6] {
            assert_eq!(parsed(&route(family, 0, RTN_UNICAST, &attributes)), Some(through(ETH)));
        }
        // A route of a VPN or a modem has no gateway, and older kernels give the table in the head only.
        assert_eq!(parsed(&route(AF_INET, 0, RTN_UNICAST, &attributes[3..])), Some(through(ETH)));
        let body = route(AF_INET, 0, RTN_UNICAST, &[number(RTA_TABLE, 51_820), number(RTA_OIF, 5)]);
        assert_eq!(parsed(&body), Some(DefaultRoute { table: 51_820, ..through(VPN) }));
        let mut body = route(AF_INET, 0, RTN_UNICAST, &attributes);
        body[8..12].copy_from_slice(&LINK_DOWN.to_ne_bytes());
        assert_eq!(parsed(&body), Some(DefaultRoute { flags: LINK_DOWN, ..through(ETH) }));
    }

    #[test]
    fn the_next_hops_of_a_route_are_read() {
        let hop_bytes = |link: u32, flags: u8| {
            let gateway = coded(RTA_GATEWAY, &[192, 0, 2, 1]);
            let length = u16::try_from(HOP_HEAD + gateway.len()).expect("it is short");
            [&length.to_ne_bytes()[..], &[flags, 0], &link.to_ne_bytes(), &gateway].concat()
        };
        let hops = [hop_bytes(3, 16), hop_bytes(2, 0)].concat();
        let body = route(AF_INET, 0, RTN_UNICAST, &[coded(RTA_MULTIPATH, &hops)]);
        let expected = vec![hop(BARE, LINK_DOWN), hop(ETH, 0)];
        assert_eq!(parsed(&body), Some(DefaultRoute { hops: expected, ..through(ETH) }));
        // A hop without a length would never end.
        let body = route(AF_INET, 0, RTN_UNICAST, &[coded(RTA_MULTIPATH, &[0; 64])]);
        assert_eq!(parsed(&body).map(|route| route.hops.len()), Some(8));
    }

    #[test]
    fn other_routes_are_not_read() {
        let out = [number(RTA_OIF, 2)];
        for kind in [RTN_UNREACHABLE, RTN_BLACKHOLE, RTN_THROW, RTN_MULTICAST] {
            assert_eq!(parsed(&route(AF_INET, 0, kind, &out)), None, "{kind}");
        }
        assert_eq!(parsed(&route(AF_INET, 24, RTN_UNICAST, &out)), None);
        // The half of a VPN, which stands beside the default route.
        assert_eq!(parsed(&route(AF_INET, 1, RTN_UNICAST, &out)), None);
        // MPLS, and routes of multicast.
        assert_eq!(parsed(&route(28, 0, RTN_UNICAST, &out)), None);
        assert_eq!(parsed(&route(128, 0, RTN_UNICAST, &out)), None);
        let body = route(AF_INET, 0, RTN_UNICAST, &out);
        for length in 0..ROUTE_HEAD {
            assert_eq!(parsed(&body[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_message_of_an_interface_is_read() {
        for (kind, expected) in [
            (&b"wireguard"[..], LinkKind::Tunnel),
            (b"tun\0", LinkKind::Tunnel),
            (b"dummy\0", LinkKind::Dummy),
            (b"bridge\0", LinkKind::Other),
            (b"", LinkKind::Other),
        ] {
            let mut body = [0, 7, RUNNING, 0].map(u32::to_ne_bytes).concat();
            body.extend(coded(3, b"name\0"));
            // The flag says that the value has attributes of its own.
            body.extend(coded(IFLA_LINKINFO | 0x8000, &coded(IFLA_INFO_KIND, kind)));
            let message = Message { kind: RTM_NEWLINK, flags: 0, body: &body };
            assert_eq!(link_of(message), Some(link(7, RUNNING, expected)));
            let plain = Message { body: &body[..LINK_HEAD], ..message };
            assert_eq!(link_of(plain), Some(link(7, RUNNING, LinkKind::Other)));
            assert_eq!(link_of(Message { body: &body[..8], ..message }), None);
        }
    }

    #[test]
    fn a_change_concerns_if_it_may_change_a_default_route_or_its_interface() {
        let concerned = |kind: u16, body: &[u8]| concerns(&message(kind, 0, body));
        assert!(concerned(RTM_NEWLINK, &[0; 16]));
        assert!(concerned(libc::RTM_DELLINK, &[0; 16]));
        assert!(concerned(libc::RTM_DELADDR, &[0; 8]));
        assert!(!concerned(RTM_NEWADDR, &[0; 8]));
        for kind in [RTM_NEWROUTE, RTM_DELROUTE] {
            assert!(concerned(kind, &route(AF_INET, 0, RTN_UNICAST, &[])));
            assert!(concerned(kind, &route(AF_INET6, 0, RTN_UNREACHABLE, &[])));
            assert!(!concerned(kind, &route(AF_INET, 24, RTN_UNICAST, &[])));
        }
        let mut datagram = message(RTM_NEWADDR, 0, &[0; 8]);
        assert!(!concerns(&datagram));
        datagram.extend(message(RTM_NEWLINK, 0, &[0; 16]));
        assert!(concerns(&datagram));
    }
}
