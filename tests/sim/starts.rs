//! Owns: which runs must start, in which order, and what the keeper has when all messages have arrived.
//! Never: what a run requires besides a slot (see `requirements`).

use std::collections::{BTreeMap, BTreeSet};

use taskq::daemon::TurnOutput;
use taskq::domain::Overlap;
use taskq::keeper::protocol::{Attempt, KeeperInstance, Task, ToKeeper};

use crate::arrays::{Order, order_of};
use crate::audit::{Audit, Changes};
use crate::keeper::{Keeper, Ledger};
use crate::rows::{ArrayRow, Row};

/// A run or an array that waits for a slot, and for what it requires.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Startable<'a> {
    pub order: Order,
    pub queue: &'a str,
    pub rank: i64,
    /// 0: nothing.
    pub requirement: i64,
    pub queued_at: i64,
    pub job: i64,
}

impl Audit {
    /// Checks that exactly the claimed runs are ordered to start, the best first.
    pub fn check_starts(&self, changes: &Changes, instance: Option<KeeperInstance>, done: &TurnOutput) {
        let ordered: Vec<Attempt> = done
            .orders
            .iter()
            .filter_map(|order| match order {
                ToKeeper::Start(order, _) if order.attempt.run().is_some() => Some(order.attempt),
                _ => None,
            })
            .collect();
        for (old, new) in changes {
            let was_claimed = old.as_ref().is_some_and(|old| old.keeper.is_some());
            if new.is_open() && new.keeper.is_some() && !was_claimed {
                assert!(ordered.contains(&new.attempt()), "claimed and not ordered: {new:?}");
            }
        }
        let rows: Vec<&Row> = ordered
            .iter()
            .map(|attempt| {
                self.open_rows().find(|row| row.attempt() == *attempt).expect("what is over is not started")
            })
            .collect();
        assert!(
            rows.iter().all(|row| row.keeper == instance && instance.is_some()),
            "ordered and not claimed"
        );
        let new: BTreeSet<i64> =
            changes.iter().filter(|(old, _)| old.is_none()).map(|(_, row)| row.id).collect();
        // A run of an array that was made now has the place of the array.
        let order = |row: &Row| match row.array.filter(|_| new.contains(&row.id)) {
            Some(array) => order_of(self.arrays.get(array)),
            None => (row.rank, 2 * row.id),
        };
        let startable = if rows.is_empty() { Vec::new() } else { self.startable() };
        for (index, row) in rows.iter().enumerate() {
            let later =
                rows[index + 1..].iter().find(|later| later.queue == row.queue && order(later) < order(row));
            assert!(later.is_none(), "{row:?} is ordered before {later:?}");
            let overtaken = startable.iter().find(|other| {
                other.queue == row.queue
                    && other.order < order(row)
                    && self.requirements.may_not_be_passed(other, row)
            });
            assert!(overtaken.is_none(), "{row:?} overtook {overtaken:?}");
            assert!(row.at_once.is_none_or(|at_once| self.beside(row) < at_once), "too many beside {row:?}");
        }
    }

