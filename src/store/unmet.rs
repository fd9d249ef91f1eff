//! Owns: the facts that explain why a fire does not start.
//! Never: deciding which condition is the first (see `engine`).

use std::collections::BTreeMap;

use rusqlite::{Row, params};

use super::codec::requirement;
use super::{Reader, StoreResult};
use crate::domain::{ArrayId, FireId, JobId, MachineSize, RequirementId, RunId, Timestamp};
use crate::engine::{AwaitingFire, Holder, Service, UnmetFacts, UnmetQueue, UnmetResources};

/// How many of the runs that have slots are read.
const HOLDERS_MAX: usize = 64;

/// The columns that runs and arrays have in common: `{}` is the table.
const COMMON: &str = "{}.queue, {}.rank, {}.at_once, {}.held, {}.awaits > 0, {}.scheduled_at, {}.queued_at,
    job.paused_at, job.after_any,
    (SELECT iif(job_id = 0, data, shown_text('requirement.data', id, 0, data)) FROM requirement
        WHERE id = {}.requirement_id),
    {}.requirement_id";

/// A fire in its queue.
struct Fire {
    facts: UnmetFacts,
    awaits: bool,
    any: bool,
    scheduled_at: Timestamp,
    rank: i64,
    requirement_id: RequirementId,
    /// Of a run its row, of an array the row of the newest run before it.
    place: i64,
    claimed_at: Option<Timestamp>,
}

fn read(row: &Row<'_>, fire: FireId, service: Service) -> rusqlite::Result<Fire> {
    Ok(Fire {
        facts: UnmetFacts {
            fire,
            service,
            queued_at: row.get(6)?,
            start_by: row.get(12)?,
            attempt: row.get(13)?,
            attempt_ended_at: row.get(14)?,
            not_before: row.get(15)?,
            held: row.get(3)?,
            job_paused_at: row.get(7)?,
            awaiting: None,
            claimed: row.get::<_, Option<Timestamp>>(16)?.is_some(),
            earlier_array: None,
            at_once: row.get(2)?,
            beside: Vec::new(),
            requirement: requirement(row, 9)?,
            readings: BTreeMap::new(),
            resources: UnmetResources::default(),
            far: None,
            queue: UnmetQueue { name: row.get(0)?, ..UnmetQueue::default() },
        },
        awaits: row.get(4)?,
        any: row.get(8)?,
        scheduled_at: row.get(5)?,
        rank: row.get(1)?,
        requirement_id: row.get(10)?,
        place: row.get(11)?,
        claimed_at: row.get(16)?,
    })
}

