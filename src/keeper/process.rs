//! Owns: the start of an attempt's process.
//! Never: when to start one, or waiting for it.
//!
//! A start goes by posix_spawn(3), which borrows the keeper's memory until execve(2) and so costs the same
//! however large that is. posix_spawn(3) knows neither a umask, a niceness, another user nor a control
//! group. So the umask is the keeper's own for the moment of the start, a start with a niceness has a thread,
//! one as another user forks, and one in a control group goes by clone3(2).
#![expect(clippy::disallowed_types, reason = "what posix_spawn(3) cannot do is started here")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, umask};
use nix::unistd;

use super::account::{self, Credentials};
use super::cgroup::Cgroups;
use super::enforcement::Limits;
use super::env_file;
use super::given_output::open_given;
use super::input;
use super::limits::DescriptorLimit;
use super::log_directory::LogDirectory;
use super::path_search::{candidates, continues_after, probe};
use super::pipe::{Pipe, Pipes};
use super::protocol::{StartExtras, StartOrder};
use super::setup::KEEPER_UMASK;
use super::spawn_error::{SpawnError, Step, check_directory, directory};
use super::sys::{self, Preparation, Switch};
use crate::domain::{EnvVar, Share, Stdin, value_of};
use crate::error::errno_of;

/// What runs a script that names no interpreter, as in execvp(3).
const SHELL: &CStr = c"/bin/sh";

/// The keeper's ends of the pipes of an attempt.
#[derive(Debug)]
pub struct Outlets {
    pub stdout: File,
    /// `None`: the first has the standard error too.
    pub stderr: Option<File>,
}

/// Makes the attempt's pipe, or two of them, starts the attempt with its output into them, and returns its
/// process id and the keeper's ends. `limit`: that of descriptors, if the keeper has raised its own.
///
/// # Errors
/// The error that becomes the attempt's end, or is tried again. The pipes are gone then, as proof that
/// nothing began.
pub fn start(
    order: &StartOrder,
    extras: &StartExtras,
    (pipes, log_dir): (&mut Pipes, &LogDirectory),
    cgroups: &mut Cgroups,
    limit: Option<DescriptorLimit>,
) -> Result<(u32, Outlets), SpawnError> {
    let attempt = order.attempt;
    let given = extras.given.map(|given| open_given(log_dir, given)).transpose();
    let resolved = given.and_then(|given| Launch::resolve(order, extras, given, limit));
    let started = resolved.and_then(|mut launch| {
        let mut make = |output| {
            let made = pipes.make(output, launch.credentials.as_ref());
            made.map_err(|error| SpawnError::at(Step::Pipe)(errno_of(&error)))
        };
        let stdout = make(attempt.stdout())?;
        let stderr = extras.split_output.then(|| make(attempt.stderr())).transpose()?;
        launch.cgroup = match extras.enforce {
            false => cgroups.make(attempt),
            true => Some(cgroups.make_limited(attempt, &Limits::of_share(extras.share()))?),
        };
        let pid =
            launch.spawn_nicely([&stdout, stderr.as_ref().unwrap_or(&stdout)].map(|pipe| &pipe.inlet))?;
        let outlet = |pipe: Pipe| File::from(sys::move_up(pipe.outlet.into(), limit));
        Ok((pid, Outlets { stdout: outlet(stdout), stderr: stderr.map(outlet) }))
    });
    started.inspect_err(|_| {
        // The proof goes last.
        if extras.split_output {
            pipes.remove(attempt.stderr());
        }
        pipes.remove(attempt.stdout());
        cgroups.release(attempt);
    })
}

/// A file mode creation mask, until it is dropped.
struct UmaskGuard;

impl UmaskGuard {
    fn set(mask: u32) -> Self {
        umask(Mode::from_bits_truncate(mask));
        Self
    }
}

impl Drop for UmaskGuard {
    fn drop(&mut self) {
        umask(KEEPER_UMASK);
    }
}

/// What a process is started with, wherever its program is found.
pub(super) struct Launch<'a> {
    order: &'a StartOrder,
    extras: &'a StartExtras,
    limit: Option<DescriptorLimit>,
    cwd: &'a Path,
    cwd_text: CString,
    pub(super) argv: Vec<CString>,
    /// The variables of the environment file.
    file_env: Vec<EnvVar>,
    env: Vec<CString>,
    /// What another user opens by itself.
    stdin_path: Option<CString>,
    /// The output that it reads.
    given: Option<File>,
    pub(super) credentials: Option<Credentials>,
    /// The control group that it starts in, if it has one.
    cgroup: Option<OwnedFd>,
}

