//! Owns: copying the output files of runs into another log directory, while runs write to them.
//! Never: which of them belong to a copy of a store (see `daemon::backup`).
//!
//! A head only grows. A ring overwrites its oldest bytes, also while it is copied: then the header of the
//! copy says from which place on its bytes are whole. A ring is copied before its head, because an output
//! with a byte in its ring has the whole of its head.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::output_files::{CHUNK_BYTES_MAX, Ring};
use super::output_names::{OutputId, Part, part_of_output};
use super::protocol::Attempt;
use super::sealed_blocks::{BLOCK, BlockHeader};
use super::sealed_ring::SealedRing;
use crate::error::describe;
use crate::system::directory::FileId;

/// How often a ring is copied again that has gone on too far meanwhile. After that its oldest bytes are given
/// up.
const RING_TRIES: u32 = 3;

/// The output files of runs, as far as they are copied.
#[derive(Debug)]
pub struct OutputCopies {
    from: PathBuf,
    to: PathBuf,
    files: BTreeMap<(OutputId, Part), Copied>,
}

/// A copied file.
#[derive(Debug)]
struct Copied {
    name: String,
    /// The original, as it was when it was copied.
    id: FileId,
    bytes: u64,
    modified: (i64, i64),
    /// The header of a ring.
    ring: Option<AnyRing>,
}

/// The header of a ring, plain or sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnyRing {
    Plain(Ring),
    Sealed(SealedRing),
}

impl AnyRing {
    /// `None`: it has none yet, or one that cannot be.
    fn of(file: &File) -> Option<Self> {
        Ring::of(file).map(Self::Plain).or_else(|| SealedRing::of(file).ok().flatten().map(Self::Sealed))
    }
}

impl Copied {
    fn new(name: &str, found: &Metadata, ring: Option<AnyRing>) -> Self {
        let modified = (found.mtime(), found.mtime_nsec());
        Self { name: name.to_owned(), id: found.into(), bytes: found.len(), modified, ring }
    }

    fn is_of(&self, found: &Metadata, ring: Option<AnyRing>) -> bool {
        let modified = (found.mtime(), found.mtime_nsec());
        self.id == found.into() && self.bytes == found.len() && self.modified == modified && self.ring == ring
    }
}

impl OutputCopies {
    /// `from`, `to`: the log directories.
    pub fn new(from: PathBuf, to: PathBuf) -> Self {
        Self { from, to, files: BTreeMap::new() }
    }

    /// Copies the files that are new, or that have changed since the last pass. A file that is gone stays in
    /// the copy.
    ///
    /// # Errors
    /// If a file cannot be read or copied. The text has its path.
    pub fn pass(&mut self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.from).map_err(|error| about(&self.from, &error))? {
            let name = entry.map_err(|error| about(&self.from, &error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let part = part_of_output(name).filter(|(output, _)| output.attempt.run().is_some());
            found.extend(part.map(|(output, part)| (part, output, name.to_owned())));
        }
        // Rings first.
        found.sort_unstable();
        for (part, output, name) in found {
            let path = self.from.join(&name);
            match self.copy(&path, (output, part), &name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => copied.map_err(|error| about(&path, &error))?,
            }
        }
        Ok(())
    }

    fn copy(&mut self, path: &Path, key: (OutputId, Part), name: &str) -> io::Result<()> {
        // A pipe would block. A symlink is followed, as readers do.
        let original = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let found = original.metadata()?;
        let ring = if key.1 == Part::Ring { AnyRing::of(&original) } else { None };
        let known = self.files.get(&key);
        if !found.is_file() || known.is_some_and(|known| known.is_of(&found, ring)) {
            return Ok(());
        }
        let to = self.to.join(name);
        match (key.1, ring) {
            (Part::Ring, Some(AnyRing::Plain(ring))) => copy_ring(&original, ring, &to)?,
            (Part::Ring, Some(AnyRing::Sealed(ring))) => copy_sealed_ring(&original, ring, &to)?,
            (Part::Head, _) => {
                let is_longer = |known: &&Copied| known.id == (&found).into() && known.bytes <= found.len();
                // A keeper that takes over cuts off the last record of a sealed block, if it is torn.
                let from = known.filter(is_longer).map_or(0, |known| known.bytes - known.bytes % BLOCK);
                copy_bytes(&original, &create(&to, from == 0)?, from..found.len())?;
            }
            (Part::Ring | Part::Times, _) => {
                copy_bytes(&original, &create(&to, true)?, 0..found.len())?;
            }
        }
        File::options().write(true).open(&to)?.set_modified(found.modified()?)?;
        self.files.insert(key, Copied::new(name, &found, ring));
        Ok(())
    }

    /// Returns the attempts of which there are files, each once.
    pub fn attempts(&self) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = self.files.keys().map(|(output, _)| output.attempt).collect();
        attempts.dedup();
        attempts
    }

