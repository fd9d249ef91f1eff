//! Owns: the facts for forgetting, and deleting jobs and runs with all that belongs to them in the store.
//! Never: deciding which (see `engine`), or files.

use std::sync::LazyLock;

use rusqlite::params;

use super::{Reader, Sampled, StoreResult, Writer};
use crate::domain::{ArrayId, BundleId, Happening, JobId, JobName, Outcome, RunId, Timestamp};
use crate::engine::stats::Totals;
use crate::engine::{PastJob, PastRun};

/// The tables of the parts of a run.
const PARTS_OF_A_RUN: [&str; 4] = ["output", "mail", "attempt", "run_timer"];

impl Reader<'_> {
    /// Returns the first job with this id or a higher one. `runs_max`: how many of its fires are no surplus.
    pub fn past_job(
        &self,
        from: JobId,
        runs_max: u64,
    ) -> StoreResult<Option<(JobId, Option<JobName>, PastJob)>> {
        static SQL: LazyLock<String> = LazyLock::new(|| {
            let failures: Vec<String> =
                Outcome::failures().iter().map(|outcome| format!("'{outcome}'")).collect();
            // Named, so that this fails if the index does not have the failures.
            format!(
                "SELECT id, name, done_at,
                    iif(array_first IS NOT NULL, (SELECT max(number) FROM run WHERE array_id =
                        (SELECT id FROM array WHERE job_id = job.id ORDER BY id DESC LIMIT 1 OFFSET ?2)),
                     iif(runs > ?2, (SELECT number FROM run WHERE job_id = job.id
                     ORDER BY number DESC LIMIT 1 OFFSET ?2), NULL)),
                    (SELECT number FROM run WHERE job_id = job.id AND state = 'finished'
                        AND callback IS NULL ORDER BY number DESC LIMIT 1),
                    (SELECT max(number) FROM run INDEXED BY run_failure
                     WHERE job_id = job.id AND outcome IN ({}) AND callback IS NULL),
                    EXISTS (SELECT 1 FROM crontab_entry WHERE job_id = job.id)
                        OR EXISTS (SELECT 1 FROM applied WHERE job_id = job.id),
                    EXISTS (SELECT 1 FROM dependency JOIN job AS other ON other.id = dependency.job_id
                        WHERE other.done_at IS NULL AND (on_id = job.id OR on_name = job.name)),
                    EXISTS (SELECT 1 FROM dependency WHERE (on_id = job.id OR on_name = job.name)
                        AND (EXISTS (SELECT 1 FROM run WHERE job_id = dependency.job_id
                                AND state <> 'finished' AND awaits > 0)
                            OR EXISTS (SELECT 1 FROM array WHERE job_id = dependency.job_id
                                AND finished_at IS NULL AND awaits > 0)))
                 FROM job WHERE id >= ?1 ORDER BY id LIMIT 1",
                failures.join(", ")
            )
        });
        let runs_max = i64::try_from(runs_max).unwrap_or(i64::MAX);
        self.first(&SQL, params![from, runs_max], |row| {
            let past = PastJob {
                done_at: row.get(2)?,
                last_surplus: row.get(3)?,
                last: row.get(4)?,
                last_failure: row.get(5)?,
                is_of_file: row.get(6)?,
                is_depended_on: row.get(7)?,
                is_awaited: row.get(8)?,
            };
            Ok((row.get(0)?, row.get(1)?, past))
        })
    }

    /// Passes the finished runs of a job with numbers above `after` to `look`, the oldest first, until it
    /// returns false.
    pub fn past_runs(
        &self,
        job: JobId,
        after: i64,
        mut look: impl FnMut(PastRun) -> bool,
    ) -> StoreResult<()> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT number, attempt, queued_at, finished_at,
                EXISTS (SELECT 1 FROM mail WHERE run_id = run.id AND failed IS NULL)
             FROM run WHERE job_id = ?1 AND number > ?2 AND state = 'finished' ORDER BY number",
        )?;
        let mut rows = statement.query(params![job, after])?;
        while let Some(row) = rows.next()? {
            let run = PastRun {
                number: row.get(0)?,
                attempts: row.get(1)?,
                queued_at: row.get(2)?,
                finished_at: row.get(3)?,
                has_open_mail: row.get(4)?,
            };
            if !look(run) {
                break;
            }
        }
        Ok(())
    }
}

