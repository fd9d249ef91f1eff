//! Owns: the sockets in a store's directory: their names, addresses and who may use them.
//! Never: what is said through them.
//!
//! A socket address holds 107 bytes. A longer path is reached through `/proc/self/fd`, by way of the open directory.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt};

/// Where clients say that they write.
pub(super) const POKES: &str = "daemon.sock";
/// Where clients wait for what the daemon does.
pub(super) const TURNS: &str = "turns.sock";
/// Where clients hand over jobs to be added.
pub(super) const ADDS: &str = "adds.sock";
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

/// Removes the socket of a process that is gone. The caller holds the daemon's lock, or knows that nobody listens.
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
pub(super) fn listen(dir: &Path, name: &str) -> io::Result<UnixListener> {
    clear(dir, name)?;
    let listener = UnixListener::bind(address(dir, name)?.path.as_path())?;
    close_to_others(dir, name)?;
    Ok(listener)
}

/// Makes a datagram socket in the place of whatever had that name.
pub(super) fn receive(dir: &Path, name: &str) -> io::Result<UnixDatagram> {
    clear(dir, name)?;
    let socket = UnixDatagram::bind(address(dir, name)?.path.as_path())?;
    close_to_others(dir, name)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Connects to a stream socket.
pub(super) fn connect(dir: &Path, name: &str) -> io::Result<UnixStream> {
    let address = address(dir, name)?;
    UnixStream::connect(&address.path)
}

/// Sends a datagram without waiting.
pub(super) fn send(socket: &UnixDatagram, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let address = address(dir, name)?;
    socket.send_to(bytes, &address.path).map(|_| ())
}

/// Tells whether user `uid` may talk to us: ourselves and root.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Tells whether whoever is at the other end may talk to us.
pub(super) fn has_trusted_peer(stream: &impl AsFd) -> bool {
    getsockopt(&stream.as_fd(), sockopt::PeerCredentials).is_ok_and(|peer| is_trusted(peer.uid()))
}