impl<'a> Launch<'a> {
    /// Looks everything up; changes nothing.
    pub(super) fn resolve(
        order: &'a StartOrder,
        extras: &'a StartExtras,
        given: Option<File>,
        limit: Option<DescriptorLimit>,
    ) -> Result<Self, SpawnError> {
        let text = |bytes: &[u8]| {
            CString::new(bytes).map_err(|_| SpawnError { step: Step::Text, errno: Errno::EINVAL })
        };
        let found = extras.user.as_deref().map(account::find).transpose();
        let credentials = found.map_err(SpawnError::at(Step::User))?;
        let file_env = match &extras.env_file {
            Some(path) => env_file::read(path, credentials.as_ref())?,
            None => Vec::new(),
        };
        // Of several variables of one name the last counts.
        let share = extras.share().map(Share::variables).unwrap_or_default();
        let env: BTreeMap<&[u8], &[u8]> = order
            .env
            .iter()
            .chain(&file_env)
            .chain(&share)
            .filter_map(|variable| Some((&variable[..name_length(variable)?], variable.as_slice())))
            .collect();
        let cwd = directory(order, extras);
        Ok(Self {
            order,
            extras,
            limit,
            cwd,
            cwd_text: text(cwd.as_os_str().as_bytes())?,
            argv: order.argv.iter().map(|word| text(word)).collect::<Result<_, _>>()?,
            env: env.into_values().map(text).collect::<Result<_, _>>()?,
            file_env,
            given,
            stdin_path: match &extras.stdin {
                Stdin::Path(path) => Some(text(path)?),
                Stdin::Null | Stdin::Text(_) => None,
            },
            credentials,
            cgroup: None,
        })
    }

    /// Opens what the process reads. A file that another user is to read is left to that user to open: it
    /// must not get by way of a link what only the keeper's own user may read.
    pub(super) fn open_input(&self) -> Result<File, SpawnError> {
        if let Some(file) = &self.given {
            return file.try_clone().map_err(|error| SpawnError::at(Step::Input)(errno_of(&error)));
        }
        let opened = match &self.extras.stdin {
            Stdin::Path(path) if self.credentials.is_none() => input::open(path),
            Stdin::Null | Stdin::Path(_) => input::open(input::NOTHING),
            Stdin::Text(text) => input::of_text(text),
        };
        opened.map_err(|error| SpawnError::at(Step::Input)(errno_of(&error)))
    }

    /// Starts the program with the niceness that is wanted.
    ///
    /// posix_spawn(3) knows none. A thread has a niceness of its own, and without privileges cannot go back
    /// to a lower one. So the start is made by a thread that ends with it.
    fn spawn_nicely(&self, outputs: [&File; 2]) -> Result<u32, SpawnError> {
        let Some(nice) = self.extras.nice else { return self.spawn(outputs) };
        thread::scope(|scope| {
            let start = || {
                sys::set_niceness(nice).map_err(SpawnError::at(Step::Nice))?;
                self.spawn(outputs)
            };
            let thread = thread::Builder::new().spawn_scoped(scope, start);
            let thread = thread.map_err(|error| SpawnError::at(Step::Nice)(errno_of(&error)))?;
            thread.join().expect("a start does not panic")
        })
    }

    /// Tries the program's candidates in turn. As in execvp(3), one that may not be executed counts only if
    /// no other directory has the program.
    fn spawn(&self, [stdout, stderr]: [&File; 2]) -> Result<u32, SpawnError> {
        let input = self.open_input()?;
        let _umask = UmaskGuard::set(self.order.umask);
        let program = self.order.argv.first().map(Vec::as_slice).unwrap_or_default();
        let is_searched = !program.contains(&b'/');
        let mut failure = Errno::ENOENT;
        let has_path = value_of(&self.file_env, "PATH").is_some();
        for candidate in candidates(program, if has_path { &self.file_env } else { &self.order.env }) {
            let probed = if is_searched { probe(&candidate, self.cwd) } else { Ok(()) };
            let tried = probed
                .map_err(SpawnError::at(Step::Program))
                .and_then(|()| self.spawn_candidate(&candidate, [&input, stdout, stderr]));
            match tried {
                Err(SpawnError { step: Step::Program, errno }) if is_searched && continues_after(errno) => {
                    failure = if errno == Errno::EACCES { errno } else { failure };
                }
                Err(SpawnError { step: Step::Program, errno }) => return Err(self.blame(errno)),
                ended => return ended,
            }
        }
        Err(self.blame(failure))
    }

    /// posix_spawn(3) gives one error for everything that its child tried: the working directory is looked
    /// at first.
    fn blame(&self, errno: Errno) -> SpawnError {
        let program = SpawnError { step: Step::Program, errno };
        check_directory(self.cwd).err().map_or(program, SpawnError::at(Step::Directory))
    }

    fn spawn_candidate(&self, path: &[u8], files: [&File; 3]) -> Result<u32, SpawnError> {
        let path = CString::new(path).expect("`resolve` has looked for NUL bytes");
        let spawn = |path: &CStr, argv: &[CString]| match &self.credentials {
            _ if let Some(ended) = self.spawn_into_cgroup(path, argv, files) => ended,
            None => {
                // A run gets the limit that it would have without us. posix_spawn(3) takes no descriptor
                // beyond it: see `move_up`.
                let _limit = self.limit.map(DescriptorLimit::lower);
                let started = sys::spawn(path, argv, &self.env, &self.cwd_text, files.map(AsFd::as_fd));
                started.map_err(SpawnError::at(Step::Program))
            }
            Some(_) => self.spawn_as(path, argv, files),
        };
        match spawn(&path, &self.argv) {
            Err(SpawnError { step: Step::Program, errno: Errno::ENOEXEC }) => {
                let script = [SHELL.to_owned(), path].into_iter();
                spawn(SHELL, &script.chain(self.argv[1..].iter().cloned()).collect::<Vec<_>>())
            }
            direct => direct,
        }
    }

