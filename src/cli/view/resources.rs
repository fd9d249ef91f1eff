//! Owns: the table and the JSON of resources, and of what a run has of them.
//! Never: reading them (see `store`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::output::table::{Column, Table, TableCell};
use crate::domain::{Portion, ResourceName, Share};
use crate::shown;
use crate::store::ResourceView;

/// How many runs that have some of a resource are named.
const HOLDERS_SHOWN: usize = 8;

#[derive(Debug, Serialize)]
pub struct ResourceJson {
    name: String,
    total: u64,
    booked: u64,
    free: u64,
    built_in: bool,
    held_by: Vec<String>,
}

impl ResourceJson {
    pub fn new(resource: &ResourceView) -> Self {
        Self {
            name: resource.name.to_string(),
            total: resource.capacity,
            booked: resource.booked,
            free: resource.capacity.saturating_sub(resource.booked),
            built_in: resource.is_built_in,
            held_by: resource.holders.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What a run has of one resource: its parts, or how much.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PortionJson {
    Indices(Vec<u32>),
    Amount(u64),
}

/// Returns what a run has as JSON: `{"gpu":[0,1],"mem":4294967296}`.
pub fn share_json(share: &Share) -> BTreeMap<ResourceName, PortionJson> {
    let portion = |(name, portion): (&ResourceName, &Portion)| {
        let portion = match portion {
            Portion::Indices(indices) => PortionJson::Indices(indices.clone()),
            Portion::Amount(amount) => PortionJson::Amount(*amount),
        };
        (name.clone(), portion)
    };
    share.iter().map(portion).collect()
}

/// The table of `resource`.
pub fn resource_table(resources: &[ResourceView]) -> Table {
    let mut table = Table::new([
        Column::left("RESOURCE"),
        Column::right("TOTAL"),
        Column::right("FREE"),
        Column::left("HELD BY").unless_unknown(),
    ]);
    for resource in resources {
        let ResourceView { name, capacity, booked, holders, .. } = resource;
        let mut held_by: Vec<String> = holders.iter().take(HOLDERS_SHOWN).map(ToString::to_string).collect();
        let others = holders.len().saturating_sub(HOLDERS_SHOWN);
        held_by.extend((others > 0).then(|| format!("and {others} more")));
        table.push([
            TableCell::new(name.as_str()),
            TableCell::new(rounded(name, *capacity)),
            TableCell::new(rounded(name, capacity.saturating_sub(*booked))),
            match held_by.is_empty() {
                true => TableCell::unknown(),
                false => TableCell::new(held_by.join(" ")),
            },
        ]);
    }
    table
}

fn rounded(name: &ResourceName, amount: u64) -> String {
    if name.is_in_bytes() { shown::size(amount) } else { amount.to_string() }
}
