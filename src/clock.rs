//! Owns: the one place where the current time is read.
//! Never: deciding anything with it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::domain::Timestamp;

/// A source of the current time; handed down, never reached for.
pub trait Clock {
    /// Returns the wall-clock time (CLOCK_REALTIME).
    fn now(&self) -> Timestamp;

    /// Returns the second that time(2) and the stamps of files tell (CLOCK_REALTIME_COARSE): behind by up to a few ticks.
    fn told_seconds(&self) -> i64;

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
    #[expect(clippy::new_without_default, reason = "a clock is made by main alone, on purpose")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Timestamp::from_micros(micros)
    }

    fn told_seconds(&self) -> i64 {
        clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or_else(|_| self.now().as_seconds(), |told| told.tv_sec())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
