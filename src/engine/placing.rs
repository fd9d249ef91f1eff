//! Owns: which host of an executor a run gets.
//! Never: which run is next (see `admit`), or whether a host answers (the facts say so).

use std::collections::BTreeSet;

use super::supply::Supply;
use crate::domain::{ExecutorName, FarPlace, Placement, Requirement, Share, stable_hash};

/// A host of an executor while runs are placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FarHost {
    pub name: String,
    pub slots: u32,
    /// How many claimed runs it has.
    pub in_use: u32,
    /// What it has of the resources that are counted there.
    pub supply: Supply,
    pub is_draining: bool,
    /// It did not answer when it was asked last.
    pub is_unreachable: bool,
}

/// An executor while runs are placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FarExecutor {
    pub hosts: Vec<FarHost>,
    pub placement: Placement,
    /// What runs need is booked on its hosts. Else its engine does that.
    pub counts_needs: bool,
}

/// Why a host takes no run now, although it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    Draining,
    /// All its slots are taken.
    Full,
    /// Other runs have what it needs there.
    Lacks,
}

/// The answer to a run that asks for a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It runs there, with this share.
    On(FarPlace, Option<Share>),
    /// It waits for a host. Those that are not known to be able to take it now, because they do not answer,
    /// are `sought`.
    Waits { sought: BTreeSet<FarPlace> },
    /// No host has what it needs.
    Never,
}

impl FarExecutor {
    /// Gives a run a host, and books there what it needs. `key`: what the order of hosts follows, if its
    /// placement is sticky.
    pub(super) fn place(&mut self, name: &ExecutorName, requirement: &Requirement, key: &str) -> Placed {
        let fit: Vec<usize> =
            (0..self.hosts.len()).filter(|at| self.could_take(&self.hosts[*at], requirement)).collect();
        if fit.is_empty() {
            return Placed::Never;
        }
        let free = fit.into_iter().filter(|at| self.obstacle(&self.hosts[*at], requirement).is_none());
        let (unreachable, mut free): (Vec<usize>, Vec<usize>) =
            free.partition(|at| self.hosts[*at].is_unreachable);
        let of = |host: &FarHost| FarPlace { executor: name.clone(), host: host.name.clone() };
        match self.placement {
            Placement::Sticky => free.sort_by_key(|at| std::cmp::Reverse(score(&self.hosts[*at].name, key))),
            // Of several with as many free slots, the first that was named.
            Placement::MostFree => {
                free.sort_by_key(|at| std::cmp::Reverse(self.hosts[*at].slots - self.hosts[*at].in_use));
            }
        }
        let Some(at) = free.first() else {
            return Placed::Waits { sought: unreachable.into_iter().map(|at| of(&self.hosts[at])).collect() };
        };
        let host = &mut self.hosts[*at];
        host.in_use += 1;
        let needs = &requirement.needs;
        let share = (self.counts_needs && !needs.is_empty()).then(|| host.supply.take(needs));
        Placed::On(of(host), share)
    }

    /// Returns whether a host could take such a run, if it had no others.
    pub(super) fn could_take(&self, host: &FarHost, requirement: &Requirement) -> bool {
        requirement.host.as_ref().is_none_or(|only| *only == host.name)
            && (!self.counts_needs || host.supply.could_hold(&requirement.needs))
    }

    /// Returns why a host that could take such a run does not take it now.
    pub(super) fn obstacle(&self, host: &FarHost, requirement: &Requirement) -> Option<Obstacle> {
        if host.is_draining {
            Some(Obstacle::Draining)
        } else if host.in_use >= host.slots {
            Some(Obstacle::Full)
        } else if self.counts_needs && host.supply.room_for(&requirement.needs) == 0 {
            Some(Obstacle::Lacks)
        } else {
            None
        }
    }
}

