//! Owns: the sockets in a store's directory: their names, their addresses, and who may connect.
//! Never: the bytes that are sent through them.
//!
//! A socket address holds 107 bytes. A longer path is reached through `/proc/self/fd`, by way of the open
//! directory.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, getsockopt, setsockopt, sockopt};

use super::directory::FileId;

/// The socket at which the keeper accepts the daemon.
pub const KEEPER: &str = "keeper.sock";
/// The datagram socket at which the daemon receives pokes.
pub const POKES: &str = "daemon.sock";
/// The socket at which the daemon accepts subscriptions.
pub const TURNS: &str = "turns.sock";
/// The socket at which the daemon accepts jobs to add.
pub const ADDS: &str = "adds.sock";
/// The longest path in a socket address, with room for its NUL.
const ADDRESS_BYTES_MAX: usize = 107;

/// An address that is valid as long as this value lives.
struct Address {
    path: PathBuf,
    #[expect(dead_code, reason = "the address leads through it")]
    directory: Option<File>,
}

fn address(dir: &Path, name: &str) -> io::Result<Address> {
    let path = dir.join(name);
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok(Address { path, directory: None });
    }
    let directory = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()));
    Ok(Address { path, directory: Some(directory) })
}

/// Removes the socket of a process that has exited. The caller holds the lock of the daemon or the keeper, or
/// knows that no process listens.
fn clear(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn close_to_others(dir: &Path, name: &str) -> io::Result<()> {
    fs::set_permissions(dir.join(name), Permissions::from_mode(0o600))
}

/// Makes a listener that does not block. Replaces whatever had this name.
pub fn listen(dir: &Path, name: &str) -> io::Result<UnixListener> {
    clear(dir, name)?;
    let listener = UnixListener::bind(address(dir, name)?.path.as_path())?;
    close_to_others(dir, name)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Makes a datagram socket that does not block and that receives the credentials of senders. Replaces
/// whatever had this name.
pub fn receive(dir: &Path, name: &str) -> io::Result<UnixDatagram> {
    clear(dir, name)?;
    let socket = UnixDatagram::bind(address(dir, name)?.path.as_path())?;
    close_to_others(dir, name)?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::PassCred, &true)?;
    Ok(socket)
}

/// A socket with the file by which others find it.
#[derive(Debug)]
pub struct NamedSocket<S> {
    socket: S,
    bind: fn(&Path, &str) -> io::Result<S>,
    dir: PathBuf,
    name: &'static str,
    file: FileId,
}

impl<S> NamedSocket<S> {
    /// Makes a socket by `bind`, which is `listen` or `receive`.
    pub fn new(dir: &Path, name: &'static str, bind: fn(&Path, &str) -> io::Result<S>) -> io::Result<Self> {
        let socket = bind(dir, name)?;
        let file = FileId::from(&fs::symlink_metadata(dir.join(name))?);
        Ok(Self { socket, bind, dir: dir.to_owned(), name, file })
    }

    /// Returns whether its file is gone, so that no client can find the socket.
    pub fn is_gone(&self) -> bool {
        self.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Replaces the socket by a new one with the same name.
    pub fn renew(&mut self) -> io::Result<()> {
        *self = Self::new(&self.dir, self.name, self.bind)?;
        Ok(())
    }

    /// Removes its file, unless another process has made another file in its place.
    pub fn remove(&self) {
        if self.metadata().is_ok_and(|found| FileId::from(&found) == self.file) {
            let _ = fs::remove_file(self.dir.join(self.name));
        }
    }

    fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(self.dir.join(self.name))
    }
}

impl<S> Deref for NamedSocket<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

/// Accepts the next connection of a trusted user at a listener that does not block; `None` if none waits.
///
/// # Errors
/// If there are no descriptors, or no memory, for a connection.
pub fn accept(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    loop {
        match listener.accept() {
            Ok((stream, _)) if has_trusted_peer(&stream) && stream.set_nonblocking(true).is_ok() => {
                return Ok(Some(stream));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Connects to a stream socket, or fails at once.
///
/// # Errors
/// `WouldBlock` if the backlog is full; see `is_absence` for a socket at which no process listens.
pub fn connect(dir: &Path, name: &str) -> io::Result<UnixStream> {
    let address = address(dir, name)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    socket::connect(socket.as_raw_fd(), &UnixAddr::new(&address.path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Returns whether this error means that no process listens.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused
    )
}

/// Returns whether this error means that the system has no descriptor or no memory left.
pub fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS))
}

/// Returns whether a process receives at a datagram socket and the files of these listeners exist. Sends
/// nothing.
pub fn are_there(dir: &Path, datagrams: &str, listeners: &[&str]) -> bool {
    let receives = || {
        let probe = UnixDatagram::unbound()?;
        probe.connect(&address(dir, datagrams)?.path)
    };
    let is_gone = |name: &&str| fs::symlink_metadata(dir.join(name)).is_err_and(|error| is_absence(&error));
    !receives().is_err_and(|error| is_absence(&error)) && !listeners.iter().any(is_gone)
}

/// Sends a datagram without waiting.
pub fn send(socket: &UnixDatagram, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let address = address(dir, name)?;
    socket.send_to(bytes, &address.path).map(|_| ())
}

/// Returns whether user `uid` may connect: the user of this process and root may.
pub fn may_connect(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Returns the user at the other end.
pub fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
    Ok(getsockopt(&stream.as_fd(), sockopt::PeerCredentials)?.uid())
}

/// Returns whether the user at the other end may connect.
pub fn has_trusted_peer(stream: &impl AsFd) -> bool {
    peer_uid(stream).is_ok_and(may_connect)
}
