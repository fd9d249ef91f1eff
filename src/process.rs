//! Owns: programs that a command of ours waits for: an editor, another crontab(1).
//! Never: runs.
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

/// What a program said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit status as a shell has it: 128 + n after signal n.
    pub status: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

fn status_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs a program of `PATH` to its end with nothing to read, and returns what it said.
///
/// # Errors
///
/// If it cannot be started.
pub fn listen_to(program: &str, args: &[&str]) -> io::Result<Said> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    Ok(Said { status: status_of(output.status), stdout: output.stdout, stderr: output.stderr })
}

/// Runs a shell command with a file's path behind it on this terminal, as crontab(1) runs its editor, and
/// returns its status.
///
/// # Errors
///
/// If `/bin/sh` cannot be started.
pub fn edit(editor: &OsStr, file: &Path) -> io::Result<i32> {
    let mut script = editor.to_owned();
    script.push(" \"$1\"");
    // Keys that stop the editor's own doings are not meant for us. Handled, not ignored: the editor gets the
    // defaults.
    let unread = Arc::new(AtomicBool::new(false));
    let handlers = [SIGINT, SIGQUIT].map(|signal| flag::register(signal, Arc::clone(&unread)));
    let status = Command::new("/bin/sh").arg("-c").arg(script).arg("sh").arg(file).status();
    for handler in handlers.into_iter().flatten() {
        low_level::unregister(handler);
    }
    status.map(status_of)
}