/// Returns how well a host suits a key, by rendezvous hashing (Thaler and Ravishankar, 1998): each key has an
/// order of its own of all hosts, in which the others stay as they are when one comes or goes.
fn score(host: &str, key: &str) -> u64 {
    // FNV-1a, whose low bits are good, and the finalizer of MurmurHash3, which spreads them.
    let mut hash = stable_hash(0, &[host.as_bytes(), &[0], key.as_bytes()].concat());
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Needs;

    fn name() -> ExecutorName {
        "big".parse().expect("a name")
    }

    fn hosts(slots: &[(&str, u32)]) -> FarExecutor {
        let host = |(name, slots): &(&str, u32)| FarHost {
            name: (*name).to_owned(),
            slots: *slots,
            ..FarHost::default()
        };
        FarExecutor { hosts: slots.iter().map(host).collect(), counts_needs: true, ..FarExecutor::default() }
    }

    fn place(executor: &mut FarExecutor, requirement: &Requirement, key: &str) -> Option<String> {
        match executor.place(&name(), requirement, key) {
            Placed::On(place, _) => Some(place.host),
            Placed::Waits { .. } | Placed::Never => None,
        }
    }

    #[test]
    fn the_host_with_the_most_free_slots_comes_first() {
        let mut executor = hosts(&[("a", 1), ("b", 3), ("c", 2)]);
        let any = Requirement::default();
        let order: Vec<Option<String>> = (0..7).map(|_| place(&mut executor, &any, "")).collect();
        let expected = ["b", "b", "c", "a", "b", "c"].map(|host| Some(host.to_owned()));
        assert_eq!((&order[..6], &order[6]), (&expected[..], &None));
    }

    #[test]
    fn a_host_that_drains_or_does_not_answer_gets_nothing() {
        let mut executor = hosts(&[("a", 9), ("b", 2), ("c", 1)]);
        (executor.hosts[0].is_draining, executor.hosts[1].is_unreachable) = (true, true);
        let any = Requirement::default();
        assert_eq!(place(&mut executor, &any, ""), Some("c".to_owned()));
        let sought = [FarPlace { executor: name(), host: "b".to_owned() }].into();
        assert_eq!(executor.place(&name(), &any, ""), Placed::Waits { sought });
        let only = |host: &str| Requirement { host: Some(host.to_owned()), ..Requirement::default() };
        assert_eq!(executor.place(&name(), &only("a"), ""), Placed::Waits { sought: BTreeSet::new() });
        assert_eq!(executor.place(&name(), &only("elsewhere"), ""), Placed::Never);
    }

    #[test]
    fn what_a_run_needs_is_booked_on_its_host() {
        let mut executor = hosts(&[("a", 9), ("b", 2)]);
        let needs: Needs = "gpu=1".parse().expect("needs");
        let capacity = [("gpu".parse().expect("a resource"), 1)].into();
        executor.hosts[1].supply = Supply::new(capacity, []);
        let wants = Requirement { needs, ..Requirement::default() };
        let Placed::On(place, share) = executor.place(&name(), &wants, "") else { panic!("it is free") };
        assert_eq!((place.host.as_str(), share.expect("a share").to_string().as_str()), ("b", "gpu=0"));
        assert_eq!(executor.place(&name(), &wants, ""), Placed::Waits { sought: BTreeSet::new() });
        executor.hosts[1].supply = Supply::default();
        assert_eq!(executor.place(&name(), &wants, ""), Placed::Never);
        executor.counts_needs = false;
        assert!(matches!(executor.place(&name(), &wants, ""), Placed::On(..)));
    }

    #[test]
    fn a_sticky_job_keeps_its_host_and_few_move_when_one_comes_or_goes() {
        let names: Vec<String> = (0..5).map(|n| format!("host{n}")).collect();
        let first = |count: usize, key: &str| {
            let slots: Vec<(&str, u32)> = names[..count].iter().map(|name| (name.as_str(), 4)).collect();
            let mut executor = FarExecutor { placement: Placement::Sticky, ..hosts(&slots) };
            place(&mut executor, &Requirement::default(), key).expect("there is room")
        };
        let keys: Vec<String> = (0..1_000).map(|n| format!("job-{n}")).collect();
        let moved = keys.iter().filter(|key| first(5, key) != first(4, key)).count();
        // A fifth goes to the new host, and no other moves.
        assert!((150..250).contains(&moved), "{moved} moved");
        assert!(keys.iter().all(|key| [first(4, key), "host4".to_owned()].contains(&first(5, key))));
        let of_first = keys.iter().filter(|key| first(4, key) == "host0").count();
        assert!((200..300).contains(&of_first), "{of_first} are on the first of four");
    }
}