impl Writer<'_> {
    /// Deletes finished runs of a job. The caller records it, with others.
    pub fn forget_runs(&self, job: JobId, numbers: impl Iterator<Item = i64>) -> StoreResult<()> {
        let mut totals = Totals::default();
        let mut succeeded_at = None;
        for number in numbers {
            succeeded_at = succeeded_at.max(self.forget_run(RunId { job, number }, &mut totals)?);
        }
        self.keep_totals(&totals)?;
        self.change(
            "UPDATE job SET succeeded_at = max(coalesce(succeeded_at, ?2), ?2)
             WHERE id = ?1 AND ?2 IS NOT NULL",
            params![job, succeeded_at],
        )
    }

    /// Deletes a run, and adds it to the totals. If it succeeded, or was the last of an array that did,
    /// returns when that ended.
    fn forget_run(&self, run: RunId, totals: &mut Totals) -> StoreResult<Option<Timestamp>> {
        let (id, array, bundle): (i64, Option<ArrayId>, Option<BundleId>) = self.one(
            "SELECT id, array_id, bundle_id FROM run
             WHERE job_id = ?1 AND number = ?2 AND state = 'finished'",
            params![run.job, run.number],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        self.sample_at(id, |run| totals.add(run))?;
        for part in PARTS_OF_A_RUN {
            self.change(&format!("DELETE FROM {part} WHERE run_id = ?1"), [id])?;
        }
        let of_run: Option<Timestamp> = self.one(
            "DELETE FROM run WHERE id = ?1
             RETURNING iif(outcome = 'success' AND callback IS NULL AND array_id IS NULL, finished_at, NULL)",
            [id],
            |row| row.get(0),
        )?;
        // An array goes with its last run.
        let of_array: Option<(Option<BundleId>, Option<Timestamp>)> = self.first(
            "DELETE FROM array WHERE id = ?1 AND finished_at IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM run WHERE array_id = ?1)
             RETURNING bundle_id, iif(outcome = 'success', finished_at, NULL)",
            [array],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let (array_bundle, of_array) = of_array.unwrap_or_default();
        let bundles = bundle.into_iter().chain(array_bundle);
        bundles.into_iter().try_for_each(|bundle| self.drop_unused_bundle(bundle))?;
        Ok(of_run.max(of_array))
    }

    /// Deletes a job and its history. No keeper may have a run of it, and no stored crontab a line.
    pub fn remove_job(&self, job: JobId) -> StoreResult<()> {
        let job_note = self.job_note(job)?;
        let runs = self.forget_job(job)?;
        self.record(&Happening::Removed { job: job_note, runs });
        Ok(())
    }

    /// Records that runs and jobs were forgotten because they are old.
    pub fn has_forgotten(&self, runs: usize, jobs: usize) {
        self.record(&Happening::Pruned { runs: runs as u64, jobs: jobs as u64 });
    }

    /// Does the same as `remove_job`, and returns how many runs the job had. The caller records it, with
    /// others.
    pub fn forget_job(&self, job: JobId) -> StoreResult<u64> {
        let mut totals = Totals::default();
        self.samples(Sampled::Of(&[job]), 0, |run| totals.add(run))?;
        self.keep_totals(&totals)?;
        for part in PARTS_OF_A_RUN {
            let sql = format!("DELETE FROM {part} WHERE run_id IN (SELECT id FROM run WHERE job_id = ?1)");
            self.change(&sql, [job])?;
        }
        self.change(
            "DELETE FROM array_rest WHERE array_id IN (SELECT id FROM array WHERE job_id = ?1)",
            [job],
        )?;
        let runs = self.changed("DELETE FROM run WHERE job_id = ?1", [job])?;
        self.change(
            "DELETE FROM path_mark WHERE trigger_id IN (SELECT id FROM trigger WHERE job_id = ?1)",
            [job],
        )?;
        self.change(
            "DELETE FROM run_timer WHERE trigger_id IN (SELECT id FROM trigger WHERE job_id = ?1)",
            [job],
        )?;
        for part in ["array", "item", "trigger", "tag", "dependency", "imported", "applied"] {
            self.change(&format!("DELETE FROM {part} WHERE job_id = ?1"), [job])?;
        }
        self.drop_bundles_of(job)?;
        let (environment, requirement): (i64, _) = self.one(
            "DELETE FROM job WHERE id = ?1 RETURNING environment_id, requirement_id",
            [job],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        self.forget_requirement(requirement)?;
        // It may hold secrets of the job.
        self.change(
            "DELETE FROM environment
             WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE environment_id = ?1)",
            params![environment],
        )?;
        Ok(runs as u64)
    }
}
