//! Owns: the standard input of an attempt: an opened file, or a text in memory.
//! Never: waiting for the writer of a FIFO, or for a process that does not read.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The standard input of a process without one.
pub const NOTHING: &[u8] = b"/dev/null";

/// How a file is opened for reading: without waiting at a FIFO or a terminal, and without making a terminal
/// the keeper's.
pub const OPEN_FLAGS: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens a file as a shell's `<FILE` does, except that it never waits: a FIFO without a writer is
/// empty.
pub fn open(path: &[u8]) -> io::Result<File> {
    let path = Path::new(OsStr::from_bytes(path));
    let file = OpenOptions::new().read(true).custom_flags(OPEN_FLAGS.bits()).open(path)?;
    // The process itself waits for what it reads, like any other.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file)
}

/// Puts a text where a process can read it without a writer: a pipe would hold no more than 64 KiB.
pub fn of_text(text: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn a_text_is_read_from_its_beginning() {
        let text = vec![b'x'; 1 << 20];
        let mut read = Vec::new();
        of_text(&text).expect("memory").read_to_end(&mut read).expect("it is there");
        assert_eq!(read, text);
    }

    #[test]
    fn a_fifo_without_a_writer_is_empty_and_does_not_block() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fifo");
        mkfifo(&path, Mode::S_IRWXU).expect("the name is new");
        let mut file = open(path.as_os_str().as_bytes()).expect("it is there");
        assert_eq!(file.read(&mut [0; 9]).expect("it is a FIFO"), 0);
    }
}
