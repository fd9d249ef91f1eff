//! Owns: the pipes through which attempts write: their names in the log directory, making, opening,
//! removing.
//! Never: reading them (see `drain`).
//!
//! A pipe with a name (fifo(7)) outlives the keeper: the attempt holds it for reading and writing, so that
//! a keeper's death is not a SIGPIPE, and the next keeper opens it by its name. The name exists from before
//! the start until the result is committed and the last holder is gone. So it proves that an attempt of a
//! killed keeper began.
//!
//! The pipe of a standard error of its own proves nothing, and is made after the other one. Its name goes as
//! soon as no process holds it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, mkfifoat, unlinkat};

use super::account::Credentials;
use super::output_names::{OutputId, STDERR};
use super::protocol::{Attempt, Task};
use crate::domain::OutputKind;
use crate::error::errno_of;

/// The end of a pipe's name: `TASK.ATTEMPT.pipe`, and `TASK.ATTEMPT.stderr.pipe` for a standard error of its
/// own.
const SUFFIX: &str = ".pipe";

/// Both ends of a new pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    /// For the attempt's standard output, standard error, or both.
    pub inlet: File,
    /// For the keeper. Never blocks.
    pub outlet: File,
}

/// How an attempt holds its pipe: for reading too, so that the keeper's death is not a SIGPIPE.
const INLET_FLAGS: OFlag = OFlag::O_RDWR.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How the keeper holds it.
const OUTLET_FLAGS: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Returns where the pipe of an output is.
pub(super) fn path(log_dir: &Path, output: OutputId) -> PathBuf {
    log_dir.join(output.name(SUFFIX))
}

/// Returns where the pipes of an attempt are, if it has two.
pub(super) fn paths(log_dir: &Path, attempt: Attempt) -> [PathBuf; 2] {
    [attempt.stdout(), attempt.stderr()].map(|output| path(log_dir, output))
}

/// Makes and removes pipes in the log directory, which is held open: no start resolves its path.
#[derive(Debug)]
pub(super) struct Pipes {
    log_dir: PathBuf,
    fd: Option<OwnedFd>,
}

impl Pipes {
    pub(super) fn new(log_dir: PathBuf) -> Self {
        Self { log_dir, fd: None }
    }

    /// Makes the pipe of an output, and the log directory if it was removed.
    ///
    /// The pipe belongs to the attempt's user, who can open it again as `/dev/stderr`. The directory is
    /// open to the keeper's user alone.
    pub(super) fn make(&mut self, output: OutputId, account: Option<&Credentials>) -> io::Result<Pipe> {
        let name = output.name(SUFFIX);
        let made = self.directory().and_then(|fd| make_name(fd, &name).map(|()| fd));
        let fd = match made {
            // The directory was removed, and perhaps made again.
            Err(Errno::ENOENT) => {
                self.fd = None;
                let fd = self.directory()?;
                make_name(fd, &name)?;
                fd
            }
            made => made?,
        };
        // In this order: an outlet without an inlet would be at its end.
        let inlet = File::from(openat(fd, name.as_str(), INLET_FLAGS, Mode::empty())?);
        if let Some(account) = account {
            // If it is not allowed, becoming that user is not either, and that is reported.
            let _ = fchown(&inlet, Some(account.uid.as_raw()), Some(account.gid.as_raw()));
        }
        Ok(Pipe { inlet, outlet: File::from(openat(fd, name.as_str(), OUTLET_FLAGS, Mode::empty())?) })
    }

    /// Removes the name of an output's pipe.
    pub(super) fn remove(&mut self, output: OutputId) {
        let name = output.name(SUFFIX);
        // One that stays is removed after the next hello.
        let _ = self.directory().and_then(|fd| unlinkat(fd, name.as_str(), UnlinkatFlags::NoRemoveDir));
    }

    fn directory(&mut self) -> Result<&OwnedFd, Errno> {
        if self.fd.is_none() {
            match DirBuilder::new().mode(0o700).create(&self.log_dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(errno_of(&error));
                }
                Ok(()) | Err(_) => {}
            }
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            self.fd = Some(open(&self.log_dir, flags, Mode::empty())?);
        }
        self.fd.as_ref().ok_or(Errno::ENOENT)
    }
}

fn make_name(fd: &OwnedFd, name: &str) -> Result<(), Errno> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    match mkfifoat(fd, name, mode) {
        // An earlier keeper began to send this mail: it is sent again.
        Err(Errno::EEXIST) => {
            unlinkat(fd, name, UnlinkatFlags::NoRemoveDir)?;
            mkfifoat(fd, name, mode)
        }
        made => made,
    }
}

/// Opens the keeper's end of an existing pipe.
pub(super) fn open_outlet(path: &Path) -> io::Result<File> {
    let file = File::from(open(path, OUTLET_FLAGS, Mode::empty())?);
    if file.metadata()?.file_type().is_fifo() { Ok(file) } else { Err(Errno::EINVAL.into()) }
}

/// Returns the attempts whose pipes have a name that proves their start.
pub fn attempts_with_pipes(log_dir: &Path) -> Vec<Attempt> {
    let outputs = outputs_with_pipes(log_dir).into_iter();
    outputs.filter(|output| output.kind == OutputKind::Stdout).map(|output| output.attempt).collect()
}

/// Returns the outputs whose pipes have a name.
pub(super) fn outputs_with_pipes(log_dir: &Path) -> Vec<OutputId> {
    let entries = fs::read_dir(log_dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| output_of(entry.file_name().to_str()?)).collect()
}

fn output_of(name: &str) -> Option<OutputId> {
    let name = name.strip_suffix(SUFFIX)?;
    let (name, kind) = match name.strip_suffix(STDERR) {
        Some(name) => (name, OutputKind::Stderr),
        None => (name, OutputKind::Stdout),
    };
    let (task, number) = name.rsplit_once('.')?;
    Some(Attempt { task: Task::from_name(task)?, number: number.parse().ok()? }.output(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    #[test]
    fn the_name_of_a_pipe_names_its_output() {
        let run = Attempt::of_run(RunId { job: JobId(12), number: 3 }, 4);
        for (output, name) in [
            (run.stdout(), "12.3.4.pipe"),
            (run.stderr(), "12.3.4.stderr.pipe"),
            (Attempt::of_mail(5).stdout(), "mail-5.1.pipe"),
        ] {
            assert_eq!(path(Path::new("/log"), output), Path::new("/log").join(name));
            assert_eq!(output_of(name), Some(output));
        }
        for other in ["12.3", "12.3.4", "12.3.pipe", "12.3.4.5.pipe", "mail-5.pipe", "keeper-7.ended"] {
            assert_eq!(output_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_pipe_of_a_standard_error_is_no_proof_of_a_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let attempt = Attempt::of_mail(1);
        let mut pipes = Pipes::new(dir.path().to_owned());
        let _pipe = pipes.make(attempt.stderr(), None).expect("the name is new");
        assert_eq!(attempts_with_pipes(dir.path()), []);
        assert_eq!(outputs_with_pipes(dir.path()), [attempt.stderr()]);
    }

    #[test]
    fn a_log_directory_that_was_removed_is_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let attempt = Attempt::of_mail(1);
        let mut pipes = Pipes::new(log.clone());
        for _ in 0..2 {
            pipes.make(attempt.stdout(), None).expect("the directory above is ours");
            assert_eq!(attempts_with_pipes(&log), [attempt]);
            fs::remove_dir_all(&log).expect("ours");
        }
    }
}
