//! Owns: reading and finding the output files of tasks.
//! Never: writing them (see `keeper`).

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::domain::{RunId, Timestamp};
use crate::keeper::protocol::{Attempt, Ended};
use crate::keeper::{
    LOG_DIRECTORY, LogDirectory, OutputId, OutputView, attempts_with_outputs, growing_path, read_times,
    remove_outputs_of,
};
use crate::store::{EndedOutput, OUTPUT_BYTES_MAX, StoredBytes, StoredOutput};

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

/// The outputs of an attempt for a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpts {
    pub stdout: Excerpt,
    /// Its standard error, if that is apart.
    pub stderr: Excerpt,
}

impl Excerpts {
    /// Reads at most `bytes_max` bytes of the outputs of an attempt, as they are now: processes may still
    /// write to them. Each may have half of the bytes, and the rest of the other one's half. Of a longer one,
    /// the first and the last part are read. One that is gone, or cannot be read, is empty.
    pub(super) fn of_files(log: &LogDirectory, attempt: Attempt, bytes_max: u64) -> Self {
        let open = |output| OutputView::open(log, output).ok().flatten();
        let views = [attempt.stdout(), attempt.stderr()].map(open);
        let lengths = views.each_ref().map(|view| view.as_ref().map_or(0, OutputView::length));
        let read = |view: Option<OutputView>, length_of_other: u64| {
            let bytes_max = bytes_max - length_of_other.min(bytes_max / 2);
            view.and_then(|view| read_excerpt(view, bytes_max).ok()).unwrap_or_default()
        };
        let [stdout, stderr] = views;
        Self { stdout: read(stdout, lengths[1]), stderr: read(stderr, lengths[0]) }
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

/// Looks at the outputs of an attempt that has ended, and reads those that move into the run log: short ones
/// to which no process can write any more. `is_split`: its standard error is apart.
pub(super) fn ended_output(log: &LogDirectory, ended: &Ended, is_split: bool) -> EndedOutput {
    let stderr_bytes = is_split.then(|| {
        let view = OutputView::open(log, ended.attempt.stderr()).ok().flatten();
        view.map_or(0, |view| view.length())
    });
    let bytes = ended.output_bytes + stderr_bytes.unwrap_or(0);
    let is_stored = !ended.is_output_open && (1..=OUTPUT_BYTES_MAX).contains(&bytes);
    // Both or neither: a run has its outputs in one place.
    let stored = is_stored.then(|| read_outputs(log, ended.attempt, is_split)).flatten();
    EndedOutput { stderr_bytes, stored }
}

fn read_outputs(log: &LogDirectory, attempt: Attempt, is_split: bool) -> Option<StoredOutput> {
    let stdout = read_output(log, attempt.stdout())?;
    let stderr = if is_split { Some(read_output(log, attempt.stderr())?) } else { None };
    // Else the files are gone.
    let has_bytes = !stdout.data.is_empty() || stderr.as_ref().is_some_and(|stderr| !stderr.data.is_empty());
    has_bytes.then_some(StoredOutput { stdout, stderr })
}

/// Reads an output as it is stored. One without a file is empty.
fn read_output(log: &LogDirectory, output: OutputId) -> Option<StoredBytes> {
    let Some(mut view) = OutputView::open(log, output).ok()? else { return Some(StoredBytes::default()) };
    // A follower counts the bytes that it has printed, and those that were dropped.
    if view.is_cut() {
        return None;
    }
    let mut data = Vec::new();
    view.read_to_end(&mut data).ok()?;
    Some(StoredBytes { data, times: read_times(&log.path, output) })
}

/// Returns when an attempt has last written to one of its outputs; `None`: it has written nothing. The time
/// is that of the file, which the keeper writes.
pub(super) fn last_output(log: &LogDirectory, attempt: Attempt) -> Option<Timestamp> {
    let written_at = |output| {
        let found = fs::metadata(growing_path(log, output)).ok()?;
        Some(Timestamp::from_micros(found.mtime() * 1_000_000 + found.mtime_nsec() / 1_000))
    };
    [attempt.stdout(), attempt.stderr()].into_iter().filter_map(written_at).max()
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
    use super::*;
    use crate::domain::{End, JobId};
    use crate::keeper::output_path;

    #[test]
    fn of_a_long_file_the_beginning_and_the_end_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_run(RunId { job: JobId(1), number: 1 }, 1);
        let excerpt =
            |bytes_max| Excerpts::of_files(&LogDirectory::plain(dir.path()), attempt, bytes_max).stdout;
        assert_eq!(excerpt(10), Excerpt::default());
        fs::write(output_path(dir.path(), attempt.stdout()), "0123456789").expect("ours");
        assert_eq!(excerpt(10), Excerpt::from(b"0123456789".to_vec()));
        assert_eq!(excerpt(4), Excerpt { head: b"01".to_vec(), left_out: 6, tail: b"89".to_vec() });
    }

    fn write(dir: &Path, attempt: Attempt, (stdout, stderr): (usize, usize)) {
        fs::write(output_path(dir, attempt.stdout()), vec![b'o'; stdout]).expect("ours");
        fs::write(output_path(dir, attempt.stderr()), vec![b'e'; stderr]).expect("ours");
    }

    #[test]
    fn of_two_outputs_each_has_half_of_the_room_and_what_the_other_leaves() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_run(RunId { job: JobId(1), number: 1 }, 1);
        let left_out = |stdout: usize, stderr: usize| {
            write(dir.path(), attempt, (stdout, stderr));
            let excerpts = Excerpts::of_files(&LogDirectory::plain(dir.path()), attempt, 100);
            (excerpts.stdout.left_out, excerpts.stderr.left_out)
        };
        assert_eq!(left_out(60, 40), (0, 0));
        assert_eq!(left_out(10, 100), (0, 10));
        assert_eq!(left_out(100, 10), (10, 0));
        assert_eq!(left_out(100, 80), (50, 30));
    }

