//! Owns: the daemon's timers: when the daemon wakes up, and which timers are due then.
//! Never: waiting, or acting on a timer.
//!
//! Fires are due by the wall clock. Every other timer lies a span ahead on the monotonic clock, so that no
//! timer has to be moved when the wall clock is set.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::{Span, Timestamp};

/// How long after a due tick the daemon wakes up: its timer may expire before the tick's interrupt.
const TICK_MARGIN: Span = Span::from_micros(100);

/// A reason for the daemon to wake up by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The next fire is due.
    NextFire,
    /// Reports of the keeper have waited long enough for others that share their commit.
    Batch,
    /// A client has announced a write, and may have died after its commit.
    UntoldCommit,
    /// A turn failed: the disk may have room again.
    Retry,
    /// The keeper could not be reached or started.
    KeeperRetry,
    /// A client could not be let in.
    DoorsRetry,
    /// The service manager expects a sign of life.
    Watchdog,
    /// The store was not written for a while, so its log can be copied back.
    Idle,
    /// The next step of forgetting old history.
    Prune,
}

/// When a timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// By the wall clock, also after it was set.
    Wall(Timestamp),
    Monotonic(Duration),
}

/// The times at which the daemon wakes up: the earlier one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextWake {
    pub wall: Option<Timestamp>,
    pub monotonic: Option<Duration>,
}

#[derive(Debug, Default)]
pub struct Agenda(BTreeMap<Timer, Deadline>);

impl Agenda {
    /// Sets a timer, whatever it was set to.
    pub fn set(&mut self, timer: Timer, when: Deadline) {
        self.0.insert(timer, when);
    }

    /// Sets a timer to a span from now.
    pub fn set_after(&mut self, timer: Timer, span: Duration, clock: &dyn Clock) {
        self.set(timer, Deadline::Monotonic(clock.monotonic() + span));
    }

    /// The same, unless the timer is due earlier already.
    pub fn set_earlier(&mut self, timer: Timer, span: Duration, clock: &dyn Clock) {
        let at = clock.monotonic() + span;
        if !matches!(self.0.get(&timer), Some(Deadline::Monotonic(earlier)) if *earlier <= at) {
            self.set(timer, Deadline::Monotonic(at));
        }
    }

    /// Makes sure that a timer is not set.
    pub fn clear(&mut self, timer: Timer) {
        self.0.remove(&timer);
    }

    pub fn is_set(&self, timer: Timer) -> bool {
        self.0.contains_key(&timer)
    }

    /// Returns when the first timer is due.
    pub fn next_wake(&self, clock: &dyn Clock) -> NextWake {
        let (mut wall, mut monotonic) = (Vec::new(), Vec::new());
        for when in self.0.values() {
            match when {
                Deadline::Wall(at) => wall.push(wake_for(*at, clock)),
                Deadline::Monotonic(at) => monotonic.push(*at),
            }
        }
        NextWake { wall: wall.into_iter().min(), monotonic: monotonic.into_iter().min() }
    }

    /// Removes the timers that are due, and returns them.
    pub fn take_due(&mut self, clock: &dyn Clock) -> Vec<Timer> {
        let is_due = |when: &Deadline| match when {
            Deadline::Wall(at) => has_come(*at, clock),
            Deadline::Monotonic(at) => *at <= clock.monotonic(),
        };
        self.0.extract_if(.., |_, when| is_due(when)).map(|(timer, _)| timer).collect()
    }
}

/// Returns whether an instant has come, also by the clock of time(2), which jobs may read.
///
/// That clock is up to a few ticks behind the one that timers follow. A job that midnight starts without this
/// delay would write yesterday's date.
fn has_come(at: Timestamp, clock: &dyn Clock) -> bool {
    at <= clock.now() && at.as_seconds() <= clock.coarse_now().as_seconds()
}

