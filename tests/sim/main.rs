//! The production engine, store, turn and pacer in a simulated world: its clocks, its keeper and its
//! accidents come from a seed.
//!
//! Each run plays the fixed seeds and `TASKQ_SIM_SEEDS=n` new ones. `TASKQ_SIM_SEED=n` plays one world and
//! prints all its events.

mod arrays;
mod audit;
mod bundles;
mod callbacks;
mod chance;
mod clients;
mod daemon;
mod deadlines;
mod dependencies;
mod emits;
mod ends;
mod event_worlds;
mod events;
mod folder;
mod forget;
mod heard;
mod hearing;
mod keeper;
mod limits;
mod listeners;
mod mails;
mod mixes;
mod model;
mod news;
mod nth;
mod outcomes;
mod promises;
mod ranks;
mod requirements;
mod retries;
mod rng;
mod rows;
mod shadows;
#[path = "../shared/mod.rs"]
mod shared;
mod source_worlds;
mod starts;
mod watching;
mod world;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use chance::{LONG, Pace, SHORT, play};
use rng::Rng;
use shared::{note, setting};
use world::Trace;

/// The seeds from here on are played at the long pace.
const LONG_FROM: u64 = 1_000_000;

/// How many new seeds a run plays.
const NEW_SEEDS: u64 = 20;

/// How many lines of a failed world are shown.
const LINES_SHOWN: usize = 60;

fn pace_of(seed: u64) -> Pace {
    if seed < LONG_FROM { SHORT } else { LONG }
}

/// Plays a world, and returns how many fires it had.
fn check(seed: u64, shows_all: bool) -> u64 {
    let trace = Trace::default();
    let played = catch_unwind(AssertUnwindSafe(|| play(seed, pace_of(seed), &trace)));
    let lines = trace.borrow();
    let from = if shows_all { 0 } else { lines.len().saturating_sub(LINES_SHOWN) };
    if shows_all || played.is_err() {
        note(&format!("seed {seed}:\n{}", lines[from..].join("\n")));
    }
    played.unwrap_or_else(|panic| {
        note(&format!("replay with: TASKQ_SIM_SEED={seed} cargo test --test sim -- --nocapture"));
        resume_unwind(panic)
    })
}

/// Plays these worlds, and returns how many fires they had.
fn check_all(seeds: impl IntoIterator<Item = u64>) -> u64 {
    if one_seed().is_some() {
        return 0;
    }
    seeds.into_iter().map(|seed| check(seed, false)).sum()
}

fn one_seed() -> Option<u64> {
    setting("TASKQ_SIM_SEED")
}

#[test]
fn the_promises_hold_through_hours_of_accidents() {
    check_all(0..50);
}

#[test]
fn the_promises_hold_through_other_hours_of_accidents() {
    check_all(50..100);
}

#[test]
fn the_promises_hold_through_years() {
    check_all(LONG_FROM..LONG_FROM + 8);
}

#[test]
fn the_promises_hold_in_worlds_that_nobody_has_seen() {
    let mut rng = Rng::new(RandomState::new().hash_one(0));
    let count = setting("TASKQ_SIM_SEEDS").unwrap_or(NEW_SEEDS);
    // One in ten is a long one.
    let new = |nth| if nth % 10 == 9 { LONG_FROM + rng.below(LONG_FROM) } else { rng.below(LONG_FROM) };
    let seeds: Vec<u64> = (0..count).map(new).collect();
    // Past the capture of the test program: also a run that passes or is killed names its seeds.
    let _ = writeln!(std::io::stderr(), "new seeds: {seeds:?}");
    let fires = check_all(seeds);
    let _ = writeln!(std::io::stderr(), "{fires} fires in {count} new worlds");
}

#[test]
fn the_promises_hold_in_the_seed_of_the_environment() {
    if let Some(seed) = one_seed() {
        check(seed, true);
    }
}
