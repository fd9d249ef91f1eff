//! Owns: executors: where runs can run besides this machine, and how they are reached.
//! Never: what is said to them (see `executor`), or which host a run gets (see `engine`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ExecutorName, Needs, ResourceName, words};

/// The kind of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// Hosts that ssh(1) reaches.
    Ssh,
    /// A Slurm cluster, by sbatch(1), squeue(1), scancel(1) and scontrol(1).
    Slurm,
    /// Another engine, by commands of the user.
    Command,
}

words!(ExecutorKind { Ssh = "ssh", Slurm = "slurm", Command = "command" });

/// Which host a run gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The host with the most free slots.
    #[default]
    MostFree,
    /// The host that the name of the job chooses, by rendezvous hashing (Thaler and Ravishankar, 1998), if it
    /// has a free slot; else the next in the order that this name gives.
    Sticky,
}

words!(Placement { MostFree = "most-free", Sticky = "sticky" });

/// A host of an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorHost {
    /// What ssh(1) is told: `HOST`, `USER@HOST` or an alias. Empty: no ssh, the commands run here.
    pub name: String,
    /// How many runs may be there at once.
    pub slots: u32,
    /// It gets no more runs.
    pub is_draining: bool,
}

/// An executor without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executor {
    pub kind: ExecutorKind,
    /// At least one, each name once. Only one of kind `ssh` has more.
    pub hosts: Vec<ExecutorHost>,
    /// The directory of the runs over there, from the home there if it is relative. Empty: a default.
    pub rundir: String,
    pub placement: Placement,
    /// `--opt`, in the order in which they were given: each a key and a value.
    pub options: Vec<(String, String)>,
}

impl Executor {
    /// The slots of a host that names none.
    pub const SLOTS: u32 = 1;

    /// The slots of an engine that has a queue of its own.
    pub const ENGINE_SLOTS: u32 = 1_000;

    /// The most slots of a host.
    pub const SLOTS_MAX: u32 = 10_000;

    /// The option with the resources of each host.
    pub const RESOURCES: &'static str = "resources";

    /// The option with a configuration file for ssh(1).
    pub const CONFIG: &'static str = "config";

    /// The option with an option of ssh(1), as after its `-o`.
    pub const OPTION: &'static str = "option";

    /// Returns the values of an option.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(of, _)| of == key).map(|(_, value)| value.as_str())
    }

    /// Returns how much each host has of the resources that are counted there. One of kind `ssh` counts
    /// them; an engine does it by itself.
    pub fn capacities(&self) -> BTreeMap<ResourceName, u64> {
        // They were read when the option was set.
        let amounts: Needs =
            self.values(Self::RESOURCES).last().and_then(|text| text.parse().ok()).unwrap_or_default();
        amounts.iter().map(|(name, amount)| (name.clone(), amount)).collect()
    }

    /// Returns a hint with the names of its hosts; `None`: its host has none.
    pub fn hosts_hint(&self) -> Option<String> {
        let names = self.hosts.iter().map(|host| &host.name).filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| format!("it has {}", names.join(", ")))
    }

    /// Returns whether taskq counts what runs need there.
    pub fn counts_needs(&self) -> bool {
        self.kind == ExecutorKind::Ssh
    }
}

/// Where a run is, or is to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FarPlace {
    pub executor: ExecutorName,
    /// The name of the host, as of `ExecutorHost`.
    pub host: String,
}

impl fmt::Display for FarPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_str() {
            "" => write!(f, "{}", self.executor),
            host => write!(f, "{}:{host}", self.executor),
        }
    }
}
