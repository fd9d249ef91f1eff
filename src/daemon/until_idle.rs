//! Owns: `daemon --until-idle`: when nothing is under way, what is left then, and whether a run has failed.
//! Never: the loop.

use log::{info, warn};

use crate::domain::Timestamp;
use crate::error::Result;
use crate::shown::counted;
use crate::store::{LeftJobs, Reader, Store, StoreResult};

/// What a daemon remembers that exits when nothing is under way.
#[derive(Debug)]
pub(super) struct UntilIdle {
    since: Timestamp,
    /// The number of commits at the last look. Without another one nothing can have changed.
    commits: Option<u64>,
    is_done: bool,
}

impl UntilIdle {
    pub(super) fn since(since: Timestamp) -> Self {
        Self { since, commits: None, is_done: false }
    }

    /// Returns whether nothing is under way.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn is_done(&mut self, store: &mut Store, now: Timestamp) -> Result<bool> {
        let commits = store.commits();
        if self.commits.replace(commits) != Some(commits) {
            let is_under_way = store.read(|reader| reader.is_under_way(now));
            self.is_done = !is_under_way.map_err(|error| error.during("look for unfinished runs"))?;
        }
        Ok(self.is_done)
    }
}

/// Logs what is left, if nothing is under way, and returns whether a run has failed meanwhile.
pub(super) fn conclude(store: &mut Store, until_idle: Option<&UntilIdle>) -> bool {
    let Some(UntilIdle { since, is_done: true, .. }) = until_idle else { return false };
    let look = |reader: &Reader<'_>| -> StoreResult<_> {
        Ok((reader.left_work()?, reader.has_failed_since(*since)?))
    };
    match store.read(look) {
        Ok((left, has_failed)) => {
            info!("nothing is under way");
            for (jobs, why) in [
                (&left.paused, "with paused runs"),
                (&left.awaiting, "with runs that wait for jobs without a run"),
                (&left.coming, "with coming fires"),
                (&left.listening, "listening to events"),
            ] {
                if jobs.count > 0 {
                    info!("leaving {}", left_jobs(jobs, why));
                }
            }
            has_failed
        }
        Err(error) => {
            warn!("cannot read what is left: {error}");
            true
        }
    }
}

/// Returns `2 jobs with coming fires: backup, 12`.
fn left_jobs(jobs: &LeftJobs, why: &str) -> String {
    let more = if jobs.count > jobs.first.len() { ", …" } else { "" };
    format!("{} {why}: {}{more}", counted(jobs.count, "job"), jobs.first.join(", "))
}
