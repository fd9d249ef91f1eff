//! Owns: reading and finding the output files of tasks.
//! Never: writing them (see `keeper`).

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::RunId;
use crate::keeper::protocol::{Attempt, Ended};
use crate::keeper::{LOG_DIRECTORY, OutputView, attempts_with_outputs, read_times, remove_outputs_of};
use crate::store::{OUTPUT_BYTES_MAX, StoredOutput};

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
    /// Reads the first and the last half of `bytes_max` bytes of an attempt's output, as it is now: processes
    /// may still write to it. One that is gone, or cannot be read, is empty.
    pub(super) fn of_files(log: &Path, attempt: Attempt, bytes_max: u64) -> Self {
        let view = OutputView::open(log, attempt.stdout()).ok().flatten();
        view.and_then(|view| read_excerpt(view, bytes_max).ok()).unwrap_or_default()
    }
}

fn read_excerpt(mut view: OutputView, bytes_max: u64) -> io::Result<Excerpt> {
    let length = view.length();
    let mut excerpt = Excerpt::default();
    if length <= bytes_max {
        view.read_to_end(&mut excerpt.head)?;
        return Ok(excerpt);
    }
    let half = bytes_max / 2;
    view.by_ref().take(half).read_to_end(&mut excerpt.head)?;
    view.seek(SeekFrom::Start(length - half))?;
    view.take(half).read_to_end(&mut excerpt.tail)?;
    excerpt.left_out = length - 2 * half;
    Ok(excerpt)
}

/// Reads an output that moves into the run log: a short one to which no process can write any more.
pub(super) fn stored_output(log: &Path, ended: &Ended) -> Option<StoredOutput> {
    if ended.is_output_open || !(1..=OUTPUT_BYTES_MAX).contains(&ended.output_bytes) {
        return None;
    }
    let mut view = OutputView::open(log, ended.attempt.stdout()).ok()??;
    // A follower counts the bytes that it has printed, and those that were dropped.
    if view.is_cut() {
        return None;
    }
    let mut data = Vec::new();
    view.read_to_end(&mut data).ok()?;
    Some(StoredOutput { data, times: read_times(log, ended.attempt.stdout()) })
}

/// Removes the output files of the runs that are not in the store any more.
pub fn remove_outputs(dir: &Path, is_gone: impl Fn(RunId) -> bool) {
    let log = dir.join(LOG_DIRECTORY);
    for attempt in attempts_with_outputs(&log) {
        if attempt.run().is_some_and(&is_gone) {
            remove_outputs_of(&log, attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::domain::JobId;
    use crate::keeper::output_path;

    #[test]
    fn of_a_long_file_the_beginning_and_the_end_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_run(RunId { job: JobId(1), number: 1 }, 1);
        let excerpt = |bytes_max| Excerpt::of_files(dir.path(), attempt, bytes_max);
        assert_eq!(excerpt(10), Excerpt::default());
        fs::write(output_path(dir.path(), attempt.stdout()), "0123456789").expect("ours");
        assert_eq!(excerpt(10), Excerpt::from(b"0123456789".to_vec()));
        assert_eq!(excerpt(4), Excerpt { head: b"01".to_vec(), left_out: 6, tail: b"89".to_vec() });
    }
}
