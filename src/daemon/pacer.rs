//! Owns: when the daemon takes a turn: because of timers, reports of the keeper, writes of clients, or a
//! change of clock or zone.
//! Never: waiting, sockets, the store. A simulation drives it, as it drives `turn`.

use std::collections::HashSet;
use std::time::Duration;

use super::agenda::{Agenda, Deadline, NextWake, Timer};
use super::batching::{self, Prefetched};
use super::catch_up::{CatchUp, STEP_BACK};
use super::keeper_side::Gone;
use super::turn::TurnOutput;
use crate::clock::Clock;
use crate::domain::Span;
use crate::keeper::protocol::FromKeeper;

/// How long after *will write* the daemon looks for a commit that no client reported.
const UNTOLD_COMMIT: Duration = Duration::from_secs(1);

/// How long after a failed turn the daemon tries the next: the disk may have room again.
const RETRY: Duration = Duration::from_secs(1);

/// How long after two keepers in a row exited without a hello the next is launched.
const RELAUNCH: Duration = Duration::from_secs(1);

/// The time of the next turn, and its input.
#[derive(Debug)]
pub struct Pacer {
    /// All timers, also those that do not lead to a turn.
    pub agenda: Agenda,
    /// The changes of clock and zone for the next turn.
    pub catch_up: CatchUp,
    /// The keeper's reports that no committed turn has recorded.
    reports: Vec<FromKeeper>,
    prefetched: Prefetched,
    /// How many keepers in a row exited without a hello.
    failed_hellos: u32,
    /// A run waits for a slot.
    is_waiting: bool,
    /// The process ids of the clients that sent *will write* and have not sent *wrote*. The *wrote* of one
    /// client says nothing about the others.
    writers: HashSet<i32>,
    is_due: bool,
    /// The last turn failed.
    is_failing: bool,
    clock_offset: i64,
}

impl Pacer {
    /// Starts with a turn that is due.
    pub fn new(clock: &dyn Clock) -> Self {
        let mut pacer = Self {
            agenda: Agenda::default(),
            catch_up: CatchUp { is_set_back: false, zone_may_differ: true },
            reports: Vec::new(),
            prefetched: Prefetched::default(),
            failed_hellos: 0,
            is_waiting: false,
            writers: HashSet::new(),
            is_due: true,
            is_failing: false,
            clock_offset: offset(clock),
        };
        // A client that sent *will write* to the previous daemon may die before it sends *wrote*. Process 0
        // is the kernel's, and sends nothing.
        pacer.client_will_write(0, clock);
        pacer
    }

    /// Returns when the loop must wake up by itself.
    pub fn next_wake(&self, clock: &dyn Clock) -> NextWake {
        let wake = self.agenda.next_wake(clock);
        if self.is_due { NextWake { monotonic: Some(Duration::ZERO), ..wake } } else { wake }
    }

    /// Handles the due timers, and returns those that do not lead to a turn.
    pub fn take_due(&mut self, clock: &dyn Clock) -> Vec<Timer> {
        let mut due = self.agenda.take_due(clock);
        due.retain(|timer| match timer {
            Timer::KeeperRetry | Timer::DoorsRetry | Timer::Watchdog | Timer::Idle | Timer::Prune => true,
            Timer::NextFire | Timer::Batch | Timer::UntoldCommit | Timer::Retry => {
                self.is_due = true;
                if *timer == Timer::UntoldCommit {
                    self.writers.clear();
                }
                false
            }
        });
        due
    }

    pub fn is_turn_due(&self) -> bool {
        self.is_due
    }

    pub fn demand_turn(&mut self) {
        self.is_due = true;
    }

    /// Records that the system's zone may have changed.
    pub fn zone_may_differ(&mut self) {
        self.catch_up.zone_may_differ = true;
        self.is_due = true;
    }

    /// Compares the clocks. Returns how far the wall clock was set back, if that is more than a correction.
    pub fn follow_clock(&mut self, clock: &dyn Clock) -> Option<Span> {
        let before = std::mem::replace(&mut self.clock_offset, offset(clock));
        let back = Span::from_micros(u64::try_from(before - self.clock_offset).unwrap_or(0));
        if back <= STEP_BACK {
            return None;
        }
        self.catch_up.is_set_back = true;
        self.is_due = true;
        Some(back)
    }

    /// Records a *will write*.
    pub fn client_will_write(&mut self, pid: i32, clock: &dyn Clock) {
        self.writers.insert(pid);
        self.agenda.set_earlier(Timer::UntoldCommit, UNTOLD_COMMIT, clock);
    }

    /// Records a *wrote*.
    pub fn client_wrote(&mut self, pid: i32) {
        self.writers.remove(&pid);
        if self.writers.is_empty() {
            self.agenda.clear(Timer::UntoldCommit);
        }
        self.is_due = true;
    }

