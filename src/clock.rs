//! Owns: the one place where the current time is read.
//! Never: deciding anything with it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// A source of the current time; handed down, never reached for.
pub trait Clock {
    /// Returns the wall-clock time (CLOCK_REALTIME).
    fn now(&self) -> Timestamp;

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

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
