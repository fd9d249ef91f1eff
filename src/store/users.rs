//! Owns: what keeps a queue, a resource or an executor from being removed.
//! Never: the refusal, in words.

use rusqlite::{Row, params};

use super::{Reader, StoreResult};
use crate::domain::{ExecutorName, JobId, QueueName, Requirement, ResourceName, RunId};

/// What uses a queue or an executor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// How many jobs in it are not done.
    pub jobs: u64,
    /// The first of them.
    pub first: Option<JobId>,
    /// A run there that is not finished. It may be of another job.
    pub run: Option<RunId>,
}

/// What uses a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsers {
    /// How many jobs that are not done need it.
    pub jobs: u64,
    /// The first of them.
    pub first: Option<JobId>,
    /// The largest amount that one of them needs.
    pub most: u64,
}

impl Reader<'_> {
    /// Returns what uses a queue.
    pub fn queue_users(&self, queue: &QueueName) -> StoreResult<Users> {
        let run = self.first(
            "SELECT job_id, number FROM run WHERE queue = ?1 AND state <> 'finished' ORDER BY id LIMIT 1",
            [queue.as_str()],
            run,
        )?;
        let (jobs, first) = self.one(
            "SELECT count(*), min(id) FROM job WHERE queue = ?1 AND done_at IS NULL",
            [queue.as_str()],
            jobs,
        )?;
        Ok(Users { jobs, first, run })
    }

    /// Returns what uses an executor.
    pub fn executor_users(&self, name: &ExecutorName) -> StoreResult<Users> {
        let run = self.first(
            "SELECT job_id, number FROM run WHERE state <> 'finished' AND executor IS NOT NULL
                AND executor = ?1 ORDER BY id LIMIT 1",
            [name.as_str()],
            run,
        )?;
        let mut users = Users { run, ..Users::default() };
        for (_, jobs, first) in self.requirements_in_use(|of| of.executor.as_ref() == Some(name))? {
            users.jobs += jobs;
            users.first = users.first.into_iter().chain([first]).min();
        }
        Ok(users)
    }

    /// Returns what uses a resource.
    pub fn resource_users(&self, name: &ResourceName) -> StoreResult<ResourceUsers> {
        let mut users = ResourceUsers::default();
        for (requirement, jobs, first) in self.requirements_in_use(|of| of.needs.of(name) > 0)? {
            users.jobs += jobs;
            users.first = users.first.into_iter().chain([first]).min();
            users.most = users.most.max(requirement.needs.of(name));
        }
        Ok(users)
    }

    /// Returns those requirements that jobs have which are not done: how many jobs, and the first of them.
    fn requirements_in_use(
        &self,
        is_wanted: impl Fn(&Requirement) -> bool,
    ) -> StoreResult<Vec<(Requirement, u64, JobId)>> {
        let mut found = Vec::new();
        for (id, requirement) in self.requirements()? {
            if !is_wanted(&requirement) {
                continue;
            }
            // Most jobs have requirement 0, and the index has none of them.
            let (jobs, first) = self.one(
                "SELECT count(*), min(id) FROM job WHERE requirement_id = ?1 AND requirement_id <> 0
                    AND done_at IS NULL",
                params![id],
                jobs,
            )?;
            found.extend(first.map(|first| (requirement, jobs, first)));
        }
        Ok(found)
    }
}

fn jobs(row: &Row<'_>) -> rusqlite::Result<(u64, Option<JobId>)> {
    Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
}

fn run(row: &Row<'_>) -> rusqlite::Result<RunId> {
    Ok(RunId { job: row.get(0)?, number: row.get(1)? })
}
