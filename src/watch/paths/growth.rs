//! Owns: `bytes=` and `lines=`: by how much a file has grown since the last event.
//! Never: deciding when to look.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::O_NONBLOCK;

use super::look::Look;
use crate::domain::PathMark;

/// How much of a file is read at one look, in bytes. The daemon does nothing else meanwhile.
pub(super) const READ_MAX: u64 = 16 << 20;

/// What a look at a growing file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) mark: PathMark,
    /// How many events it has grown by.
    pub(super) count: u64,
    /// The mark is worth a commit. Without it, the next daemon would count the same from the mark before.
    pub(super) is_worth_storing: bool,
    /// There is more to read.
    pub(super) has_more: bool,
}

/// Returns the mark from which a file is counted. It starts again if the file was replaced or has shrunk.
fn start(mark: Option<&PathMark>, look: &Look) -> (PathMark, bool) {
    match mark {
        Some(mark) if mark.inode == look.inode && mark.size <= look.size => {
            (PathMark { modified_ns: look.modified_ns, ..*mark }, false)
        }
        Some(_) => (fresh(look), true),
        None => (fresh(look), false),
    }
}

fn fresh(look: &Look) -> PathMark {
    PathMark { inode: look.inode, size: 0, modified_ns: look.modified_ns, base: 0, lines: 0 }
}

/// Returns how many times `every` a file has grown since `base`, and where the rest begins.
fn count(total: u64, base: u64, every: u64) -> (u64, u64) {
    let count = total.saturating_sub(base) / every.max(1);
    (count, base + count * every.max(1))
}

/// Compares a file with its mark, by bytes.
pub(super) fn by_bytes(mark: Option<&PathMark>, look: &Look, every: u64) -> Growth {
    let (mut mark, is_other) = start(mark, look);
    let (count, base) = count(look.size, mark.base, every);
    (mark.size, mark.base) = (look.size, base);
    Growth { mark, count, is_worth_storing: is_other || count > 0, has_more: false }
}

/// Compares a file with its mark, by lines. Reads no further than to the size that was seen, and takes what
/// it reads from `budget`.
///
/// # Errors
/// Those of opening and reading the file, and that it is another file meanwhile.
pub(super) fn by_lines(
    mark: Option<&PathMark>,
    look: &Look,
    every: u64,
    path: &Path,
    budget: &mut u64,
) -> io::Result<Growth> {
    let (mut mark, is_other) = start(mark, look);
    let (mut read, mut lines) = (0, 0);
    if mark.size < look.size && *budget > 0 {
        let file = open(path, look)?;
        (read, lines) = count_lines(file, mark.size, (look.size - mark.size).min(*budget))?;
        *budget -= read;
    }
    mark.size += read;
    mark.lines += lines;
    let (count, base) = count(mark.lines, mark.base, every);
    mark.base = base;
    // It may be shorter by now, and then there is nothing more to read.
    let has_more = *budget == 0 && mark.size < look.size;
    Ok(Growth { mark, count, is_worth_storing: is_other || count > 0 || has_more, has_more })
}

/// Opens the file that was seen. A FIFO that has come in its place must not block the daemon.
fn open(path: &Path, look: &Look) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.ino() != look.inode {
        return Err(io::Error::other("it was replaced"));
    }
    Ok(file)
}

/// Returns how many bytes could be read from `offset` on, up to `length`, and how many newlines they have.
fn count_lines(mut file: impl Read + Seek, offset: u64, length: u64) -> io::Result<(u64, u64)> {
    file.seek(SeekFrom::Start(offset))?;
    let mut file = file.take(length);
    let mut buffer = vec![0; 64 << 10];
    let (mut read, mut lines) = (0, 0);
    loop {
        let bytes = match file.read(&mut buffer) {
            Ok(0) => return Ok((read, lines)),
            Ok(bytes) => &buffer[..bytes],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        read += bytes.len() as u64;
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::look::FileKind;
    use super::*;

    fn look(inode: u64, size: u64) -> Look {
        Look { inode, size, modified_ns: 0, kind: FileKind::Regular, was_elsewhere: false }
    }

    #[test]
    fn each_so_many_bytes_are_an_event() {
        let mut mark = None;
        for (inode, size, count, base) in [
            (1, 9, 0, 0),
            (1, 10, 1, 10),
            (1, 19, 0, 10),
            (1, 45, 3, 40),
            // Shorter, and then as long as before.
            (1, 5, 0, 0),
            (1, 40, 4, 40),
            // Replaced by one that is longer.
            (2, 50, 5, 50),
        ] {
            let growth = by_bytes(mark.as_ref(), &look(inode, size), 10);
            assert_eq!((growth.count, growth.mark.base), (count, base), "{size}");
            mark = Some(growth.mark);
        }
    }

    #[test]
    fn only_newlines_after_the_offset_are_counted() {
        let text = Cursor::new(b"one\ntwo\nthree\nfour");
        assert_eq!(count_lines(text.clone(), 0, 100).expect("memory can be read"), (18, 3));
        assert_eq!(count_lines(text.clone(), 4, 4).expect("memory can be read"), (4, 1));
        assert_eq!(count_lines(text, 14, 100).expect("memory can be read"), (4, 0));
    }
}
