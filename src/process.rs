//! Owns: programs that a command waits for, or whose output it shows: an editor, another crontab(1).
//! Never: runs (see `keeper`).
#![expect(clippy::disallowed_types, reason = "programs that a command needs are started here")]

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use signal_hook::consts::{SIGINT, SIGQUIT};
use signal_hook::{flag, low_level};

/// The output and the end of a program.
pub struct Finished {
    /// The exit status in a shell's form: 128 + n after signal n.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

fn status_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs a program of `PATH` without standard input, and returns its output.
///
/// # Errors
///
/// If it cannot be started.
pub fn run(program: impl AsRef<OsStr>, args: &[impl AsRef<OsStr>]) -> io::Result<Finished> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    Ok(Finished { status: status_of(output.status), stdout: output.stdout, stderr: output.stderr })
}

/// Runs a program in a directory with this standard input, and returns its output.
///
/// # Errors
///
/// If it cannot be started.
pub fn run_with_input(argv: &[Vec<u8>], dir: &Path, input: &[u8]) -> io::Result<Finished> {
    let mut words = argv.iter().map(|word| OsStr::from_bytes(word));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let output = thread::scope(|scope| {
        // It may end before it has read all.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    })?;
    Ok(Finished { status: status_of(output.status), stdout: output.stdout, stderr: output.stderr })
}

/// Runs an editor, a shell command, with the path of a file on this terminal, as crontab(1) does. Returns its
/// status.
///
/// # Errors
///
/// If `/bin/sh` cannot be started.
pub fn edit(editor: &OsStr, file: &Path) -> io::Result<i32> {
    let mut script = editor.to_owned();
    script.push(" \"$1\"");
    // The interrupt keys are for the editor. The signals are handled and not ignored, so that the editor
    // inherits the defaults.
    let unread = Arc::new(AtomicBool::new(false));
    let handlers = [SIGINT, SIGQUIT].map(|signal| flag::register(signal, Arc::clone(&unread)));
    let status = Command::new("/bin/sh").arg("-c").arg(script).arg("sh").arg(file).status();
    for handler in handlers.into_iter().flatten() {
        low_level::unregister(handler);
    }
    status.map(status_of)
}

/// A program whose output is read while it runs. Dropping it ends the program.
#[derive(Debug)]
pub struct Followed {
    child: Child,
    output: PipeReader,
}

impl Followed {
    /// Starts a program without standard input. Its standard output and error are one stream.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(program: &Path, args: &[OsString]) -> io::Result<Self> {
        let (output, write) = io::pipe()?;
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(write.try_clone()?)
            .stderr(write)
            .spawn()?;
        Ok(Self { child, output })
    }

    /// Reads what has come, without waiting; `Some(0)` at the end, `None`: nothing for now.
    ///
    /// # Errors
    ///
    /// If read(2) fails.
    pub fn read(&mut self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            return match self.output.read(bytes) {
                Ok(length) => Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }
}

impl AsFd for Followed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
