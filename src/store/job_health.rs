//! Owns: how the named jobs that fire again and again are doing.
//! Never: their definitions (see `job_view`).

use std::sync::LazyLock;

use super::job_view::LIVE;
use super::{Reader, StoreResult};
use crate::domain::{JobName, Outcome, Timestamp};

/// A named job that fires again and again, and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobHealth {
    pub name: JobName,
    /// When its latest run that succeeded ended; of a job with an array, the latest array. `None`: none has.
    pub succeeded_at: Option<Timestamp>,
    /// How its latest run or array ended. `None`: none has.
    pub last: Option<Outcome>,
}

/// `job.succeeded_at` has what the run log has no more.
static RECURRING: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT name, succeeded_at,
            iif(array_first IS NULL,
                (SELECT finished_at FROM run WHERE job_id = job.id AND outcome = 'success'
                    AND callback IS NULL ORDER BY number DESC LIMIT 1),
                (SELECT finished_at FROM array WHERE job_id = job.id AND outcome = 'success'
                    ORDER BY id DESC LIMIT 1)),
            iif(array_first IS NULL,
                (SELECT outcome FROM run WHERE job_id = job.id AND state = 'finished'
                    AND callback IS NULL ORDER BY number DESC LIMIT 1),
                (SELECT outcome FROM array WHERE job_id = job.id AND outcome IS NOT NULL
                    ORDER BY id DESC LIMIT 1))
         FROM job WHERE {LIVE} AND name IS NOT NULL AND done_at IS NULL
            AND EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id AND kind <> 'at')
         ORDER BY job.id"
    )
});

impl Reader<'_> {
    /// Returns the first `limit` named jobs that fire again and again, in the order of their ids, and how
    /// many more there are.
    pub fn recurring_jobs(&self, limit: usize) -> StoreResult<(Vec<JobHealth>, usize)> {
        let mut statement = self.transaction.prepare_cached(&RECURRING)?;
        let mut rows = statement.query([])?;
        let (mut jobs, mut others) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            if jobs.len() == limit {
                others += 1;
                continue;
            }
            let (forgotten, in_log): (Option<Timestamp>, Option<Timestamp>) = (row.get(1)?, row.get(2)?);
            let succeeded_at = forgotten.max(in_log);
            jobs.push(JobHealth { name: row.get(0)?, succeeded_at, last: row.get(3)? });
        }
        Ok((jobs, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::query_plan;

    #[test]
    fn the_runs_of_a_job_are_searched_for_by_an_index() {
        let plan = query_plan(&RECURRING);
        let by_number = plan.lines().filter(|line| *line == "SEARCH run USING INDEX run_number (job_id=?)");
        assert_eq!(by_number.count(), 2, "{plan}");
        let is_index_of_few =
            |line: &str| line.contains("INDEX run_unfinished") || !line.starts_with("SCAN run");
        assert!(plan.lines().all(is_index_of_few) && !plan.contains("SCAN job"), "{plan}");
    }
}