    /// Takes reports of the keeper. `is_watched`: clients wait for turns.
    pub fn keeper_reported(&mut self, reports: Vec<FromKeeper>, is_watched: bool, clock: &dyn Clock) {
        for report in &reports {
            self.prefetched.received(report);
            if let FromKeeper::Hello { .. } = report {
                self.failed_hellos = 0;
            }
        }
        self.reports.extend(reports);
        // All reports count: the keeper may have had more prefetched runs when the earlier ones arrived.
        let results_can_wait = self.prefetched.is_plenty() || !(self.is_waiting || is_watched);
        match batching::delay(&self.reports, results_can_wait) {
            None => {}
            Some(Duration::ZERO) => self.is_due = true,
            Some(delay) => self.agenda.set_earlier(Timer::Batch, delay, clock),
        }
    }

    /// Records the end of the connection to the keeper. Returns whether to connect to the next one at once.
    ///
    /// One connection without a hello was to a keeper that was exiting. Two in a row mean trouble.
    pub fn keeper_is_gone(&mut self, gone: Gone, clock: &dyn Clock) -> bool {
        self.failed_hellos += u32::from(gone == Gone::WithoutHello);
        let has_time = gone == Gone::Stopped || self.failed_hellos > 1;
        if has_time {
            self.agenda.set_after(Timer::KeeperRetry, RELAUNCH, clock);
        }
        !has_time
    }

    /// Returns the reports that are to be recorded.
    pub fn reports(&self) -> &[FromKeeper] {
        &self.reports
    }

    /// Returns whether the last turn failed.
    pub fn is_failing(&self) -> bool {
        self.is_failing
    }

    pub fn committed(&mut self, done: &TurnOutput) {
        (self.is_due, self.is_failing) = (false, false);
        self.reports.clear();
        self.is_waiting = done.waiting;
        self.prefetched.sent(&done.orders);
        [Timer::Batch, Timer::Retry, Timer::NextFire].iter().for_each(|timer| self.agenda.clear(*timer));
        if let Some(at) = done.deadline {
            self.agenda.set(Timer::NextFire, Deadline::Wall(at));
        }
    }

    /// Records a failed turn, which has changed nothing. The next one gets the same reports.
    pub fn failed(&mut self, clock: &dyn Clock) {
        (self.is_due, self.is_failing) = (false, true);
        [Timer::Batch, Timer::NextFire].iter().for_each(|timer| self.agenda.clear(*timer));
        self.agenda.set_after(Timer::Retry, RETRY, clock);
    }
}

