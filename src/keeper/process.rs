//! Owns: the start of an attempt's process.
//! Never: when to start one, or waiting for it.
//!
//! A start goes the way of posix_spawn(3), which borrows the keeper's memory until execve(2) and so costs the
//! same however large that is. std leaves that way for `pre_exec`, a user, and a bare program name together
//! with a `PATH`; so the search is done here, and the umask is the keeper's own for the moment of the start.
//! Only a start as another user forks.
#![expect(clippy::disallowed_types, reason = "runs are started here")]

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::rlim_t;
use nix::sys::stat::{Mode, umask};
use nix::unistd;

use super::LOG_DIRECTORY;
use super::account::{self, Credentials};
use super::input;
use super::limits::{out_of_the_way, set_descriptor_limit};
use super::path_search::{self, Refusal};
use super::pipe::{self, Pipes};
use super::protocol::{StartExtras, StartOrder};
use super::sys::{self, Step, SwitchUser};
use crate::domain::Stdin;
use crate::error::describe;

/// What runs a script that names no interpreter, as execvp(3) has it.
const SHELL: &str = "/bin/sh";

/// What a process reads that is given nothing.
const NOTHING: &[u8] = b"/dev/null";

/// The keeper's own mask: nothing that it makes is anybody else's.
fn own_mask() -> Mode {
    Mode::S_IRWXG | Mode::S_IRWXO
}

/// What a process is given, wherever its program is found.
struct SpawnSpec<'a> {
    order: &'a StartOrder,
    /// Where it begins.
    cwd: &'a Path,
    /// Another user may not be able to enter that: then `/` will do.
    cwd_optional: bool,
    stdin: &'a Stdin,
    /// What was opened or made for `stdin` already.
    input: File,
    output: File,
    account: Option<Credentials>,
    /// The soft limit of descriptors that the keeper was started with, if it has raised its own.
    descriptors: Option<rlim_t>,
}

/// Why one place of a program did not become a process.
enum Failure {
    /// execve(2)'s, or of what comes before it.
    Errno(Errno),
    /// Of becoming another user; no other place would do better.
    SwitchUser(Step, Errno),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Makes the attempt's pipe, starts the attempt with its output into it, and returns its process id and the
/// keeper's end of the pipe.
///
/// # Errors
///
/// The refusal that becomes its end, or is to be tried again. The pipe is gone then, as proof that nothing
/// began.
pub fn start(
    order: &StartOrder,
    extras: &StartExtras,
    pipes: &mut Pipes,
    descriptors: Option<rlim_t>,
) -> Result<(u32, File), Refusal> {
    let started = start_with_pipe(order, extras, pipes, descriptors);
    started.inspect_err(|_| pipes.remove(order.attempt))
}

fn start_with_pipe(
    order: &StartOrder,
    extras: &StartExtras,
    pipes: &mut Pipes,
    descriptors: Option<rlim_t>,
) -> Result<(u32, File), Refusal> {
    let program = order.argv.first().map(Vec::as_slice).unwrap_or_default();
    let cwd = directory(order, extras);
    let path = if let Stdin::Path(path) = &extras.stdin { path.as_slice() } else { &[] };
    let mut texts =
        order.argv.iter().chain(&order.env).map(Vec::as_slice).chain([order.cwd.as_slice(), path]);
    if texts.any(|text| text.contains(&0)) {
        return Err(Refusal::new(
            path_search::OTHER,
            program,
            "a NUL byte in the command, environment or directory",
        ));
    }
    let account = extras.user.as_deref().map(account::find).transpose()?;
    umask(own_mask());
    let pipe = pipes.make(order.attempt, account.as_ref()).map_err(|error| {
        refusal("output pipe", &pipe::path(Path::new(LOG_DIRECTORY), order.attempt), &error)
    })?;
    let input = open_input(&extras.stdin, account.is_some())?;
    let spec = SpawnSpec {
        order,
        cwd,
        cwd_optional: extras.cwd_optional,
        stdin: &extras.stdin,
        input,
        output: pipe.inlet,
        account,
        descriptors,
    };
    umask(Mode::from_bits_truncate(order.umask));
    let started = search(&spec, program);
    umask(own_mask());
    let started = started.map(|pid| (pid, File::from(out_of_the_way(pipe.outlet.into(), descriptors))));
    started.map_err(|failure| match failure {
        Failure::Errno(errno) => path_search::explain(program, cwd, errno),
        Failure::SwitchUser(Step::User, errno) => {
            let user = extras.user.as_deref().unwrap_or_default();
            refusal("user", Path::new(user), &errno.into())
        }
        Failure::SwitchUser(Step::Directory, errno) => refusal("working directory", cwd, &errno.into()),
        Failure::SwitchUser(Step::Input, errno) => {
            refusal("standard input", Path::new(OsStr::from_bytes(path)), &errno.into())
        }
    })
}

/// Returns the directory to begin in.
fn directory<'a>(order: &'a StartOrder, extras: &StartExtras) -> &'a Path {
    let cwd = Path::new(OsStr::from_bytes(&order.cwd));
    if extras.cwd_optional && path_search::check_directory(cwd).is_err() { Path::new("/") } else { cwd }
}

