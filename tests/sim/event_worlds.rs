//! Owns: the promises about event triggers one by one, each in its own small world, in which every invariant
//! is checked too.

use taskq::domain::{
    Array, Counter, EventSource, EventTrigger, Indices, JobId, JobKey, JobPattern, JobSource, JobStage,
    Outcome, Overlap, Span,
};

use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::keeper::Script;
use crate::promises::{self, SUCCESS, log};
use crate::world::{HOUR, SECOND, World};

const MINUTE: u64 = 60 * SECOND;
const NONE: Counter = Counter { count: 1, within: None, consecutive: false, or_after: None, absent: None };

fn minutes(count: u64) -> Option<Span> {
    Some(Span::from_micros(count * MINUTE))
}

fn on_emit(name: &str, counter: Counter) -> EventTrigger {
    EventTrigger { source: EventSource::Emit(name.parse().expect("a name")), counter }
}

fn on_job(job: i64, stage: JobStage, counter: Counter) -> EventTrigger {
    let jobs = JobPattern::One(JobKey::Id(JobId(job)));
    EventTrigger { source: EventSource::Job(JobSource { jobs, stage }), counter }
}

/// A job with these triggers.
fn wish(triggers: &[EventTrigger]) -> Wish {
    Wish { when: triggers.iter().cloned().map(When::On).collect(), ..Wish::at_once() }
}

/// A world in which runs last so many seconds.
fn world(seconds: u64) -> World {
    let mut world = promises::world();
    world.scripts.extend(vec![Script::lasting(seconds); 200]);
    world
}

/// Returns how many events each run of a job has.
fn events(world: &World, job: i64) -> Vec<u64> {
    let rows = world.audit.rows.values().filter(|row| row.job == job);
    rows.map(|row| row.bundle.map_or(0, |bundle| world.audit.hearing.events_in_bundle(bundle))).collect()
}

/// Returns the minute of each run of a job, and how many events it has.
fn runs(world: &World, job: i64) -> Vec<(i64, u64)> {
    log(world, job).into_iter().map(|(minute, ..)| minute).zip(events(world, job)).collect()
}

#[test]
fn each_third_event_fires_also_if_many_come_at_once_and_through_deaths() {
    let mut world = world(1);
    let job = world.add(&wish(&[on_emit("x", Counter { count: 3, ..NONE })]));
    world.emit("x", 2, 0);
    world.kill_daemon();
    world.advance(MINUTE);
    world.emit("x", 2, 0);
    world.advance(MINUTE);
    world.start_daemon();
    world.advance(MINUTE);
    // 4 were sent, and 1 counts towards the next.
    assert_eq!(runs(&world, job), [(1, 3)]);
    world.emit("x", 10, 0);
    world.advance(MINUTE);
    assert_eq!(events(&world, job), [3, 9]);
    finish(&mut world);
}

#[test]
fn events_during_a_run_cause_exactly_one_more() {
    for overlap in [None, Some(Overlap::Wait)] {
        let mut world = world(60);
        let mut wish = wish(&[on_emit("x", NONE)]);
        wish.job.policy.overlap = overlap;
        let job = world.add(&wish);
        for _ in 0..6 {
            world.emit("x", 1, 0);
            world.advance(5 * SECOND);
        }
        world.advance(HOUR);
        assert_eq!(events(&world, job), [1, 5]);
        finish(&mut world);
    }
}

#[test]
fn an_array_takes_the_events_that_come_before_its_first_index_begins() {
    let mut world = world(60);
    let mut wish = wish(&[on_emit("x", NONE)]);
    wish.job.array = Some(Array { indices: Indices::new(1, 3, 1).expect("three"), at_once: None });
    wish.job.policy.overlap = Some(Overlap::Wait);
    let job = world.add(&wish);
    world.pause_queue("default", true);
    world.emit("x", 2, 0);
    world.emit("x", 3, 0);
    world.pause_queue("default", false);
    world.advance(SECOND);
    world.emit("x", 7, 0);
    world.advance(HOUR);
    let arrays: Vec<u64> = world
        .audit
        .arrays
        .all()
        .map(|array| world.audit.hearing.events_in_bundle(array.bundle.expect("it has events")))
        .collect();
    assert_eq!(arrays, [5, 7]);
    assert_eq!(log(&world, job).len(), 6);
    finish(&mut world);
}

