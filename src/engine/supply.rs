//! Owns: how much of each resource is free, and which part of it a run gets.
//! Never: which run comes first (see `admit`).

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Needs, Portion, ResourceName, Share};

/// The parts of a resource with at most so many are counted, and each run is told which it has.
const INDICES_MAX: u64 = 1_024;

/// The resources while runs are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    stocks: BTreeMap<ResourceName, Stock>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stock {
    capacity: u64,
    booked: u64,
    /// Kept for runs that wait for more.
    kept: u64,
    /// The indices that runs have.
    taken: BTreeSet<u32>,
}

impl Stock {
    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.booked).saturating_sub(self.kept)
    }

    fn book(&mut self, portion: &Portion) {
        self.booked = self.booked.saturating_add(portion.amount());
        if let Portion::Indices(indices) = portion {
            self.taken.extend(indices);
        }
    }

    fn pick(&self, amount: u64) -> Portion {
        if self.capacity > INDICES_MAX {
            return Portion::Amount(amount);
        }
        let capacity = u32::try_from(self.capacity).expect("it has few parts");
        let free = (0..capacity).filter(|index| !self.taken.contains(index));
        let indices: Vec<u32> = free.take(usize::try_from(amount).unwrap_or(usize::MAX)).collect();
        // Fewer are known to be free where a run has parts that nobody knows.
        if indices.len() as u64 == amount { Portion::Indices(indices) } else { Portion::Amount(amount) }
    }
}

impl Supply {
    /// Returns the resources with these capacities, of which runs have these shares.
    pub fn new<'a>(
        capacities: BTreeMap<ResourceName, u64>,
        shares: impl IntoIterator<Item = &'a Share>,
    ) -> Self {
        let stock = |(name, capacity)| (name, Stock { capacity, ..Stock::default() });
        let mut stocks: BTreeMap<ResourceName, Stock> = capacities.into_iter().map(stock).collect();
        for (name, portion) in shares.into_iter().flat_map(Share::iter) {
            stocks.entry(name.clone()).or_default().book(portion);
        }
        Self { stocks }
    }

    /// Returns whether there is so much at all.
    pub fn could_hold(&self, needs: &Needs) -> bool {
        needs.iter().all(|(name, amount)| self.capacity(name) >= amount)
    }

    /// Returns how much there is of a resource; 0 if there is none of this name.
    pub fn capacity(&self, name: &ResourceName) -> u64 {
        self.stocks.get(name).map_or(0, |stock| stock.capacity)
    }

    /// Returns how much of a resource is neither booked nor kept.
    pub fn free(&self, name: &ResourceName) -> u64 {
        self.stocks.get(name).map_or(0, Stock::free)
    }

    /// Returns how many runs with these needs have room.
    pub(super) fn room_for(&self, needs: &Needs) -> u32 {
        let room = needs.iter().map(|(name, amount)| self.free(name) / amount).min();
        room.map_or(u32::MAX, |room| u32::try_from(room).unwrap_or(u32::MAX))
    }

    /// Returns the resources of which less is free than a run needs.
    pub fn lacks(&self, needs: &Needs) -> Vec<ResourceName> {
        let lacking = needs.iter().filter(|(name, amount)| self.free(name) < *amount);
        lacking.map(|(name, _)| name.clone()).collect()
    }

    /// Books for a run what it needs, the lowest indices, and returns its share.
    pub(super) fn take(&mut self, needs: &Needs) -> Share {
        let mut portions = Vec::new();
        for (name, amount) in needs.iter() {
            let stock = self.stocks.entry(name.clone()).or_default();
            let portion = if name.is_in_bytes() { Portion::Amount(amount) } else { stock.pick(amount) };
            stock.book(&portion);
            portions.push((name.clone(), portion));
        }
        Share::new(portions)
    }

    /// Nobody gets anything of these resources: a run has some, and it is not known which.
    pub fn close(&mut self, needs: &Needs) {
        for (name, _) in needs.iter() {
            self.stocks.entry(name.clone()).or_default().kept = u64::MAX;
        }
    }

    /// Keeps for a run what it needs, so that runs behind it do not get it.
    pub(super) fn keep(&mut self, needs: &Needs) {
        for (name, amount) in needs.iter() {
            let stock = self.stocks.entry(name.clone()).or_default();
            stock.kept = stock.kept.saturating_add(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> Needs {
        text.parse().expect(text)
    }

    fn supply(capacities: &str, shares: &[&str]) -> Supply {
        let capacities = needs(capacities);
        let shares: Vec<Share> =
            shares.iter().map(|share| serde_json::from_str(share).expect("a share")).collect();
        Supply::new(capacities.iter().map(|(name, amount)| (name.clone(), amount)).collect(), &shares)
    }

    #[test]
    fn a_run_gets_the_lowest_indices_that_are_free() {
        let mut supply = supply("gpu=4,mem=8G", &[r#"{"gpu":{"indices":[1]}}"#]);
        assert_eq!(supply.take(&needs("gpu=2,mem=2G")).to_string(), "gpu=0,2 mem=2G");
        assert_eq!((supply.room_for(&needs("gpu=1")), supply.room_for(&needs("mem=4G"))), (1, 1));
        assert_eq!(supply.take(&needs("gpu=1")).to_string(), "gpu=3");
        assert_eq!(supply.lacks(&needs("gpu=1,mem=4G")).len(), 1);
        // Bytes are never counted one by one.
        assert_eq!(self::supply("mem=1K", &[]).take(&needs("mem=8")).to_string(), "mem=8");
    }

    #[test]
    fn what_is_kept_is_not_free_and_what_is_not_there_never_fits() {
        let mut supply = supply("gpu=4,lic=1", &[]);
        supply.keep(&needs("gpu=3"));
        assert_eq!((supply.room_for(&needs("gpu=1")), supply.room_for(&needs("gpu=2"))), (1, 0));
        assert!(supply.could_hold(&needs("gpu=4")));
        assert!(!supply.could_hold(&needs("gpu=5")) && !supply.could_hold(&needs("fpga=1")));
        assert_eq!(supply.room_for(&Needs::default()), u32::MAX);
    }

    #[test]
    fn a_resource_that_became_smaller_has_nothing_free_and_gives_no_index_twice() {
        let mut small = supply("gpu=2", &[r#"{"gpu":{"indices":[0,2,3]}}"#]);
        assert_eq!(small.room_for(&needs("gpu=1")), 0);
        small = supply("gpu=2", &[r#"{"gpu":{"indices":[3]}}"#]);
        assert_eq!(small.take(&needs("gpu=1")).to_string(), "gpu=0");
        // One run has a part that nobody knows.
        let mut unknown = supply("gpu=2", &[r#"{"gpu":{"amount":1}}"#, r#"{"gpu":{"indices":[0]}}"#]);
        assert_eq!(unknown.room_for(&needs("gpu=1")), 0);
        unknown = supply("gpu=3", &[r#"{"gpu":{"amount":1}}"#]);
        assert_eq!(unknown.take(&needs("gpu=2")).to_string(), "gpu=0,1");
    }
}
