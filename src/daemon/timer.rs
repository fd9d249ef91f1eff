//! Owns: waiting for an absolute wall-clock instant, and noticing that the wall clock was set.
//! Never: which instant.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock::Clock;
use crate::domain::{Span, Timestamp};

/// How long after a tick is due it is looked for: on the way from its interrupt it may be overtaken.
const TICK_MARGIN: Span = Span::from_micros(100);

/// Tells whether an instant has come, for a job that asks time(2) too.
///
/// That clock is behind the one that timers follow by up to a few ticks: what midnight starts without delay
/// writes yesterday's date.
pub(super) fn has_come(at: Timestamp, clock: &dyn Clock) -> bool {
    at <= clock.now() && at.as_seconds() <= clock.told().as_seconds()
}

/// Returns when to wake for an instant: then, or with the next tick if it was reached and has not come.
pub(super) fn wake_for(at: Timestamp, clock: &dyn Clock) -> Timestamp {
    let now = clock.now();
    if at > now || has_come(at, clock) {
        return at;
    }
    (clock.told() + clock.tick()).max(now) + TICK_MARGIN
}

/// A CLOCK_REALTIME timerfd, see timerfd_create(2).
#[derive(Debug)]
pub(super) struct Deadline {
    timer: TimerFd,
    armed: Option<Timestamp>,
}

impl Deadline {
    pub(super) fn new() -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
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
                // An instant of zero would disarm the timer; one before the epoch is as due as the first
                // after it.
                let micros = at.as_micros().max(1);
                let spec = TimeSpec::new(micros / 1_000_000, micros % 1_000_000 * 1_000);
                let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
                self.timer.set(Expiration::OneShot(spec), flags)?;
            }
        }
        self.armed = at;
        Ok(())
    }

    /// Takes note of an expiry, so that the descriptor is quiet until the next. Returns whether the clock was
    /// set.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The time, and what time(2) tells, both in milliseconds.
    struct Clocks(i64, i64);

    impl Clock for Clocks {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0 * 1_000)
        }

        fn told(&self) -> Timestamp {
            Timestamp::from_micros(self.1 * 1_000)
        }

        fn tick(&self) -> Span {
            Span::from_millis(4)
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn a_fire_waits_until_time_2_tells_its_second_too() {
        let midnight = Timestamp::from_seconds(100);
        let micros = Timestamp::from_micros;
        for (clocks, come, wake) in [
            (Clocks(99_998, 99_998), false, midnight),
            (Clocks(100_000, 99_998), false, micros(100_002_100)),
            (Clocks(100_001, 99_998), false, micros(100_002_100)),
            (Clocks(100_003, 99_998), false, micros(100_003_100)),
            (Clocks(100_003, 100_002), true, midnight),
        ] {
            assert_eq!(
                (has_come(midnight, &clocks), wake_for(midnight, &clocks)),
                (come, wake),
                "{}",
                clocks.0
            );
        }
        assert!(
            has_come(micros(100_300_000), &Clocks(100_300, 100_298)),
            "within a second there is nothing to wait for"
        );
    }
}
