//! Owns: netlink(7) sockets, and the messages and attributes that their datagrams consist of.
//! Never: the meaning of a message (see `network` and `power`).

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvmsg, sendto, socket,
};

/// The port of the kernel. Only privileged processes can send from another port to ours.
const KERNEL: u32 = 0;

/// The kernel sends no larger datagram of a dump.
pub(super) const DATAGRAM_BYTES_MAX: usize = 32 << 10;

const MESSAGE_HEAD: usize = 16;
const ATTRIBUTE_HEAD: usize = 4;
const ALIGNMENT: usize = 4;

/// A socket that never blocks.
#[derive(Debug)]
pub(super) struct NetlinkSocket(OwnedFd);

/// The result of an attempt to receive a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<'b> {
    Datagram(&'b [u8]),
    /// A process has sent it, not the kernel.
    Foreign,
    /// The kernel had to drop datagrams, or this one was too long.
    Lost,
    /// There is no datagram.
    Empty,
}

impl NetlinkSocket {
    /// Opens a socket that receives what is sent to these groups, a bit mask.
    pub(super) fn open(protocol: SockProtocol, groups: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self(fd))
    }

    /// Makes one that cannot receive.
    #[cfg(test)]
    pub(super) fn broken() -> Self {
        Self(std::fs::File::open("/dev/null").expect("there is /dev/null").into())
    }

    /// Sends a message to the kernel.
    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        let kernel = NetlinkAddr::new(KERNEL, 0);
        sendto(self.0.as_raw_fd(), message, &kernel, MsgFlags::empty())?;
        Ok(())
    }

    pub(super) fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Received<'b>> {
        let mut parts = [IoSliceMut::new(buffer)];
        let result = recvmsg::<NetlinkAddr>(self.0.as_raw_fd(), &mut parts, None, MsgFlags::empty());
        let (bytes, flags, sender) = match result {
            Ok(datagram) => (datagram.bytes, datagram.flags, datagram.address),
            Err(Errno::EAGAIN) => return Ok(Received::Empty),
            Err(Errno::ENOBUFS) => return Ok(Received::Lost),
            Err(errno) => return Err(errno.into()),
        };
        if sender.is_none_or(|sender| sender.pid() != KERNEL) {
            return Ok(Received::Foreign);
        }
        if flags.contains(MsgFlags::MSG_TRUNC) {
            return Ok(Received::Lost);
        }
        Ok(Received::Datagram(&buffer[..bytes]))
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'b> {
    pub kind: u16,
    pub flags: u16,
    pub body: &'b [u8],
}

/// Returns the messages of a datagram, up to the first that is malformed.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let body = datagram.get(MESSAGE_HEAD..length)?;
        let message = Message { kind: u16_at(datagram, 4)?, flags: u16_at(datagram, 6)?, body };
        datagram = datagram.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(message)
    })
}

/// Returns the attributes in `bytes`, each with its number and its value, up to the first that is malformed.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    // The upper two bits say how the value is coded.
    const NUMBER: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(ATTRIBUTE_HEAD..length)?;
        let number = u16_at(bytes, 2)? & NUMBER;
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some((number, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Returns the bytes of a message.
pub(super) fn message(kind: u16, flags: i32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(MESSAGE_HEAD + body.len()).expect("our messages are short");
    let flags = u16::try_from(flags).expect("the flags of a message have 16 bits");
    let mut message = Vec::from(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port: a socket of ours has one request under way.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Reads a whole table of the kernel, by a request of this kind, and gives each of its messages to `take`.
/// Returns whether the table changed meanwhile: then an entry may be missing.
pub(super) fn dump(kind: u16, body: &[u8], mut take: impl FnMut(Message<'_>)) -> io::Result<bool> {
    let socket = NetlinkSocket::open(SockProtocol::NetlinkRoute, 0)?;
    socket.send(&message(kind, NLM_F_REQUEST | NLM_F_DUMP, body))?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut is_torn = false;
    loop {
        let datagram = match socket.receive(&mut buffer)? {
            Received::Datagram(datagram) => datagram,
            Received::Foreign => continue,
            // The kernel writes each part while the one before is read, so that waiting would be for ever.
            Received::Lost | Received::Empty => return Err(Errno::ENOBUFS.into()),
        };
        for message in messages(datagram) {
            is_torn |= i32::from(message.flags) & NLM_F_DUMP_INTR != 0;
            match i32::from(message.kind) {
                NLMSG_DONE | NLMSG_ERROR => {
                    error_of(message)?;
                    return Ok(is_torn);
                }
                _ => take(message),
            }
        }
    }
}

/// Returns the error in a message that ends an answer.
pub(super) fn error_of(message: Message<'_>) -> io::Result<()> {
    match u32_at(message.body, 0).map(u32::cast_signed) {
        Some(code) if code < 0 => Err(io::Error::from_raw_os_error(-code)),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_taken_apart_into_its_messages() {
        let mut datagram = message(16, 2, b"abcde");
        datagram.extend([0; 3]);
        datagram.extend(message(24, 0, b""));
        let found: Vec<_> = messages(&datagram).map(|m| (m.kind, m.flags, m.body)).collect();
        assert_eq!(found, [(16, 2, &b"abcde"[..]), (24, 0, b"")]);
    }

    #[test]
    fn a_datagram_that_is_cut_off_ends_with_its_last_whole_message() {
        let mut datagram = message(16, 0, b"abcd");
        datagram.extend(message(24, 0, b"efgh"));
        for length in 20..datagram.len() {
            assert_eq!(messages(&datagram[..length]).count(), 1, "{length}");
        }
        for length in 0..20 {
            assert_eq!(messages(&datagram[..length]).count(), 0, "{length}");
        }
        // A length below that of the head would never end.
        assert_eq!(messages(&[0; 64]).count(), 0);
    }

    #[test]
    fn attributes_are_taken_apart_and_end_at_the_first_malformed_one() {
        let number = |number: u16| number.to_ne_bytes();
        let bytes =
            [&number(5)[..], &number(3 | 0x8000), b"x\0\0\0", &number(8), &number(4), b"abcd"].concat();
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found, [(3, &b"x"[..]), (4, b"abcd")]);
        assert_eq!(attributes(&bytes[..bytes.len() - 1]).count(), 1);
        assert_eq!(attributes(&[0; 8]).count(), 0);
    }

    #[test]
    fn the_kernel_refuses_a_request_that_does_not_exist_with_an_error() {
        let result = dump(60_000, &[0; 16], |_| panic!("there is no such table"));
        assert!(result.is_err(), "{result:?}");
    }
}