/// Returns when to wake up for an instant: then, or with the next tick if only the finer clock has reached
/// it.
fn wake_for(at: Timestamp, clock: &dyn Clock) -> Timestamp {
    let now = clock.now();
    if at > now || has_come(at, clock) {
        return at;
    }
    (clock.coarse_now() + clock.coarse_resolution()).max(now) + TICK_MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;

    const SECOND: Duration = Duration::from_secs(1);

    /// A clock that shows 100 s after its beginning.
    fn clock() -> FakeClock {
        FakeClock::at(Timestamp::from_seconds(1_000_000), 100 * SECOND)
    }

    #[test]
    fn a_timer_is_due_once_and_the_others_stay() {
        let (mut agenda, mut clock) = (Agenda::default(), clock());
        agenda.set_after(Timer::Retry, SECOND, &clock);
        agenda.set_after(Timer::Idle, 5 * SECOND, &clock);
        agenda.set(Timer::NextFire, Deadline::Wall(clock.now + Span::from_seconds(1)));
        assert_eq!(agenda.take_due(&clock), []);
        clock.advance(SECOND);
        assert_eq!(agenda.take_due(&clock), [Timer::NextFire, Timer::Retry]);
        assert_eq!(agenda.take_due(&clock), []);
        assert!(agenda.is_set(Timer::Idle) && !agenda.is_set(Timer::Retry));
    }

    #[test]
    fn the_first_timer_of_each_clock_wakes_the_daemon() {
        let (mut agenda, clock) = (Agenda::default(), clock());
        assert_eq!(agenda.next_wake(&clock), NextWake::default());
        let fire = clock.now + Span::from_seconds(60);
        agenda.set(Timer::NextFire, Deadline::Wall(fire));
        agenda.set_after(Timer::Idle, 5 * SECOND, &clock);
        agenda.set_after(Timer::Batch, SECOND, &clock);
        assert_eq!(agenda.next_wake(&clock), NextWake { wall: Some(fire), monotonic: Some(101 * SECOND) });
        agenda.clear(Timer::Batch);
        assert_eq!(agenda.next_wake(&clock).monotonic, Some(105 * SECOND));
    }

    #[test]
    fn the_earlier_of_two_times_stays() {
        let (mut agenda, clock) = (Agenda::default(), clock());
        for (span, expected) in [(5, 105), (9, 105), (2, 102)] {
            agenda.set_earlier(Timer::Batch, span * SECOND, &clock);
            assert_eq!(agenda.next_wake(&clock).monotonic, Some(expected * SECOND));
        }
        agenda.set_after(Timer::Batch, 9 * SECOND, &clock);
        assert_eq!(agenda.next_wake(&clock).monotonic, Some(109 * SECOND));
    }

    #[test]
    fn setting_the_wall_clock_moves_nothing_but_fires() {
        let (mut agenda, mut clock) = (Agenda::default(), clock());
        agenda.set_after(Timer::Retry, SECOND, &clock);
        agenda.set(Timer::NextFire, Deadline::Wall(clock.now + Span::from_seconds(60)));
        clock.set(clock.now - Span::from_seconds(3_600));
        clock.advance(SECOND);
        assert_eq!(agenda.take_due(&clock), [Timer::Retry]);
        clock.set(clock.now + Span::from_seconds(7_200));
        assert_eq!(agenda.take_due(&clock), [Timer::NextFire]);
    }

    #[test]
    fn a_fire_waits_until_time_2_shows_its_second_too() {
        let midnight = Timestamp::from_seconds(100);
        let micros = Timestamp::from_micros;
        for (now, coarse_now, come, wake) in [
            (99_998, 99_998, false, midnight),
            (100_000, 99_998, false, micros(100_002_100)),
            (100_001, 99_998, false, micros(100_002_100)),
            (100_003, 99_998, false, micros(100_003_100)),
            (100_003, 100_002, true, midnight),
        ] {
            let mut clock = clock();
            (clock.now, clock.coarse_now) = (micros(now * 1_000), micros(coarse_now * 1_000));
            assert_eq!((has_come(midnight, &clock), wake_for(midnight, &clock)), (come, wake), "{now}");
        }
        let mut clock = clock();
        (clock.now, clock.coarse_now) = (micros(100_300_000), micros(100_298_000));
        assert!(has_come(micros(100_300_000), &clock), "within a second there is nothing to wait for");
    }
}