    /// `None`: it has no control group, or the system cannot start it there, so that it starts without one.
    /// With limits it does not.
    fn spawn_into_cgroup(
        &self,
        path: &CStr,
        argv: &[CString],
        files: [&File; 3],
    ) -> Option<Result<u32, SpawnError>> {
        let cgroup = self.cgroup.as_ref()?.as_fd();
        let files = files.map(AsFd::as_fd);
        match sys::spawn_into(cgroup, path, argv, &self.env, files, &self.preparation()) {
            Ok(started) => Some(started),
            Err(errno) => self.extras.enforce.then(|| Err(SpawnError::at(Step::Cgroup)(errno))),
        }
    }

    pub(super) fn preparation(&self) -> Preparation {
        Preparation {
            user: self.credentials.as_ref().map(Switch::from),
            limit: self.limit,
            cwd: self.cwd_text.clone(),
            cwd_optional: self.extras.cwd_optional,
            stdin: self.credentials.as_ref().and(self.stdin_path.clone()),
            bond: None,
        }
    }

    fn spawn_as(&self, path: &CStr, argv: &[CString], files: [&File; 3]) -> Result<u32, SpawnError> {
        self.spawn_prepared(path, argv, files, self.preparation()).map(|child| child.id())
    }

    /// Starts a program by fork(2), which can do all of the preparation.
    pub(super) fn spawn_prepared(
        &self,
        path: &CStr,
        argv: &[CString],
        files: [&File; 3],
        preparation: Preparation,
    ) -> Result<Child, SpawnError> {
        let program = |error: io::Error| SpawnError::at(Step::Program)(errno_of(&error));
        let (reported, report) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::at(Step::Program))?;
        let mut command = Command::new(os_str(path.to_bytes()));
        command.arg0(os_str(argv[0].to_bytes())).args(argv[1..].iter().map(|word| os_str(word.to_bytes())));
        command.env_clear().envs(self.env.iter().filter_map(|variable| {
            let (name, value) = variable.to_bytes().split_at(name_length(variable.to_bytes())?);
            Some((os_str(name), os_str(&value[1..])))
        }));
        let [stdin, stdout, stderr] = files.map(|file| file.try_clone().map(Stdio::from).map_err(program));
        command.stdin(stdin?).stdout(stdout?).stderr(stderr?);
        sys::act_before_exec(&mut command, preparation, report);
        let spawned = command.spawn();
        // Our own end of the report goes with it, so that the pipe has an end.
        drop(command);
        spawned.map_err(|error| sys::read_report(reported).unwrap_or_else(|| program(error)))
    }
}

fn os_str(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Returns the length of a variable's name. Text without `=`, which no environ(7) should have, is left out.
fn name_length(variable: &[u8]) -> Option<usize> {
    variable.iter().position(|byte| *byte == b'=').filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::Pid;

    use super::*;
    use crate::domain::Span;
    use crate::keeper::protocol::Attempt;

    #[test]
    fn a_start_without_limits_goes_without_a_control_group_where_the_system_refuses_it() {
        let order = StartOrder {
            attempt: Attempt::of_mail(1),
            queue: String::new(),
            slots: 1,
            argv: [&b"sh"[..], b"-c", b"exit 7"].map(<[u8]>::to_vec).to_vec(),
            env: Vec::new(),
            cwd: b"/".to_vec(),
            umask: 0,
            timeout: None,
            kill_after: Span::ZERO,
        };
        let mut extras = StartExtras::default();
        let mut launch = Launch::resolve(&order, &extras, None, None).expect("it names no user and no file");
        let [no_group, null] = ["/", "/dev/null"].map(|path| File::open(path).expect("it is there"));
        launch.cgroup = Some(no_group.into());
        let pid = launch.spawn_candidate(b"/bin/sh", [&null; 3]).expect("there is a shell");
        let pid = Pid::from_raw(i32::try_from(pid).expect("small"));
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 7)));
        let no_group = launch.cgroup.take();
        extras.enforce = true;
        let mut launch = Launch::resolve(&order, &extras, None, None).expect("as before");
        launch.cgroup = no_group;
        let refused = launch.spawn_candidate(b"/bin/sh", [&null; 3]).expect_err("it has limits");
        assert_eq!(refused.step, Step::Cgroup);
    }

    #[test]
    fn a_variable_is_split_at_its_first_equals_sign() {
        assert_eq!([b"A=b=c", &b"A="[..], b"A", b"=A"].map(name_length), [Some(1), Some(1), None, None]);
    }
}