    /// Returns whether there is a file of an output.
    pub fn has(&self, output: OutputId) -> bool {
        self.files.contains_key(&(output, Part::Head))
    }

    /// Removes the copied files of an attempt.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn remove(&mut self, attempt: Attempt) -> io::Result<()> {
        let is_of = |(output, _): &(OutputId, Part)| output.attempt == attempt;
        for copied in self.files.iter().filter(|(key, _)| is_of(key)).map(|(_, copied)| copied) {
            let path = self.to.join(&copied.name);
            fs::remove_file(&path).map_err(|error| about(&path, &error))?;
        }
        self.files.retain(|key, _| !is_of(key));
        Ok(())
    }

    /// Returns how many outputs are copied, and the size of their files.
    pub fn totals(&self) -> (usize, u64) {
        let heads = self.files.keys().filter(|(_, part)| *part == Part::Head).count();
        (heads, self.files.values().map(|copied| copied.bytes).sum())
    }

    /// Waits until the files are on disk. Their names are left to the caller.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync(&self) -> io::Result<()> {
        for copied in self.files.values() {
            let path = self.to.join(&copied.name);
            File::open(&path).and_then(|file| file.sync_all()).map_err(|error| about(&path, &error))?;
        }
        Ok(())
    }
}

/// Names the file of an error.
fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {}", path.display(), describe(error)))
}

/// Opens a file of the copy, empty if it is to be copied from its beginning.
fn create(path: &Path, is_empty: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(is_empty).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path)?;
    // Whatever the umask is.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Copies bytes to the same places. Zeros become holes, as a ring has them whose room was given back.
fn copy_bytes(from: &File, to: &File, places: std::ops::Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    let mut place = places.start;
    while place < places.end {
        let wanted = usize::try_from(places.end - place).unwrap_or(usize::MAX).min(buffer.len());
        let count = match from.read_at(&mut buffer[..wanted], place) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if count == 0 {
            break;
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            to.write_all_at(&buffer[..count], place)?;
        }
        place += count as u64;
    }
    if to.metadata()?.len() < place { to.set_len(place) } else { Ok(()) }
}

/// Copies a ring that had this header just now. What was overwritten meanwhile is before the floor of the
/// copy, so that no reader takes it.
fn copy_ring(original: &File, mut ring: Ring, to: &Path) -> io::Result<()> {
    let mut tries = RING_TRIES;
    loop {
        let copy = create(to, true)?;
        copy_bytes(original, &copy, 0..original.metadata()?.len())?;
        let after = Ring::of(original).unwrap_or(ring);
        tries -= 1;
        match whole_ring(ring, after) {
            Some(whole) if whole.floor == ring.floor || tries == 0 => {
                return copy.write_all_at(&whole.to_bytes(), 0);
            }
            None if tries == 0 => {
                // All that the header had is overwritten.
                let whole = Ring { floor: ring.end, ..ring };
                return copy.write_all_at(&whole.to_bytes(), 0);
            }
            Some(_) | None => ring = after,
        }
    }
}