#[test]
fn all_of_waits_for_each_trigger_and_takes_the_events_of_all() {
    let mut world = world(1);
    let mut wish = wish(&[on_emit("x", Counter { count: 2, ..NONE }), on_emit("y", NONE)]);
    wish.job.all_of = true;
    let job = world.add(&wish);
    world.emit("x", 5, 0);
    world.advance(MINUTE);
    assert_eq!(events(&world, job), [0; 0]);
    world.kill_daemon();
    world.emit("y", 1, 0);
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(events(&world, job), [5]);
    world.emit("y", 1, 0);
    world.emit("x", 1, 0);
    world.advance(MINUTE);
    assert_eq!(events(&world, job), [5, 3]);
    finish(&mut world);
}

#[test]
fn an_opposite_result_starts_the_count_again_and_takes_no_fire_back() {
    let failed = || Script { end: taskq::domain::End::Exited(1), ..Script::lasting(1) };
    let mut world = promises::world();
    let watched = world.add(&Wish::when(When::Every(3_600)));
    let counter = Counter { count: 2, consecutive: true, ..NONE };
    let alone = world.add(&wish(&[on_job(watched, JobStage::Failed, counter)]));
    let mut both = wish(&[on_job(watched, JobStage::Failed, counter), on_emit("x", NONE)]);
    both.job.all_of = true;
    let both = world.add(&both);
    // Failed, succeeded, failed twice: a fire, whose run succeeds. Then failed and succeeded.
    let ends =
        [failed(), Script::lasting(1), failed(), failed(), Script::lasting(1), failed(), Script::lasting(1)];
    world.scripts.extend(ends);
    world.scripts.extend(vec![Script::lasting(1); 20]);
    world.advance(4 * HOUR + MINUTE);
    assert_eq!(events(&world, alone), [2]);
    world.advance(2 * HOUR);
    assert_eq!((events(&world, alone), events(&world, both)), (vec![2], vec![]));
    world.emit("x", 1, 0);
    world.advance(MINUTE);
    assert_eq!(events(&world, both), [3]);
    finish(&mut world);
}

#[test]
fn only_events_inside_the_span_count() {
    let mut world = world(1);
    let job = world.add(&wish(&[on_emit("x", Counter { count: 3, within: minutes(10), ..NONE })]));
    for pause in [6, 6, 6, 1, 6] {
        world.emit("x", 1, 0);
        world.advance(pause * MINUTE);
    }
    // At 0, 6, 12, 18, 19: the three at 12, 18 and 19 are inside ten minutes.
    assert_eq!(runs(&world, job), [(19, 3)]);
    finish(&mut world);
}

#[test]
fn a_trigger_fires_early_with_what_has_come_whether_or_not_a_daemon_runs_then() {
    let mut world = world(1);
    let job = world.add(&wish(&[on_emit("x", Counter { count: 5, or_after: minutes(10), ..NONE })]));
    world.emit("x", 2, 0);
    world.advance(9 * MINUTE);
    assert!(runs(&world, job).is_empty());
    world.advance(2 * MINUTE);
    assert_eq!(runs(&world, job), [(10, 2)]);
    world.kill_daemon();
    world.emit("x", 1, 0);
    world.advance(20 * MINUTE);
    // The fire of minute 21 is due, and this event is not one of it.
    world.emit("x", 1, 0);
    world.start_daemon();
    world.advance(HOUR);
    assert_eq!(runs(&world, job), [(10, 2), (21, 1), (41, 1)]);
    finish(&mut world);
}

#[test]
fn a_silence_fires_once_also_if_it_ends_before_a_daemon_notices_it() {
    let mut world = world(1);
    let job = world.add(&wish(&[on_emit("x", Counter { absent: minutes(30), ..NONE })]));
    for _ in 0..4 {
        world.advance(20 * MINUTE);
        world.emit("x", 1, 0);
    }
    assert!(runs(&world, job).is_empty());
    world.advance(3 * HOUR);
    // From minute 80 on.
    assert_eq!(runs(&world, job), [(110, 0)]);
    world.emit("x", 1, 0);
    world.kill_daemon();
    world.advance(HOUR);
    world.emit("x", 1, 0);
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(runs(&world, job), [(110, 0), (290, 0)]);
    finish(&mut world);
}

