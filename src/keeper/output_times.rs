//! Owns: when the bytes of an output were written: the file `JOB.N.ATTEMPT.times`.
//! Never: the bytes themselves (see `output`).
//!
//! An entry has a place in the output and the time from which on bytes came there. What came before the first
//! entry was written at the start of the attempt. Most runs end soon after their start, and have no entry.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::output_names::{OutputId, times_path};
use crate::domain::Timestamp;

/// The length of an entry: place and microseconds, eight bytes each.
const ENTRY_BYTES: usize = 16;

/// Times that are closer to each other than this count as one: the times that are shown are whole seconds.
const GRAIN_MICROS: u64 = 100_000;

/// The file is at most this part of the log limit.
const PART_OF_LIMIT: u64 = 16;

/// The bounds of its length, whatever the limit.
const BYTES_MIN: u64 = 4 << 10;
const BYTES_MAX: u64 = 1 << 20;

/// Reads the times of an output as they are stored. There may be none.
pub fn read_times(log_dir: &Path, output: OutputId) -> Option<Vec<u8>> {
    fs::read(times_path(log_dir, output)).ok()
}

/// The times of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputTimes(Vec<(u64, i64)>);

impl OutputTimes {
    /// Reads what is stored. An entry of which a part is missing is left out.
    pub fn of(stored: &[u8]) -> Self {
        let number = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).expect("it is half of an entry");
        let entries = stored.chunks_exact(ENTRY_BYTES).map(|entry| {
            let (place, at) = entry.split_at(ENTRY_BYTES / 2);
            (u64::from_le_bytes(number(place)), i64::from_le_bytes(number(at)))
        });
        let mut entries: Vec<(u64, i64)> = entries.collect();
        // A keeper that was killed while it thinned them out leaves some twice.
        entries.sort_unstable();
        Self(entries)
    }

    /// Returns when the byte at a place was written; `None`: at the start of the attempt.
    pub fn at(&self, place: u64) -> Option<Timestamp> {
        let after = self.0.partition_point(|(start, _)| *start <= place);
        Some(Timestamp::from_micros(self.0[after.checked_sub(1)?].1))
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(place, at)| [place.to_le_bytes(), at.to_le_bytes()].concat()).collect()
    }

    /// Leaves out the entries between these places, and then every other one if there are still more than
    /// `entries_max`.
    fn thin(&mut self, (dropped_from, kept_from): (u64, u64), entries_max: usize) {
        // The last one before a place is that of the bytes from it on.
        let kept = self.0.partition_point(|(place, _)| *place <= kept_from).saturating_sub(1);
        let dropped = self.0.partition_point(|(place, _)| *place < dropped_from);
        if dropped < kept {
            self.0.drain(dropped..kept);
        }
        if self.0.len() > entries_max {
            let mut index = 0;
            self.0.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }
}

/// Writes the times of an output.
#[derive(Debug)]
pub(super) struct TimesFile {
    path: PathBuf,
    bytes_max: u64,
    file: Option<(File, u64)>,
    /// The time of the last entry, or of the start, in microseconds.
    last: Option<i64>,
}

impl TimesFile {
    /// `start`: of the attempt, if this keeper has started it.
    pub fn new(path: PathBuf, limit: u64, start: Option<Timestamp>) -> Self {
        let bytes_max = (limit / PART_OF_LIMIT).clamp(BYTES_MIN, BYTES_MAX);
        Self { path, bytes_max, file: None, last: start.map(Timestamp::as_micros) }
    }

    /// Records that bytes were written at this time, the first one at `place`. `dropped`: the places between
    /// which the output has no bytes any more.
    ///
    /// A failure costs the time of these bytes and nothing else.
    pub fn record(&mut self, place: u64, at: i64, dropped: (u64, u64)) {
        if self.last.is_some_and(|last| last.abs_diff(at) < GRAIN_MICROS) {
            return;
        }
        self.last = Some(at);
        let _ = self.append(place, at, dropped);
    }

    fn append(&mut self, place: u64, at: i64, dropped: (u64, u64)) -> io::Result<()> {
        let (file, length) = match &mut self.file {
            Some(opened) => opened,
            None => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(false).mode(0o600);
                let file = options.custom_flags(libc::O_NOFOLLOW).open(&self.path)?;
                let length = file.metadata()?.len();
                self.file.insert((file, length - length % ENTRY_BYTES as u64))
            }
        };
        if *length >= self.bytes_max {
            let mut times = OutputTimes::of(&fs::read(&self.path)?);
            times.thin(dropped, usize::try_from(self.bytes_max).unwrap_or(usize::MAX) / ENTRY_BYTES / 2);
            let bytes = times.to_bytes();
            file.write_all_at(&bytes, 0)?;
            file.set_len(bytes.len() as u64)?;
            *length = bytes.len() as u64;
        }
        file.write_all_at(&[place.to_le_bytes(), at.to_le_bytes()].concat(), *length)?;
        *length += ENTRY_BYTES as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn times(entries: &[(u64, i64)]) -> OutputTimes {
        OutputTimes(entries.to_vec())
    }

    #[test]
    fn a_byte_has_the_time_of_the_last_entry_before_it() {
        let times = times(&[(10, 1), (20, 2)]);
        let at = |place| times.at(place).map(Timestamp::as_micros);
        assert_eq!([0, 9, 10, 19, 20, 99].map(at), [None, None, Some(1), Some(1), Some(2), Some(2)]);
        assert_eq!(OutputTimes::of(&times.to_bytes()), times);
        assert_eq!(OutputTimes::of(&times.to_bytes()[..31]).0, [(10, 1)]);
    }

    #[test]
    fn what_comes_at_once_or_at_the_start_needs_no_entry() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("times");
        let start = Some(Timestamp::from_micros(SECOND));
        let mut file = TimesFile::new(path.clone(), 1 << 20, start);
        file.record(0, SECOND + 99_999, (0, 0));
        assert!(!path.exists());
        for (place, at) in [(5, 2 * SECOND), (6, 2 * SECOND + 50_000), (7, 3 * SECOND), (8, SECOND)] {
            file.record(place, at, (0, 0));
        }
        // A keeper that takes over does not know the start.
        TimesFile::new(path.clone(), 1 << 20, None).record(9, SECOND, (0, 0));
        let stored = OutputTimes::of(&fs::read(&path).expect("it is there"));
        assert_eq!(stored, times(&[(5, 2 * SECOND), (7, 3 * SECOND), (8, SECOND), (9, SECOND)]));
    }

    #[test]
    fn the_times_of_an_endless_output_are_bounded_and_those_of_its_ends_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("times");
        let mut file = TimesFile::new(path.clone(), 32 << 10, None);
        for second in 0..10_000u64 {
            let place = second * 100;
            file.record(place, second.cast_signed() * SECOND, (5_000, place.saturating_sub(5_000)));
            assert!(fs::metadata(&path).expect("it is there").len() <= BYTES_MIN);
        }
        let stored = OutputTimes::of(&fs::read(&path).expect("it is there"));
        for place in [0, 2_000, 4_900, 996_000, 999_900] {
            assert_eq!(stored.at(place).map(Timestamp::as_micros), Some(place.cast_signed() / 100 * SECOND));
        }
    }
}