/// Returns the wall clock's distance from the monotonic one, in microseconds. It changes when the wall
/// clock is set.
fn offset(clock: &dyn Clock) -> i64 {
    clock.now().as_micros() - i64::try_from(clock.monotonic().as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;
    use crate::domain::{End, JobId, RunId, Timestamp, Usage};
    use crate::keeper::protocol::{Attempt, Ended};

    const SECOND: Duration = Duration::from_secs(1);
    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A pacer whose first turn is committed, and that waits for no client.
    fn pacer() -> (Pacer, FakeClock) {
        let clock = FakeClock::at(Timestamp::from_seconds(1_000_000), 100 * SECOND);
        let mut pacer = Pacer::new(&clock);
        assert!(pacer.is_turn_due());
        pacer.client_wrote(0);
        pacer.committed(&TurnOutput::default());
        (pacer, clock)
    }

    fn attempt(number: i64) -> Attempt {
        Attempt::of_run(RunId { job: JobId(1), number }, 1)
    }

    fn started(number: i64, clock: &FakeClock) -> FromKeeper {
        FromKeeper::Started { attempt: attempt(number), pid: 1, at: clock.now }
    }

    fn ended(number: i64, clock: &FakeClock) -> FromKeeper {
        FromKeeper::Ended(Ended {
            attempt: attempt(number),
            pid: 1,
            started_at: Some(clock.now),
            finished_at: clock.now,
            end: End::Exited(0),
            stopped: None,
            usage: Usage::default(),
            output_bytes: 0,
            is_output_open: false,
        })
    }

    /// Lets time pass until the pacer wakes up, and returns how long that was; `None`: it never does.
    fn doze(pacer: &mut Pacer, clock: &mut FakeClock) -> Option<Duration> {
        let wake = pacer.next_wake(clock);
        let wall = wake.wall.map(|at| at.since(clock.now).as_duration());
        let span =
            wake.monotonic.map(|at| at.saturating_sub(clock.monotonic)).into_iter().chain(wall).min()?;
        clock.advance(span);
        assert_eq!(pacer.take_due(clock), []);
        Some(span)
    }

    #[test]
    fn results_wait_for_others_only_while_no_slot_is_idle_and_nobody_watches() {
        let waits = TurnOutput { waiting: true, ..TurnOutput::default() };
        for (done, is_watched, delay) in [
            (TurnOutput::default(), false, 5 * MILLISECOND),
            (TurnOutput::default(), true, Duration::ZERO),
            (waits, false, Duration::ZERO),
        ] {
            let (mut pacer, mut clock) = pacer();
            pacer.committed(&done);
            pacer.keeper_reported(vec![ended(1, &clock)], is_watched, &clock);
            assert_eq!(doze(&mut pacer, &mut clock), Some(delay));
            assert!(pacer.is_turn_due());
        }
    }

    #[test]
    fn a_batch_is_as_late_as_its_most_urgent_report() {
        let (mut pacer, mut clock) = pacer();
        pacer.keeper_reported(vec![started(1, &clock)], true, &clock);
        clock.advance(5 * MILLISECOND);
        pacer.keeper_reported(vec![started(2, &clock)], true, &clock);
        assert_eq!(pacer.next_wake(&clock).monotonic, Some(clock.monotonic + 15 * MILLISECOND));
        pacer.keeper_reported(vec![ended(1, &clock)], false, &clock);
        assert_eq!(doze(&mut pacer, &mut clock), Some(5 * MILLISECOND));
        assert_eq!((pacer.is_turn_due(), pacer.reports().len()), (true, 3));
        pacer.committed(&TurnOutput::default());
        assert_eq!((doze(&mut pacer, &mut clock), pacer.reports().len()), (None, 0));
    }

    #[test]
    fn a_failed_turn_is_tried_again_with_the_same_reports_and_no_fire_wakes_the_daemon_meanwhile() {
        let (mut pacer, mut clock) = pacer();
        let fire = clock.now + Span::from_millis(300);
        pacer.committed(&TurnOutput { deadline: Some(fire), ..TurnOutput::default() });
        pacer.keeper_reported(vec![ended(1, &clock)], true, &clock);
        pacer.failed(&clock);
        assert!(!pacer.is_turn_due() && pacer.is_failing());
        assert_eq!(doze(&mut pacer, &mut clock), Some(SECOND));
        assert_eq!((pacer.is_turn_due(), pacer.reports().len()), (true, 1));
        pacer.committed(&TurnOutput::default());
        assert!(!pacer.is_failing());
        assert_eq!(doze(&mut pacer, &mut clock), None);
    }

    #[test]
    fn the_next_fire_makes_a_turn_due() {
        let (mut pacer, mut clock) = pacer();
        let fire = clock.now + Span::from_seconds(60);
        pacer.committed(&TurnOutput { deadline: Some(fire), ..TurnOutput::default() });
        assert_eq!(doze(&mut pacer, &mut clock), Some(60 * SECOND));
        assert!(pacer.is_turn_due());
    }

    #[test]
    fn a_client_that_does_not_say_that_it_wrote_is_waited_for_a_second() {
        let (mut pacer, mut clock) = pacer();
        pacer.client_will_write(7, &clock);
        clock.advance(SECOND / 2);
        pacer.client_will_write(8, &clock);
        assert!(!pacer.is_turn_due());
        pacer.client_wrote(8);
        assert!(pacer.is_turn_due());
        pacer.committed(&TurnOutput::default());
        assert_eq!(doze(&mut pacer, &mut clock), Some(SECOND / 2), "one's word does not stand for another's");
        assert!(pacer.is_turn_due());
        pacer.committed(&TurnOutput::default());
        assert_eq!(doze(&mut pacer, &mut clock), None);
    }

    #[test]
    fn a_second_keeper_without_a_hello_is_replaced_after_a_pause() {
        let (mut pacer, mut clock) = pacer();
        assert!(pacer.keeper_is_gone(Gone::Unexpected, &clock));
        assert!(pacer.keeper_is_gone(Gone::WithoutHello, &clock));
        assert!(!pacer.keeper_is_gone(Gone::WithoutHello, &clock));
        clock.advance(RELAUNCH);
        assert_eq!(pacer.take_due(&clock), [Timer::KeeperRetry]);
        let hello = FromKeeper::Hello { version: 3, instance: 1, known: Vec::new(), ended: Vec::new() };
        pacer.keeper_reported(vec![hello], false, &clock);
        assert!(pacer.keeper_is_gone(Gone::WithoutHello, &clock));
    }

    #[test]
    fn a_keeper_that_was_stopped_is_replaced_after_a_pause() {
        let (mut pacer, mut clock) = pacer();
        assert!(!pacer.keeper_is_gone(Gone::Stopped, &clock));
        clock.advance(RELAUNCH);
        assert_eq!(pacer.take_due(&clock), [Timer::KeeperRetry]);
    }

    #[test]
    fn a_clock_set_back_far_is_caught_up_with_and_a_correction_is_not() {
        let (mut pacer, mut clock) = pacer();
        clock.set(clock.now - STEP_BACK);
        assert_eq!((pacer.follow_clock(&clock), pacer.is_turn_due()), (None, false));
        clock.set(clock.now + STEP_BACK);
        assert_eq!((pacer.follow_clock(&clock), pacer.is_turn_due()), (None, false));
        let back = Span::from_micros(STEP_BACK.as_micros() + 1);
        clock.set(clock.now - back);
        assert_eq!((pacer.follow_clock(&clock), pacer.is_turn_due()), (Some(back), true));
        assert!(pacer.catch_up.is_set_back);
    }
}
