//! Owns: what our crates have no safe form of: posix_spawn(3), clone3(2), setpriority(2), setgroups(2) of one
//! thread, wait4(2), pidfd_open(2) and pidfd_send_signal(2), getxattr(2), close_range(2), and what a child
//! does before execve(2). The only unsafe code beside `memory` and `maths`.
//! Never: deciding anything about what was reaped, or which user a child becomes.

#![expect(clippy::disallowed_types, reason = "what a child does before execve(2) is added to its command")]
#![expect(clippy::disallowed_methods, reason = "std::process::Command has no sessions")]
#![expect(unsafe_code, reason = "nix has no safe form of what this file calls")]

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{self, Gid, Pid, Uid};

use super::account::Credentials;
use super::input::OPEN_FLAGS;
use super::limits::DescriptorLimit;
use super::spawn_error::{REPORT_BYTES, SpawnError, Step};
use crate::domain::{End, Span, Usage};

/// Starts a program by posix_spawn(3) in a session of its own, with these descriptors as 0, 1 and 2, no
/// signal blocked, and SIGPIPE not ignored.
///
/// # Errors
/// The first error of whatever the child did, execve(2) last.
pub fn spawn(
    path: &CStr,
    argv: &[CString],
    env: &[CString],
    cwd: &CStr,
    fds: [BorrowedFd<'_>; 3],
) -> Result<u32, Errno> {
    let check = |code| if code == 0 { Ok(()) } else { Err(Errno::from_raw(code)) };
    let (argv, env) = (pointers(argv), pointers(env));
    let (unblocked, defaulted) = (SigSet::empty(), SigSet::from(Signal::SIGPIPE));
    let flags = libc::POSIX_SPAWN_SETSID
        | libc::POSIX_SPAWN_SETSIGMASK as libc::c_short
        | libc::POSIX_SPAWN_SETSIGDEF as libc::c_short;
    let (mut pid, mut attributes, mut actions) = (0, MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: both objects are initialized before they are used and destroyed after that. Every pointer is
    // to a live value for the whole of its call, and nothing is kept: strings are copied into the actions,
    // and the child shares our memory only until posix_spawn(3) returns.
    unsafe {
        check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
        let attributes = attributes.assume_init_mut();
        check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
        let actions = actions.assume_init_mut();
        let spawned = (|| {
            check(libc::posix_spawnattr_setflags(attributes, flags))?;
            check(libc::posix_spawnattr_setsigmask(attributes, unblocked.as_ref()))?;
            check(libc::posix_spawnattr_setsigdefault(attributes, defaulted.as_ref()))?;
            for (fd, number) in fds.iter().zip(0..) {
                check(libc::posix_spawn_file_actions_adddup2(actions, fd.as_raw_fd(), number))?;
            }
            check(libc::posix_spawn_file_actions_addchdir_np(actions, cwd.as_ptr()))?;
            check(libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                actions,
                attributes,
                argv.as_ptr(),
                env.as_ptr(),
            ))
        })();
        libc::posix_spawn_file_actions_destroy(actions);
        libc::posix_spawnattr_destroy(attributes);
        spawned?;
    }
    Ok(u32::try_from(pid).expect("a process id is positive"))
}

/// The arguments of clone3(2) up to `CLONE_INTO_CGROUP`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// As in sched.h. The constants of libc are too narrow for them.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts a program as `spawn` does, as a member of a control group from the first instruction on. `first`
/// is done before.
///
/// posix_spawn(3) cannot do that before glibc 2.39. To move a process later takes a lock for which all forks
/// of the system wait.
///
/// # Errors
/// The outer one: there is no child, because the system cannot start one there. The inner one: the step of
/// the child that failed.
pub fn spawn_into(
    cgroup: BorrowedFd<'_>,
    path: &CStr,
    argv: &[CString],
    env: &[CString],
    fds: [BorrowedFd<'_>; 3],
    first: &Preparation,
) -> Result<Result<u32, SpawnError>, Errno> {
    let (argv, env) = (pointers(argv), pointers(env));
    let (reported, report) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    let arguments = CloneArguments {
        // This thread goes on when the child has begun its program or has ended.
        flags: libc::CLONE_VFORK as u64 | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArguments::default()
    };
    let child = Child { path, argv: &argv, env: &env, fds, first, report: report.as_fd() };
    // A signal that comes before the handlers are cleared waits.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // Another user must never have a process in our memory.
    let cloned = if first.user.is_none() {
        child.clone_in_our_memory(arguments)
    } else {
        child.clone_with_a_copy(arguments)
    };
    let _ = mask.thread_set_mask();
    let pid = cloned?;
    drop(report);
    let Some(error) = read_report(reported) else {
        return Ok(Ok(u32::try_from(pid.as_raw()).expect("a process id is positive")));
    };
    let _ = waitpid(pid, None);
    Ok(Err(error))
}

/// A child of clone3(2), before there is one. As after fork(2), it makes only async-signal-safe calls, on
/// what was prepared before.
struct Child<'a> {
    path: &'a CStr,
    /// Both end with a null pointer.
    argv: &'a [*mut libc::c_char],
    env: &'a [*mut libc::c_char],
    fds: [BorrowedFd<'a>; 3],
    first: &'a Preparation,
    report: BorrowedFd<'a>,
}

/// What a child needs for its few calls. The stack of posix_spawn(3) in glibc is as large.
#[cfg(target_arch = "x86_64")]
const STACK_BYTES: usize = 64 << 10;

impl Child<'_> {
    /// Makes a child with a copy of our memory.
    fn clone_with_a_copy(&self, arguments: CloneArguments) -> Result<Pid, Errno> {
        // SAFETY: the kernel reads a live value of the size that is given. The child goes on here, on a copy
        // of this stack, and never returns.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<CloneArguments>()) };
        if pid == 0 {
            self.begin();
        }
        Errno::result(pid).map(|pid| Pid::from_raw(libc::pid_t::try_from(pid).expect("it is small")))
    }

    /// Makes a child in our memory, as posix_spawn(3) does: a copy takes longer than the rest of a start.
    #[cfg(target_arch = "x86_64")]
    fn clone_in_our_memory(&self, arguments: CloneArguments) -> Result<Pid, Errno> {
        extern "C" fn begin(child: &Child<'_>) -> ! {
            child.begin()
        }
        let mut stack = Vec::<u128>::with_capacity(STACK_BYTES / size_of::<u128>());
        let arguments = CloneArguments {
            flags: arguments.flags | libc::CLONE_VM as u64,
            stack: stack.as_mut_ptr() as u64,
            stack_size: STACK_BYTES as u64,
            ..arguments
        };
        let result: i64;
        // SAFETY: the kernel reads a live value of the size that is given. The child has a stack of its own,
        // aligned as the ABI wants it, and calls a function that never returns. This thread sleeps until
        // the child has left our memory, so that all that it uses lives as long. It writes to its stack and
        // to `errno` alone. clone3(2) changes the registers that are named here.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "mov rdi, r12",
                "call r13",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone3 => result,
                in("rdi") &raw const arguments,
                in("rsi") size_of::<CloneArguments>(),
                in("r12") &raw const *self,
                in("r13") begin as extern "C" fn(&Child<'_>) -> !,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        drop(stack);
        let number = |result: i64| i32::try_from(result).expect("a process id or error is small");
        if result < 0 { Err(Errno::from_raw(number(-result))) } else { Ok(Pid::from_raw(number(result))) }
    }

    /// Makes a child with a copy of our memory: the other way is written for one kind of processor.
    #[cfg(not(target_arch = "x86_64"))]
    fn clone_in_our_memory(&self, arguments: CloneArguments) -> Result<Pid, Errno> {
        self.clone_with_a_copy(arguments)
    }

    /// Runs in the child: becomes the program, or reports why not.
    fn begin(&self) -> ! {
        let error = self.exec();
        let _ = unistd::write(self.report, &error.to_report());
        // SAFETY: it ends the process at once.
        unsafe { libc::_exit(127) }
    }

    /// Returns why it has not become the program.
    fn exec(&self) -> SpawnError {
        let [stdin, stdout, stderr] = self.fds;
        let attached = unistd::dup2_stdin(stdin)
            .and_then(|()| unistd::dup2_stdout(stdout))
            .and_then(|()| unistd::dup2_stderr(stderr))
            .map_err(SpawnError::at(Step::Program));
        if let Err(error) = attached.and_then(|()| self.first.act()) {
            return error;
        }
        // SAFETY: setting a default runs no code of ours. Both lists end with a null pointer, and their
        // strings live in the caller of the clone.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let _ = SigSet::empty().thread_set_mask();
            libc::execve(self.path.as_ptr(), self.argv.as_ptr().cast(), self.env.as_ptr().cast());
        }
        SpawnError { step: Step::Program, errno: Errno::last() }
    }
}

/// Reads what a child has reported; `None`: it has begun its program, or it ended without a word.
pub fn read_report(reported: OwnedFd) -> Option<SpawnError> {
    let mut report = [0; REPORT_BYTES];
    File::from(reported).read_exact(&mut report).ok()?;
    SpawnError::from_report(report)
}

/// Returns an extended attribute of a file, if it has one of at most 8 bytes.
pub fn attribute(path: &CStr, name: &CStr) -> Option<Vec<u8>> {
    let mut value = [0_u8; 8];
    // SAFETY: both names end with NUL, and the call writes at most as many bytes as the array has.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    Some(value[..usize::try_from(length).ok()?].to_vec())
}

/// Sets the niceness of the calling thread, which all that it starts inherits: on Linux each thread has its
/// own.
///
/// # Errors
/// `EACCES` if it would be lower, and the system does not allow that.
pub fn set_niceness(niceness: i32) -> Result<(), Errno> {
    // SAFETY: setpriority(2) takes integers and touches no memory of ours.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) }).map(drop)
}

/// Gives the calling thread the rights of a user where files are concerned, and none of root's. It cannot
/// take them back, so it should be a thread that ends soon.
///
/// # Errors
/// If the system refuses.
pub fn take_file_rights(user: &Credentials) -> Result<(), Errno> {
    set_groups(&numbers(&user.groups))?;
    unistd::setfsgid(user.gid);
    // Takes the capabilities for files away too.
    unistd::setfsuid(user.uid);
    // Neither reports a failure. With a number that no user has, both return the present one.
    let is_taken = unistd::setfsuid(Uid::from_raw(u32::MAX)) == user.uid
        && unistd::setfsgid(Gid::from_raw(u32::MAX)) == user.gid;
    if is_taken { Ok(()) } else { Err(Errno::EPERM) }
}

fn pointers(texts: &[CString]) -> Vec<*mut libc::c_char> {
    texts.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

fn numbers(groups: &[Gid]) -> Vec<libc::gid_t> {
    groups.iter().map(|group| group.as_raw()).collect()
}

/// Sets the supplementary groups of the calling thread alone, whereas setgroups(3) would set those of all.
fn set_groups(groups: &[libc::gid_t]) -> Result<(), Errno> {
    // SAFETY: setgroups(2) reads as many numbers as are there.
    Errno::result(unsafe { libc::syscall(calls::SETGROUPS, groups.len(), groups.as_ptr()) }).map(drop)
}

/// The calls that take user and group ids of 32 bits.
mod calls {
    #[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
    pub(super) use libc::{SYS_setgid as SETGID, SYS_setgroups as SETGROUPS, SYS_setuid as SETUID};
    #[cfg(any(target_arch = "arm", target_arch = "x86"))]
    pub(super) use libc::{SYS_setgid32 as SETGID, SYS_setgroups32 as SETGROUPS, SYS_setuid32 as SETUID};
}

/// The user that a child becomes.
#[derive(Debug)]
pub struct Switch {
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
}

impl From<&Credentials> for Switch {
    fn from(user: &Credentials) -> Self {
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups: numbers(&user.groups) }
    }
}

impl Switch {
    /// Gives the privileges up, the user last: without its privileges the groups could not be set.
    ///
    /// setuid(3) and its like reach all threads that the C library knows. In a child of clone3(2) those are
    /// its parent's, and would be waited for in vain.
    fn act(&self) -> Result<(), Errno> {
        set_groups(&self.groups)?;
        // SAFETY: both take an integer.
        unsafe {
            Errno::result(libc::syscall(calls::SETGID, libc::c_ulong::from(self.gid)))?;
            Errno::result(libc::syscall(calls::SETUID, libc::c_ulong::from(self.uid)))?;
        }
        Ok(())
    }
}

/// What a child does before its program, with everything looked up.
#[derive(Debug)]
pub struct Preparation {
    /// The user to become, if it is not the keeper's.
    pub user: Option<Switch>,
    /// The limit of descriptors that it gets, if the keeper has another.
    pub limit: Option<DescriptorLimit>,
    /// The working directory, entered as that user.
    pub cwd: CString,
    /// If that fails, `/` will do.
    pub cwd_optional: bool,
    /// What it reads, opened as that user; `None`: what the command has been given.
    pub stdin: Option<CString>,
    /// `None`: it may outlive this process, and has its niceness and umask from it.
    pub bond: Option<Bond>,
}

/// What binds a child and its process group to the life of this process.
#[derive(Debug)]
pub struct Bond {
    pub umask: Mode,
    pub nice: Option<i32>,
    /// This process.
    pub parent: Pid,
    /// The reading end of a pipe. Only this process has the other end, and never writes. The child passes it
    /// on to all that it starts.
    pub tether: OwnedFd,
}

/// The number of the last signal.
const LAST_SIGNAL: libc::c_int = 64;

/// As in fcntl.h; libc has it for few systems.
const F_SETSIG: libc::c_int = 10;

impl Bond {
    /// Runs in the child, which still has the rights of its parent.
    fn inherit(&self) -> Result<(), SpawnError> {
        umask(self.umask);
        self.nice.map_or(Ok(()), set_niceness).map_err(SpawnError::at(Step::Nice))?;
        for signal in 1..=LAST_SIGNAL {
            // SAFETY: setting a default runs no code of ours. It is refused for KILL, STOP, and the signals
            // of the C library.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // Of those that the daemon was started with, none is for its children. Kernels before 5.11 refuse.
        // SAFETY: nothing is closed before execve(2).
        unsafe { close_range(3, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    }

    /// Runs in the child, which has its final user: a change of user undoes PR_SET_PDEATHSIG.
    ///
    /// PR_SET_PDEATHSIG reaches the child alone. The group dies by the tether: a pipe that loses its last
    /// writer sends a signal to the owner of its reading end, which is the group. So there are two ways, of
    /// which one may fail: a program can close the tether, and one with set-user-ID undoes the other.
    fn tie(&self) -> Result<(), SpawnError> {
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(SpawnError::at(Step::Program))?;
        if unistd::getppid() != self.parent {
            return Err(SpawnError { step: Step::Program, errno: Errno::ESRCH });
        }
        let fd = self.tether.as_raw_fd();
        // SAFETY: both take integers. `setsid` has made a group with the number of this process.
        unsafe {
            libc::fcntl(fd, libc::F_SETOWN, -unistd::getpid().as_raw());
            libc::fcntl(fd, F_SETSIG, libc::SIGKILL);
        }
        let _ = fcntl(&self.tether, FcntlArg::F_SETFL(OFlag::O_ASYNC));
        let _ = fcntl(&self.tether, FcntlArg::F_SETFD(FdFlag::empty()));
        Ok(())
    }
}

/// Makes the child of `command` act before its program starts. It reports the step that failed: execve(2)
/// gives an error number, and so would each of these.
pub fn act_before_exec(command: &mut Command, first: Preparation, report: OwnedFd) {
    let act = move || {
        first.act().map_err(|error| {
            // Without the report the error passes for one of execve(2).
            let _ = unistd::write(&report, &error.to_report());
            io::Error::from(error.errno)
        })
    };
    // SAFETY: between fork(2) and execve(2) only async-signal-safe calls may be made, and no memory may be
    // taken or given back. `Preparation::act` makes system calls on what was prepared before the fork, and
    // nothing else.
    unsafe { command.pre_exec(act) };
}

impl Preparation {
    /// Runs in the child: see `act_before_exec` for what may stand here.
    fn act(&self) -> Result<(), SpawnError> {
        unistd::setsid().map_err(SpawnError::at(Step::Program))?;
        self.bond.as_ref().map_or(Ok(()), Bond::inherit)?;
        self.limit.inspect(|limit| limit.restore());
        self.user.as_ref().map_or(Ok(()), Switch::act).map_err(SpawnError::at(Step::User))?;
        self.bond.as_ref().map_or(Ok(()), Bond::tie)?;
        let entered = match unistd::chdir(self.cwd.as_c_str()) {
            Err(_) if self.cwd_optional => unistd::chdir(c"/"),
            entered => entered,
        };
        entered.map_err(SpawnError::at(Step::Directory))?;
        let opened = self.stdin.as_ref().map_or(Ok(()), |path| {
            let file = open(path.as_c_str(), OPEN_FLAGS, Mode::empty())?;
            fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
            unistd::dup2_stdin(&file)
        });
        opened.map_err(SpawnError::at(Step::Input))
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

/// Reaps one child that has ended, whoever started it; `None` if no child has ended now.
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

/// Sends a signal to a process that may be nobody's child.
///
/// # Errors
/// `ESRCH` if it has ended and was reaped; `EPERM` if it has become another user.
pub fn signal_process(process: BorrowedFd<'_>, signal: Signal) -> Result<(), Errno> {
    // SAFETY: pidfd_send_signal(2) takes integers and, for the details of the signal, a null pointer, with
    // which it fills them in as kill(2) does.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal as libc::c_int,
            ptr::null::<libc::siginfo_t>(),
            0 as libc::c_uint,
        )
    };
    Errno::result(sent).map(drop)
}

/// Moves a descriptor that stays open beyond those that a run may have: posix_spawn(3) wants the ones that it
/// is given below the run's limit. One for which there is no such number is returned unchanged.
pub fn move_up(fd: OwnedFd, limit: Option<DescriptorLimit>) -> OwnedFd {
    match limit.map(|limit| libc::c_int::try_from(limit.soft).unwrap_or(libc::c_int::MAX)) {
        Some(least) => move_beyond(fd, least),
        None => fd,
    }
}

/// Gives a descriptor a number that is at least this one, and closes it on execve(2). One for which there is
/// no such number is returned unchanged.
pub fn move_beyond(fd: OwnedFd, least: libc::c_int) -> OwnedFd {
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
/// Only for a process that has opened none yet. What is there was inherited from whoever started the daemon
/// (a pipe to `tee`, the end of an ssh session), who would wait for the keeper to close it.
pub fn close_inherited() {
    // SAFETY: the caller has opened nothing, so that no descriptor in use is closed. On failure (a kernel
    // before 5.9) nothing is closed, which is untidy and otherwise harmless.
    unsafe { close_range(3, 0) };
}

/// Calls close_range(2) up to the last descriptor, for which musl has no function.
///
/// # Safety
/// No descriptor from `first` on is in use, unless `flags` says that none is closed.
unsafe fn close_range(first: libc::c_uint, flags: libc::c_uint) {
    let [first, last, flags] = [first, libc::c_uint::MAX, flags].map(libc::c_long::from);
    // SAFETY: it takes integers; the rest is the caller's.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}
