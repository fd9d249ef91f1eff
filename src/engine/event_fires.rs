//! Owns: what the fire of an event trigger does: a run, a place in one that waits, or none yet.
//! Never: counting events (see `listening`), instants (see `misfire`).
//!
//! At most one run of a job waits for events. What comes while it waits joins it, so that events during a run
//! cause exactly one more.

use super::after::TimesFacts;
use super::snapshot::Unfinished;
use crate::domain::{FireId, Overlap, Timestamp};

/// The facts about the job of a trigger that has fired by events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFireFacts {
    pub overlap: Overlap,
    /// The fire that its events can join: it has not begun.
    pub joinable: Option<FireId>,
    /// Its runs that are not finished, oldest first. An array stands as one.
    pub unfinished: Vec<Unfinished>,
    pub times: Option<TimesFacts>,
    /// Another of its triggers has to fire too, with `all_of`, and has not.
    pub lacks_others: bool,
    /// It causes itself, and rests until then.
    pub rests_until: Option<Timestamp>,
}

/// What becomes of the events of a fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFire {
    /// They wait for the other triggers, or for the end of a rest.
    Gather,
    /// They join this fire, with those that have gathered.
    Join(FireId),
    /// A run is made for them, and for those that have gathered. `replaces`: the unfinished ones are
    /// cancelled.
    Run { replaces: bool },
    /// A run is made that never starts, for this reason.
    Skip(&'static str),
}

/// Decides on the fire at `now`.
pub fn fire_by_events(facts: &EventFireFacts, now: Timestamp) -> EventFire {
    if facts.lacks_others || facts.rests_until.is_some_and(|until| now < until) {
        return EventFire::Gather;
    }
    if let Some(fire) = facts.joinable {
        return EventFire::Join(fire);
    }
    if facts.times.is_some_and(|times| times.left() == 0) {
        return EventFire::Skip("the last of the job's `--times` was waiting");
    }
    match facts.overlap {
        Overlap::Skip if !facts.unfinished.is_empty() => {
            EventFire::Skip("another run of the job was unfinished")
        }
        Overlap::Replace => EventFire::Run { replaces: true },
        Overlap::Skip | Overlap::Wait | Overlap::Allow => EventFire::Run { replaces: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId, Span};

    const RUN: RunId = RunId { job: JobId(1), number: 7 };

    fn facts(overlap: Overlap, begun: Option<bool>) -> EventFireFacts {
        let unfinished = begun.map(|begun| Unfinished { run: RUN, claimed: begun, begun, stopping: false });
        EventFireFacts {
            overlap,
            joinable: begun.filter(|begun| !begun).map(|_| FireId::Run(RUN)),
            unfinished: unfinished.into_iter().collect(),
            times: None,
            lacks_others: false,
            rests_until: None,
        }
    }

    #[test]
    fn events_join_the_run_that_waits_under_every_policy() {
        for overlap in Overlap::ALL {
            let found = fire_by_events(&facts(*overlap, Some(false)), Timestamp::MIN);
            assert_eq!(found, EventFire::Join(FireId::Run(RUN)), "{overlap}");
        }
    }

    #[test]
    fn events_during_a_run_make_another_unless_they_are_skipped() {
        let fire = |overlap, begun| fire_by_events(&facts(overlap, begun), Timestamp::MIN);
        for overlap in Overlap::ALL {
            let replaces = *overlap == Overlap::Replace;
            assert_eq!(fire(*overlap, None), EventFire::Run { replaces });
        }
        assert_eq!(fire(Overlap::Wait, Some(true)), EventFire::Run { replaces: false });
        assert_eq!(fire(Overlap::Allow, Some(true)), EventFire::Run { replaces: false });
        assert_eq!(fire(Overlap::Replace, Some(true)), EventFire::Run { replaces: true });
        assert!(matches!(fire(Overlap::Skip, Some(true)), EventFire::Skip(_)));
    }

    #[test]
    fn events_gather_until_all_triggers_have_fired_and_the_rest_is_over() {
        let (now, later) = (Timestamp::from_seconds(100), Timestamp::from_seconds(101));
        let lacking = EventFireFacts { lacks_others: true, ..facts(Overlap::Wait, Some(false)) };
        assert_eq!(fire_by_events(&lacking, now), EventFire::Gather);
        let resting = EventFireFacts { rests_until: Some(later), ..facts(Overlap::Wait, None) };
        assert_eq!(fire_by_events(&resting, now), EventFire::Gather);
        assert_eq!(fire_by_events(&resting, later), EventFire::Run { replaces: false });
        assert_eq!(later.since(now), Span::from_seconds(1));
    }

    #[test]
    fn no_run_is_made_beyond_times() {
        let times = Some(TimesFacts { times: 3, begun: 2, waiting: 1 });
        let spent = EventFireFacts { times, ..facts(Overlap::Wait, Some(true)) };
        assert!(matches!(fire_by_events(&spent, Timestamp::MIN), EventFire::Skip(_)));
    }
}