    #[test]
    fn two_outputs_move_into_the_run_log_together_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_run(RunId { job: JobId(1), number: 1 }, 1);
        let found = |stdout: usize, stderr: usize| {
            write(dir.path(), attempt, (stdout, stderr));
            let ended = Ended::without_process(attempt, End::Exited(0), Timestamp::from_seconds(0));
            let output = ended_output(
                &LogDirectory::plain(dir.path()),
                &Ended { output_bytes: stdout as u64, ..ended },
                true,
            );
            (output.stderr_bytes, output.stored.map(|stored| stored.stderr.map(|bytes| bytes.data.len())))
        };
        let max = usize::try_from(OUTPUT_BYTES_MAX).expect("it is small");
        assert_eq!(found(3, 4), (Some(4), Some(Some(4))));
        assert_eq!(found(0, 4), (Some(4), Some(Some(4))));
        assert_eq!(found(3, 0), (Some(0), Some(Some(0))));
        assert_eq!(found(0, 0), (Some(0), None));
        assert_eq!(found(max, 1), (Some(1), None));
    }
    #[test]
    fn an_attempt_has_last_written_when_the_newer_of_its_outputs_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_run(RunId { job: JobId(1), number: 1 }, 2);
        assert_eq!(last_output(&LogDirectory::plain(dir.path()), attempt), None);
        let write_at = |output, seconds| {
            let file = fs::File::create(output_path(dir.path(), output)).expect("ours");
            let at = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 5_000);
            file.set_modified(at).expect("ours");
        };
        write_at(attempt.stdout(), 1_772_000_000);
        assert_eq!(
            last_output(&LogDirectory::plain(dir.path()), attempt),
            Some(Timestamp::from_micros(1_772_000_000_000_005))
        );
        write_at(attempt.stderr(), 1_772_000_060);
        assert_eq!(
            last_output(&LogDirectory::plain(dir.path()), attempt),
            Some(Timestamp::from_micros(1_772_000_060_000_005))
        );
    }
}
