//! Owns: the two system calls that our crates have no safe form of: wait4(2) and close_range(2). The only unsafe code.
//! Never: deciding anything about what was reaped.

#![expect(unsafe_code, reason = "nix has no wait4, and its close_range is unsafe too")]

use std::mem::MaybeUninit;

use crate::domain::{End, Span, Usage};

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
    // SAFETY: an rusage is integers only, so that the zeroes it was made of are a valid one, filled in or not.
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

/// Closes every descriptor above standard error.
///
/// Only for a process that has opened none yet: what is there came down from whoever started the daemon (a pipe to
/// `tee`, the other end of an ssh session), and a keeper that held it open for days would keep that one waiting.
pub fn close_inherited() {
    // SAFETY: the caller has opened nothing, so that nobody's descriptor is closed behind its back. On failure (a
    // kernel before 5.9) nothing is closed, which is untidy and otherwise harmless.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}