#[test]
fn a_silence_that_was_complete_before_the_end_of_the_window_fires_although_the_daemon_was_away() {
    let mut world = world(1);
    let mut wish = wish(&[on_emit("x", Counter { absent: minutes(30), ..NONE })]);
    wish.job.until = Some(world.now() + Span::from_micros(40 * MINUTE));
    let job = world.add(&wish);
    world.kill_daemon();
    world.advance(HOUR);
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(runs(&world, job), [(30, 0)]);
    finish(&mut world);
}

#[test]
fn a_pause_counts_nothing_and_its_silence_is_none() {
    let mut world = world(1);
    let heard = world.add(&wish(&[on_emit("x", Counter { count: 2, ..NONE })]));
    let silence = world.add(&wish(&[on_emit("x", Counter { absent: minutes(30), ..NONE })]));
    world.emit("x", 1, 0);
    [heard, silence].iter().for_each(|job| world.pause(*job));
    world.advance(HOUR);
    world.emit("x", 3, 0);
    [heard, silence].iter().for_each(|job| world.resume(*job));
    world.advance(20 * MINUTE);
    assert_eq!((events(&world, heard), runs(&world, silence)), (vec![], vec![]));
    world.emit("x", 1, 0);
    world.advance(HOUR);
    assert_eq!((events(&world, heard), runs(&world, silence)), (vec![2], vec![(110, 0)]));
    finish(&mut world);
}

#[test]
fn the_start_of_a_run_is_told_once_also_if_only_its_end_was_reported() {
    let mut world = world(1);
    let watched = world.add(&Wish::when(When::Every(3_600)));
    let job = world.add(&wish(&[on_job(watched, JobStage::Started, NONE)]));
    world.advance(HOUR - MINUTE);
    // The order arrives, and the daemon dies before it hears of the start.
    world.die_after_orders = Some(1);
    world.advance(2 * MINUTE);
    assert!(world.daemon.is_none());
    world.start_daemon();
    world.advance(HOUR);
    assert_eq!(log(&world, watched).iter().filter(|(.., end)| *end == SUCCESS).count(), 2);
    assert_eq!(events(&world, job).iter().sum::<u64>(), 2);
    finish(&mut world);
}

#[test]
fn a_chain_of_runs_ends_at_its_sixteenth() {
    let mut world = world(1);
    let mut first = wish(&[on_emit("x", NONE)]);
    first.job.name = Some("a1".parse().expect("a name"));
    let first = world.add(&first);
    let any = JobSource { jobs: JobPattern::Names("a*".to_owned()), stage: JobStage::Done };
    let any = EventTrigger { source: EventSource::Job(any), counter: NONE };
    let mut second = wish(std::slice::from_ref(&any));
    second.job.name = Some("a2".parse().expect("a name"));
    let second = world.add(&second);
    world.set_triggers(first, &[on_emit("x", NONE), any]);
    world.emit("x", 1, 0);
    world.advance(HOUR);
    assert_eq!((events(&world, first).len(), events(&world, second).len()), (8, 8));
    finish(&mut world);
}

#[test]
fn a_job_that_seems_to_cause_itself_rests_and_goes_on() {
    let mut world = world(2);
    let job = world.add(&wish(&[on_emit("x", NONE)]));
    world.emit("x", 1, 0);
    for _ in 0..40 {
        world.advance(SECOND);
        world.emit("x", 1, 0);
        world.advance(SECOND);
    }
    assert!(world.audit.hearing.rests > 0);
    world.advance(HOUR);
    assert_eq!(events(&world, job).iter().sum::<u64>(), 41);
    finish(&mut world);
}

#[test]
fn a_job_that_is_merely_busy_does_not_rest() {
    let mut world = world(2);
    let job = world.add(&wish(&[on_emit("x", NONE)]));
    for _ in 0..60 {
        world.emit("x", 1, 0);
        world.advance(3 * SECOND);
    }
    assert_eq!((world.audit.hearing.rests, events(&world, job).len()), (0, 60));
    finish(&mut world);
}

