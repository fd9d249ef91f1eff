//! Owns: the sockets in a store's directory: their names, addresses and who may use them.
//! Never: what is sent through them.
//!
//! A socket address holds 107 bytes. A longer path is reached through `/proc/self/fd`, by way of the open
//! directory.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, getsockopt, sockopt};

/// Where the keeper listens to the daemon.
pub const KEEPER: &str = "keeper.sock";
/// Where clients announce that they write.
pub const POKES: &str = "daemon.sock";
/// Where clients wait for the daemon's turns.
pub const TURNS: &str = "turns.sock";
/// Where clients hand over jobs to be added.
pub const ADDS: &str = "adds.sock";
/// The longest path in a socket address, with room for its NUL.
const ADDRESS_BYTES_MAX: usize = 107;

/// An address that holds as long as this value lives.
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

/// Removes the socket of a process that is gone. The caller holds the lock of the daemon or the keeper, or
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

/// Listens on a stream socket in the place of whatever had that name.
pub fn listen(dir: &Path, name: &str) -> io::Result<UnixListener> {
    clear(dir, name)?;
    let listener = UnixListener::bind(address(dir, name)?.path.as_path())?;
    close_to_others(dir, name)?;
    Ok(listener)
}

/// Makes a datagram socket in the place of whatever had that name.
pub fn receive(dir: &Path, name: &str) -> io::Result<UnixDatagram> {
    clear(dir, name)?;
    let socket = UnixDatagram::bind(address(dir, name)?.path.as_path())?;
    close_to_others(dir, name)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A name in the directory, and the socket file that this process has made there.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    /// Its device and inode.
    file: (u64, u64),
}

impl Bound {
    /// Takes note of the socket that was made just now.
    pub fn of(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        let metadata = fs::symlink_metadata(&path)?;
        Ok(Self { path, file: (metadata.dev(), metadata.ino()) })
    }

    /// Tells whether the name is gone: no client finds the socket any more.
    pub fn is_gone(&self) -> bool {
        fs::symlink_metadata(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Removes the name, unless another process has made something of its own there.
    pub fn remove(&self) {
        let is_ours = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Accepts the next connection of a trusted user at a listener that does not block; `None`: none waits.
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

/// Tells whether this error means that no process listens.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused
    )
}

/// Tells whether this error means that the system has no descriptor or no memory left.
pub fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS))
}

/// Tells whether a process receives at a datagram socket and listeners have these names, without a message.
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

/// Tells whether user `uid` may connect to us: ourselves and root.
pub fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Tells whether the user at the other end may connect to us.
pub fn has_trusted_peer(stream: &impl AsFd) -> bool {
    getsockopt(&stream.as_fd(), sockopt::PeerCredentials).is_ok_and(|peer| is_trusted(peer.uid()))
}
