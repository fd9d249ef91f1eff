//! Owns: what our crates have no safe form of: wait4(2), pidfd_open(2), close_range(2), and what a child does
//! between fork(2) and execve(2) to become another user. The only unsafe code but for `memory`.
//! Never: deciding anything about what was reaped, or who is to be become.

#![expect(clippy::disallowed_types, reason = "what a child does before execve(2) is added to its command")]
#![expect(
    unsafe_code,
    reason = "nix has no wait4 and no pidfd_open, its close_range is unsafe, and so is every pre_exec"
)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::resource::rlim_t;
use nix::sys::stat::Mode;
use nix::unistd;

use super::account::Credentials;
use super::input::OPEN_FLAGS;
use super::limits::set_descriptor_limit;
use crate::domain::{End, Span, Usage};

/// What a child that is to be another user does before its program, with everything looked up.
#[derive(Debug)]
pub struct SwitchUser {
    /// Who it is to be.
    pub account: Credentials,
    /// The soft limit of descriptors that it is to have, if the keeper has another.
    pub descriptors: Option<rlim_t>,
    /// Where it is to be: entered as that user.
    pub cwd: CString,
    /// Where that fails, `/` will do.
    pub cwd_optional: bool,
    /// What it reads, opened as that user; `None`: what the command has been given.
    pub stdin: Option<CString>,
    /// Where the step is told that failed: execve(2) gives an error number, and so would each of these.
    pub report: OwnedFd,
}

/// A step of `SwitchUser`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The user and its groups.
    User,
    /// The working directory.
    Directory,
    /// Standard input.
    Input,
}

impl Step {
    /// Reads the byte that a child has reported.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::User, Self::Directory, Self::Input].into_iter().find(|step| *step as u8 == byte)
    }
}

/// Has the child of `command` become another user before its program starts.
pub fn switch_user_before_exec(command: &mut Command, becoming: SwitchUser) {
    // SAFETY: between fork(2) and execve(2) only async-signal-safe calls may be made, and no memory may be
    // taken or given back. `SwitchUser::act` makes system calls on what was prepared before the fork, and
    // nothing else.
    unsafe { command.pre_exec(move || becoming.act()) };
}

impl SwitchUser {
    /// Runs in the child: see `switch_user_before_exec` for what may stand here.
    fn act(&self) -> io::Result<()> {
        self.descriptors.inspect(|soft| set_descriptor_limit(*soft));
        self.step(Step::User, || {
            // The order of privileges given up: with the user gone, the groups could not be set.
            unistd::setgroups(&self.account.groups)?;
            unistd::setgid(self.account.gid)?;
            unistd::setuid(self.account.uid)
        })?;
        self.step(Step::Directory, || match unistd::chdir(self.cwd.as_c_str()) {
            Err(_) if self.cwd_optional => unistd::chdir(c"/"),
            entered => entered,
        })?;
        self.step(Step::Input, || {
            let Some(path) = &self.stdin else { return Ok(()) };
            let file = open(path.as_c_str(), OPEN_FLAGS, Mode::empty())?;
            fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
            unistd::dup2_stdin(&file)
        })
    }

    fn step(&self, step: Step, act: impl FnOnce() -> Result<(), Errno>) -> io::Result<()> {
        act().map_err(|errno| {
            // Without the report the error passes for one of execve(2).
            let _ = unistd::write(&self.report, &[step as u8]);
            io::Error::from(errno)
        })
    }
}

/// A child that has ended and was reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Its process id, which the system may give to another process from now on.
    pub pid: u32,
    /// How it ended.
    pub end: End,
    /// What it and the children that it waited for used.
    pub usage: Usage,
}

/// Reaps one child that has ended, whoever started it; `None` if there is no such child now.
///
/// waitpid(2) would do for the status; only wait4(2) tells what this one child used.
pub fn reap_one() -> Option<Reaped> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live locals of the types that wait4(2) writes, and it keeps neither.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    // 0: none has ended. -1: ECHILD, there is none; WNOHANG leaves no other error.
    let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0)?;
    // SAFETY: an rusage is integers only, so that the zeroes it was made of are a valid one, filled in or
    // not.
    let usage = unsafe { usage.assume_init() };
    let end = if libc::WIFSIGNALED(status) {
        End::Signaled(libc::WTERMSIG(status))
    } else {
        End::Exited(libc::WEXITSTATUS(status))
    };
    let usage = Usage {
        user: span(usage.ru_utime),
        system: span(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    };
    Some(Reaped { pid, end, usage })
}

fn span(time: libc::timeval) -> Span {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Span::from_micros(part(time.tv_sec).saturating_mul(1_000_000).saturating_add(part(time.tv_usec)))
}

/// Opens a process that may be nobody's child: the descriptor is readable once it has ended, and is of no
/// other process that gets its number later. Closed on execve(2).
///
/// # Errors
/// `ESRCH` if there is no such process.
pub fn open_process(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0 as libc::c_long) };
    let fd = libc::c_int::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call has made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives a descriptor another number, `least` or more, so that those below stay free; one that has such a
/// number, or for which there is none, is returned as it is.
pub fn move_up(fd: OwnedFd, least: rlim_t) -> OwnedFd {
    let least = libc::c_int::try_from(least).unwrap_or(libc::c_int::MAX);
    if fd.as_raw_fd() >= least {
        return fd;
    }
    match fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(least)) {
        // SAFETY: fcntl(2) has made this descriptor, and nobody else has it.
        Ok(moved) => unsafe { OwnedFd::from_raw_fd(moved) },
        Err(_) => fd,
    }
}

/// Closes every descriptor above standard error.
///
/// Only for a process that has opened none yet: what is there came down from whoever started the daemon (a
/// pipe to `tee`, the other end of an ssh session), and a keeper that held it open for days would keep that
/// one waiting.
pub fn close_inherited() {
    // SAFETY: the caller has opened nothing, so that nobody's descriptor is closed behind its back. On
    // failure (a kernel before 5.9) nothing is closed, which is untidy and otherwise harmless.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}
