//! Owns: what an event does to the trigger that hears it: it counts, fires, or begins the count anew.
//! Never: what a fire does to its job (see `event_fires`), which trigger hears which event (see `store`).
//!
//! An event counts once: what a fire takes does not count for the next.

use crate::domain::{Counter, Timestamp};

/// The count of a trigger, without events that are older than its `within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    pub counter: Counter,
    /// How many events count towards the next fire, fewer than `counter.count`.
    pub counted: u64,
    /// When the first of these came; `None` if there is none.
    pub first_at: Option<Timestamp>,
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    /// The count begins anew.
    Reset,
    /// The trigger waits anew for silence, until then.
    Rearm(Timestamp),
    /// It counts. The trigger fires at the time, if it has not before; `None`: by events alone.
    Count(Option<Timestamp>),
    /// The first `taken` of its events fire the trigger, and `left` count towards the fire after that.
    Fire {
        taken: u64,
        left: u64,
        timeout_at: Option<Timestamp>,
    },
}

/// Decides on `count` events at `at`.
pub fn hear(counting: &Counting, at: Timestamp, count: u64, is_opposite: bool) -> Heard {
    let Counter { count: needed, consecutive, or_after, absent, .. } = counting.counter;
    let timeout_after = |first_at: Timestamp| or_after.map(|span| first_at + span);
    if is_opposite {
        return if consecutive && counting.counted > 0 { Heard::Reset } else { Heard::Nothing };
    }
    if let Some(absent) = absent {
        return Heard::Rearm(at + absent);
    }
    let total = counting.counted.saturating_add(count);
    if total < needed {
        return Heard::Count(timeout_after(counting.first_at.unwrap_or(at)));
    }
    let left = total % needed;
    // Fewer than `needed` were counted before, so what is left is of these events.
    let left = left.min(count);
    Heard::Fire { taken: count - left, left, timeout_at: if left > 0 { timeout_after(at) } else { None } }
}

/// Returns the time at which a trigger fires without an event after its clock was set back: not later than if
/// it had begun to wait now.
pub fn timeout_after_step_back(counter: &Counter, timeout_at: Timestamp, now: Timestamp) -> Timestamp {
    let longest = counter.absent.or(counter.or_after);
    longest.map_or(timeout_at, |span| timeout_at.min(now + span))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Span;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_000_000 + second)
    }

    fn hear_once(counting: &Counting) -> Heard {
        hear(counting, at(0), 1, false)
    }

    fn counting(counter: Counter, counted: u64) -> Counting {
        Counting { counter, counted, first_at: (counted > 0).then(|| at(0)) }
    }

    #[test]
    fn each_nth_event_fires() {
        let counter = Counter { count: 3, ..Counter::default() };
        let hear = |counted, count| hear(&counting(counter, counted), at(5), count, false);
        let fire = |taken, left| Heard::Fire { taken, left, timeout_at: None };
        assert_eq!(hear(0, 1), Heard::Count(None));
        assert_eq!(hear(2, 1), fire(1, 0));
        assert_eq!(hear(2, 2), fire(1, 1));
        assert_eq!(hear(1, 1_000_000), fire(999_998, 2));
        let each = counting(Counter::default(), 0);
        assert_eq!(hear_once(&each), fire(1, 0));
    }

    #[test]
    fn the_first_event_that_counts_starts_the_time_of_an_early_fire() {
        let counter = Counter { count: 3, or_after: Some(Span::from_seconds(60)), ..Counter::default() };
        let hear = |counted, count| hear(&counting(counter, counted), at(5), count, false);
        assert_eq!(hear(0, 1), Heard::Count(Some(at(65))));
        assert_eq!(hear(1, 1), Heard::Count(Some(at(60))));
        assert_eq!(hear(2, 1), Heard::Fire { taken: 1, left: 0, timeout_at: None });
        assert_eq!(hear(2, 2), Heard::Fire { taken: 1, left: 1, timeout_at: Some(at(65)) });
    }

    #[test]
    fn an_opposite_event_starts_the_count_again_only_where_events_must_be_consecutive() {
        let counter = Counter { count: 3, consecutive: true, ..Counter::default() };
        assert_eq!(hear(&counting(counter, 2), at(5), 1, true), Heard::Reset);
        assert_eq!(hear(&counting(counter, 0), at(5), 1, true), Heard::Nothing);
        let counter = Counter { count: 3, ..Counter::default() };
        assert_eq!(hear(&counting(counter, 2), at(5), 1, true), Heard::Nothing);
    }

    #[test]
    fn an_event_ends_the_silence_and_does_not_fire() {
        let counter = Counter { absent: Some(Span::from_seconds(60)), ..Counter::default() };
        assert_eq!(hear(&counting(counter, 0), at(5), 7, false), Heard::Rearm(at(65)));
        assert_eq!(hear(&counting(counter, 0), at(5), 1, true), Heard::Nothing);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_silence_longer() {
        let counter = Counter { absent: Some(Span::from_seconds(60)), ..Counter::default() };
        assert_eq!(timeout_after_step_back(&counter, at(1_000), at(5)), at(65));
        assert_eq!(timeout_after_step_back(&counter, at(20), at(5)), at(20));
    }

    proptest! {
        /// However events are batched, the fires take all of them but fewer than one fire needs.
        #[test]
        fn no_event_counts_twice_or_not_at_all(
            needed in 1_u64..30,
            batches in prop::collection::vec(1_u64..100, 1..50),
        ) {
            let counter = Counter { count: needed, ..Counter::default() };
            let (mut counted, mut taken_in_all, mut fires) = (0, 0, 0);
            for batch in &batches {
                match hear(&counting(counter, counted), at(0), *batch, false) {
                    Heard::Count(_) => counted += batch,
                    Heard::Fire { taken, left, .. } => {
                        prop_assert_eq!((counted + taken) % needed, 0);
                        prop_assert_eq!(taken + left, *batch);
                        fires += (counted + taken) / needed;
                        taken_in_all += counted + taken;
                        counted = left;
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            let sum: u64 = batches.iter().sum();
            prop_assert_eq!(taken_in_all + counted, sum);
            prop_assert_eq!(fires, sum / needed);
        }
    }
}
