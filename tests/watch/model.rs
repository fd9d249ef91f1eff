//! Owns: random sequences of changes, against a model of what must be reported.
//! Never: timing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", ".hidden"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize),
    Rename(usize, usize),
    Delete(usize),
    /// The daemon looks.
    Look,
    /// The daemon ends, and another begins.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        4 => name().prop_map(Step::Write),
        2 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => name().prop_map(Step::Delete),
        2 => Just(Step::Look),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Made,
    Written,
    Arrived,
    Gone,
}

/// What the directory has, what was reported of it, and what has happened since.
#[derive(Default)]
struct Model {
    /// The sizes of the files. Each write gives another one.
    files: BTreeMap<&'static str, usize>,
    reported: BTreeMap<&'static str, usize>,
    acts: Vec<(&'static str, Act)>,
    sizes: usize,
}

impl Model {
    fn act(&mut self, name: &'static str, act: Act) {
        // The kernel makes one event of two that are the same.
        if self.acts.last() != Some(&(name, act)) {
            self.acts.push((name, act));
        }
    }

    fn apply(&mut self, world: &World, step: Step) {
        match step {
            Step::Write(name) => {
                let name = NAMES[name];
                self.sizes += 1;
                world.write(name, &"x".repeat(self.sizes));
                if self.files.insert(name, self.sizes).is_none() {
                    self.act(name, Act::Made);
                }
                self.act(name, Act::Written);
            }
            Step::Rename(from, to) if from != to && self.files.contains_key(NAMES[from]) => {
                let (from, to) = (NAMES[from], NAMES[to]);
                world.rename(from, to);
                let size = self.files.remove(from).expect("it is there");
                self.files.insert(to, size);
                self.act(from, Act::Gone);
                self.act(to, Act::Arrived);
            }
            Step::Delete(name) if self.files.remove(NAMES[name]).is_some() => {
                world.remove(NAMES[name]);
                self.act(NAMES[name], Act::Gone);
            }
            Step::Rename(..) | Step::Delete(_) | Step::Look | Step::Restart => {}
        }
    }

    /// Returns what a daemon that was there has to report.
    fn told(&mut self) -> Vec<(&'static str, &'static str)> {
        let mut known: BTreeSet<&str> = self.reported.keys().copied().collect();
        let mut changes = Vec::new();
        for (name, act) in std::mem::take(&mut self.acts) {
            match act {
                Act::Made => {}
                Act::Written | Act::Arrived => {
                    let change = if known.insert(name) { "created" } else { "changed" };
                    changes.push((name, change));
                }
                Act::Gone => {
                    known.remove(name);
                    changes.push((name, "deleted"));
                }
            }
        }
        self.reported = self.files.clone();
        changes
    }

    /// Returns what a daemon that was not there has to report.
    fn differences(&mut self) -> Vec<(&'static str, &'static str)> {
        self.acts.clear();
        let mut changes = Vec::new();
        for (name, size) in &self.files {
            match self.reported.get(name) {
                None => changes.push((*name, "created")),
                Some(before) if before != size => changes.push((*name, "changed")),
                Some(_) => {}
            }
        }
        let gone = self.reported.keys().filter(|name| !self.files.contains_key(*name));
        changes.extend(gone.map(|name| (*name, "deleted")));
        self.reported = self.files.clone();
        changes
    }
}

/// Returns the changes that are events of a trigger for names that are not hidden.
fn judged(changes: &[(&str, &str)], change: PathChange) -> Vec<String> {
    let is_event = |kind: &str| match change {
        PathChange::Changed => kind != "deleted",
        _ => kind != "changed",
    };
    let sign = |kind: &str| match change {
        PathChange::Created if kind == "deleted" => "-",
        PathChange::Deleted if kind == "created" => "-",
        _ => "",
    };
    let shown = changes.iter().filter(|(name, kind)| !name.starts_with('.') && is_event(kind));
    shown.map(|(name, kind)| format!("{}{kind} {name}", sign(kind))).collect()
}

/// Plays the steps, and returns what was reported at each look beside what the model says.
fn play(change: PathChange, steps: &[Step]) -> Vec<(Vec<String>, Vec<String>)> {
    let (mut world, mut model, mut looks) = (World::new(), Model::default(), Vec::new());
    world.listen_new(world.source("*", change));
    world.wanted[0].with_opposites = true;
    world.apply();
    world.events();
    for step in steps.iter().chain([&Step::Look]) {
        model.apply(&world, *step);
        match step {
            Step::Look => looks.push((world.events(), judged(&model.told(), change))),
            Step::Restart => {
                world.restart();
                let (mut found, mut expected) = (world.events(), judged(&model.differences(), change));
                found.sort();
                expected.sort();
                looks.push((found, expected));
            }
            Step::Write(_) | Step::Rename(..) | Step::Delete(_) => {}
        }
    }
    looks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_change_is_reported_as_the_model_says(
        change in prop_oneof![
            Just(PathChange::Changed), Just(PathChange::Created), Just(PathChange::Deleted)
        ],
        steps in proptest::collection::vec(step(), 0..30),
    ) {
        for (found, expected) in play(change, &steps) {
            prop_assert_eq!(found, expected);
        }
    }
}
