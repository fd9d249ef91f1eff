//! Owns: the events of a random world and their order.

use taskq::domain::{Aging, MailWhen, Missed, MissedMode, Overlap, Policy, QueueOrder, QueueRule, Span};

use taskq::engine::Retention;

use crate::arrays;
use crate::callbacks;
use crate::clients::{When, Wish};
use crate::dependencies;
use crate::emits;
use crate::keeper::Script;
use crate::requirements;
use crate::retries;
use crate::rng::Rng;
use crate::rows::Row;
use crate::world::{DAY, Faults, HOUR, SECOND, Trace, World};

/// The pace of a random world.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub steps: u64,
    /// The longest time between two steps.
    pub stretch: u64,
    /// The period, in seconds, of the finest triggers.
    pub finest: u64,
}

pub const SHORT: Pace = Pace { steps: 25, stretch: 2 * HOUR, finest: 60 };
pub const LONG: Pace = Pace { steps: 40, stretch: 40 * DAY, finest: 6 * 3_600 };

const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/St_Johns",
    "Asia/Kathmandu",
];
const QUEUES: [&str; 3] = ["default", "one", "few"];
const FINE_CALENDARS: [&str; 4] = ["*:0/15", "*:*:00,30.5", "minutely", "02..03:05/20"];
const CALENDARS: [&str; 4] = ["Mon..Fri 02:30", "hourly", "*-*~01 12:00", "00/6:07:03.25"];
const FINE: [&str; 7] = [
    "*/15 * * * *",
    "* * * * *",
    "@hourly",
    "*/7 */2 * * *",
    "*/40 * * * * *",
    "30 0-23 * * *",
    "5,35 1-4 * * *",
];
const COARSE: [&str; 8] = [
    "30 2 * * *",
    "0 0 1 * *",
    "15 3 * * 1-5",
    "0 12 13 * 5",
    "@weekly",
    "30 */6 * * *",
    "0 30 2 * * *",
    "0 0 0 1 1 * 2030",
];

/// When a world begins: shortly before a gap, a fold, a leap day, the end of a year.
const BEGINNINGS: [&str; 6] = [
    "2026-03-28T22:00:00Z",
    "2026-10-24T20:00:00Z",
    "2028-02-28T12:00:00Z",
    "2026-12-31T20:00:00Z",
    "2026-04-04T10:00:00Z",
    "2026-11-01T00:00:00Z",
];

/// If a job has more unfinished runs, it is cancelled: they cost time and show nothing new.
const OPEN_MAX: usize = 60;

/// Plays one world to its end, and returns how many fires it had.
pub fn play(seed: u64, pace: Pace, trace: &Trace) -> u64 {
    let begins = BEGINNINGS[(seed % BEGINNINGS.len() as u64) as usize];
    let mut world = World::new(seed, begins, trace.clone());
    // Every other world has no faults, so that nothing is excused by one.
    if seed % 2 == 1 {
        world.faults = Faults { death: 15, busy: 20, full: 20, delay: 150 };
    }
    world.default_slots = 1 + world.rng.below(4) as usize;
    world.by_socket = *world.rng.pick(&[0, 500, 1_000]);
    if world.rng.chance(700) {
        let age = *world.rng.pick(&[HOUR, 3 * DAY, 90 * DAY]);
        let runs_max = *world.rng.pick(&[0, 1, 5, 1_000]);
        world.retention = Retention { age_max: Span::from_micros(age), runs_max, ..Retention::default() };
    }
    let widths: Vec<u32> = vec![1, 1 + world.rng.below(4) as u32];
    world.set_queue("one", widths[0]);
    world.set_queue("few", widths[1]);
    world.set_resource("gpu", 3);
    world.set_resource("lic", 1);
    if !world.rng.chance(100) {
        world.start_daemon();
    }
    for _ in 0..pace.steps {
        act(&mut world, pace);
        if world.daemon.is_none() && world.rng.chance(600) {
            world.start_daemon();
        }
        let span = world.rng.span(1_000, pace.stretch);
        emits::pass(&mut world, span);
    }
    finish(&mut world);
    world.audit.fires
}

/// Lets the world come to rest, and checks it once more.
pub fn finish(world: &mut World) {
    world.faults = Faults::default();
    if world.daemon.is_none() {
        world.start_daemon();
    }
    world.advance(3 * SECOND);
    world.audit.at_the_end(&world.ledger);
}

