//! Owns: the rows of executors, what is known of their hosts, and the runs that hosts have.
//! Never: which host a run gets (see `engine`), or what is said to it (see `daemon`).

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};

use super::codec::{place, requirement, share};
use super::definition::REQUIREMENT;
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    Executor, ExecutorHost, ExecutorName, FarPlace, FireId, Happening, Requirement, RequirementId, RunId,
    Share, Size, Timestamp,
};
use crate::engine::{FarExecutor, FarFacts, FarHost, Supply};

/// That a host does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    pub since: Timestamp,
    /// Why, in the words of the client that asked it.
    pub cause: String,
}

/// A run that a host has, or is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarRun {
    pub run: RunId,
    pub attempt: u32,
    pub place: FarPlace,
    /// Its process there, 0 if nobody knows it, and its start, if that is recorded.
    pub started: Option<(u32, Timestamp)>,
    /// A stop was requested; `true`: by KILL at once.
    pub stop: Option<bool>,
    pub log_limit: Size,
}

fn executor(row: &Row<'_>, at: usize) -> rusqlite::Result<Executor> {
    let data: String = row.get(at)?;
    serde_json::from_str(&data).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, error.into())
    })
}

impl Reader<'_> {
    /// Returns all executors, sorted by name.
    pub fn executors(&self) -> StoreResult<BTreeMap<ExecutorName, Executor>> {
        let rows = self.all("SELECT name, data FROM executor", [], |row| {
            let name: String = row.get(0)?;
            let name = name.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
            Ok((name, executor(row, 1)?))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Returns a hint about a name that no executor has.
    pub fn executors_hint(&self) -> StoreResult<String> {
        let known: Vec<String> = self.executors()?.keys().map(|name| format!("`{name}`")).collect();
        Ok(match known.as_slice() {
            [] => "make one with `taskq executor add`".to_owned(),
            known => format!("there is {}", known.join(", ")),
        })
    }

    /// Returns an executor; `None`: there is none of this name.
    pub fn executor(&self, name: &ExecutorName) -> StoreResult<Option<Executor>> {
        self.first("SELECT data FROM executor WHERE name = ?1", [name.as_str()], |row| executor(row, 0))
    }

    /// Returns the hosts that did not answer when they were asked last.
    pub fn unreachable(&self) -> StoreResult<BTreeMap<FarPlace, Unreachable>> {
        let rows = self.all("SELECT executor, host, since, cause FROM unreachable", [], |row| {
            Ok((place(row, 0)?, Unreachable { since: row.get(2)?, cause: row.get(3)? }))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Returns how many runs each host has.
    pub fn far_counts(&self) -> StoreResult<BTreeMap<FarPlace, u32>> {
        let rows = self.all(
            "SELECT executor, host, count(*) FROM run
             WHERE state <> 'finished' AND executor IS NOT NULL GROUP BY executor, host",
            [],
            |row| Ok((place(row, 0)?, row.get(2)?)),
        )?;
        Ok(rows.into_iter().collect())
    }

    /// Returns the runs that hosts have, or are to start, oldest first.
    pub fn far_runs(&self) -> StoreResult<Vec<FarRun>> {
        self.all(
            "SELECT run.job_id, run.number, run.attempt, run.executor, run.host, run.started_at,
                ifnull(run.pid, 0), iif(run.stop_at IS NULL, NULL, run.stop_now), job.log_limit
             FROM run JOIN job ON job.id = run.job_id
             WHERE run.state <> 'finished' AND run.executor IS NOT NULL ORDER BY run.id",
            [],
            |row| {
                Ok(FarRun {
                    run: RunId { job: row.get(0)?, number: row.get(1)? },
                    attempt: row.get(2)?,
                    place: place(row, 3)?,
                    started: match row.get(5)? {
                        Some(at) => Some((row.get(6)?, at)),
                        None => None,
                    },
                    stop: row.get(7)?,
                    log_limit: row.get(8)?,
                })
            },
        )
    }

    /// Returns the attempts of which hosts have the data still, although their end is recorded.
    pub fn leftovers(&self) -> StoreResult<Vec<(FarPlace, RunId, u32)>> {
        self.all("SELECT executor, host, job_id, number, attempt FROM leftover", [], |row| {
            Ok((place(row, 0)?, RunId { job: row.get(2)?, number: row.get(3)? }, row.get(4)?))
        })
    }

    /// Returns where a run is, and what is said of it there.
    pub fn place_of_run(&self, run: RunId) -> StoreResult<Option<(FarPlace, Option<String>)>> {
        self.first(
            "SELECT executor, host, far_note FROM run
             WHERE job_id = ?1 AND number = ?2 AND executor IS NOT NULL",
            params![run.job, run.number],
            |row| Ok((place(row, 0)?, row.get(2)?)),
        )
    }

    /// Returns the executors as runs are placed on them.
    pub(super) fn far_executors(&self) -> StoreResult<BTreeMap<ExecutorName, FarExecutor>> {
        let executors = self.executors()?;
        if executors.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (counts, unreachable) = (self.far_counts()?, self.unreachable()?);
        let shares = self.far_shares()?;
        let facts = |(name, executor): (ExecutorName, Executor)| {
            let capacities = executor.capacities();
            let host = |host: ExecutorHost| {
                let place = FarPlace { executor: name.clone(), host: host.name };
                let of_host = shares.iter().filter(|(of, _)| *of == place).map(|(_, share)| share);
                FarHost {
                    slots: host.slots,
                    in_use: counts.get(&place).copied().unwrap_or(0),
                    supply: Supply::new(capacities.clone(), of_host),
                    is_draining: host.is_draining,
                    is_unreachable: unreachable.contains_key(&place),
                    name: place.host,
                }
            };
            let counts_needs = executor.counts_needs();
            let hosts = executor.hosts.into_iter().map(host).collect();
            (name, FarExecutor { hosts, placement: executor.placement, counts_needs })
        };
        Ok(executors.into_iter().map(facts).collect())
    }

    /// Returns the facts about the executor of a fire that has not started.
    pub(super) fn far_facts(&self, name: ExecutorName, fire: FireId) -> StoreResult<FarFacts> {
        let known = self.unreachable()?.into_iter().filter(|(place, _)| place.executor == name);
        let unreachable = known.map(|(place, known)| (place.host, (known.since, known.cause))).collect();
        let found = match fire {
            FireId::Run(run) => self.place_of_run(run)?,
            FireId::Array { .. } => None,
        };
        let (place, note) = found.map_or((None, None), |(place, note)| (Some(place), note));
        let executor = self.far_executors()?.remove(&name);
        Ok(FarFacts { name, executor, unreachable, place, note })
    }

    /// Returns what runs have booked on hosts.
    fn far_shares(&self) -> StoreResult<Vec<(FarPlace, Share)>> {
        self.all(
            "SELECT executor, host, share FROM run
             WHERE state <> 'finished' AND share IS NOT NULL AND executor IS NOT NULL",
            [],
            |row| Ok((place(row, 0)?, share(row, 2)?.expect("it is not NULL"))),
        )
    }

    /// Returns a requirement; the empty one, if there is none.
    pub(super) fn requirement_of(&self, id: RequirementId) -> StoreResult<Requirement> {
        let found = self.first(REQUIREMENT, [id], |row| requirement(row, 0))?;
        Ok(found.unwrap_or_default())
    }
}

impl Writer<'_> {
    /// Makes an executor, or changes it. What is known of hosts that it no longer has is forgotten.
    pub fn set_executor(&self, name: &ExecutorName, executor: &Executor) -> StoreResult<()> {
        let data = serde_json::to_string(executor).expect("writing to memory cannot fail");
        let before: Option<String> = self
            .transaction
            .query_row("SELECT data FROM executor WHERE name = ?1", [name.as_str()], |row| row.get(0))
            .optional()?;
        if before.as_ref() == Some(&data) {
            return Ok(());
        }
        self.change(
            "INSERT INTO executor (name, data) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET data = excluded.data",
            params![name.as_str(), data],
        )?;
        // Whatever was wrong may be right now: it is asked again.
        self.change("DELETE FROM unreachable WHERE executor = ?1", [name.as_str()])?;
        let kind = executor.kind.as_str().into();
        self.record(&Happening::ExecutorSet { executor: name.to_string(), kind });
        Ok(())
    }

    /// Removes an executor that nothing uses.
    pub fn remove_executor(&self, name: &ExecutorName) -> StoreResult<()> {
        self.change("DELETE FROM unreachable WHERE executor = ?1", [name.as_str()])?;
        self.change("DELETE FROM leftover WHERE executor = ?1", [name.as_str()])?;
        self.change("DELETE FROM executor WHERE name = ?1", [name.as_str()])?;
        self.record(&Happening::ExecutorRemoved { executor: name.to_string() });
        Ok(())
    }

    /// The end of an attempt is recorded now: its host is to forget it.
    pub fn keep_leftover(&self, run: RunId, attempt: u32) -> StoreResult<()> {
        self.change(
            "INSERT OR IGNORE INTO leftover (job_id, number, attempt, executor, host)
             SELECT job_id, number, attempt, executor, host FROM run
             WHERE job_id = ?1 AND number = ?2 AND attempt = ?3 AND executor IS NOT NULL",
            params![run.job, run.number, attempt],
        )
    }

    /// Its host has forgotten an attempt.
    pub fn forget_leftover(&self, run: RunId, attempt: u32) -> StoreResult<()> {
        self.change(
            "DELETE FROM leftover WHERE job_id = ?1 AND number = ?2 AND attempt = ?3",
            params![run.job, run.number, attempt],
        )
    }

    /// Records whether a host answers. Returns whether this changed it.
    pub fn set_reachable(&self, place: &FarPlace, cause: Option<&str>, now: Timestamp) -> StoreResult<bool> {
        let of = params![place.executor.as_str(), place.host];
        let known: Option<String> =
            self.first("SELECT cause FROM unreachable WHERE executor = ?1 AND host = ?2", of, |row| {
                row.get(0)
            })?;
        let exists = self.executor(&place.executor)?.is_some();
        match (&known, cause.filter(|_| exists)) {
            (None, Some(cause)) => {
                self.change(
                    "INSERT INTO unreachable (executor, host, since, cause) VALUES (?1, ?2, ?3, ?4)",
                    params![place.executor.as_str(), place.host, now, cause],
                )?;
                let cause = cause.to_owned().into();
                self.record(&Happening::HostUnreachable { place: place.to_string(), cause });
            }
            (Some(_), None) => {
                self.change("DELETE FROM unreachable WHERE executor = ?1 AND host = ?2", of)?;
                self.record(&Happening::HostReachable { place: place.to_string() });
            }
            (Some(known), Some(cause)) if known != cause => {
                let of = params![place.executor.as_str(), place.host, cause];
                self.change("UPDATE unreachable SET cause = ?3 WHERE executor = ?1 AND host = ?2", of)?;
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        Ok(known.is_some() == cause.is_none())
    }

    /// Records what a host says of a run that has not started there.
    pub fn note_far(&self, run: RunId, attempt: u32, note: Option<&str>) -> StoreResult<()> {
        self.change(
            "UPDATE run SET far_note = ?4 WHERE job_id = ?1 AND number = ?2 AND attempt = ?3
                AND state <> 'finished' AND executor IS NOT NULL AND far_note IS NOT ?4",
            params![run.job, run.number, attempt, note],
        )
    }
}
