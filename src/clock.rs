//! Owns: the one place where the current time is read.
//! Never: deciding anything with it.
#![expect(clippy::disallowed_methods, reason = "the current time is read here")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_getres, clock_gettime};

use crate::domain::{Span, Timestamp};

/// A source of the current time; handed down, never reached for.
pub trait Clock {
    /// Returns the wall-clock time (CLOCK_REALTIME).
    fn now(&self) -> Timestamp;

    /// Returns what time(2) and the stamps of files tell (CLOCK_REALTIME_COARSE): the wall-clock time of the
    /// last tick.
    fn told(&self) -> Timestamp;

    /// Returns how long a tick is: `told` moves on so long after it did.
    fn tick(&self) -> Span;

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

    fn told(&self) -> Timestamp {
        let told = clock_gettime(ClockId::CLOCK_REALTIME_COARSE);
        told.map_or_else(|_| self.now(), |told| Timestamp::from_micros(micros(&told)))
    }

    fn tick(&self) -> Span {
        let tick = clock_getres(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |tick| micros(&tick));
        Span::from_micros(u64::try_from(tick).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
