//! Owns: the table and the JSON of executors.
//! Never: reading them (see `store`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::times::Times;
use crate::cli::output::table::{Column, Table, TableCell};
use crate::domain::{Executor, ExecutorHost, ExecutorName, FarPlace, Timestamp};
use crate::store::Unreachable;

/// An executor, with what is known of its hosts.
#[derive(Debug)]
pub struct ExecutorView {
    pub name: ExecutorName,
    pub executor: Executor,
    /// How many runs each host has.
    pub counts: BTreeMap<FarPlace, u32>,
    pub unreachable: BTreeMap<FarPlace, Unreachable>,
}

impl ExecutorView {
    fn place(&self, host: &ExecutorHost) -> FarPlace {
        FarPlace { executor: self.name.clone(), host: host.name.clone() }
    }

    fn runs(&self, host: &ExecutorHost) -> u32 {
        self.counts.get(&self.place(host)).copied().unwrap_or(0)
    }

    fn unreachable(&self, host: &ExecutorHost) -> Option<&Unreachable> {
        self.unreachable.get(&self.place(host))
    }
}

#[derive(Debug, Serialize)]
pub struct ExecutorJson {
    name: ExecutorName,
    r#type: &'static str,
    /// `null`: the default.
    rundir: Option<String>,
    placement: &'static str,
    options: Vec<[String; 2]>,
    hosts: Vec<HostJson>,
}

#[derive(Debug, Serialize)]
struct HostJson {
    /// `null`: this machine, which has the commands of the engine.
    name: Option<String>,
    state: &'static str,
    runs: u32,
    slots: u32,
    draining: bool,
    unreachable_since: Option<Timestamp>,
    cause: Option<String>,
}

impl ExecutorJson {
    pub fn new(view: &ExecutorView) -> Self {
        let host = |host: &ExecutorHost| {
            let unreachable = view.unreachable(host);
            HostJson {
                name: Some(host.name.clone()).filter(|name| !name.is_empty()),
                state: state_word(host, unreachable),
                runs: view.runs(host),
                slots: host.slots,
                draining: host.is_draining,
                unreachable_since: unreachable.map(|known| known.since),
                cause: unreachable.map(|known| known.cause.clone()),
            }
        };
        let Executor { kind, hosts, rundir, placement, options } = &view.executor;
        Self {
            name: view.name.clone(),
            r#type: kind.as_str(),
            rundir: Some(rundir.clone()).filter(|rundir| !rundir.is_empty()),
            placement: placement.as_str(),
            options: options.iter().map(|(key, value)| [key.clone(), value.clone()]).collect(),
            hosts: hosts.iter().map(host).collect(),
        }
    }
}

fn state_word(host: &ExecutorHost, unreachable: Option<&Unreachable>) -> &'static str {
    match (unreachable, host.is_draining) {
        (Some(_), _) => "unreachable",
        (None, true) => "draining",
        (None, false) => "up",
    }
}

/// The table of `executor`, a row for each host.
pub fn executor_table(views: &[ExecutorView], times: &Times<'_>) -> Table {
    let mut table = Table::new([
        Column::left("EXECUTOR"),
        Column::left("TYPE"),
        Column::left("HOST").unless_unknown(),
        Column::right("RUNS"),
        Column::right("SLOTS"),
        Column::left("STATE"),
    ]);
    for view in views {
        for host in &view.executor.hosts {
            let state = match view.unreachable(host) {
                Some(known) => {
                    let since = times.show(known.since);
                    let draining = if host.is_draining { "draining, " } else { "" };
                    format!("{draining}unreachable since {since}: {}", known.cause)
                }
                None => state_word(host, None).to_owned(),
            };
            table.push([
                TableCell::new(view.name.as_str()),
                TableCell::new(view.executor.kind.as_str()),
                match host.name.as_str() {
                    "" => TableCell::unknown(),
                    name => TableCell::new(name),
                },
                TableCell::new(view.runs(host).to_string()),
                TableCell::new(host.slots.to_string()),
                TableCell::new(state),
            ]);
        }
    }
    table
}
