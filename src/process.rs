//! Owns: programs that a command waits for: an editor, another crontab(1).
//! Never: runs (see `keeper`).
#![expect(clippy::disallowed_types, reason = "programs that a command waits for are started here")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
pub fn run(program: &str, args: &[&str]) -> io::Result<Finished> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
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
