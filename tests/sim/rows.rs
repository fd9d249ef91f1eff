//! Owns: reading the database without the queries of the store.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row as SqlRow, params_from_iter};
use taskq::domain::{Event, EventId, JobId, Outcome, QueueOrder, RunId, Timestamp};
use taskq::keeper::protocol::Attempt;
use taskq::store::read_events;

/// A row of the run log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub job: i64,
    pub number: i64,
    pub attempt: u32,
    pub kind: String,
    pub trigger: Option<i64>,
    pub scheduled_at: Timestamp,
    pub fires: u64,
    pub queue: String,
    pub rank: i64,
    pub requirement: i64,
    /// What it has booked.
    pub share: Option<String>,
    pub at_once: Option<u32>,
    pub state: String,
    pub held: bool,
    pub queued_at: i64,
    pub start_by: Option<i64>,
    pub keeper: Option<i64>,
    pub stop_at: Option<i64>,
    pub pid: Option<u32>,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub outcome: Option<Outcome>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub is_unattended: bool,
    pub not_before: Option<i64>,
    pub awaits: i64,
    pub after_runs: Option<String>,
    pub cause: Option<String>,
    pub array: Option<i64>,
    pub index: Option<u32>,
    pub callback: Option<String>,
    /// The number of the run that a callback follows.
    pub parent: Option<i64>,
    pub parent_array: Option<i64>,
    /// Its events.
    pub bundle: Option<i64>,
}

impl Row {
    pub fn attempt(&self) -> Attempt {
        Attempt::of_run(RunId { job: JobId(self.job), number: self.number }, self.attempt)
    }

    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    pub fn waits(&self) -> bool {
        self.is_open() && self.keeper.is_none()
    }

    /// Returns whether an event trigger made it.
    pub fn is_of_events(&self) -> bool {
        is_event_kind(&self.kind)
    }

    /// Returns whether it counts for `--times`: a trigger made it, and it has begun or was refused a process.
    pub fn counts(&self) -> bool {
        let is_refused = matches!(self.outcome, Some(Outcome::SpawnFailed | Outcome::Lost));
        self.trigger.is_some() && (self.started_at.is_some() || self.attempt > 1 || is_refused)
    }

    /// Returns whether it was missed because a gate was closed for too long.
    pub fn has_left_gate(&self) -> bool {
        self.cause.as_deref() == Some("a gate was closed at the end of its `--if-timeout`")
    }

    /// Returns whether it was skipped because it can never start after another job's run.
    pub fn is_barred(&self) -> bool {
        let says = |part: &str| self.cause.as_ref().is_some_and(|cause| cause.contains(part));
        self.outcome == Some(Outcome::Skipped)
            && (says("it waited for") || says("will have none") || says("to run after"))
    }

    /// Returns whether it is claimed, or between two attempts.
    pub fn has_begun(&self) -> bool {
        self.keeper.is_some() || self.attempt > 1
    }
}

/// Returns whether a trigger of this kind listens to events.
pub fn is_event_kind(kind: &str) -> bool {
    ["path", "job", "emit", "stream", "state"].contains(&kind)
}

/// A fire of a job with an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayRow {
    pub id: i64,
    pub job: i64,
    pub trigger: Option<i64>,
    pub scheduled_at: Timestamp,
    pub place: i64,
    pub queue: String,
    pub rank: i64,
    pub requirement: i64,
    pub at_once: Option<u32>,
    pub held: bool,
    pub queued_at: i64,
    pub start_by: Option<i64>,
    pub awaits: i64,
    pub after_runs: Option<String>,
    pub total: u64,
    /// How many indices have no run.
    pub rest: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub missed: u64,
    pub finished_at: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    pub kind: String,
    /// As of a run.
    pub bundle: Option<i64>,
}

