//! Owns: reading what waits in queues, and what is in the keeper of each. An index serves each query.
//! Never: which of it starts (see `engine`).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::codec::requirement;
use super::definition::REQUIREMENT;
use super::snapshot::Starter;
use super::{Reader, StoreResult};
use crate::domain::{ExecutorName, JobId, Placement, Requirement, RequirementId, RunId};
use crate::engine::{Candidate, Dispatch, FarExecutor, FarHost, Prefetched, QueueState, Supply, Waiting};

impl Reader<'_> {
    /// Returns the facts by which waiting runs start.
    pub(super) fn dispatch(&self, starter: Starter<'_>) -> StoreResult<Dispatch> {
        let has_kinds = self.has("SELECT 1 FROM requirement", [])?;
        let executors = if has_kinds && starter.can_book { self.far_executors()? } else { BTreeMap::new() };
        let queues = self.queue_states(starter, has_kinds, &executors)?;
        let gates = starter.gates.clone();
        if !has_kinds {
            return Ok(Dispatch { queues, gates, ..Dispatch::default() });
        }
        let of_queue = |queue: &QueueState| {
            let waiting = queue.candidates.iter().map(|candidate| candidate.requirement);
            let claimed = queue.claimed_requirements.iter().copied();
            waiting.chain(claimed).collect::<Vec<_>>()
        };
        let kinds: BTreeSet<RequirementId> = queues.iter().flat_map(of_queue).collect();
        let supply = if starter.can_book { self.open_supply(starter)? } else { Supply::default() };
        let requirements = self.requirements_of(kinds)?;
        let keys = self.sticky_keys(&queues, &requirements, &executors)?;
        Ok(Dispatch { queues, requirements, gates, executors, keys, supply })
    }

    /// Returns the resources that can be booked now. A run that stood by in a keeper that is gone may have
    /// started in the place of another, whatever it was given. Until that is known, nothing is booked of what
    /// it needs.
    fn open_supply(&self, starter: Starter<'_>) -> StoreResult<Supply> {
        let mut supply = self.supply(starter.machine, &self.booked()?)?;
        let unknown: Vec<RequirementId> = self.all(
            "SELECT DISTINCT requirement_id FROM run INDEXED BY run_claimed
             WHERE state <> 'finished' AND keeper IS NOT NULL
                AND keeper NOT IN (?1, 0) AND state = 'queued' AND requirement_id <> 0",
            [starter.keeper],
            |row| row.get(0),
        )?;
        for requirement in self.requirements_of(unknown)?.values() {
            supply.close(&requirement.needs);
        }
        Ok(supply)
    }

    /// Returns the names of the jobs that wait for an executor which places them by their name. One without
    /// a name has its id.
    fn sticky_keys(
        &self,
        queues: &[QueueState],
        requirements: &BTreeMap<RequirementId, Requirement>,
        executors: &BTreeMap<ExecutorName, FarExecutor>,
    ) -> StoreResult<BTreeMap<JobId, String>> {
        let mut keys = BTreeMap::new();
        let is_sticky = |id: RequirementId| {
            let executor = requirements.get(&id).and_then(|of| executors.get(of.executor.as_ref()?));
            executor.is_some_and(|executor| executor.placement == Placement::Sticky)
        };
        for candidate in queues.iter().flat_map(|queue| &queue.candidates) {
            if is_sticky(candidate.requirement) && !keys.contains_key(&candidate.job) {
                let sql = "SELECT ifnull(name, CAST(id AS TEXT)) FROM job WHERE id = ?1";
                keys.insert(candidate.job, self.one(sql, [candidate.job], |row| row.get(0))?);
            }
        }
        Ok(keys)
    }

    /// `has_kinds`: some runs require something.
    fn queue_states(
        &self,
        starter: Starter<'_>,
        has_kinds: bool,
        executors: &BTreeMap<ExecutorName, FarExecutor>,
    ) -> StoreResult<Vec<QueueState>> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT name, slots, paused_at IS NOT NULL, is_reordered FROM queue")?;
        let mut rows = statement.query([])?;
        let mut states = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let slots: Option<i64> = row.get(1)?;
            let slots = slots.map_or(starter.default_slots, |slots| usize::try_from(slots).unwrap_or(0));
            let (claimed, prefetched) = self.claimed_in(&name)?;
            let prefetch_max = (starter.prefetch_max)(&name);
            // One more than fits, because the plan says whether a run is left waiting.
            let wanted = (slots + prefetch_max).saturating_sub(claimed) + 1;
            let kinds = if has_kinds { self.waiting_kinds(&name)? } else { vec![RequirementId::NONE] };
            let mut limits = Vec::new();
            for kind in kinds {
                let far = self.far_room(kind, executors)?;
                limits.push((kind, far.map_or(wanted, |room| room + 1)));
            }
            let candidates = self.candidates(&name, &limits)?;
            if candidates.is_empty() && prefetched.is_empty() {
                continue;
            }
            let claimed_requirements = if has_kinds { self.claimed_requirements(&name)? } else { Vec::new() };
            states.push(QueueState {
                name,
                slots,
                paused: row.get(2)?,
                is_reordered: row.get(3)?,
                claimed,
                claimed_requirements,
                prefetched,
                prefetch_max,
                candidates,
            });
        }
        Ok(states)
    }

    fn claimed_in(&self, queue: &str) -> StoreResult<(usize, Vec<Prefetched>)> {
        let claimed: i64 = self.one(
            "SELECT count(*) FROM run
             WHERE queue = ?1 AND state <> 'finished' AND keeper IS NOT NULL AND keeper <> 0",
            [queue],
            |row| row.get(0),
        )?;
        let prefetched = self.all(
            "SELECT job_id, number, rank, held, requirement_id, share IS NOT NULL, queued_at FROM run
             WHERE queue = ?1 AND state = 'queued' AND state <> 'finished' AND keeper IS NOT NULL
                AND keeper <> 0 ORDER BY id DESC",
            [queue],
            |row| {
                let run = RunId { job: row.get(0)?, number: row.get(1)? };
                Ok(Prefetched {
                    run,
                    rank: row.get(2)?,
                    held: row.get(3)?,
                    requirement: row.get(4)?,
                    has_share: row.get(5)?,
                    queued_at: row.get(6)?,
                })
            },
        )?;
        Ok((usize::try_from(claimed).unwrap_or(0), prefetched))
    }

    fn claimed_requirements(&self, queue: &str) -> StoreResult<Vec<RequirementId>> {
        self.all(
            "SELECT DISTINCT requirement_id FROM run
             WHERE queue = ?1 AND state <> 'finished' AND keeper IS NOT NULL AND keeper <> 0",
            [queue],
            |row| row.get(0),
        )
    }

    /// Returns the different requirements of the waiting runs of a queue.
    pub(super) fn waiting_kinds(&self, queue: &str) -> StoreResult<Vec<RequirementId>> {
        // From one to the next by the index: many runs may have the same.
        self.all(
            "WITH RECURSIVE kind (id) AS (
                SELECT min(requirement_id) FROM run WHERE queue = ?1
                    AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0
                UNION ALL SELECT (SELECT min(requirement_id) FROM run WHERE queue = ?1
                    AND requirement_id > kind.id
                    AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0)
                FROM kind WHERE kind.id IS NOT NULL)
             SELECT id FROM kind WHERE id IS NOT NULL",
            [queue],
            |row| row.get(0),
        )
    }

    fn requirements_of(
        &self,
        ids: impl IntoIterator<Item = RequirementId>,
    ) -> StoreResult<BTreeMap<RequirementId, Requirement>> {
        let mut found = BTreeMap::new();
        for id in ids.into_iter().filter(|id| *id != RequirementId::NONE) {
            let of = self.first(REQUIREMENT, [id], |row| requirement(row, 0))?;
            found.extend(of.map(|of| (id, of)));
        }
        Ok(found)
    }

    /// Returns how many more runs of a kind its executor has slots for; `None`: it runs on this machine.
    fn far_room(
        &self,
        kind: RequirementId,
        executors: &BTreeMap<ExecutorName, FarExecutor>,
    ) -> StoreResult<Option<usize>> {
        if executors.is_empty() || kind == RequirementId::NONE {
            return Ok(None);
        }
        let Some(name) = self.requirement_of(kind)?.executor else { return Ok(None) };
        let free = |host: &FarHost| host.slots.saturating_sub(host.in_use) as usize;
        Ok(Some(executors.get(&name).map_or(0, |executor| executor.hosts.iter().map(free).sum())))
    }

    /// Returns what starts first: the waiting arrays, and of each kind the first waiting runs, so many.
    fn candidates(&self, queue: &str, kinds: &[(RequirementId, usize)]) -> StoreResult<Vec<Candidate>> {
        let mut found = Vec::new();
        for (kind, limit) in kinds {
            found.append(&mut self.waiting_runs(queue, *kind, *limit)?);
        }
        let arrays = self.waiting_arrays(queue)?;
        if kinds.len() > 1 || !arrays.is_empty() {
            // An array waits behind the runs that were there before it.
            found.extend(arrays);
            found.sort_by_key(|(candidate, place)| {
                (candidate.rank, *place, matches!(candidate.waiting, Waiting::Array { .. }))
            });
        }
        Ok(found.into_iter().map(|(candidate, _)| candidate).collect())
    }

    /// Returns the arrays of a queue with indices that could start, each with its place among the runs. One
    /// whose job lets no two fires run side by side waits for the one before it.
    fn waiting_arrays(&self, queue: &str) -> StoreResult<Vec<(Candidate, i64)>> {
        self.all(
            "SELECT job_id, id, rest, rank, at_once, beside, place, start_by IS NOT NULL, requirement_id,
                queued_at FROM (
                SELECT job_id, id, rest, rank, at_once, place, start_by, requirement_id, queued_at,
                    iif(at_once IS NULL, 0,
                    (SELECT count(*) FROM run AS other WHERE other.job_id = array.job_id
                        AND other.state <> 'finished' AND other.callback IS NULL
                        AND (other.keeper IS NOT NULL OR other.attempt > 1))) AS beside
                FROM array WHERE queue = ?1 AND rest > 0 AND held = 0 AND awaits = 0
                    AND ((SELECT overlap FROM job WHERE id = array.job_id) = 'allow'
                        OR NOT EXISTS (SELECT 1 FROM array AS earlier WHERE earlier.job_id = array.job_id
                            AND earlier.finished_at IS NULL AND earlier.id < array.id)))
             WHERE at_once IS NULL OR beside < at_once ORDER BY rank, place, id",
            [queue],
            |row| {
                let waiting = Waiting::Array { array: row.get(1)?, rest: row.get(2)? };
                let candidate = Candidate {
                    job: row.get(0)?,
                    waiting,
                    rank: row.get(3)?,
                    requirement: row.get(8)?,
                    queued_at: row.get(9)?,
                    at_once: row.get(4)?,
                    beside: row.get(5)?,
                    begun: false,
                    has_deadline: row.get(7)?,
                };
                Ok((candidate, row.get(6)?))
            },
        )
    }

    /// Returns the first waiting runs with a requirement, each with its place. A run between two attempts
    /// keeps its place at its job: the others wait as if it were running. Of several, the oldest goes first.
    fn waiting_runs(
        &self,
        queue: &str,
        requirement: RequirementId,
        limit: usize,
    ) -> StoreResult<Vec<(Candidate, i64)>> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT job_id, number, rank, at_once, beside, id, attempt > 1,
                attempt = 1 AND start_by IS NOT NULL, queued_at FROM (
                SELECT id, job_id, number, rank, at_once, attempt, start_by, queued_at,
                    iif(at_once IS NULL, 0,
                    (SELECT count(*) FROM run AS other WHERE other.job_id = run.job_id
                        AND other.state <> 'finished' AND other.callback IS NULL
                        AND (other.keeper IS NOT NULL OR other.attempt > 1
                            AND other.id <> run.id AND (run.attempt = 1 OR other.id < run.id)))) AS beside
                FROM run WHERE queue = ?1 AND requirement_id = ?2 AND state = 'queued' AND keeper IS NULL
                    AND held = 0 AND awaits = 0)
             WHERE at_once IS NULL OR beside < at_once ORDER BY rank, id",
        )?;
        let candidates = statement.query_map(params![queue, requirement], |row| {
            let run = RunId { job: row.get(0)?, number: row.get(1)? };
            let candidate = Candidate {
                job: run.job,
                waiting: Waiting::Run(run),
                rank: row.get(2)?,
                requirement,
                queued_at: row.get(8)?,
                at_once: row.get(3)?,
                beside: row.get(4)?,
                begun: row.get(6)?,
                has_deadline: row.get(7)?,
            };
            Ok((candidate, row.get(5)?))
        })?;
        // The index returns them in order, one at a time. With a bound `LIMIT` SQLite would plan the query
        // again for each value.
        Ok(candidates.take(limit).collect::<rusqlite::Result<_>>()?)
    }
}
