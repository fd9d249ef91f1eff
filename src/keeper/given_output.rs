//! Owns: the output of a run as the standard input of another, `--stdin-from`.
//! Never: which run that is.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::input;
use super::log_directory::{LogDirectory, sealed_errno};
use super::output_files::OutputView;
use super::output_names::output_path;
use super::protocol::GivenOutput;
use super::spawn_error::{SpawnError, Step};

/// Opens the output of a run from its beginning.
///
/// # Errors
/// `ENOENT` if it was pruned, `EFBIG` if bytes of it were dropped for its log limit, `EISDIR` for an array,
/// `ENOKEY` and `EBADMSG` if it is sealed and cannot be opened.
pub(super) fn open_given(log_dir: &LogDirectory, given: GivenOutput) -> Result<File, SpawnError> {
    let refused = SpawnError::at(Step::Input);
    let GivenOutput::OfAttempt(attempt) = given else { return Err(refused(Errno::EISDIR)) };
    let io = |error: io::Error| SpawnError::at(Step::Input)(sealed_errno(&error));
    // As in a pipeline: a standard error of its own is not read.
    let output = attempt.stdout();
    let Some(mut view) = OutputView::open(log_dir, output).map_err(io)? else {
        return Err(refused(Errno::ENOENT));
    };
    if view.is_cut() {
        return Err(refused(Errno::EFBIG));
    }
    if view.is_in_one_file() {
        return File::open(output_path(&log_dir.path, output)).map_err(io);
    }
    let file = match log_dir.sealing.is_on() {
        false => unnamed(&log_dir.path),
        // The disk must not have it.
        true => input::of_text(&[]),
    };
    file.and_then(|file| joined(file, &mut view)).map_err(io)
}

/// Makes a file without a name for the parts of an output.
fn unnamed(log_dir: &Path) -> io::Result<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    match open(log_dir, flags, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(fd) => Ok(File::from(fd)),
        // Not every file system has files without a name.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR) => input::of_text(&[]),
        Err(errno) => Err(errno.into()),
    }
}

fn joined(mut file: File, view: &mut OutputView) -> io::Result<File> {
    io::copy(view, &mut file)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;
    use crate::domain::{JobId, RunId};
    use crate::keeper::protocol::Attempt;

    #[test]
    fn an_output_is_read_from_its_beginning_if_it_is_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = RunId { job: JobId(1), number: 1 };
        let attempt = Attempt::of_run(run, 1);
        let log_dir = LogDirectory::plain(dir.path());
        let errno = |given| open_given(&log_dir, given).expect_err("there is none").errno;
        assert_eq!(errno(GivenOutput::OfAttempt(attempt)), Errno::ENOENT);
        assert_eq!(errno(GivenOutput::OfArray(JobId(1))), Errno::EISDIR);
        fs::write(output_path(dir.path(), attempt.stdout()), "one\n").expect("ours");
        let mut text = String::new();
        let mut file = open_given(&log_dir, GivenOutput::OfAttempt(attempt)).expect("it is there");
        file.read_to_string(&mut text).expect("it is text");
        assert_eq!(text, "one\n");
    }
}
