//! Owns: where a program may lie, by the rules of execvp(3), and why it could not be started.
//! Never: starting it (see `process`).

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::domain::value_of;
use crate::error::{describe, describe_errno};

/// What execvp(3) searches where the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/bin:/bin";

/// The statuses that a shell gives: for anything of ours, found but not executable, and not found.
pub const OTHER: i32 = 125;
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Why there is no process: the fields of `End::SpawnFailed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 125, 126 or 127.
    pub status: i32,
    /// A fragment for a person.
    pub cause: String,
    /// The same may succeed a moment later.
    pub is_passing: bool,
}

impl Refusal {
    /// Makes a refusal for `subject`, as in `` `nosuch`: command not found ``.
    pub fn new(status: i32, subject: &[u8], why: &str) -> Self {
        Self { status, cause: format!("{}: {why}", quoted(subject)), is_passing: false }
    }
}

/// Returns the places to try in turn, as they are given to execve(2): `program` itself if it has a slash,
/// else one in each directory of `PATH`.
pub fn candidates<'a>(program: &'a [u8], env: &'a [Vec<u8>]) -> impl Iterator<Item = Cow<'a, OsStr>> {
    let direct = program.contains(&b'/').then(|| Cow::Borrowed(OsStr::from_bytes(program)));
    let searched = direct.is_none() && !program.is_empty();
    let directories = searched.then(|| path_of(env).split(|byte| *byte == b':')).into_iter().flatten();
    direct.into_iter().chain(directories.map(move |directory| {
        // An empty element is the working directory. The slash keeps the C library from searching on its own.
        let directory = if directory.is_empty() { b"." } else { directory };
        Cow::Owned(OsString::from_vec([directory, b"/", program].concat()))
    }))
}

fn path_of(env: &[Vec<u8>]) -> &[u8] {
    value_of(env, "PATH").unwrap_or(DEFAULT_PATH)
}

/// Whether a candidate is worth an attempt: a miss is found with one system call in place of a process.
///
/// # Errors
///
/// The one that execve(2) would give.
pub fn probe(candidate: &OsStr, cwd: &Path) -> Result<(), Errno> {
    // The candidate is looked at from where the process will be.
    let place = cwd.join(candidate);
    access(&place, AccessFlags::X_OK)?;
    // A directory may be "executable", and that does not end a search.
    match fs::metadata(&place) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(Errno::EACCES),
        Err(error) => Err(errno_of(&error)),
    }
}

/// Whether execvp(3) goes on to the next directory after this error of execve(2).
pub fn goes_on(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EACCES | Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT
    )
}

/// Says why a program was not started, given the error that the search or the start ended with.
pub fn explain(program: &[u8], cwd: &Path, errno: Errno) -> Refusal {
    // posix_spawn(3) gives one error for everything that its child tried, so the working directory is looked
    // at first.
    if let Err(why) = check_directory(cwd) {
        let mut refusal = Refusal::new(OTHER, cwd.as_os_str().as_bytes(), &why);
        refusal.cause.insert_str(0, "working directory ");
        return refusal;
    }
    let place = program.contains(&b'/').then(|| cwd.join(OsStr::from_bytes(program)));
    let (status, why) = match errno {
        Errno::ENOENT => match place {
            None => (NOT_FOUND, "command not found".to_owned()),
            Some(place) if place.exists() => (NOT_FOUND, "its interpreter was not found".to_owned()),
            Some(_) => (NOT_FOUND, describe_errno(errno)),
        },
        Errno::ENOTDIR => (NOT_FOUND, describe_errno(errno)),
        Errno::EACCES if place.is_some_and(|place| place.is_dir()) => {
            (NOT_EXECUTABLE, describe_errno(Errno::EISDIR))
        }
        // The system's own words do not say what of.
        Errno::EAGAIN => (OTHER, "too many processes".to_owned()),
        Errno::E2BIG | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => (OTHER, describe_errno(errno)),
        _ => (NOT_EXECUTABLE, describe_errno(errno)),
    };
    Refusal { is_passing: is_passing(errno), ..Refusal::new(status, program, &why) }
}

/// Whether the system refused for want of something that comes free again: processes, memory, descriptors,
/// room on the disk.
pub fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::EDQUOT
    )
}

/// Tells why a process of ours could not begin in this directory, if it could not.
pub fn check_directory(cwd: &Path) -> Result<(), String> {
    let found = fs::metadata(cwd).map_err(|error| describe(&error))?;
    if !found.is_dir() {
        return Err(describe_errno(Errno::ENOTDIR));
    }
    access(cwd, AccessFlags::X_OK).map_err(describe_errno)
}

/// Returns the system's number for an error; `EINVAL` for one that is not the system's.
pub fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

/// Puts a name into backticks, its bytes shown as far as they are text.
pub fn quoted(name: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(program: &str, env: &[&str]) -> Vec<String> {
        let env: Vec<Vec<u8>> = env.iter().map(|variable| variable.as_bytes().to_vec()).collect();
        candidates(program.as_bytes(), &env).map(|place| place.to_string_lossy().into_owned()).collect()
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

    #[test]
    fn a_refusal_names_what_is_at_fault() {
        let said = |program: &str, cwd: &str, errno| {
            let refusal = explain(program.as_bytes(), Path::new(cwd), errno);
            (refusal.status, refusal.cause)
        };
        assert_eq!(said("nosuch", "/", Errno::ENOENT), (127, "`nosuch`: command not found".to_owned()));
        assert_eq!(
            said("/no/such", "/", Errno::ENOENT),
            (127, "`/no/such`: no such file or directory".to_owned())
        );
        assert_eq!(said("/etc", "/", Errno::EACCES), (126, "`/etc`: is a directory".to_owned()));
        assert_eq!(said("true", "/", Errno::E2BIG), (125, "`true`: argument list too long".to_owned()));
        assert_eq!(
            said("true", "/etc/passwd", Errno::ENOTDIR),
            (125, "working directory `/etc/passwd`: not a directory".to_owned())
        );
    }
}