fn act(world: &mut World, pace: Pace) {
    let acts = 1 + world.rng.below(4);
    for _ in 0..acts {
        let open: Vec<Row> = world.audit.open_rows().cloned().collect();
        let jobs: Vec<i64> = world.audit.jobs.iter().copied().collect();
        if open.len() > OPEN_MAX {
            let job = world.rng.pick(&open).job;
            world.cancel_job(job);
        }
        let roll = world.rng.below(148);
        match roll {
            0..=34 => {
                let wish = wish(world, pace);
                world.add(&wish);
            }
            35..=44 if !jobs.is_empty() => {
                let job = *world.rng.pick(&jobs);
                world.run(job);
            }
            45..=50 if !open.is_empty() => {
                let (row, at_once) = (world.rng.pick(&open).clone(), world.rng.chance(200));
                // It may be over by now, for instance if its job was cancelled.
                if let Some(row) = world.audit.rows.get(&row.id).cloned() {
                    world.cancel_run(&row, at_once);
                }
            }
            51..=54 if !jobs.is_empty() => {
                let job = *world.rng.pick(&jobs);
                world.cancel_job(job);
            }
            55..=61 if !jobs.is_empty() => {
                let job = *world.rng.pick(&jobs);
                world.pause(job);
            }
            62..=69 if !jobs.is_empty() => {
                let job = *world.rng.pick(&jobs);
                world.resume(job);
            }
            70..=74 => set_up_queue(world),
            75..=77 if !jobs.is_empty() => {
                let job = *world.rng.pick(&jobs);
                let until = world.now() + Span::from_micros(world.rng.span(1, 2 * pace.stretch));
                let until = world.rng.chance(700).then_some(until);
                world.set_until(job, until);
            }
            78..=99 => mischief(world, roll, pace),
            100..=147 => emits::act(world, roll - 100, pace),
            _ => {}
        }
    }
}

fn set_up_queue(world: &mut World) {
    let queue = *world.rng.pick(&QUEUES);
    if world.rng.chance(500) {
        let slots = *world.rng.pick(&[0, 1, 1, 1, 2, 2, 3, 4]);
        world.set_queue(queue, slots);
    } else if world.rng.chance(500) {
        let order = *world.rng.pick(QueueOrder::ALL);
        let minute = Span::from_seconds(60);
        let aging =
            *world.rng.pick(&[Aging::Never, Aging::After(minute), Aging::After(Span::from_seconds(7_200))]);
        world.order_queue(queue, QueueRule { order, aging });
    } else {
        let is_paused = world.rng.chance(400);
        world.pause_queue(queue, is_paused);
    }
}

fn mischief(world: &mut World, roll: u64, pace: Pace) {
    match roll {
        78..=80 => {
            world.kill_daemon();
            let away = world.rng.span(SECOND, pace.stretch * 4);
            world.advance(away);
        }
        81..=83 => world.kill_daemon(),
        84..=85 => world.kill_keeper(),
        86 => {
            world.kill_daemon();
            world.kill_keeper();
        }
        87 => world.reboot(),
        88..=90 => {
            let by = world.rng.span(SECOND / 10, 3 * HOUR) as i64;
            let is_forward = world.rng.chance(500);
            world.step_clock(if is_forward { by } else { -by });
        }
        91..=93 => {
            let by = world.rng.span(HOUR, 20 * pace.stretch) as i64;
            let is_forward = world.rng.chance(500);
            world.step_clock(if is_forward { by } else { -by });
        }
        94 => {
            world.has_sendmail = !world.has_sendmail;
            let scripts = [Script::random(&mut world.rng), Script::random(&mut world.rng)];
            world.mail_scripts.extend(scripts);
        }
        95..=96 => {
            let zone = *world.rng.pick(&ZONES);
            world.set_zone(zone);
        }
        99 => {
            let capacity = 2 + world.rng.below(3);
            world.set_resource("gpu", capacity);
        }
        97..=98 => world.is_watched = !world.is_watched,
        _ => {}
    }
}