    /// Returns the runs and arrays that wait for nothing but a slot and what they require.
    pub fn startable(&self) -> Vec<Startable<'_>> {
        let is_startable = |row: &&Row| {
            let is_free = |at_once| self.beside(row) < at_once;
            row.waits()
                && row.state == "queued"
                && row.awaits == 0
                && !row.held
                && row.at_once.is_none_or(is_free)
        };
        let runs = self.open_rows().filter(is_startable);
        let runs = runs.map(|row| Startable {
            order: (row.rank, 2 * row.id),
            queue: &row.queue,
            rank: row.rank,
            requirement: row.requirement,
            queued_at: row.queued_at,
            job: row.job,
        });
        let arrays = self.arrays.all().filter(|array| self.is_array_startable(array));
        let arrays = arrays.map(|array| Startable {
            order: order_of(array),
            queue: &array.queue,
            rank: array.rank,
            requirement: array.requirement,
            queued_at: array.queued_at,
            job: array.job,
        });
        runs.chain(arrays).collect()
    }

    fn is_array_startable(&self, array: &ArrayRow) -> bool {
        let allows = || self.hearing.overlap(array.job) == Some(Overlap::Allow);
        let mut earlier = self.arrays.open_of(array.job).filter(|other| other.id < array.id);
        let under_way = || {
            let of_job = self.open_rows().filter(|other| other.job == array.job);
            of_job.filter(|other| other.has_begun() && other.callback.is_none()).count() as u32
        };
        array.rest > 0
            && !array.held
            && array.awaits == 0
            && (earlier.next().is_none() || allows())
            && array.at_once.is_none_or(|at_once| under_way() < at_once)
    }

    /// Returns how many other runs of its job are claimed, or between two attempts. Of runs that are all
    /// between two attempts, the oldest goes first.
    fn beside(&self, row: &Row) -> u32 {
        let is_beside = |other: &&Row| {
            let goes_first = row.attempt == 1 || other.id < row.id;
            other.job == row.job
                && other.id != row.id
                && other.callback.is_none()
                && (other.keeper.is_some() || other.attempt > 1 && goes_first)
        };
        self.open_rows().filter(is_beside).count() as u32
    }

    /// Checks, while no message is under way, that database and keeper agree, and that no run waits for
    /// nothing.
    pub fn quiet(
        &self,
        keeper: &Keeper,
        default_slots: usize,
        is_all_recorded: bool,
        (ledger, mono): (&Ledger, u64),
    ) {
        let claimed: BTreeSet<Attempt> =
            self.open_rows().filter(|row| row.keeper == Some(keeper.instance)).map(Row::attempt).collect();
        let known = keeper.known().into_iter().filter(|attempt| !matches!(attempt.task, Task::Gate(_)));
        let (mails, known): (BTreeSet<Attempt>, BTreeSet<Attempt>) =
            known.partition(|attempt| attempt.run().is_none());
        self.mails.quiet(&mails, keeper.instance);
        assert_eq!(known, claimed, "what the keeper has, and what the database has claimed");
        let strays: Vec<&Row> =
            self.open_rows().filter(|row| row.keeper.is_some_and(|k| k != keeper.instance)).collect();
        assert!(strays.is_empty(), "claimed for a keeper that is gone: {strays:?}");
        assert_eq!(keeper.unacknowledged(), 0, "results are kept that no daemon will ask for");
        for (attempt, is_stopped) in keeper.processes().filter(|(attempt, _)| attempt.run().is_some()) {
            let row = self.open_rows().find(|row| row.attempt() == attempt).expect("as claimed");
            assert!(
                is_stopped || row.stop_at.is_none(),
                "to be stopped, and the keeper was not sent that: {row:?}"
            );
            assert!(!is_all_recorded || row.state == "running", "it has a process: {row:?}");
        }
        let mut startable = self.startable();
        startable.sort_unstable();
        self.requirements.quiet(
            &startable,
            self.rows.values(),
            &self.slots_left(keeper, default_slots),
            (ledger, mono),
        );
        startable.retain(|waiting| waiting.requirement == 0);
        for queue in self.db.queues() {
            let slots = queue.slots.unwrap_or(default_slots);
            let running = keeper.running_in(&queue.name);
            let row_of = |attempt: &Attempt| {
                self.open_rows().find(|row| row.attempt() == *attempt).expect("as claimed")
            };
            let standing: Vec<&Row> = keeper.standing_by(&queue.name).iter().map(row_of).collect();
            let waiting: Vec<_> = startable.iter().filter(|waiting| waiting.queue == queue.name).collect();
            if queue.paused || slots == 0 {
                assert!(standing.is_empty(), "stands by in a queue that starts nothing: {standing:?}");
                continue;
            }
            if running < slots {
                // One that needs something waits for the share of another.
                let plain: Vec<&&Row> = standing.iter().filter(|row| row.requirement == 0).collect();
                assert!(plain.is_empty(), "{running} of {slots} slots taken, yet stands by: {plain:?}");
                assert!(waiting.is_empty(), "{running} of {slots} slots taken, yet waits: {waiting:?}");
            }
            assert!(standing.iter().all(|row| !row.held), "stands by for a paused job");
            assert!(standing.is_sorted_by_key(|row| row.rank), "stands by in a wrong order: {standing:?}");
            if let (Some(first), Some(last)) = (waiting.first(), standing.last()) {
                assert!(first.rank >= last.rank, "{first:?} waits after {last:?}");
            }
        }
    }

    /// Returns how many slots each queue has left.
    fn slots_left(&self, keeper: &Keeper, default_slots: usize) -> BTreeMap<String, usize> {
        let left = |queue: crate::rows::QueueRow| {
            let slots = if queue.paused { 0 } else { queue.slots.unwrap_or(default_slots) };
            let left = slots.saturating_sub(keeper.running_in(&queue.name));
            (queue.name, left)
        };
        self.db.queues().into_iter().map(left).collect()
    }
}
