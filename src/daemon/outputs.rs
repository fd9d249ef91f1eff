//! Owns: reading and finding the output files of tasks.
//! Never: writing them (see `keeper`).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::RunId;
use crate::keeper::protocol::{Attempt, Ended};
use crate::keeper::{LOG_DIRECTORY, attempt_of_output, output_path};
use crate::store::OUTPUT_BYTES_MAX;

/// The two ends of a long output, or all of a short one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Its beginning, or all of it if it is short.
    pub head: Vec<u8>,
    /// How many bytes are left out after the beginning.
    pub left_out: u64,
    pub tail: Vec<u8>,
}

impl From<Vec<u8>> for Excerpt {
    fn from(all: Vec<u8>) -> Self {
        Self { head: all, ..Self::default() }
    }
}

impl Excerpt {
    /// Reads the first and the last half of `bytes_max` bytes of an attempt's output file, as it is now:
    /// processes may still write to it. A file that is gone, or cannot be read, is empty.
    pub(super) fn of_file(log: &Path, attempt: Attempt, bytes_max: u64) -> Self {
        read_excerpt(&output_path(log, attempt), bytes_max).unwrap_or_default()
    }
}

fn read_excerpt(path: &Path, bytes_max: u64) -> io::Result<Excerpt> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut excerpt = Excerpt::default();
    if length <= bytes_max {
        file.take(bytes_max).read_to_end(&mut excerpt.head)?;
        return Ok(excerpt);
    }
    let half = bytes_max / 2;
    (&file).take(half).read_to_end(&mut excerpt.head)?;
    file.seek(SeekFrom::Start(length - half))?;
    file.take(half).read_to_end(&mut excerpt.tail)?;
    excerpt.left_out = length - 2 * half;
    Ok(excerpt)
}

/// Reads an output that moves into the run log: a short one to which no process can write any more.
pub(super) fn stored_output(log: &Path, ended: &Ended) -> Option<Vec<u8>> {
    if ended.is_output_open || !(1..=OUTPUT_BYTES_MAX).contains(&ended.output_bytes) {
        return None;
    }
    fs::read(output_path(log, ended.attempt)).ok()
}

pub(super) fn attempts_with_files(log: &Path) -> Vec<Attempt> {
    let entries = fs::read_dir(log).into_iter().flatten().flatten();
    entries.filter_map(|entry| attempt_of_output(entry.file_name().to_str()?)).collect()
}

/// Removes the output files of the runs that are not in the store any more.
pub fn remove_outputs(dir: &Path, is_gone: impl Fn(RunId) -> bool) {
    let log = dir.join(LOG_DIRECTORY);
    for attempt in attempts_with_files(&log) {
        if attempt.run().is_some_and(&is_gone) {
            // If it stays, the next start of a daemon removes it.
            let _ = fs::remove_file(output_path(&log, attempt));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobId;

    #[test]
    fn of_a_long_file_the_beginning_and_the_end_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_run(RunId { job: JobId(1), number: 1 }, 1);
        let excerpt = |bytes_max| Excerpt::of_file(dir.path(), attempt, bytes_max);
        assert_eq!(excerpt(10), Excerpt::default());
        fs::write(output_path(dir.path(), attempt), "0123456789").expect("ours");
        assert_eq!(excerpt(10), Excerpt::from(b"0123456789".to_vec()));
        assert_eq!(excerpt(4), Excerpt { head: b"01".to_vec(), left_out: 6, tail: b"89".to_vec() });
    }
}
