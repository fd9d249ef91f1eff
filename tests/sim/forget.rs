//! Owns: what may be forgotten: runs that are old or too many, and none that is still needed.

use std::collections::BTreeSet;

use taskq::daemon::PruneStep;
use taskq::domain::{Outcome, Timestamp};
use taskq::engine::Retention;

use crate::arrays::is_of_surplus_array;
use crate::audit::Audit;
use crate::rows::Row;

impl Audit {
    /// Checks that a step has forgotten what it says, and nothing that is kept.
    pub fn forgot(&mut self, step: &PruneStep, retention: &Retention, now: Timestamp) {
        let left: BTreeSet<i64> = self.db.all_runs().iter().map(|row| row.id).collect();
        let jobs: BTreeSet<i64> = self.db.jobs().into_iter().collect();
        let done: BTreeSet<i64> = self.db.done_jobs().into_iter().collect();
        let gone: Vec<Row> = self.rows.values().filter(|row| !left.contains(&row.id)).cloned().collect();
        let told: BTreeSet<(i64, i64)> = step.runs().map(|(run, _)| (run.job.0, run.number)).collect();
        assert_eq!(gone.iter().map(|row| (row.job, row.number)).collect::<BTreeSet<_>>(), told);
        for row in &gone {
            let of_job =
                || self.rows.values().filter(|other| other.job == row.job && other.number >= row.number);
            let is_surplus = of_job().count() as u64 > retention.runs_max
                || is_of_surplus_array(row, self.rows.values(), &self.db, retention.runs_max);
            let is_old = row.finished_at.is_some_and(|at| at < (now - retention.age_max).as_micros());
            assert!(is_surplus || is_old, "forgotten, and neither old nor too much: {row:?}");
            let is_living = |job: &i64| jobs.contains(job) && !done.contains(job);
            let is_needed = |job: &i64| {
                is_living(job)
                    || jobs.iter().any(|by| is_living(by) && self.dependencies.depends_on(*by, *job))
            };
            // A callback is no run that a job is judged by.
            if row.callback.is_none() && is_needed(&row.job) {
                assert!(jobs.contains(&row.job), "a job that another one depends on: {row:?}");
                let is_other = |other: &&Row| other.id != row.id && other.callback.is_none();
                let finished = || of_job().filter(is_other).filter(|other| !other.is_open());
                assert!(finished().next().is_some(), "the latest run of a living job: {row:?}");
                let is_failure = |other: &Row| other.outcome.is_some_and(Outcome::is_failure);
                assert!(!is_failure(row) || finished().any(is_failure), "the last failure: {row:?}");
            }
        }
        // A later step may forget what this one has recorded.
        self.record.scan(&self.db, &Vec::new());
        let arrays: BTreeSet<i64> = self.db.arrays().iter().map(|array| array.id).collect();
        for array in self.arrays.all().filter(|array| !arrays.contains(&array.id)) {
            self.hearing.forgot_array(array);
        }
        for row in &gone {
            self.hearing.forgot_run(row);
            self.arrays.forgot(row);
            self.callbacks.forgot(row);
            self.rows.remove(&row.id);
            self.mails.forgot(row.id);
            let is_left = row.array.is_some_and(|array| arrays.contains(&array));
            let trigger = row
                .trigger
                .filter(|_| !is_left && !row.is_of_events())
                .and_then(|id| self.triggers.get_mut(&id));
            self.record.forgot(row);
            if let Some(trigger) = trigger {
                // On a clock that is set back so far, it fires again.
                trigger.taken.remove(&row.scheduled_at);
            }
        }
        for job in step.jobs.iter().filter(|job| job.is_whole) {
            assert!(self.jobs.remove(&job.job.0), "it was not there: {job:?}");
            assert!(self.rows.values().all(|row| row.job != job.job.0), "it has a history: {job:?}");
            self.triggers.retain(|_, trigger| trigger.job != job.job.0);
            self.hearing.forgot_job(job.job.0);
        }
        assert_eq!(jobs, self.jobs);
    }
}
