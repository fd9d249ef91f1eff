//! Owns: the one place where the current time is read.
//! Never: deciding anything with it.
#![expect(clippy::disallowed_methods, reason = "the current time is read here")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_getres, clock_gettime};

use crate::domain::{Span, Timestamp};

/// A source of the current time. It is passed down from `main`.
pub trait Clock {
    /// Returns the wall-clock time (CLOCK_REALTIME).
    fn now(&self) -> Timestamp;

    /// Returns the wall-clock time of the last tick (CLOCK_REALTIME_COARSE): what time(2) returns and what
    /// the timestamps of files show.
    fn coarse_now(&self) -> Timestamp;

    /// Returns the length of a tick.
    fn coarse_resolution(&self) -> Span;

    /// Returns the time since some fixed point, unmoved by clock steps (CLOCK_MONOTONIC).
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting monotonic time here.
    #[expect(clippy::new_without_default, reason = "a clock is created by main alone, on purpose")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

fn micros(time: &TimeSpec) -> i64 {
    time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Timestamp::from_micros(micros)
    }

    fn coarse_now(&self) -> Timestamp {
        let coarse = clock_gettime(ClockId::CLOCK_REALTIME_COARSE);
        coarse.map_or_else(|_| self.now(), |coarse| Timestamp::from_micros(micros(&coarse)))
    }

    fn coarse_resolution(&self) -> Span {
        let tick = clock_getres(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |tick| micros(&tick));
        Span::from_micros(u64::try_from(tick).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Clocks for tests: they show what they were set to, with ticks of 4 ms.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FakeClock {
    pub(crate) now: Timestamp,
    pub(crate) coarse_now: Timestamp,
    pub(crate) monotonic: Duration,
}

#[cfg(test)]
impl FakeClock {
    pub(crate) fn at(now: Timestamp, monotonic: Duration) -> Self {
        Self { now, coarse_now: now, monotonic }
    }

    /// Sets the wall clock.
    pub(crate) fn set(&mut self, now: Timestamp) {
        (self.now, self.coarse_now) = (now, now);
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.monotonic += by;
        self.set(self.now + Span::from_micros(u64::try_from(by.as_micros()).expect("a test is short")));
    }
}

#[cfg(test)]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn coarse_now(&self) -> Timestamp {
        self.coarse_now
    }

    fn coarse_resolution(&self) -> Span {
        Span::from_millis(4)
    }

    fn monotonic(&self) -> Duration {
        self.monotonic
    }
}
