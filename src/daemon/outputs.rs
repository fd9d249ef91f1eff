//! Owns: the output files of runs, as far as the daemon reads and removes them.
//! Never: writing them (see `keeper`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::{JobId, RunId};
use crate::keeper::output_path;
use crate::keeper::protocol::Ended;
use crate::store::OUTPUT_BYTES_MAX;

/// The two halves of an output that is longer than what is wanted of it, or all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// How it begins; all of it, if nothing is left out.
    pub head: Vec<u8>,
    /// How many bytes are left out behind that.
    pub left_out: u64,
    /// How it ends.
    pub tail: Vec<u8>,
}

impl From<Vec<u8>> for Excerpt {
    fn from(all: Vec<u8>) -> Self {
        Self { head: all, ..Self::default() }
    }
}

impl Excerpt {
    /// Reads the first and the last half of `bytes_max` bytes of a run's output file. Processes may still
    /// write to it: what is there now counts. A file that is gone, or cannot be read, is empty.
    pub(super) fn of_file(log: &Path, run: RunId, bytes_max: u64) -> Self {
        read_excerpt(&output_path(log, run), bytes_max).unwrap_or_default()
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

/// Reads what belongs into the run log: all of it, if it is short and nobody can add to it any more.
pub(super) fn stored_output(log: &Path, ended: &Ended) -> Option<Vec<u8>> {
    if ended.is_output_open || !(1..=OUTPUT_BYTES_MAX).contains(&ended.output_bytes) {
        return None;
    }
    fs::read(output_path(log, ended.attempt.run)).ok()
}

/// Returns the runs that have a file.
pub(super) fn runs_with_files(log: &Path) -> Vec<RunId> {
    let entries = fs::read_dir(log).into_iter().flatten();
    entries.filter_map(|entry| run_of_file(&entry.ok()?.file_name())).collect()
}

fn run_of_file(name: &OsStr) -> Option<RunId> {
    let (job, number) = name.to_str()?.split_once('.')?;
    Some(RunId { job: JobId(job.parse().ok()?), number: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_file_the_beginning_and_the_end_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = RunId { job: JobId(1), number: 1 };
        let excerpt = |bytes_max| Excerpt::of_file(dir.path(), run, bytes_max);
        assert_eq!(excerpt(10), Excerpt::default());
        fs::write(output_path(dir.path(), run), "0123456789").expect("ours");
        assert_eq!(excerpt(10), Excerpt::from(b"0123456789".to_vec()));
        assert_eq!(excerpt(4), Excerpt { head: b"01".to_vec(), left_out: 6, tail: b"89".to_vec() });
    }

    #[test]
    fn a_file_is_a_runs_by_its_name() {
        assert_eq!(run_of_file(OsStr::new("12.3")), Some(RunId { job: JobId(12), number: 3 }));
        for other in ["keeper-7.ended", "12", "a.b"] {
            assert_eq!(run_of_file(OsStr::new(other)), None);
        }
    }
}
