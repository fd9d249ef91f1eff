//! Owns: the totals of all runs that have ended: those in the run log, and those that have left it.
//! Never: buckets and sums (see `engine::stats`).

use rusqlite::params;

use super::{Reader, Sampled, StoreResult, Writer};
use crate::domain::{Outcome, Span};
use crate::engine::stats::{Bucket, Total, TotalKind, Totals};

/// The bucket of runs without a process.
const NO_BUCKET: i64 = -1;

impl Reader<'_> {
    /// Returns the totals of all runs that have ever ended.
    pub fn totals(&self) -> StoreResult<Totals> {
        let mut totals = Totals::default();
        self.samples(Sampled::All, 0, |run| totals.add(run))?;
        let forgotten = self.all(
            "SELECT queue, outcome, run_time_max_us, lateness_max_us, runs, run_time_us, lateness_us
             FROM forgotten",
            [],
            |row| {
                let outcome: Outcome = row.get(1)?;
                let (run_time, lateness) = (bucket(row.get(2)?), bucket(row.get(3)?));
                let runs = row.get::<_, i64>(4)?.cast_unsigned();
                let total = Total { runs, run_time: row.get(5)?, lateness: row.get(6)? };
                Ok((row.get::<_, String>(0)?, TotalKind { outcome, run_time, lateness }, total))
            },
        )?;
        for (queue, kind, total) in forgotten {
            totals.join(&queue, kind, total);
        }
        Ok(totals)
    }
}

impl Writer<'_> {
    /// Adds the totals of runs that are deleted in this transaction.
    pub(super) fn keep_totals(&self, totals: &Totals) -> StoreResult<()> {
        for (queue, TotalKind { outcome, run_time, lateness }, total) in totals.kinds() {
            let runs = i64::try_from(total.runs).unwrap_or(i64::MAX);
            // An integer that overflows becomes a real number, which is larger.
            self.change(
                "INSERT INTO forgotten (queue, outcome, run_time_max_us, lateness_max_us, runs, run_time_us,
                    lateness_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
                    runs = min(runs + excluded.runs, 9223372036854775807),
                    run_time_us = min(run_time_us + excluded.run_time_us, 9223372036854775807),
                    lateness_us = min(lateness_us + excluded.lateness_us, 9223372036854775807)",
                params![
                    queue,
                    outcome,
                    bound(run_time),
                    bound(lateness),
                    runs,
                    total.run_time,
                    total.lateness
                ],
            )?;
        }
        Ok(())
    }
}

fn bound(bucket: Option<Bucket>) -> i64 {
    bucket.map_or(NO_BUCKET, |bucket| i64::try_from(bucket.bound().as_micros()).unwrap_or(i64::MAX))
}

fn bucket(bound: i64) -> Option<Bucket> {
    u64::try_from(bound).ok().map(|micros| Bucket::of(Span::from_micros(micros)))
}
