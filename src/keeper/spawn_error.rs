//! Owns: why an attempt has no process: the status that a shell would give, and the cause for a person.
//! Never: trying again (see `server`).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::LOG_DIRECTORY;
use super::input::NOTHING;
use super::log_directory::SealedError;
use super::pipe;
use super::protocol::{GivenOutput, StartExtras, StartOrder};
use crate::domain::Stdin;
use crate::error::{describe_errno, errno_of};

/// The statuses that a shell gives: for anything of ours, found but not executable, and not found.
const OTHER: i32 = 125;
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Why nothing is enforced where no group is delegated.
pub(super) const NOT_DELEGATED: &str = "no control group (cgroup version 2) is delegated to taskq";

/// Why nothing is enforced where the delegated group has processes.
pub(super) const NOT_APART: &str =
    "taskq is in the delegated control group itself, not in `taskq-main` below it";

/// A step of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Passing the command, environment and paths on: none may hold a NUL byte.
    Text,
    /// Finding the user, and becoming it.
    User,
    /// Setting the niceness.
    Nice,
    /// Reading the environment file.
    EnvFile,
    /// It is a regular file.
    EnvFileKind,
    /// It belongs to the user or to root.
    EnvFileOwner,
    /// Only its owner can write it.
    EnvFileMode,
    /// Making the output pipe.
    Pipe,
    /// Opening standard input.
    Input,
    /// Entering the working directory.
    Directory,
    /// Finding and starting the program.
    Program,
    /// Finding the control group that is delegated to the keeper.
    Delegation,
    /// The keeper is not in that group itself.
    Subgroup,
    /// Enabling the controllers below it.
    Controllers,
    /// Setting the limits of the attempt's group.
    Limits,
    /// Making that group, and starting in it.
    Cgroup,
}

/// The step that failed, and the system's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnError {
    pub step: Step,
    pub errno: Errno,
}

/// The length of what a child writes if it cannot begin its program.
pub const REPORT_BYTES: usize = 1 + size_of::<i32>();

impl SpawnError {
    /// Returns what a child writes. Safe between fork(2) and execve(2).
    pub fn to_report(self) -> [u8; REPORT_BYTES] {
        let [a, b, c, d] = (self.errno as i32).to_ne_bytes();
        [self.step as u8, a, b, c, d]
    }

    /// Reads what a child has written.
    pub fn from_report([step, errno @ ..]: [u8; REPORT_BYTES]) -> Option<Self> {
        let steps = [Step::User, Step::Nice, Step::Directory, Step::Input, Step::Program];
        let step = steps.into_iter().find(|one| *one as u8 == step)?;
        Some(Self { step, errno: Errno::from_raw(i32::from_ne_bytes(errno)) })
    }

    pub fn at(step: Step) -> impl Fn(Errno) -> Self {
        move |errno| Self { step, errno }
    }

    /// Returns whether the system lacked something that becomes free again: processes, memory, descriptors,
    /// room on the disk.
    pub fn is_passing(self) -> bool {
        matches!(
            self.errno,
            Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::EDQUOT
        )
    }

    /// Returns the status and the cause, a fragment such as `` `nosuch`: command not found ``.
    pub fn explain(self, order: &StartOrder, extras: &StartExtras) -> (i32, String) {
        let program = order.argv.first().map(Vec::as_slice).unwrap_or_default();
        let pipe = pipe::path(Path::new(LOG_DIRECTORY), order.attempt.stdout());
        let nice = extras.nice.unwrap_or_default().to_string();
        let given = extras.given.map(|given| match given {
            GivenOutput::OfAttempt(attempt) => format!("output of {}", attempt.task),
            GivenOutput::OfArray(job) => format!("output of {job}"),
        });
        let (kind, subject) = match self.step {
            Step::Text | Step::Program => ("", program),
            Step::User => ("user ", extras.user.as_deref().unwrap_or_default().as_bytes()),
            Step::Nice => ("niceness ", nice.as_bytes()),
            Step::EnvFile | Step::EnvFileKind | Step::EnvFileOwner | Step::EnvFileMode => {
                ("environment file ", extras.env_file.as_deref().unwrap_or_default())
            }
            Step::Delegation | Step::Subgroup | Step::Controllers | Step::Limits | Step::Cgroup => {
                ("", b"--enforce".as_slice())
            }
            Step::Pipe => ("output pipe ", pipe.as_os_str().as_bytes()),
            Step::Directory => ("working directory ", order.cwd.as_slice()),
            Step::Input => (
                "standard input ",
                match (&given, &extras.stdin) {
                    (Some(given), _) => given.as_bytes(),
                    (None, Stdin::Null) => NOTHING,
                    (None, Stdin::Path(path)) => path,
                    (None, Stdin::Text(_)) => b"text",
                },
            ),
        };
        let (status, why) = match (self.step, self.errno) {
            (Step::Text, _) => (OTHER, "a NUL byte in the command, environment or directory".to_owned()),
            (Step::User, Errno::ENOENT) => (OTHER, "there is no such user".to_owned()),
            (Step::Program, errno) => explain_program(program, directory(order, extras), errno),
            (Step::Nice, Errno::EACCES | Errno::EPERM) => {
                (OTHER, "only root can go below the daemon's".to_owned())
            }
            (Step::Input, Errno::ENOENT) if given.is_some() => (OTHER, "it was pruned".to_owned()),
            (Step::Input, Errno::EFBIG) if given.is_some() => {
                (OTHER, "more than its log limit was written, and not all is kept".to_owned())
            }
            (Step::Input, Errno::ENOKEY) if given.is_some() => (OTHER, SealedError::KeyMissing.to_string()),
            (Step::Input, Errno::EBADMSG) if given.is_some() => (OTHER, SealedError::DAMAGED.to_string()),
            (Step::Input, Errno::EISDIR) if given.is_some() => {
                (OTHER, "an array has an output for each index".to_owned())
            }
            (Step::EnvFileKind | Step::EnvFileOwner | Step::EnvFileMode, _) => (OTHER, self.why_env_file()),
            (Step::Delegation, _) => (OTHER, NOT_DELEGATED.to_owned()),
            (Step::Subgroup, _) => (OTHER, NOT_APART.to_owned()),
            (Step::Controllers, Errno::ENOENT) => {
                (OTHER, "the delegated control group does not have the controllers".to_owned())
            }
            (Step::Controllers, errno) => (OTHER, with("the controllers cannot be enabled", errno)),
            (Step::Limits, errno) => (OTHER, with("the limits cannot be set", errno)),
            (Step::Cgroup, errno) => (OTHER, with("it cannot start in its control group", errno)),
            (Step::User | Step::Nice | Step::EnvFile | Step::Pipe | Step::Input | Step::Directory, errno) => {
                (OTHER, describe_errno(errno))
            }
        };
        (status, format!("{kind}`{}`: {why}", String::from_utf8_lossy(subject)))
    }