/// Makes a refusal of something of the attempt's that cannot be had: ``working directory `/x`: not a
/// directory``.
fn refusal(kind: &str, subject: &Path, error: &io::Error) -> Refusal {
    let mut refusal = Refusal::new(path_search::OTHER, subject.as_os_str().as_bytes(), &describe(error));
    refusal.cause.insert_str(0, &format!("{kind} "));
    refusal.is_passing = path_search::is_passing(path_search::errno_of(error));
    refusal
}

/// Opens what the process reads. A file that another user is to read is left to that user to open: what only
/// the keeper's own may read, it must not get by way of a link.
fn open_input(stdin: &Stdin, becomes_another: bool) -> Result<File, Refusal> {
    let (opened, name) = match stdin {
        Stdin::Path(path) if !becomes_another => (input::open(path), Path::new(OsStr::from_bytes(path))),
        Stdin::Null | Stdin::Path(_) => (input::open(NOTHING), Path::new(OsStr::from_bytes(NOTHING))),
        Stdin::Text(text) => (input::of_text(text), Path::new("text")),
    };
    opened.map_err(|error| refusal("standard input", name, &error))
}

/// Tries the program's places in turn. As in execvp(3), one that may not be executed is worth mentioning only
/// if no other place has the program.
fn search(spec: &SpawnSpec<'_>, program: &[u8]) -> Result<u32, Failure> {
    let mut failure = Errno::ENOENT;
    let searched = !program.contains(&b'/');
    for candidate in path_search::candidates(program, &spec.order.env) {
        let errno = match attempt(spec, &candidate, searched) {
            Err(Failure::Errno(errno)) => errno,
            ended => return ended,
        };
        if !searched || !path_search::goes_on(errno) {
            return Err(errno.into());
        }
        if errno == Errno::EACCES {
            failure = errno;
        }
    }
    Err(failure.into())
}

fn attempt(spec: &SpawnSpec<'_>, place: &OsStr, probe: bool) -> Result<u32, Failure> {
    if probe {
        path_search::probe(place, spec.cwd)?;
    }
    let argv = &spec.order.argv;
    let direct = spawn(spec, place, OsStr::from_bytes(&argv[0]), None);
    match direct {
        Err(Failure::Errno(Errno::ENOEXEC)) => spawn(spec, OsStr::new(SHELL), OsStr::new(SHELL), Some(place)),
        direct => direct,
    }
}

fn spawn(
    spec: &SpawnSpec<'_>,
    program: &OsStr,
    arg0: &OsStr,
    script: Option<&OsStr>,
) -> Result<u32, Failure> {
    let order = spec.order;
    let mut command = Command::new(program);
    let arguments = order.argv[1..].iter().map(|argument| OsStr::from_bytes(argument));
    command.arg0(arg0).args(script).args(arguments).process_group(0);
    command.env_clear().envs(order.env.iter().filter_map(|variable| split_variable(variable)));
    let duplicate =
        |file: &File| file.try_clone().map(Stdio::from).map_err(|error| path_search::errno_of(&error));
    command.stdin(duplicate(&spec.input)?);
    command.stdout(duplicate(&spec.output)?).stderr(duplicate(&spec.output)?);
    match &spec.account {
        None => {
            command.current_dir(spec.cwd);
            // A run gets the limit that it would have without us. posix_spawn(3) takes no descriptor beyond
            // it: see `out_of_the_way`.
            spec.descriptors.inspect(|soft| set_descriptor_limit(*soft));
            let spawned = command.spawn();
            spec.descriptors.inspect(|_| set_descriptor_limit(rlim_t::MAX));
            spawned.map(|child| child.id()).map_err(|error| path_search::errno_of(&error).into())
        }
        Some(account) => spawn_as(command, spec, account),
    }
}

/// Starts it as another user.
fn spawn_as(mut command: Command, spec: &SpawnSpec<'_>, account: &Credentials) -> Result<u32, Failure> {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let stdin = match spec.stdin {
        Stdin::Path(path) => Some(c_string(path)?),
        Stdin::Null | Stdin::Text(_) => None,
    };
    let (reported, report) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    let cwd = c_string(spec.cwd.as_os_str().as_bytes())?;
    sys::switch_user_before_exec(
        &mut command,
        SwitchUser {
            account: account.clone(),
            descriptors: spec.descriptors,
            cwd,
            cwd_optional: spec.cwd_optional,
            stdin,
            report,
        },
    );
    let spawned = command.spawn();
    // Our own end of the report goes with it, so that the pipe has an end.
    drop(command);
    spawned.map(|child| child.id()).map_err(|error| {
        let errno = path_search::errno_of(&error);
        let mut byte = [0];
        let told = File::from(reported).read(&mut byte).is_ok_and(|count| count > 0);
        let step = if told { Step::from_byte(byte[0]) } else { None };
        step.map_or(Failure::Errno(errno), |step| Failure::SwitchUser(step, errno))
    })
}

/// Text without `=`, which no environ(7) should have, is left out.
fn split_variable(variable: &[u8]) -> Option<(&OsStr, &OsStr)> {
    let equals = variable.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((OsStr::from_bytes(&variable[..equals]), OsStr::from_bytes(&variable[equals + 1..])))
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
