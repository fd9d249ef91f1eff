//! Owns: the database as it is, read past the store's own queries.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row as SqlRow, params};
use taskq::domain::{JobId, Outcome, RunId, Timestamp};
use taskq::keeper::protocol::Attempt;

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
    pub at_once: Option<u32>,
    pub state: String,
    pub held: bool,
    pub queued_at: i64,
    pub keeper: Option<i64>,
    pub stop_at: Option<i64>,
    pub pid: Option<u32>,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub outcome: Option<Outcome>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub is_unattended: bool,
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
}

/// A stored trigger, as far as it moves.
#[derive(Clone, Debug)]
pub struct TriggerRow {
    pub id: i64,
    pub next_at: Option<Timestamp>,
    pub held: bool,
}

/// A stored queue.
#[derive(Clone, Debug)]
pub struct QueueRow {
    pub name: String,
    pub slots: Option<usize>,
    pub paused: bool,
}

/// A mail that was not sent yet, or not at all.
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
    is_unattended";

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
    })
}

/// A reader of its own.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    pub fn open(dir: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self(Connection::open_with_flags(dir.join("taskq.db"), flags).expect("the store is there"))
    }

    fn rows(&self, condition: &str, value: i64) -> Vec<Row> {
        let sql = format!("SELECT {COLUMNS} FROM run WHERE {condition} ORDER BY id");
        let mut statement = self.0.prepare_cached(&sql).expect("valid");
        let rows = statement.query_map([value], row).expect("readable");
        rows.collect::<Result<_, _>>().expect("readable")
    }

    pub fn runs_after(&self, id: i64) -> Vec<Row> {
        self.rows("id > ?1", id)
    }

    pub fn open_runs(&self) -> Vec<Row> {
        self.rows("state <> 'finished' AND ?1 = 0", 0)
    }

    pub fn run(&self, id: i64) -> Row {
        self.rows("id = ?1", id).pop().expect("a row of the run log never goes away")
    }

    pub fn all_runs(&self) -> Vec<Row> {
        self.runs_after(0)
    }

    pub fn triggers(&self) -> Vec<TriggerRow> {
        let sql = "SELECT id, next_at, held FROM trigger";
        let mut statement = self.0.prepare_cached(sql).expect("valid");
        let triggers = statement.query_map([], |row| {
            let next_at: Option<i64> = row.get(1)?;
            Ok(TriggerRow {
                id: row.get(0)?,
                next_at: next_at.map(Timestamp::from_micros),
                held: row.get(2)?,
            })
        });
        triggers.expect("readable").collect::<Result<_, _>>().expect("readable")
    }

    pub fn queues(&self) -> Vec<QueueRow> {
        let sql = "SELECT name, slots, paused_at IS NOT NULL FROM queue ORDER BY name";
        let mut statement = self.0.prepare_cached(sql).expect("valid");
        let queues = statement.query_map([], |row| {
            let slots: Option<u32> = row.get(1)?;
            Ok(QueueRow { name: row.get(0)?, slots: slots.map(|slots| slots as usize), paused: row.get(2)? })
        });
        queues.expect("readable").collect::<Result<_, _>>().expect("readable")
    }

    pub fn mails(&self) -> Vec<MailRow> {
        let mut statement =
            self.0.prepare_cached("SELECT id, run_id, keeper, failed FROM mail ORDER BY id").expect("valid");
        let mails = statement.query_map([], |row| {
            Ok(MailRow { id: row.get(0)?, run: row.get(1)?, keeper: row.get(2)?, failed: row.get(3)? })
        });
        mails.expect("readable").collect::<Result<_, _>>().expect("readable")
    }

    pub fn jobs(&self) -> Vec<i64> {
        let mut statement = self.0.prepare_cached("SELECT id FROM job ORDER BY id").expect("valid");
        statement
            .query_map([], |row| row.get(0))
            .expect("readable")
            .collect::<Result<_, _>>()
            .expect("readable")
    }

    /// Returns the jobs that are done and should not be, or are not and should.
    pub fn wrongly_done(&self) -> Vec<i64> {
        let sql = "SELECT id FROM job WHERE (done_at IS NOT NULL) <> (
                NOT EXISTS (SELECT 1 FROM run WHERE job_id = job.id AND state <> 'finished')
                AND NOT EXISTS (SELECT 1 FROM trigger WHERE job_id = job.id
                    AND (next_at IS NOT NULL OR boot_id IS NOT NULL)))";
        let mut statement = self.0.prepare_cached(sql).expect("valid");
        statement
            .query_map([], |row| row.get(0))
            .expect("readable")
            .collect::<Result<_, _>>()
            .expect("readable")
    }

    pub fn output(&self, id: i64) -> Option<Vec<u8>> {
        let mut statement =
            self.0.prepare_cached("SELECT data FROM output WHERE run_id = ?1").expect("valid");
        statement.query_row(params![id], |row| row.get(0)).ok()
    }

    /// Panics if SQLite finds anything wrong.
    pub fn check_integrity(&self) {
        let found: String =
            self.0.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("readable");
        assert_eq!(found, "ok");
        let orphans: i64 = self
            .0
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .expect("readable");
        assert_eq!(orphans, 0, "rows that refer to nothing");
    }
}
