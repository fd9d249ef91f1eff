//! Owns: the model of ranks: where each unfinished run must be in its queue.
//! Never: whether it starts in that order (see `audit`).

use std::collections::BTreeMap;

use taskq::domain::{NewJob, QueueOrder, Span};

use crate::rows::{ArrayRow, QueueRow, Row};

/// In microseconds.
const DAY: i64 = 86_400_000_000;

/// What counts for the rank of the runs of a job.
#[derive(Debug)]
struct Job {
    priority: i64,
    finish_by: Option<Span>,
}

#[derive(Debug, Default)]
pub struct Ranks {
    jobs: BTreeMap<i64, Job>,
}

impl Ranks {
    pub fn added(&mut self, id: i64, job: &NewJob) {
        self.jobs.insert(id, Job { priority: job.priority.into(), finish_by: job.finish_by });
    }

    /// Checks the ranks after a commit.
    pub fn check<'a>(
        &self,
        queues: &[QueueRow],
        runs: impl Iterator<Item = &'a Row>,
        arrays: impl Iterator<Item = &'a ArrayRow>,
    ) {
        let runs = runs.filter(|row| row.callback.is_none());
        let runs = runs.map(|row| (row.job, &row.queue, row.queued_at, row.scheduled_at, row.rank));
        let arrays = arrays.filter(|array| array.outcome.is_none());
        let arrays =
            arrays.map(|array| (array.job, &array.queue, array.queued_at, array.scheduled_at, array.rank));
        for (job, queue, queued_at, scheduled_at, rank) in runs.chain(arrays) {
            let queue = queues.iter().find(|other| other.name == *queue).expect("it has a queue");
            let Job { priority, finish_by } = &self.jobs[&job];
            let expected = match queue.order {
                QueueOrder::Fifo => match queue.aging {
                    Some(aging) => queued_at - priority * aging,
                    // More than the time between any two runs of a world.
                    None => {
                        let per_point = (rank - queued_at).checked_div(*priority);
                        assert!(per_point.is_none_or(|step| step < -2_000 * 365 * DAY), "{rank}");
                        continue;
                    }
                },
                QueueOrder::Deadline => {
                    let by = finish_by.map_or(DAY, |by| i64::try_from(by.as_micros()).expect("small"));
                    scheduled_at.as_micros() + by
                }
                // How long it takes is learnt.
                QueueOrder::Shortest => {
                    assert!(rank >= queued_at, "{rank} is before {queued_at}");
                    continue;
                }
            };
            assert_eq!(rank, expected, "of a run of job {job} in {queue:?}");
        }
    }
}