fn wish(world: &mut World, pace: Pace) -> Wish {
    let now = world.now();
    let rng = &mut world.rng;
    let mut when: Vec<When> = (0..*rng.pick(&[0, 0, 1, 1, 1, 2, 3]))
        .map(|_| match rng.below(7) {
            0 => When::At(now + Span::from_micros(rng.span(1, 2 * pace.stretch))),
            1 if rng.chance(400) => When::AfterEnd(rng.span(pace.finest, 40 * pace.finest)),
            1 | 2 => When::Every(rng.span(pace.finest, 40 * pace.finest)),
            3 if rng.chance(200) => When::Cron("@reboot", None),
            _ => {
                let is_fine = pace.finest < 3_600 && rng.chance(700);
                let expr = if is_fine { *rng.pick(&FINE) } else { *rng.pick(&COARSE) };
                let calendar = *if is_fine { rng.pick(&FINE_CALENDARS) } else { rng.pick(&CALENDARS) };
                match rng.below(8) {
                    0 => When::Delayed(expr, rng.span(1, pace.finest)),
                    1 => When::Calendar(calendar, None),
                    2 => When::Calendar(calendar, Some(*rng.pick(&ZONES))),
                    3 => When::Cron(expr, Some(*rng.pick(&ZONES))),
                    _ => When::Cron(expr, None),
                }
            }
        })
        .collect();
    let counts_from_end = when.iter().any(|when| matches!(when, When::AfterEnd(_)));
    let has_nth = !when.is_empty() && !counts_from_end && rng.chance(200);
    let has_instants = !when.is_empty();
    // A trigger that counts from the end of a run has a model without events.
    let on = if counts_from_end { Vec::new() } else { emits::random(world, pace) };
    when.extend(on.into_iter().map(When::On));
    let mut wish = Wish { when, ..Wish::at_once() };
    let rng = &mut world.rng;
    wish.job.policy = Policy {
        overlap: rng.chance(850).then(|| *rng.pick(Overlap::ALL)),
        missed: Missed {
            mode: *rng.pick(MissedMode::ALL),
            within: rng.chance(300).then(|| Span::from_micros(rng.span(SECOND, pace.stretch))),
            grace: Span::from_micros(*rng.pick(&[0, SECOND, 60 * SECOND, 60 * SECOND, HOUR])),
        },
        timeout: rng.chance(300).then(|| Span::from_micros(rng.span(SECOND / 100, HOUR))),
        kill_after: Span::from_micros(*rng.pick(&[0, SECOND, 10 * SECOND])),
        start_by: rng.chance(200).then(|| Span::from_micros(rng.span(1, 2 * pace.stretch))),
    };
    wish.job.start = rng.chance(150).then(|| now + Span::from_micros(rng.span(1, pace.stretch)));
    let begin = wish.job.start.unwrap_or(now);
    let has_end = !wish.when.is_empty() && rng.chance(250);
    wish.job.until = has_end.then(|| begin + Span::from_micros(rng.span(1, 4 * pace.stretch)));
    wish.job.jitter = rng.chance(200).then(|| Span::from_micros(rng.span(1, pace.stretch)));
    wish.job.nth = has_nth.then(|| *rng.pick(&[1, 2, 2, 3, 7]));
    wish.job.times = (!wish.when.is_empty() && rng.chance(250)).then(|| *rng.pick(&[1, 1, 2, 3, 20]));
    wish.job.queue = rng.pick(&QUEUES).parse().expect("a name");
    wish.job.priority = if rng.chance(300) { rng.below(5) as i32 - 2 } else { 0 };
    let span = |rng: &mut Rng| rng.chance(200).then(|| Span::from_micros(rng.span(SECOND, pace.stretch)));
    (wish.job.expect, wish.job.finish_by) = (span(rng), span(rng));
    wish.job.hold = rng.chance(80);
    if rng.chance(300) {
        wish = wish.mail(*rng.pick(MailWhen::ALL));
    }
    wish.job.retry = retries::random(world);
    wish.job.callbacks = callbacks::random(&mut world.rng);
    // The end of an array is an end of its runs, which is checked by a world of its own.
    wish.job.array = arrays::random(&mut world.rng).filter(|_| !counts_from_end);
    if wish.job.array.is_some() {
        // The mail about an array is checked by the engine's tests.
        wish.job.mail = None;
        if wish.job.policy.overlap == Some(Overlap::Replace) {
            wish.job.policy.overlap = Some(Overlap::Allow);
        }
    }
    wish.job.requirement = requirements::random(&mut world.rng, pace.finest < 3_600);
    emits::name(world, &mut wish, has_instants);
    let done = world.audit.db.done_jobs();
    let living: Vec<i64> = world.audit.jobs.iter().copied().filter(|job| !done.contains(job)).collect();
    wish.job.after = dependencies::random(&mut world.rng, &living);
    wish
}
