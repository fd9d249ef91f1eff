//! Owns: the pipes through which attempts write: their names in the log directory, making, opening, removing.
//! Never: reading them (see `drain`).
//!
//! A pipe with a name (fifo(7)) outlives the keeper: the attempt holds it for reading and writing, so that nobody's death
//! is a SIGPIPE, and the next keeper opens it again by its name. The name is there from before the start until the result
//! is committed and the last holder is gone. So it proves that an attempt of a killed keeper began.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::account::Account;
use super::protocol::Attempt;
use crate::domain::{JobId, RunId};

/// The end of a pipe's name, `JOB.N.ATTEMPT.pipe`.
const SUFFIX: &str = ".pipe";

/// Both ends of a new pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    /// For the attempt's standard output and standard error.
    pub inlet: File,
    /// For the keeper. Never blocks.
    pub outlet: File,
}

/// Returns where the pipe of an attempt is.
pub(super) fn path(log_dir: &Path, attempt: Attempt) -> PathBuf {
    log_dir.join(format!("{}.{}{SUFFIX}", attempt.run, attempt.number))
}

/// Makes the pipe of an attempt, and the log directory if somebody has removed it.
///
/// The pipe belongs to the attempt's user, who can open it again as `/dev/stderr`. Nobody else comes near: the directory is
/// the keeper's alone.
pub(super) fn make(log_dir: &Path, attempt: Attempt, account: Option<&Account>) -> io::Result<Pipe> {
    let path = path(log_dir, attempt);
    match make_name(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(log_dir)?;
            make_name(&path)?;
        }
        made => made?,
    }
    // In this order: an outlet without an inlet would be at its end.
    let inlet = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(&path)?;
    if let Some(account) = account {
        // Where it is not allowed, becoming that user is not either, and says so.
        let _ = fchown(&inlet, Some(account.uid.as_raw()), Some(account.gid.as_raw()));
    }
    Ok(Pipe { inlet, outlet: open_outlet(&path)? })
}

fn make_name(path: &Path) -> io::Result<()> {
    match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        // Of a mail whose sending an earlier keeper began: it is sent again.
        Err(Errno::EEXIST) => {
            fs::remove_file(path)?;
            Ok(mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
        }
        made => Ok(made?),
    }
}

/// Opens the keeper's end of a pipe that is there.
pub(super) fn open_outlet(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK.union(OFlag::O_NOFOLLOW).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.file_type().is_fifo() { Ok(file) } else { Err(Errno::EINVAL.into()) }
}

/// Returns the attempts whose pipes have a name.
pub fn attempts_with_pipes(log_dir: &Path) -> Vec<Attempt> {
    let entries = fs::read_dir(log_dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| attempt_of(entry.file_name().to_str()?)).collect()
}

fn attempt_of(name: &str) -> Option<Attempt> {
    let mut numbers = name.strip_suffix(SUFFIX)?.split('.');
    let job = JobId(numbers.next()?.parse().ok()?);
    let run = RunId { job, number: numbers.next()?.parse().ok()? };
    let attempt = Attempt { run, number: numbers.next()?.parse().ok()? };
    numbers.next().is_none().then_some(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_pipe_names_its_attempt() {
        let attempt = Attempt { run: RunId { job: JobId(12), number: 3 }, number: 4 };
        let path = path(Path::new("/log"), attempt);
        assert_eq!(path, Path::new("/log/12.3.4.pipe"));
        assert_eq!(attempt_of("12.3.4.pipe"), Some(attempt));
        for other in ["12.3", "12.3.4", "12.3.pipe", "12.3.4.5.pipe", "keeper-7.ended"] {
            assert_eq!(attempt_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_log_directory_that_was_removed_is_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let attempt = Attempt { run: RunId { job: JobId(1), number: 1 }, number: 1 };
        make(&log, attempt, None).expect("the directory above is ours");
        assert_eq!(attempts_with_pipes(&log), [attempt]);
    }
}
