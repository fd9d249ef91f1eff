//! Owns: a network of their own for tests, with the changes that they make to it.
//! Never: what is watched.

use std::io;
use std::thread;

use libc::{
    AF_INET, IFA_ADDRESS, IFA_LOCAL, IFF_UP, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO,
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTA_OIF,
    RTA_PRIORITY, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE,
    RTN_UNICAST, RTPROT_BOOT,
};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::SockProtocol;

use super::netlink::{NetlinkSocket, Received, error_of, message, messages};

/// The interfaces of [`Sandbox::add_cable`].
pub(super) const NEAR: u32 = 10;
pub(super) const FAR: u32 = 11;

const ADD: i32 = NLM_F_CREATE | NLM_F_EXCL;

pub(super) struct Sandbox(NetlinkSocket);

/// A route to everywhere.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub family: i32,
    pub kind: u8,
    pub link: Option<u32>,
    pub metric: u32,
}

impl Route {
    pub(super) fn through(link: u32) -> Self {
        Self { family: AF_INET, kind: RTN_UNICAST, link: Some(link), metric: 100 }
    }
}

/// Runs a test in a thread with a network of its own, which has `lo` only. Where the machine does not offer
/// that, or a part of the test, the reason is printed.
pub(super) fn in_new_network(test: impl FnOnce(&Sandbox) -> io::Result<()> + Send) {
    let result = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let sandbox = Sandbox(NetlinkSocket::open(SockProtocol::NetlinkRoute, 0)?);
            test(&sandbox)
        });
        thread.join().expect("the test passes")
    });
    if let Err(error) = result {
        let refusals = [Errno::EPERM, Errno::EACCES, Errno::EOPNOTSUPP, Errno::EAFNOSUPPORT];
        let is_refused = refusals.iter().any(|errno| error.raw_os_error() == Some(*errno as i32));
        assert!(is_refused, "the test passes: {error}");
        eprintln!("skipped: this machine does not offer it: {error}");
    }
}

impl Sandbox {
    /// Connects two new interfaces, which are down.
    pub(super) fn add_cable(&self) -> io::Result<()> {
        let far = [link(FAR, 0), attribute(IFLA_IFNAME, b"far\0")].concat();
        // `VETH_INFO_PEER` of linux/veth.h.
        let peer = attribute(IFLA_INFO_DATA, &attribute(1, &far));
        let info = [attribute(IFLA_INFO_KIND, b"veth"), peer].concat();
        let near = [link(NEAR, 0), attribute(IFLA_IFNAME, b"near\0"), attribute(IFLA_LINKINFO, &info)];
        self.request(RTM_NEWLINK, ADD, &near.concat())
    }

    pub(super) fn set_up(&self, index: u32, is_up: bool) -> io::Result<()> {
        let flags = if is_up { IFF_UP.cast_unsigned() } else { 0 };
        self.request(RTM_NEWLINK, 0, &link(index, flags))
    }

    pub(super) fn remove_link(&self, index: u32) -> io::Result<()> {
        self.request(RTM_DELLINK, 0, &link(index, 0))
    }

    /// Gives the n-th address, from 1, to the near end.
    pub(super) fn add_address(&self, n: u16) -> io::Result<()> {
        self.request(RTM_NEWADDR, ADD, &address(n))
    }

    pub(super) fn remove_address(&self, n: u16) -> io::Result<()> {
        self.request(RTM_DELADDR, 0, &address(n))
    }

    pub(super) fn add_route(&self, route: Route) -> io::Result<()> {
        self.request(RTM_NEWROUTE, ADD, &route.body())
    }

    pub(super) fn remove_route(&self, route: Route) -> io::Result<()> {
        self.request(RTM_DELROUTE, 0, &route.body())
    }

    fn request(&self, kind: u16, flags: i32, body: &[u8]) -> io::Result<()> {
        self.0.send(&message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, body))?;
        let mut buffer = [0; 4096];
        match self.0.receive(&mut buffer)? {
            Received::Datagram(answer) => messages(answer).try_for_each(error_of),
            other => panic!("{other:?} is not an answer"),
        }
    }
}

impl Route {
    fn body(self) -> Vec<u8> {
        let family = u8::try_from(self.family).expect("families are small");
        let mut body = vec![family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, self.kind];
        body.extend([0; 4]);
        body.extend(self.link.iter().flat_map(|link| attribute(RTA_OIF, &link.to_ne_bytes())));
        body.extend(attribute(RTA_PRIORITY, &self.metric.to_ne_bytes()));
        body
    }
}

/// Returns an attribute, padded.
pub(super) fn attribute(number: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("ours are short");
    let mut bytes = [length.to_ne_bytes(), number.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Returns an `ifinfomsg` that sets `IFF_UP` to that of `flags`.
pub(super) fn link(index: u32, flags: u32) -> Vec<u8> {
    [0, index, flags, IFF_UP.cast_unsigned()].map(u32::to_ne_bytes).concat()
}

/// Returns 10.0.0.0/16 plus `n`, as an `ifaddrmsg`.
fn address(n: u16) -> Vec<u8> {
    let mut body = vec![u8::try_from(AF_INET).expect("families are small"), 16, 0, 0];
    let [high, low] = n.to_be_bytes();
    body.extend(NEAR.to_ne_bytes());
    body.extend([IFA_LOCAL, IFA_ADDRESS].map(|number| attribute(number, &[10, 0, high, low])).concat());
    body
}
