//! Owns: waking the poll at an instant of the wall clock, and when that clock is set.
//! Never: which instant (see `agenda`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::domain::Timestamp;

/// A CLOCK_REALTIME timerfd, see timerfd_create(2). While it is armed, it is also readable after the clock
/// was set.
#[derive(Debug)]
pub(super) struct WallTimer {
    timer: TimerFd,
    armed: Option<Timestamp>,
}

impl WallTimer {
    pub(super) fn new() -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        Ok(Self { timer, armed: None })
    }

    /// Sets the instant; `None` disarms.
    pub(super) fn set(&mut self, at: Option<Timestamp>) -> io::Result<()> {
        if at == self.armed {
            return Ok(());
        }
        match at {
            None => self.timer.unset()?,
            Some(at) => {
                // An instant of zero would disarm the timer. An instant before the epoch is due now, like the
                // first one after it.
                let micros = at.as_micros().max(1);
                let spec = TimeSpec::new(micros / 1_000_000, micros % 1_000_000 * 1_000);
                let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
                self.timer.set(Expiration::OneShot(spec), flags)?;
            }
        }
        self.armed = at;
        Ok(())
    }

    /// Makes the descriptor quiet until the timer is set again.
    pub(super) fn acknowledge(&mut self) {
        self.armed = None;
        // It fails with ECANCELED if the clock was set.
        let _ = self.timer.wait();
    }
}

impl AsFd for WallTimer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