    /// Returns the cause of a failure that has to do with an environment file.
    pub fn explain_env_file(self, path: &[u8]) -> String {
        format!("environment file `{}`: {}", String::from_utf8_lossy(path), self.why_env_file())
    }

    fn why_env_file(self) -> String {
        match self.step {
            Step::EnvFileKind => "not a regular file".to_owned(),
            Step::EnvFileOwner => "it belongs to neither the job's user nor root".to_owned(),
            Step::EnvFileMode => "its group or others can write it".to_owned(),
            _ => describe_errno(self.errno),
        }
    }
}

fn with(what: &str, errno: Errno) -> String {
    format!("{what}: {}", describe_errno(errno))
}

fn explain_program(program: &[u8], cwd: &Path, errno: Errno) -> (i32, String) {
    let path = program.contains(&b'/').then(|| cwd.join(OsStr::from_bytes(program)));
    match errno {
        Errno::ENOENT => match path {
            None => (NOT_FOUND, "command not found".to_owned()),
            Some(path) if path.exists() => (NOT_FOUND, "its interpreter was not found".to_owned()),
            Some(_) => (NOT_FOUND, describe_errno(errno)),
        },
        Errno::ENOTDIR => (NOT_FOUND, describe_errno(errno)),
        Errno::EACCES if path.is_some_and(|path| path.is_dir()) => {
            (NOT_EXECUTABLE, describe_errno(Errno::EISDIR))
        }
        // The system's own words do not say what of.
        Errno::EAGAIN => (OTHER, "too many processes".to_owned()),
        Errno::E2BIG | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => (OTHER, describe_errno(errno)),
        _ => (NOT_EXECUTABLE, describe_errno(errno)),
    }
}

/// Returns whether a process of ours could begin in this directory.
///
/// # Errors
/// The error that chdir(2) would give.
pub fn check_directory(cwd: &Path) -> Result<(), Errno> {
    let found = fs::metadata(cwd).map_err(|error| errno_of(&error))?;
    if !found.is_dir() {
        return Err(Errno::ENOTDIR);
    }
    access(cwd, AccessFlags::X_OK)
}

/// Returns the directory to begin in.
pub fn directory<'a>(order: &'a StartOrder, extras: &StartExtras) -> &'a Path {
    let cwd = Path::new(OsStr::from_bytes(&order.cwd));
    if extras.cwd_optional && check_directory(cwd).is_err() { Path::new("/") } else { cwd }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;
    use crate::keeper::protocol::Attempt;

    #[test]
    fn an_error_names_what_is_at_fault() {
        let said = |program: &str, step, errno| {
            let order = StartOrder {
                attempt: Attempt::of_mail(1),
                queue: String::new(),
                slots: 1,
                argv: vec![program.as_bytes().to_vec()],
                env: Vec::new(),
                cwd: b"/etc/passwd".to_vec(),
                umask: 0,
                timeout: None,
                kill_after: Span::ZERO,
            };
            let extras = StartExtras { user: Some("x".to_owned()), ..StartExtras::default() };
            SpawnError { step, errno }.explain(&order, &extras)
        };
        let program = |program, errno| said(program, Step::Program, errno);
        assert_eq!(program("nosuch", Errno::ENOENT), (127, "`nosuch`: command not found".to_owned()));
        assert_eq!(
            program("/no/such", Errno::ENOENT),
            (127, "`/no/such`: no such file or directory".to_owned())
        );
        assert_eq!(program("/etc", Errno::EACCES), (126, "`/etc`: is a directory".to_owned()));
        assert_eq!(program("true", Errno::E2BIG), (125, "`true`: argument list too long".to_owned()));
        assert_eq!(
            said("true", Step::Directory, Errno::ENOTDIR),
            (125, "working directory `/etc/passwd`: not a directory".to_owned())
        );
        assert_eq!(
            said("true", Step::Nice, Errno::EACCES),
            (125, "niceness `0`: only root can go below the daemon's".to_owned())
        );
        assert_eq!(
            said("true", Step::User, Errno::ENOENT),
            (125, "user `x`: there is no such user".to_owned())
        );
    }
}