/// Does the same for a sealed ring, which overwrites whole blocks.
fn copy_sealed_ring(original: &File, mut ring: SealedRing, to: &Path) -> io::Result<()> {
    let mut tries = RING_TRIES;
    loop {
        let copy = create(to, true)?;
        copy_bytes(original, &copy, 0..original.metadata()?.len())?;
        let after = SealedRing::of(original)?.unwrap_or(ring);
        tries -= 1;
        // The writer may be in the next block.
        let kept_from = (after.blocks + 1).saturating_sub(ring.slots());
        if kept_from > ring.first_shown() && tries > 0 {
            ring = after;
            continue;
        }
        if kept_from >= ring.blocks {
            // All that the header had is overwritten, or there was nothing.
            (ring.floor, ring.floor_block) = (ring.end, ring.blocks.saturating_sub(1));
        } else if kept_from > ring.floor_block {
            let place = BlockHeader::at(&copy, ring.offset(kept_from))?.place;
            (ring.floor, ring.floor_block) = (place.max(ring.floor), kept_from);
        }
        return copy.write_all_at(&ring.to_bytes(), 0);
    }
}

/// Returns the header of a copy that was made while the header of the original changed from `before` to
/// `after`; `None` if none of its bytes is whole.
fn whole_ring(before: Ring, after: Ring) -> Option<Ring> {
    // The writer may be in the next chunk.
    let overwritten = (after.end + CHUNK_BYTES_MAX as u64).saturating_sub(before.capacity());
    let is_needed_from = before.kept_from().max(before.end.saturating_sub(before.limit.as_bytes() / 2));
    match overwritten {
        all if all >= before.end => None,
        few if few <= is_needed_from => Some(before),
        some => Some(Ring { floor: before.floor.max(some), ..before }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, NewJob, RunId, Size};
    use crate::keeper::log_directory::{LogDirectory, Sealing};
    use crate::keeper::output::OutputFile;
    use crate::keeper::output_files::OutputView;
    use crate::keeper::output_names::{output_path, tail_path};
    use crate::seal::{DataKey, DataKeys, KeyId};

    fn attempt(number: u32) -> Attempt {
        Attempt::of_run(RunId { job: JobId(12), number: 3 }, number)
    }

    /// Two directories, and the copies from the first to the second.
    fn copies() -> (tempfile::TempDir, tempfile::TempDir, OutputCopies) {
        let [from, to] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let copies = OutputCopies::new(from.path().to_owned(), to.path().to_owned());
        (from, to, copies)
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("it is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    fn text(dir: &Path, output: OutputId) -> String {
        text_of(&LogDirectory::plain(dir), output)
    }

    fn text_of(dir: &LogDirectory, output: OutputId) -> String {
        let view = OutputView::open(dir, output).expect("it is readable").expect("it is there");
        io::read_to_string(view).expect("it is text")
    }

    #[test]
    fn the_files_of_runs_are_copied_and_nothing_else() {
        let (from, to, mut copies) = copies();
        let kept = ["12.3", "12.3.stderr", "12.3.1.tail", "12.3.2", "12.3.2.times"];
        for name in kept.into_iter().chain(["mail-1", "keeper-7.ended", "12.3.1.result", "note"]) {
            fs::write(from.path().join(name), name).expect("ours");
        }
        nix::unistd::mkfifo(&from.path().join("12.4"), nix::sys::stat::Mode::S_IRWXU).expect("new");
        copies.pass().expect("they are readable");
        let mut all = kept.to_vec();
        all.sort_unstable();
        assert_eq!(names(to.path()), all);
        for name in kept {
            assert_eq!(fs::read_to_string(to.path().join(name)).expect("copied"), name);
            let mode = fs::metadata(to.path().join(name)).expect("copied").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(copies.attempts(), [attempt(1), attempt(2)]);
        assert_eq!(copies.totals().0, 3);
        copies.remove(attempt(1)).expect("ours");
        assert_eq!(names(to.path()), ["12.3.2", "12.3.2.times"]);
        assert!(copies.has(attempt(2).stdout()) && !copies.has(attempt(1).stdout()));
        copies.sync().expect("they are there");
    }

    #[test]
    fn a_later_pass_copies_what_has_grown_and_keeps_what_is_gone() {
        let (from, to, mut copies) = copies();
        let (one, two) = (from.path().join("12.3"), from.path().join("12.3.2"));
        fs::write(&one, "one").expect("ours");
        copies.pass().expect("readable");
        fs::write(&one, "one, and more").expect("ours");
        fs::write(&two, "new").expect("ours");
        copies.pass().expect("readable");
        let spare = from.path().join("spare");
        fs::write(&spare, "other text of more bytes").expect("ours");
        fs::remove_file(&one).expect("ours");
        copies.pass().expect("readable");
        assert_eq!(fs::read_to_string(to.path().join("12.3")).expect("copied"), "one, and more");
        assert_eq!(fs::read_to_string(to.path().join("12.3.2")).expect("copied"), "new");
        // Another file of the same name.
        fs::rename(&spare, &one).expect("ours");
        copies.pass().expect("readable");
        assert_eq!(fs::read_to_string(to.path().join("12.3")).expect("copied"), "other text of more bytes");
    }

    #[test]
    fn a_sealed_output_with_a_ring_reads_the_same_in_the_copy() {
        let (from, to, mut copies) = copies();
        let output = attempt(1).stdout();
        let keys = DataKeys::new([(KeyId::FIRST, DataKey::random())].into()).expect("there is one");
        let sealing = Sealing::of(Some(keys.output_keys()));
        let log = |dir: &Path| LogDirectory::new(dir, sealing.clone());
        let mut written = OutputFile::new(&log(from.path()), output, Size::from_bytes(2 << 20), None);
        let mut write = |lines: std::ops::Range<u32>| {
            lines.for_each(|line| written.write(format!("{line:099}\n").repeat(100).as_bytes()));
        };
        write(0..1_000);
        copies.pass().expect("readable");
        assert!(text_of(&log(to.path()), output) == text_of(&log(from.path()), output));
        // With a header that is older than the bytes.
        let tail = |dir: &Path| tail_path(dir, output);
        let original = File::open(tail(from.path())).expect("it is there");
        let before = SealedRing::of(&original).expect("readable").expect("it has one");
        write(1_000..2_000);
        copy_sealed_ring(&original, before, &tail(to.path())).expect("readable");
        copies.pass().expect("readable");
        assert!(text_of(&log(to.path()), output) == text_of(&log(from.path()), output));
    }

    #[test]
    fn an_output_with_a_ring_reads_the_same_in_the_copy() {
        let (from, to, mut copies) = copies();
        let output = attempt(1).stdout();
        let mut written =
            OutputFile::new(&LogDirectory::plain(from.path()), output, Size::from_bytes(64 << 10), None);
        for line in 0..200_000 {
            written.write(format!("{line:09}\n").as_bytes());
        }
        copies.pass().expect("readable");
        assert_eq!(text(to.path(), output), text(from.path(), output));
        written.write(b"the end\n");
        copies.pass().expect("readable");
        assert!(text(to.path(), output).ends_with("the end\n"));
        // With the room given back.
        written.finish();
        copies.pass().expect("readable");
        assert_eq!(text(to.path(), output), text(from.path(), output));
        let ring = |dir: &Path| fs::read(tail_path(dir, output)).expect("it is there");
        assert_eq!(ring(to.path()), ring(from.path()));
        assert!(output_path(to.path(), output).exists());
    }

    #[test]
    fn bytes_of_a_ring_that_were_overwritten_meanwhile_are_not_taken() {
        let limit = NewJob::LOG_LIMIT;
        let chunk = CHUNK_BYTES_MAX as u64;
        let before = Ring { limit, start: 1_000, floor: 0, end: 100 << 20 };
        let after = |by| whole_ring(before, Ring { end: before.end + by, ..before });
        assert_eq!(after(0), Some(before));
        assert_eq!(after(chunk), Some(before), "the log shows no earlier bytes");
        let kept = before.end - limit.as_bytes() / 2;
        assert_eq!(after(chunk + 7), Some(Ring { floor: kept + 7, ..before }));
        assert_eq!(after(limit.as_bytes() / 2 + chunk), None);
        let short = Ring { end: 2_000, ..before };
        assert_eq!(whole_ring(short, Ring { end: 9_000, ..short }), Some(short));
    }
}