/// An attempt after which its run was tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    pub number: u32,
    pub pid: Option<u32>,
    pub started_at: Option<i64>,
    pub finished_at: i64,
    pub outcome: Outcome,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub output: Option<Vec<u8>>,
}

/// The part of a stored trigger that changes.
#[derive(Clone, Debug)]
pub struct TriggerRow {
    pub id: i64,
    pub next_at: Option<Timestamp>,
    pub held: bool,
    pub boot: Option<String>,
    pub awaits_end: bool,
    /// Of an event trigger: whether it will fire again.
    pub listens: Option<bool>,
    /// The bundle of the events that count.
    pub counting: Option<i64>,
    pub timeout_at: Option<Timestamp>,
    pub has_fired: bool,
    /// Its path is to be looked at again.
    pub is_stale: bool,
}

#[derive(Clone, Debug)]
pub struct QueueRow {
    pub name: String,
    pub slots: Option<usize>,
    pub paused: bool,
    pub order: QueueOrder,
    /// In microseconds; `None`: never.
    pub aging: Option<i64>,
}

/// A mail that is waiting, or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRow {
    pub id: i64,
    pub run: i64,
    pub keeper: Option<i64>,
    pub failed: Option<String>,
}

const COLUMNS: &str =
    "id, job_id, number, attempt, trigger, trigger_id, scheduled_at, fires, queue, rank, at_once,
    state, held, queued_at, keeper, stop_at, pid, started_at, finished_at, outcome, exit_code, signal,
    is_unattended, not_before, awaits, after_runs, cause,
    array_id, array_index, callback, parent_number, parent_array, start_by, bundle_id,
    requirement_id, share";

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        job: row.get(1)?,
        number: row.get(2)?,
        attempt: row.get(3)?,
        kind: row.get(4)?,
        trigger: row.get(5)?,
        scheduled_at: Timestamp::from_micros(row.get(6)?),
        fires: row.get::<_, i64>(7)?.cast_unsigned(),
        queue: row.get(8)?,
        rank: row.get(9)?,
        at_once: row.get(10)?,
        state: row.get(11)?,
        held: row.get(12)?,
        queued_at: row.get(13)?,
        keeper: row.get(14)?,
        stop_at: row.get(15)?,
        pid: row.get(16)?,
        started_at: row.get(17)?,
        finished_at: row.get(18)?,
        outcome: row.get::<_, Option<String>>(19)?.map(|word| Outcome::from_word(&word).expect("an outcome")),
        exit_code: row.get(20)?,
        signal: row.get(21)?,
        is_unattended: row.get(22)?,
        not_before: row.get(23)?,
        awaits: row.get(24)?,
        after_runs: row.get(25)?,
        cause: row.get(26)?,
        array: row.get(27)?,
        index: row.get(28)?,
        callback: row.get(29)?,
        parent: row.get(30)?,
        parent_array: row.get(31)?,
        start_by: row.get(32)?,
        bundle: row.get(33)?,
        requirement: row.get(34)?,
        share: row.get(35)?,
    })
}