impl Reader<'_> {
    /// Returns the unfinished fire of a job that comes first: one with a process, else the one that starts
    /// first.
    pub fn first_unfinished(&self, job: JobId) -> StoreResult<Option<FireId>> {
        let run = self.first(
            "SELECT number FROM run WHERE job_id = ?1 AND state <> 'finished'
             ORDER BY state <> 'running', keeper IS NULL, attempt = 1, rank, id LIMIT 1",
            [job],
            |row| Ok(FireId::Run(RunId { job, number: row.get(0)? })),
        )?;
        match run {
            Some(run) => Ok(Some(run)),
            None => self.first_open_array(job),
        }
    }

    /// Returns the oldest array of a job that is not finished.
    pub fn first_open_array(&self, job: JobId) -> StoreResult<Option<FireId>> {
        Ok(self.open_arrays(job)?.first().map(|array| FireId::Array { job, array: *array }))
    }

    /// Returns since when the processes of a run are stopped; `None` if they are not.
    pub fn run_paused_at(&self, run: RunId) -> StoreResult<Option<Timestamp>> {
        self.one(
            "SELECT iif(state = 'running', paused_at, NULL) FROM run WHERE job_id = ?1 AND number = ?2",
            params![run.job, run.number],
            |row| row.get(0),
        )
    }

    /// Returns the facts about a fire that has no process, but for the readings of its gates.
    /// `default_slots`: the slots of a queue without a width.
    pub fn unmet_facts(
        &self,
        fire: FireId,
        service: Service,
        default_slots: usize,
        machine: MachineSize,
    ) -> StoreResult<UnmetFacts> {
        let mut found = self.waiting_fire(fire, service)?;
        let job = fire.job();
        if found.awaits {
            let awaited = |dependency| self.awaited(dependency, found.scheduled_at);
            let awaited = self.dependencies(job)?.into_iter().map(awaited).collect::<StoreResult<_>>()?;
            found.facts.awaiting = Some(AwaitingFire { fire, any: found.any, awaited });
        }
        found.facts.beside = self.beside(fire, found.facts.attempt, found.place)?;
        found.facts.earlier_array = self.earlier_array(fire)?;
        found.facts.queue = self.unmet_queue(&found, default_slots)?;
        if let Some(name) = found.facts.requirement.executor.clone() {
            found.facts.far = Some(self.far_facts(name, fire)?);
        } else if !found.facts.requirement.needs.is_empty() {
            found.facts.resources = self.unmet_resources(&found, machine)?;
        }
        Ok(found.facts)
    }

    fn unmet_resources(&self, fire: &Fire, machine: MachineSize) -> StoreResult<UnmetResources> {
        let shares = self.booked()?;
        let supply = self.supply(machine, &shares)?;
        let queues: Vec<String> =
            self.all("SELECT name FROM queue WHERE paused_at IS NULL", [], |row| row.get(0))?;
        let mut earlier = Vec::new();
        for (id, requirement) in self.requirements()? {
            if id == fire.requirement_id || requirement.needs.is_empty() {
                continue;
            }
            for queue in &queues {
                let first = self.first(
                    "SELECT job_id, number, queued_at FROM run WHERE queue = ?1 AND requirement_id = ?2
                        AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0
                     ORDER BY rank, id LIMIT 1",
                    params![queue, id],
                    |row| Ok((RunId { job: row.get(0)?, number: row.get(1)? }, row.get::<_, Timestamp>(2)?)),
                )?;
                if let Some((run, queued_at)) = first.filter(|(_, at)| *at < fire.facts.queued_at) {
                    earlier.push((queued_at, FireId::Run(run), requirement.needs.clone()));
                }
            }
        }
        earlier.sort_by_key(|(queued_at, ..)| *queued_at);
        let earlier = earlier.into_iter().map(|(_, fire, needs)| (fire, needs)).collect();
        Ok(UnmetResources { supply, shares, earlier })
    }

    fn waiting_fire(&self, fire: FireId, service: Service) -> StoreResult<Fire> {
        match fire {
            FireId::Run(run) => self.one(
                &format!(
                    "SELECT {}, run.id, iif(keeper IS NULL AND attempt = 1, start_by, NULL), attempt,
                        (SELECT finished_at FROM attempt WHERE run_id = run.id AND number = run.attempt - 1),
                        not_before, claimed_at
                     FROM run JOIN job ON job.id = run.job_id WHERE run.job_id = ?1 AND run.number = ?2",
                    COMMON.replace("{}", "run")
                ),
                params![run.job, run.number],
                |row| read(row, fire, service),
            ),
            FireId::Array { array, .. } => self.one(
                &format!(
                    "SELECT {}, place, start_by, 1, NULL, NULL, NULL
                     FROM array JOIN job ON job.id = array.job_id WHERE array.id = ?1",
                    COMMON.replace("{}", "array")
                ),
                [array],
                |row| read(row, fire, service),
            ),
        }
    }

    /// Returns the other runs of a job that count against its limit, as in `waiting_runs`.
    fn beside(&self, fire: FireId, attempt: u32, id: i64) -> StoreResult<Vec<RunId>> {
        let job = fire.job();
        let own = match fire {
            FireId::Run(_) => id,
            FireId::Array { .. } => 0,
        };
        self.all(
            "SELECT number FROM run WHERE job_id = ?1 AND state <> 'finished' AND callback IS NULL
                AND id <> ?2
                AND (keeper IS NOT NULL OR attempt > 1 AND (?3 = 1 OR id < ?2)) ORDER BY id",
            params![job, own, attempt],
            |row| Ok(RunId { job, number: row.get(0)? }),
        )
    }

    /// Returns an array that the array waits for, as in `waiting_arrays`.
    fn earlier_array(&self, fire: FireId) -> StoreResult<Option<ArrayId>> {
        let FireId::Array { job, array } = fire else { return Ok(None) };
        self.first(
            "SELECT id FROM array WHERE job_id = ?1 AND finished_at IS NULL AND id < ?2
                AND (SELECT overlap FROM job WHERE id = ?1) IS NOT 'allow' ORDER BY id LIMIT 1",
            params![job, array],
            |row| row.get(0),
        )
    }

    fn unmet_queue(&self, fire: &Fire, default_slots: usize) -> StoreResult<UnmetQueue> {
        let name = fire.facts.queue.name.clone();
        let (slots, paused_at, mean_run, running) = self.one(
            "SELECT slots, paused_at, mean_run_us, (SELECT count(*) FROM run WHERE run.queue = queue.name
                AND state = 'running' AND state <> 'finished' AND keeper IS NOT NULL AND keeper <> 0)
             FROM queue WHERE name = ?1",
            [&name],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?)),
        )?;
        let (claimed, holders) = self.claimed_before(fire)?;
        Ok(UnmetQueue {
            slots: slots.map_or(default_slots, |slots| usize::try_from(slots).unwrap_or(0)),
            paused_at,
            running: usize::try_from(running).unwrap_or(0),
            claimed,
            holders,
            waiting: if fire.facts.claimed { 0 } else { self.waiting_before(fire)? },
            mean_run,
            name,
        })
    }

    /// Returns the number of claimed runs of the queue that a fire comes after, and the first of them.
    fn claimed_before(&self, fire: &Fire) -> StoreResult<(usize, Vec<Holder>)> {
        const CLAIMED: &str = "FROM run WHERE queue = ?1 AND state <> 'finished' AND keeper IS NOT NULL
            AND keeper <> 0 AND (?2 IS NULL OR state = 'running' OR (claimed_at, id) < (?2, ?3))";
        let of = params![fire.facts.queue.name, fire.claimed_at, fire.place];
        let count: i64 = self.one(&format!("SELECT count(*) {CLAIMED}"), of, |row| row.get(0))?;
        let mut holders = self.all(
            &format!(
                "SELECT job_id, number, started_at, paused_at IS NOT NULL {CLAIMED}
                 ORDER BY state <> 'running', ifnull(started_at, claimed_at), id LIMIT {HOLDERS_MAX}"
            ),
            of,
            |row| {
                let run = RunId { job: row.get(0)?, number: row.get(1)? };
                Ok(Holder { run, started_at: row.get(2)?, paused: row.get(3)?, usual: None })
            },
        )?;
        for holder in &mut holders {
            holder.usual = self.expected_of(holder.run.job)?;
        }
        Ok((usize::try_from(count).unwrap_or(0), holders))
    }

    /// Returns the number of runs that the queue starts before a fire, of those that are not claimed.
    fn waiting_before(&self, fire: &Fire) -> StoreResult<u64> {
        // A run goes before an array that was made after it.
        let (runs, array) = match fire.facts.fire {
            FireId::Run(_) => ("(rank, id) < (?2, ?3)", ArrayId(0)),
            FireId::Array { array, .. } => ("(rank, id) <= (?2, ?3)", array),
        };
        let count: i64 = self.one(
            &format!(
                "SELECT (SELECT count(*) FROM run WHERE queue = ?1 AND {runs}
                    AND requirement_id IN (SELECT 0 UNION ALL SELECT id FROM requirement)
                    AND state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0)
                 + (SELECT coalesce(sum(rest), 0) FROM array WHERE queue = ?1
                    AND (rank, place, id) < (?2, ?3, ?4) AND rest > 0 AND held = 0 AND awaits = 0)"
            ),
            params![fire.facts.queue.name, fire.rank, fire.place, array],
            |row| row.get(0),
        )?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
