//! Owns: waiting for an absolute wall-clock instant, and noticing that the wall clock was set.
//! Never: which instant.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::domain::Timestamp;

/// A CLOCK_REALTIME timerfd, see timerfd_create(2).
#[derive(Debug)]
pub(super) struct Deadline {
    timer: TimerFd,
    armed: Option<Timestamp>,
}

impl Deadline {
    pub(super) fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        Ok(Self { timer, armed: None })
    }

    /// Sets the instant; `None`: never.
    pub(super) fn set(&mut self, at: Option<Timestamp>) -> io::Result<()> {
        if at == self.armed {
            return Ok(());
        }
        match at {
            None => self.timer.unset()?,
            Some(at) => {
                // An instant of zero would disarm the timer; one before the epoch is as due as the first after it.
                let micros = at.as_micros().max(1);
                let spec = TimeSpec::new(micros / 1_000_000, micros % 1_000_000 * 1_000);
                let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
                self.timer.set(Expiration::OneShot(spec), flags)?;
            }
        }
        self.armed = at;
        Ok(())
    }

    /// Takes note of an expiry, so that the descriptor is quiet until the next. Returns whether the clock was set.
    pub(super) fn take(&mut self) -> bool {
        self.armed = None;
        self.timer.wait() == Err(Errno::ECANCELED)
    }
}

impl AsFd for Deadline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
