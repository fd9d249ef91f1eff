//! Owns: mixes of jobs with priorities, resources and several queues, without faults: what they book, how
//! long they wait, and when a large one starts.
//! Never: the checks of every world (see `starts` and `requirements`).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use taskq::domain::{Aging, End, QueueOrder, QueueRule, Span};

use crate::chance::finish;
use crate::clients::Wish;
use crate::keeper::Script;
use crate::rng::Rng;
use crate::shared::{note, setting};
use crate::world::{SECOND, Trace, World};

/// How many mixes a run plays.
const MIXES: u64 = 1_000;

/// How many events of a failed mix are shown.
const LINES_SHOWN: usize = 60;

/// A point of priority is worth so much waiting.
const AGING: u64 = 10 * SECOND;

/// How long a run takes at most.
const LASTS_MAX: u64 = 20 * SECOND;

const NEEDS: [&str; 7] = ["", "", "gpu=1", "gpu=1", "gpu=2", "lic=1", "gpu=1,lic=1"];

fn wish(rng: &mut Rng) -> Wish {
    let mut wish = Wish::at_once();
    wish.job.queue = rng.pick(&["default", "one", "few"]).parse().expect("a name");
    wish.job.priority = if rng.chance(300) { rng.below(5) as i32 - 2 } else { 0 };
    let needs = *rng.pick(&NEEDS);
    if !needs.is_empty() {
        wish.job.requirement.needs = needs.parse().expect("needs");
    }
    wish
}

/// Plays a mix, and returns how many runs it had.
fn play(seed: u64, trace: &Trace) -> usize {
    let mut world = World::new(seed, "2026-06-01T12:00:00Z", trace.clone());
    world.default_slots = 1 + world.rng.below(6) as usize;
    let widths = [1 + world.rng.below(2) as u32, 2 + world.rng.below(4) as u32];
    world.set_queue("one", widths[0]);
    world.set_queue("few", widths[1]);
    for queue in ["default", "one", "few"] {
        let aging = Aging::After(Span::from_micros(AGING));
        world.order_queue(queue, QueueRule { order: QueueOrder::Fifo, aging });
    }
    let gpus = 2 + world.rng.below(4);
    world.set_resource("gpu", gpus);
    world.set_resource("lic", 1);
    world.start_daemon();
    let mut large = None;
    let (jobs, at) = (7 + world.rng.below(8), 2 + world.rng.below(4));
    for number in 0..jobs {
        let lasts = match world.rng.chance(500) {
            true => world.rng.span(1_000, SECOND / 10),
            false => world.rng.span(SECOND, LASTS_MAX),
        };
        world.scripts.push_back(Script { lasts, end: End::Exited(0), obeys_after: Some(1_000) });
        let mut wish = wish(&mut world.rng);
        if number == at {
            wish.job.queue = "few".parse().expect("a name");
            wish.job.priority = 0;
            wish.job.requirement.needs = format!("gpu={gpus}").parse().expect("needs");
        }
        let job = world.add(&wish);
        large = if number == at { Some(job) } else { large };
        let pause = match world.rng.chance(300) {
            true => world.rng.span(SECOND, 10 * SECOND),
            false => world.rng.span(1, SECOND),
        };
        pass(&mut world, pause, large);
    }
    pass(&mut world, 3 * jobs * LASTS_MAX, large);
    finish(&mut world);
    let rows: Vec<_> = world.audit.rows.values().collect();
    assert!(rows.iter().all(|row| row.started_at.is_some()), "a run was left");
    check_waits(&world);
    rows.len()
}

/// Lets time pass. From the moment in which the large run is the first of those that need a GPU, it starts
/// when the runs have ended that run then.
fn pass(world: &mut World, span: u64, large: Option<i64>) {
    let until = world.mono + span;
    while let Some(end) = large.and_then(|job| latest_start(world, job)) {
        world.advance((end - world.mono).min(until - world.mono));
        if world.mono < until {
            let job = large.expect("it waits");
            let waits = world.audit.rows.values().any(|row| row.job == job && row.started_at.is_none());
            assert!(!waits, "the large run waits longer than the runs that ran before it");
        } else {
            return;
        }
    }
    // A step at a time, so that the moment is seen.
    let step = if large.is_some_and(|job| waits(world, job)) { SECOND / 2 } else { span };
    let step = step.min(until - world.mono);
    world.advance(step);
    if world.mono < until {
        pass(world, until - world.mono, large);
    }
}

fn waits(world: &World, job: i64) -> bool {
    world.audit.rows.values().any(|row| row.job == job && row.keeper.is_none() && row.is_open())
}

/// Returns when a run must have started that is the first of all that need a GPU, and has a slot: when the
/// last of the runs has ended that run now.
fn latest_start(world: &World, job: i64) -> Option<u64> {
    let startable = world.audit.startable();
    let own = startable.iter().find(|waiting| waiting.job == job)?;
    let needs_gpu = |id: i64| world.audit.requirements.needs_of(id, "gpu") > 0;
    let is_first = startable.iter().all(|other| {
        other.job == job
            || !(other.queue == own.queue && other.order < own.order
                || other.queue != own.queue && other.queued_at <= own.queued_at && needs_gpu(other.job))
    });
    let keeper = world.keeper.as_ref().filter(|_| is_first)?;
    if keeper.running_in(own.queue) >= world.widths()[own.queue] {
        return None;
    }
    let stands_by = ["default", "one", "few"].iter().any(|queue| !keeper.standing_by(queue).is_empty());
    // With a turn for the end, and one for the start.
    (!stands_by).then(|| keeper.last_end().unwrap_or(world.mono) + SECOND)
}

/// Checks that no run has waited for one that came after the time that their priorities are worth.
fn check_waits(world: &World) {
    let mut by_queue: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for row in world.audit.rows.values().filter(|row| row.requirement == 0) {
        by_queue.entry(&row.queue).or_default().push(row);
    }
    for rows in by_queue.values() {
        for row in rows {
            let window = 4 * AGING as i64;
            let passed = rows
                .iter()
                .find(|other| other.queued_at > row.queued_at + window && other.started_at < row.started_at);
            assert!(passed.is_none(), "{row:?} was passed by {passed:?}");
        }
    }
}

/// Plays a mix. If it fails, its seed and its last events are shown.
fn checked(seed: u64) -> usize {
    let trace = Trace::default();
    match catch_unwind(AssertUnwindSafe(|| play(seed, &trace))) {
        Ok(runs) => runs,
        Err(panic) => {
            let lines = trace.borrow();
            note(&format!("mix {seed}:\n{}", lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")));
            resume_unwind(panic)
        }
    }
}

/// Plays every other mix.
fn play_half(first: u64) {
    let mixes = setting("TASKQ_SIM_MIXES").unwrap_or(MIXES);
    let seeds: Vec<u64> = (first..mixes).step_by(2).collect();
    let runs: usize = seeds.iter().map(|seed| checked(*seed)).sum();
    assert!(runs >= 7 * seeds.len());
}

#[test]
fn mixes_of_jobs_keep_to_slots_and_resources_and_leave_no_run_behind() {
    play_half(0);
}

#[test]
fn other_mixes_of_jobs_keep_to_slots_and_resources_and_leave_no_run_behind() {
    play_half(1);
}
