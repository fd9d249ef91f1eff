//! Owns: the files by which runs hand over results: `TASKQ_RESULT_FILE` and `TASKQ_PARENT_RESULT_FILE`.
//! Never: what a result means; it is any JSON.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::domain::{JobId, RunId};
use crate::error::describe;
use crate::keeper::protocol::Attempt;

/// The longest result, in bytes.
const RESULT_BYTES_MAX: u64 = 64 * 1024;

/// Which file of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResultFile {
    /// It writes its result there.
    Own,
    /// A callback reads there the result of the run that ended.
    OfParent,
}

impl ResultFile {
    fn suffix(self) -> &'static str {
        match self {
            Self::Own => "result",
            Self::OfParent => "parent-result",
        }
    }

    /// Returns the path of the file of an attempt of a run.
    pub(super) fn path(self, log: &Path, run: RunId, attempt: u32) -> PathBuf {
        log.join(format!("{run}.{attempt}.{}", self.suffix()))
    }
}

/// Reads the result of an attempt that has ended, as one line of JSON; `None` if it wrote none.
///
/// # Errors
/// Returns why it is not taken.
pub(super) fn read_result(log: &Path, attempt: Attempt) -> Result<Option<String>, String> {
    let Some(run) = attempt.run() else { return Ok(None) };
    // The run owns the file, and may have put a FIFO or a link in its place.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let path = ResultFile::Own.path(log, run, attempt.number);
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(describe(&error)),
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(RESULT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
    if bytes.len() as u64 > RESULT_BYTES_MAX {
        return Err(format!("it has more than {RESULT_BYTES_MAX} bytes"));
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    Ok(Some(value.to_string()))
}

/// Writes the result of a parent for a callback that is about to start.
pub(super) fn write_parent_result(log: &Path, run: RunId, attempt: u32, result: &str) -> io::Result<()> {
    write_result(log, ResultFile::OfParent, (run, attempt), format!("{result}\n").as_bytes())
}

/// Writes a result that the run cannot write here itself.
pub(super) fn write_result(
    log: &Path,
    which: ResultFile,
    (run, attempt): (RunId, u32),
    result: &[u8],
) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(which.path(log, run, attempt))?.write_all(result)
}

/// Removes the files of an attempt that has ended.
pub(super) fn remove_results(log: &Path, attempt: Attempt) {
    let Some(run) = attempt.run() else { return };
    for which in [ResultFile::Own, ResultFile::OfParent] {
        let _ = fs::remove_file(which.path(log, run, attempt.number));
    }
}

/// Returns the attempts of runs that have such files.
pub(super) fn attempts_with_results(log: &Path) -> Vec<Attempt> {
    let entries = fs::read_dir(log).into_iter().flatten().flatten();
    entries.filter_map(|entry| attempt_of_result(entry.file_name().to_str()?)).collect()
}

fn attempt_of_result(name: &str) -> Option<Attempt> {
    let named = [ResultFile::Own, ResultFile::OfParent]
        .into_iter()
        .find_map(|which| name.strip_suffix(which.suffix())?.strip_suffix('.'))?;
    attempt_of(named)
}

/// Reads the name of an attempt of a run: `12.3.1`, with its job, the number of the run, and its own.
pub(super) fn attempt_of(name: &str) -> Option<Attempt> {
    let mut parts = name.split('.');
    let (job, number, attempt) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let run = RunId { job: JobId(job), number };
    Some(Attempt::of_run(run, attempt.parse().ok()?)).filter(|_| parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId { job: JobId(12), number: 3 };

    #[test]
    fn a_result_is_taken_if_it_is_json_of_at_most_64_kib() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = ResultFile::Own.path(dir.path(), RUN, 2);
        let read = || read_result(dir.path(), Attempt::of_run(RUN, 2));
        assert_eq!(read(), Ok(None));
        let taken = |text: &str| {
            fs::write(&path, text).expect("it is ours");
            read()
        };
        assert_eq!(taken(" {\"a\": [1,\n2]}\n"), Ok(Some("{\"a\":[1,2]}".to_owned())));
        assert_eq!(taken("7"), Ok(Some("7".to_owned())));
        assert_eq!(taken("\n"), Ok(None));
        assert!(taken("{\"a\": ").expect_err("it is cut off").starts_with("it is not JSON: "));
        assert_eq!(
            taken(&format!("\"{}\"", "x".repeat(65_535))),
            Err("it has more than 65536 bytes".to_owned())
        );
        assert!(taken(&format!("\"{}\"", "x".repeat(65_534))).is_ok());
        fs::remove_file(&path).expect("it is there");
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("the name is free");
        assert!(read().is_err(), "a link leads elsewhere");
    }

    #[test]
    fn the_name_of_a_result_names_its_attempt() {
        for which in [ResultFile::Own, ResultFile::OfParent] {
            let path = which.path(Path::new("/log"), RUN, 2);
            let name = path.file_name().and_then(|name| name.to_str()).expect("plain");
            assert_eq!(attempt_of_result(name), Some(Attempt::of_run(RUN, 2)));
        }
        for other in ["12.3.2", "12.3.result", "12.3.2.1.result", "mail-1.result", "result", ".result"] {
            assert_eq!(attempt_of_result(other), None, "{other}");
        }
    }
}
