//! Owns: finding a program by the rules of execvp(3).
//! Never: starting it (see `process`).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::domain::value_of;
use crate::error::errno_of;

/// The path that execvp(3) searches if the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/bin:/bin";

/// Returns the candidates in turn, as they are given to execve(2): `program` itself if it has a slash, else
/// one in each directory of `PATH`.
pub fn candidates<'a>(program: &'a [u8], env: &'a [Vec<u8>]) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let direct = program.contains(&b'/').then_some(Cow::Borrowed(program));
    let searched = direct.is_none() && !program.is_empty();
    let path = value_of(env, "PATH").unwrap_or(DEFAULT_PATH);
    let directories = searched.then(|| path.split(|byte| *byte == b':')).into_iter().flatten();
    direct.into_iter().chain(directories.map(move |directory| {
        // An empty element is the working directory. The slash keeps the C library from searching by
        // itself.
        let directory = if directory.is_empty() { b"." } else { directory };
        Cow::Owned([directory, b"/", program].concat())
    }))
}

/// Returns whether a candidate is worth a process: a miss is found with one system call.
///
/// # Errors
/// The error that execve(2) would give.
pub fn probe(candidate: &[u8], cwd: &Path) -> Result<(), Errno> {
    // The process will look from its working directory.
    let path = cwd.join(OsStr::from_bytes(candidate));
    access(&path, AccessFlags::X_OK)?;
    // A directory may be "executable", and that does not end a search.
    let found = fs::metadata(&path).map_err(|error| errno_of(&error))?;
    if found.is_file() { Ok(()) } else { Err(Errno::EACCES) }
}

/// Whether a start in `cwd` finds the program.
///
/// # Errors
/// The error of the last place where it may lie.
pub fn find_program(program: &[u8], env: &[Vec<u8>], cwd: &Path) -> Result<(), Errno> {
    let mut found = Err(Errno::ENOENT);
    for candidate in candidates(program, env) {
        found = probe(&candidate, cwd);
        if found.is_ok() {
            break;
        }
    }
    found
}

/// Returns whether execvp(3) tries the next directory after this error of execve(2).
pub fn continues_after(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EACCES | Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(program: &str, env: &[&str]) -> Vec<String> {
        let env: Vec<Vec<u8>> = env.iter().map(|variable| variable.as_bytes().to_vec()).collect();
        let found = candidates(program.as_bytes(), &env);
        found.map(|path| String::from_utf8_lossy(&path).into_owned()).collect()
    }

    #[test]
    fn a_program_is_searched_by_the_rules_of_execvp() {
        assert_eq!(listed("true", &["HOME=/", "PATH=/a:/b"]), ["/a/true", "/b/true"]);
        assert_eq!(listed("true", &["PATH=:bin:"]), ["./true", "bin/true", "./true"]);
        assert_eq!(listed("true", &["MYPATH=/a"]), ["/usr/bin/true", "/bin/true"]);
        assert_eq!(listed("./true", &["PATH=/a"]), ["./true"]);
        assert_eq!(listed("", &["PATH=/a"]), Vec::<String>::new());
        assert_eq!(listed("true", &["PATH=/a", "PATH=/b"]), ["/b/true"]);
    }
}