/// A connection of the audit's own.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    pub fn open(dir: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self(Connection::open_with_flags(dir.join("taskq.db"), flags).expect("the store is there"))
    }

    pub fn query<T>(
        &self,
        sql: &str,
        values: &[i64],
        read: impl Fn(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        let mut statement = self.0.prepare_cached(sql).expect("valid");
        let rows = statement.query_map(params_from_iter(values), read).expect("readable");
        rows.collect::<Result<_, _>>().expect("readable")
    }

    fn runs(&self, condition: &str, values: &[i64]) -> Vec<Row> {
        self.query(&format!("SELECT {COLUMNS} FROM run WHERE {condition} ORDER BY id"), values, row)
    }

    pub fn runs_after(&self, id: i64) -> Vec<Row> {
        self.runs("id > ?1", &[id])
    }

    pub fn open_runs(&self) -> Vec<Row> {
        self.runs("state <> 'finished'", &[])
    }

    pub fn run(&self, id: i64) -> Row {
        self.runs("id = ?1", &[id]).pop().expect("a row of the run log never goes away")
    }

    /// Returns the earlier attempts of a run, the first one first.
    pub fn attempts(&self, run: i64) -> Vec<AttemptRow> {
        let sql = "SELECT number, pid, started_at, finished_at, outcome, exit_code, signal, output
            FROM attempt WHERE run_id = ?1 ORDER BY number";
        self.query(sql, &[run], |row| {
            Ok(AttemptRow {
                number: row.get(0)?,
                pid: row.get(1)?,
                started_at: row.get(2)?,
                finished_at: row.get(3)?,
                outcome: Outcome::from_word(&row.get::<_, String>(4)?).expect("an outcome"),
                exit_code: row.get(5)?,
                signal: row.get(6)?,
                output: row.get(7)?,
            })
        })
    }

    pub fn all_runs(&self) -> Vec<Row> {
        self.runs_after(0)
    }

    pub fn arrays(&self) -> Vec<ArrayRow> {
        let sql = "SELECT id, job_id, trigger_id, scheduled_at, place, queue, rank, at_once, held, queued_at,
            awaits, after_runs, total, rest, succeeded, failed, cancelled, outcome, missed, start_by,
            trigger, bundle_id, finished_at, requirement_id FROM array ORDER BY id";
        let count = |row: &SqlRow<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        self.query(sql, &[], |row| {
            Ok(ArrayRow {
                id: row.get(0)?,
                job: row.get(1)?,
                trigger: row.get(2)?,
                scheduled_at: Timestamp::from_micros(row.get(3)?),
                place: row.get(4)?,
                queue: row.get(5)?,
                rank: row.get(6)?,
                at_once: row.get(7)?,
                held: row.get(8)?,
                queued_at: row.get(9)?,
                awaits: row.get(10)?,
                after_runs: row.get(11)?,
                total: count(row, 12)?,
                rest: count(row, 13)?,
                succeeded: count(row, 14)?,
                failed: count(row, 15)?,
                cancelled: count(row, 16)?,
                outcome: row
                    .get::<_, Option<String>>(17)?
                    .map(|word| Outcome::from_word(&word).expect("an outcome")),
                missed: count(row, 18)?,
                start_by: row.get(19)?,
                kind: row.get(20)?,
                bundle: row.get(21)?,
                finished_at: row.get::<_, Option<i64>>(22)?.map(Timestamp::from_micros),
                requirement: row.get(23)?,
            })
        })
    }

    pub fn triggers(&self) -> Vec<TriggerRow> {
        let sql = "SELECT id, next_at, held, boot_id, ifnull(awaits_end, 0), listens, counting, timeout_at,
            has_fired, is_stale FROM trigger";
        self.query(sql, &[], |row| {
            let (next_at, timeout_at): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(7)?);
            Ok(TriggerRow {
                id: row.get(0)?,
                next_at: next_at.map(Timestamp::from_micros),
                held: row.get(2)?,
                boot: row.get(3)?,
                awaits_end: row.get(4)?,
                listens: row.get(5)?,
                counting: row.get(6)?,
                timeout_at: timeout_at.map(Timestamp::from_micros),
                has_fired: row.get(8)?,
                is_stale: row.get(9)?,
            })
        })
    }

    pub fn queues(&self) -> Vec<QueueRow> {
        let sql = "SELECT name, slots, paused_at IS NOT NULL, ordering, aging_us FROM queue ORDER BY name";
        self.query(sql, &[], |row| {
            let (slots, order): (Option<u32>, String) = (row.get(1)?, row.get(3)?);
            Ok(QueueRow {
                name: row.get(0)?,
                slots: slots.map(|slots| slots as usize),
                paused: row.get(2)?,
                order: QueueOrder::from_word(&order).expect("a word of this taskq"),
                aging: row.get(4)?,
            })
        })
    }

    pub fn mails(&self) -> Vec<MailRow> {
        self.query("SELECT id, run_id, keeper, failed FROM mail ORDER BY id", &[], |row| {
            Ok(MailRow { id: row.get(0)?, run: row.get(1)?, keeper: row.get(2)?, failed: row.get(3)? })
        })
    }

    pub fn jobs(&self) -> Vec<i64> {
        self.query("SELECT id FROM job ORDER BY id", &[], |row| row.get(0))
    }

    pub fn done_jobs(&self) -> Vec<i64> {
        self.query("SELECT id FROM job WHERE done_at IS NOT NULL", &[], |row| row.get(0))
    }

    /// Returns the jobs that count the begins of their runs: how many there may be, and have been.
    pub fn times(&self) -> Vec<(i64, i64, i64)> {
        self.query("SELECT id, times, begun FROM job WHERE times IS NOT NULL", &[], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }

    /// Returns how many fires each job with `--nth` has passed over.
    pub fn passed(&self) -> BTreeMap<i64, u32> {
        let sql = "SELECT id, passed FROM job WHERE nth IS NOT NULL";
        self.query(sql, &[], |row| Ok((row.get(0)?, row.get(1)?))).into_iter().collect()
    }

    /// Returns the jobs of which `done_at` is wrong.
    pub fn wrongly_done(&self) -> Vec<i64> {
        let sql = "SELECT id FROM job WHERE (done_at IS NOT NULL) <> (
                NOT EXISTS (SELECT 1 FROM run WHERE job_id = job.id AND state <> 'finished')
                AND NOT EXISTS (SELECT 1 FROM array WHERE job_id = job.id AND finished_at IS NULL)
                AND NOT EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id
                    AND (next_at IS NOT NULL OR boot_id IS NOT NULL OR awaits_end = 1 OR listens = 1)))";
        self.query(sql, &[], |row| row.get(0))
    }

    /// Returns the events of the rows after the one with this last event.
    pub fn events_after(&self, id: u64) -> Vec<Vec<Event>> {
        let sql = "SELECT first_id, at, count, data FROM event WHERE first_id > ?1 ORDER BY first_id";
        self.query(sql, &[id.cast_signed()], |row| {
            let (first, count): (i64, i64) = (row.get(0)?, row.get(2)?);
            let at = Timestamp::from_micros(row.get(1)?);
            let data: Vec<u8> = row.get(3)?;
            let (first, count) = (EventId(first.cast_unsigned()), count.cast_unsigned());
            Ok(read_events(first, at, count, &data))
        })
    }

    pub fn output(&self, id: i64) -> Option<Vec<u8>> {
        self.query("SELECT data FROM output WHERE run_id = ?1", &[id], |row| row.get(0)).pop()
    }

    /// Panics if the database is damaged.
    pub fn check_integrity(&self) {
        let found: Vec<String> = self.query("PRAGMA integrity_check", &[], |row| row.get(0));
        assert_eq!(found, ["ok"]);
        let orphans: Vec<String> =
            self.query("SELECT * FROM pragma_foreign_key_check", &[], |row| row.get(0));
        assert_eq!(orphans, [""; 0], "rows that refer to nothing");
        let stray = "SELECT run_id FROM run_timer JOIN run ON run.id = run_id
             WHERE state = 'finished' OR (at IS NOT NULL AND state <> 'running')";
        let stray: Vec<i64> = self.query(stray, &[], |row| row.get(0));
        assert_eq!(stray, [0; 0], "triggers look at runs that are not under way");
        let unused = "SELECT id FROM requirement
             WHERE NOT EXISTS (SELECT 1 FROM job WHERE requirement_id = requirement.id)";
        let unused: Vec<i64> = self.query(unused, &[], |row| row.get(0));
        assert_eq!(unused, [0; 0], "requirements of no job");
    }
}
