//! Owns: the files that jobs were applied from, and whole jobs by their names, for `apply`.
//! Never: reading a file, or deciding what changes (see `cli::apply`).

use std::collections::HashMap;
use std::sync::LazyLock;

use rusqlite::{Row, params};

use super::definition::Cells;
use super::{Reader, StoreResult, Writer, definition};
use crate::domain::{Happening, JobId, JobName, NewJob, TriggerSpec};

/// All that is stored of a job but its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedJob {
    pub id: JobId,
    /// With its environment, tags, dependencies and items. The overlap policy is the one that was given.
    pub definition: NewJob,
    pub triggers: Vec<TriggerSpec>,
    /// It is done, or none of its triggers fires again.
    pub is_over: bool,
    /// With `times`: how many runs of its triggers have begun.
    pub begun: u32,
    /// The file that it was applied from last.
    pub source: Option<Vec<u8>>,
}

/// A job that was applied from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedJob {
    pub id: JobId,
    /// Its name in the file.
    pub name: JobName,
    /// Its name now.
    pub present_name: Option<JobName>,
    /// It is done, or none of its triggers fires again.
    pub is_over: bool,
}

/// The condition that a job is done, or none of its triggers fires again.
macro_rules! is_over {
    () => {
        concat!(
            "(job.done_at IS NOT NULL OR EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id)
                AND NOT EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id AND ",
            will_fire!(),
            "))"
        )
    };
}

/// Whether a job has rows in other tables.
#[derive(Clone, Copy)]
struct HasMore {
    tags: bool,
    dependencies: bool,
}

/// Returns the query for whole jobs, whose ids are in `ids`. `named_job` reads its rows.
fn whole_jobs(ids: &str) -> String {
    format!(
        "SELECT job.id, job.paused_at IS NOT NULL, job.begun, {}, applied.source,
            EXISTS (SELECT 1 FROM tag WHERE job_id = job.id),
            EXISTS (SELECT 1 FROM dependency WHERE job_id = job.id), job.name, {},
            opened('environment.vars', environment.id, 0, vars)
         FROM job JOIN environment ON environment.id = environment_id
            LEFT JOIN applied ON applied.job_id = job.id
         WHERE job.id IN {ids}",
        is_over!(),
        definition::selected(Cells::Opened)
    )
}

fn named_job(row: &Row<'_>) -> rusqlite::Result<(NamedJob, HasMore)> {
    let definition = NewJob { name: row.get(7)?, hold: row.get(1)?, ..definition::read_whole(row, 8)? };
    let job = NamedJob {
        id: row.get(0)?,
        definition,
        triggers: Vec::new(),
        is_over: row.get(3)?,
        begun: row.get(2)?,
        source: row.get(4)?,
    };
    Ok((job, HasMore { tags: row.get(5)?, dependencies: row.get(6)? }))
}

impl Reader<'_> {
    /// Returns the job that a name means: the living one before one that is done.
    pub fn named_job(&self, name: &JobName) -> StoreResult<Option<NamedJob>> {
        static SQL: LazyLock<String> = LazyLock::new(|| {
            whole_jobs(
                "(SELECT id FROM job WHERE name = ?1
                    ORDER BY done_at IS NOT NULL, holds_name DESC, id DESC LIMIT 1)",
            )
        });
        let Some((mut job, has)) = self.first(&SQL, [name.as_str()], named_job)? else { return Ok(None) };
        self.complete_named(&mut job, has)?;
        job.triggers = self.triggers(job.id)?.into_iter().map(|trigger| trigger.spec).collect();
        Ok(Some(job))
    }

    /// Returns the living jobs that were applied from a file, by their names: the same as `named_job` for
    /// each of them, in less time.
    pub fn living_applied(&self, source: &[u8]) -> StoreResult<HashMap<JobName, NamedJob>> {
        static SQL: LazyLock<String> =
            LazyLock::new(|| whole_jobs("(SELECT job_id FROM applied WHERE source = ?1)"));
        let mut triggers: HashMap<JobId, Vec<TriggerSpec>> = HashMap::new();
        for (job, spec) in self.triggers_of_applied(source)? {
            triggers.entry(job).or_default().push(spec);
        }
        let mut living = HashMap::new();
        for (mut job, has) in self.all(&SQL, [source], named_job)? {
            if let Some(name) = job.definition.name.clone().filter(|_| !job.is_over) {
                self.complete_named(&mut job, has)?;
                job.triggers = triggers.remove(&job.id).unwrap_or_default();
                living.insert(name, job);
            }
        }
        Ok(living)
    }

    /// Adds what is in other tables, but for the triggers.
    fn complete_named(&self, job: &mut NamedJob, has: HasMore) -> StoreResult<()> {
        if has.tags {
            job.definition.tags =
                self.all("SELECT tag FROM tag WHERE job_id = ?1 ORDER BY tag", [job.id], |row| row.get(0))?;
        }
        if has.dependencies {
            job.definition.after.dependencies = self.dependencies(job.id)?;
        }
        if job.definition.has_items {
            job.definition.items = self.items(job.id)?;
        }
        Ok(())
    }

    /// Returns the file that a job was applied from last, and its name there.
    pub fn applied_from(&self, job: JobId) -> StoreResult<Option<(Vec<u8>, JobName)>> {
        self.first("SELECT source, name FROM applied WHERE job_id = ?1", [job], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Returns the living job that was applied from a file as `name`, and has another name now.
    pub fn renamed_job(&self, source: &[u8], name: &JobName) -> StoreResult<Option<NamedJob>> {
        let renamed: Option<Option<JobName>> = self.first(
            concat!(
                "SELECT job.name FROM applied JOIN job ON job.id = job_id
                 WHERE source = ?1 AND applied.name = ?2 AND job.name <> ?2 AND NOT ",
                is_over!()
            ),
            params![source, name.as_str()],
            |row| row.get(0),
        )?;
        renamed.flatten().map_or(Ok(None), |name| self.named_job(&name))
    }

    /// Returns all jobs that were applied from a file, in the order of their ids.
    pub fn applied_jobs(&self, source: &[u8]) -> StoreResult<Vec<AppliedJob>> {
        self.all(
            concat!(
                "SELECT job_id, applied.name, job.name, ",
                is_over!(),
                " FROM applied JOIN job ON job.id = job_id WHERE source = ?1 ORDER BY job_id"
            ),
            [source],
            |row| {
                let (id, name, present_name) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(AppliedJob { id, name, present_name, is_over: row.get(3)? })
            },
        )
    }
}

impl Writer<'_> {
    /// Remembers that a job was applied from a file, as `name`.
    pub fn set_applied(&self, job: JobId, source: &[u8], name: &JobName) -> StoreResult<()> {
        self.change(
            "INSERT OR REPLACE INTO applied (job_id, source, name) VALUES (?1, ?2, ?3)",
            params![job, source, name.as_str()],
        )
    }

    /// Forgets which file a job was applied from.
    pub fn drop_applied(&self, job: JobId) -> StoreResult<()> {
        self.change("DELETE FROM applied WHERE job_id = ?1", [job])
    }

    /// Records that a file was applied. The changes of its jobs have events of their own.
    pub fn has_applied(&self, source: &str) {
        self.record(&Happening::Applied { source: source.to_owned() });
    }
}