#[test]
fn events_of_a_source_that_could_not_be_committed_are_told_again_and_those_of_a_dead_daemon_are_not() {
    let stream = EventSource::Stream(taskq::domain::StreamSource {
        command: "true".to_owned(),
        pattern: None,
        restart: taskq::domain::StreamSource::RESTART,
    });
    let mut world = world(1);
    let job = world.add(&wish(&[EventTrigger { source: stream, counter: Counter { count: 2, ..NONE } }]));
    let trigger = world.audit.hearing.ids_of(job)[0];
    world.faults.busy = 1_000;
    world.speak(trigger, false, false);
    world.advance(MINUTE);
    world.faults.busy = 0;
    world.advance(MINUTE);
    world.speak(trigger, false, false);
    world.kill_daemon();
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(events(&world, job), [0; 0]);
    world.speak(trigger, false, false);
    world.advance(MINUTE);
    assert_eq!(events(&world, job), [2]);
    finish(&mut world);
}

#[test]
fn the_overlap_policy_decides_on_events_beside_a_run() {
    let cancelled = Some(Outcome::Cancelled);
    for (overlap, expected) in [
        (Overlap::Skip, vec![SUCCESS, Some(Outcome::Skipped)]),
        (Overlap::Wait, vec![SUCCESS, SUCCESS]),
        (Overlap::Allow, vec![SUCCESS, SUCCESS]),
        (Overlap::Replace, vec![cancelled, SUCCESS]),
    ] {
        let mut world = world(60);
        let job = world.add(&wish(&[on_emit("x", NONE)]).overlap(overlap));
        world.emit("x", 1, 0);
        world.advance(SECOND);
        world.emit("x", 1, 0);
        world.advance(HOUR);
        let ends: Vec<Option<Outcome>> = log(&world, job).into_iter().map(|(.., end)| end).collect();
        assert_eq!(ends, expected, "{overlap}");
        finish(&mut world);
    }
}

#[test]
fn the_silences_that_an_event_ends_fire_in_the_order_of_their_triggers() {
    let mut world = world(1);
    let silence = on_emit("x", Counter { absent: minutes(10), ..NONE });
    let early = on_emit("x", Counter { count: 5, or_after: minutes(10), ..NONE });
    let job = world.add(&wish(&[silence, early]));
    world.emit("x", 1, 0);
    world.kill_daemon();
    world.advance(20 * MINUTE);
    // Both are due. The first makes the run, and the second joins it with its event.
    world.emit("x", 1, 0);
    world.start_daemon();
    world.advance(HOUR);
    assert_eq!(runs(&world, job), [(10, 1), (30, 1)]);
    finish(&mut world);
}

#[test]
fn an_opposite_result_ends_the_wait_for_an_early_fire() {
    let failed = || Script { end: taskq::domain::End::Exited(1), ..Script::lasting(1) };
    let mut world = promises::world();
    let watched = world.add(&Wish::when(When::Every(3_600)));
    let counter = Counter { count: 3, consecutive: true, or_after: minutes(90), ..NONE };
    let job = world.add(&wish(&[on_job(watched, JobStage::Failed, counter)]));
    world.scripts.extend([failed(), Script::lasting(1), failed(), failed()]);
    world.scripts.extend(vec![Script::lasting(1); 20]);
    world.advance(3 * HOUR - MINUTE);
    // The failure of minute 60 would have fired at minute 150, but for the success of minute 120.
    assert_eq!(runs(&world, job), []);
    world.advance(2 * HOUR);
    assert_eq!(runs(&world, job), [(270, 2)]);
    finish(&mut world);
}

#[test]
fn an_early_fire_whose_first_event_is_too_old_waits_for_the_others() {
    let mut world = world(1);
    let counter = Counter { count: 3, within: minutes(10), or_after: minutes(10), ..NONE };
    let job = world.add(&wish(&[on_emit("x", counter)]));
    for pause in [3, 8, 1, 1] {
        world.emit("x", 1, 0);
        world.advance(pause * MINUTE);
    }
    // The event of minute 0 was forgotten at minute 10, and those of minutes 3, 11 and 12 fire.
    assert_eq!(runs(&world, job), [(12, 3)]);
    finish(&mut world);
}
