//! Owns: the start of an attempt's process, and its output file.
//! Never: when to start one, or waiting for it.
//!
//! A start goes the way of posix_spawn(3), which borrows the keeper's memory until execve(2) and so costs the same however
//! large that is. std leaves that way for `pre_exec`, a user, and a bare program name together with a `PATH`; so the
//! search is done here, and the umask is the keeper's own for the moment of the start.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};

use super::lookup::{self, Refusal};
use super::protocol::StartOrder;

/// What runs a script that names no interpreter, as execvp(3) has it.
const SHELL: &str = "/bin/sh";

/// An output file is its owner's alone.
const OUTPUT_MODE: u32 = 0o600;

/// The keeper's own mask: nothing that it makes is anybody else's.
fn own_mask() -> Mode {
    Mode::S_IRWXG | Mode::S_IRWXO
}

/// Starts the attempt with its output appended to the file at `output`, and returns its process id.
///
/// # Errors
///
/// The refusal that becomes its end.
pub fn start(order: &StartOrder, output: &Path) -> Result<u32, Refusal> {
    let program = order.argv.first().map(Vec::as_slice).unwrap_or_default();
    let cwd = Path::new(OsStr::from_bytes(&order.cwd));
    if order.argv.iter().chain(&order.env).chain([&order.cwd]).any(|text| text.contains(&0)) {
        return Err(Refusal::new(lookup::OTHER, program, "a NUL byte in the command, environment or directory"));
    }
    umask(own_mask());
    let file = open_output(output).map_err(|error| {
        let mut refusal = Refusal::new(lookup::OTHER, output.as_os_str().as_bytes(), &lookup::reason(&error));
        refusal.cause.insert_str(0, "output file ");
        refusal
    })?;
    umask(Mode::from_bits_truncate(order.umask));
    let started = search(order, program, cwd, &file);
    umask(own_mask());
    started.map_err(|errno| lookup::explain(program, cwd, errno))
}

/// Tries the program's places in turn. As in execvp(3), one that may not be executed is worth mentioning only if no other
/// place has the program.
fn search(order: &StartOrder, program: &[u8], cwd: &Path, file: &File) -> Result<u32, Errno> {
    let mut failure = Errno::ENOENT;
    let searched = !program.contains(&b'/');
    for candidate in lookup::candidates(program, &order.env) {
        let errno = match attempt(order, &candidate, cwd, file, searched) {
            Ok(pid) => return Ok(pid),
            Err(errno) => errno,
        };
        if !searched || !lookup::goes_on(errno) {
            return Err(errno);
        }
        if errno == Errno::EACCES {
            failure = errno;
        }
    }
    Err(failure)
}

fn attempt(order: &StartOrder, place: &OsStr, cwd: &Path, file: &File, probe: bool) -> Result<u32, Errno> {
    if probe {
        lookup::probe(place, cwd)?;
    }
    let arguments = &order.argv[1..];
    let direct = spawn(order, place, OsStr::from_bytes(&order.argv[0]), None, arguments, file);
    match direct {
        Err(Errno::ENOEXEC) => spawn(order, OsStr::new(SHELL), OsStr::new(SHELL), Some(place), arguments, file),
        direct => direct,
    }
}

fn spawn(
    order: &StartOrder,
    program: &OsStr,
    arg0: &OsStr,
    script: Option<&OsStr>,
    arguments: &[Vec<u8>],
    file: &File,
) -> Result<u32, Errno> {
    let mut command = Command::new(program);
    command.arg0(arg0).args(script).args(arguments.iter().map(|argument| OsStr::from_bytes(argument)));
    command.env_clear().envs(order.env.iter().filter_map(|variable| split_variable(variable)));
    command.current_dir(OsStr::from_bytes(&order.cwd)).process_group(0).stdin(Stdio::null());
    let duplicate = || file.try_clone().map(Stdio::from).map_err(|error| lookup::errno_of(&error));
    command.stdout(duplicate()?).stderr(duplicate()?);
    command.spawn().map(|child| child.id()).map_err(|error| lookup::errno_of(&error))
}

/// Text without `=`, which no environ(7) should have, is left out.
fn split_variable(variable: &[u8]) -> Option<(&OsStr, &OsStr)> {
    let equals = variable.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((OsStr::from_bytes(&variable[..equals]), OsStr::from_bytes(&variable[equals + 1..])))
}

/// Appending keeps what earlier attempts wrote, and keeps the writes of several processes whole.
fn open_output(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(OUTPUT_MODE).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Returns the size of an output file, and removes it where it is empty and nobody is left who could write to it.
pub fn settle_output(path: &Path, group_alive: bool) -> u64 {
    // A file that is gone holds nothing.
    let bytes = fs::metadata(path).map_or(0, |found| found.len());
    if bytes == 0 && !group_alive {
        let _ = fs::remove_file(path);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_split_at_its_first_equals_sign() {
        assert_eq!(split_variable(b"A=b=c"), Some((OsStr::new("A"), OsStr::new("b=c"))));
        assert_eq!(split_variable(b"A="), Some((OsStr::new("A"), OsStr::new(""))));
        assert_eq!((split_variable(b"A"), split_variable(b"=A")), (None, None));
    }
}
