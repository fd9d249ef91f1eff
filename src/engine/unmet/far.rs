//! Owns: what a fire waits for that runs on an executor.
//! Never: words for people, or which host it gets (see `placing`).

use std::collections::BTreeMap;

use crate::domain::{ExecutorName, FarPlace, Requirement, Timestamp};
use crate::engine::placing::{FarExecutor, Obstacle};

/// The facts about the executor of a fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarFacts {
    pub name: ExecutorName,
    /// `None`: it was removed.
    pub executor: Option<FarExecutor>,
    /// Since when hosts do not answer, and why.
    pub unreachable: BTreeMap<String, (Timestamp, String)>,
    /// The host that is to start it, if it was given to one.
    pub place: Option<FarPlace>,
    /// What that host says.
    pub note: Option<String>,
}

/// What a fire waits for at an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarWait {
    /// There is no such executor any more.
    NoExecutor(ExecutorName),
    /// A host has it, or is to have it.
    Given { place: FarPlace, note: Option<String>, unreachable: Option<(Timestamp, String)> },
    /// No host can take it now.
    NoHost { name: ExecutorName, hosts: Vec<(String, HostWait)> },
    /// No host has what it needs, or is the one that it is for.
    Never(ExecutorName),
}

/// Why a host takes no run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostWait {
    Unreachable(Timestamp, String),
    Draining,
    /// So many of so many slots are taken.
    Full(u32, u32),
    /// Other runs have what it needs there.
    Lacks,
}

impl FarFacts {
    /// Returns what a fire waits for; `None`: a host gets it in a moment.
    pub(super) fn wait(&self, requirement: &Requirement) -> Option<FarWait> {
        if let Some(place) = &self.place {
            let unreachable = self.unreachable.get(&place.host).cloned();
            // The note of a run that is being handed over says nothing yet.
            let (place, note) = (place.clone(), self.note.clone());
            return Some(FarWait::Given { place, note, unreachable });
        }
        let Some(executor) = &self.executor else { return Some(FarWait::NoExecutor(self.name.clone())) };
        let mut hosts = Vec::new();
        for host in executor.hosts.iter().filter(|host| executor.could_take(host, requirement)) {
            let unreachable = self.unreachable.get(&host.name);
            let why = match (unreachable, executor.obstacle(host, requirement)) {
                (Some((since, cause)), _) => HostWait::Unreachable(*since, cause.clone()),
                (None, Some(Obstacle::Draining)) => HostWait::Draining,
                (None, Some(Obstacle::Full)) => HostWait::Full(host.in_use, host.slots),
                (None, Some(Obstacle::Lacks)) => HostWait::Lacks,
                (None, None) => return None,
            };
            hosts.push((host.name.clone(), why));
        }
        Some(match hosts.is_empty() {
            true => FarWait::Never(self.name.clone()),
            false => FarWait::NoHost { name: self.name.clone(), hosts },
        })
    }
}
