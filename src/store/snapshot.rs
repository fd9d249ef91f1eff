//! Owns: reading the facts for the engine. An index serves each query.
//! Never: deciding on them (see `engine`).

use rusqlite::{Row, ToSql, named_params, params};

use super::claimant::NO_KEEPER;
use super::codec::{event_trigger, missed, retry, share};
use super::{Reader, StoreResult, Writer};
use crate::domain::{
    JobId, MachineSize, Policy, QueueName, RunId, Share, Timestamp, TriggerId, TriggerKind, TriggerSpec,
    Window,
};
use crate::engine::{
    AttemptFacts, Compiled, Dispatch, Due, GateFacts, NthFacts, Planned, RetryingRun, Snapshot, Unfinished,
};
use crate::schedule::{Zone, compile};

/// How many due triggers one step reads: enough to share a commit, and few enough for constant memory.
const DUE_MAX: usize = 1_000;

/// What starts runs.
#[derive(Clone, Copy)]
pub struct Starter<'a> {
    /// The instance of the keeper.
    pub keeper: i64,
    /// The slots of a queue without a width.
    pub default_slots: usize,
    pub machine: MachineSize,
    /// The keeper knows resources.
    pub can_book: bool,
    pub gates: &'a GateFacts,
    /// Returns how many runs of the queue with this name may be prefetched.
    pub prefetch_max: &'a dyn Fn(&str) -> usize,
}

/// A claimed run that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRun {
    pub run: RunId,
    pub attempt: u32,
    /// The instance of the keeper.
    pub keeper: i64,
    /// A stop was requested.
    pub stop_wanted: bool,
    /// What it has booked.
    pub share: Option<Share>,
    /// The pid and the start of its process, if they are recorded.
    pub started: Option<(u32, Timestamp)>,
}

impl Reader<'_> {
    /// Returns the facts at `now`. Queues are left out while something else is to be decided first, and
    /// while nothing can start runs.
    pub fn snapshot(
        &self,
        now: Timestamp,
        system_zone: &Zone,
        starter: Option<Starter<'_>>,
    ) -> StoreResult<Snapshot> {
        let expired = self.expired_fires(now)?;
        if !expired.is_empty() {
            return Ok(Snapshot { expired, ..Snapshot::default() });
        }
        let (timed_out, rested) = (self.due_timeouts(now)?, self.rested_jobs(now)?);
        // What was due before the end of a window comes before that end.
        let may_end = timed_out.is_empty() && rested.is_empty();
        let first = Snapshot {
            due: self.due(now, system_zone)?,
            due_retries: self.due_retries(now)?,
            ended: if may_end { self.ended_triggers(now)? } else { Vec::new() },
            timed_out,
            rested,
            ..Snapshot::default()
        };
        if first.has_due() {
            return Ok(first);
        }
        let awaiting = self.awaiting_fires()?;
        let dispatch = match starter {
            Some(starter) if awaiting.is_empty() => self.dispatch(starter)?,
            Some(_) | None => Dispatch::default(),
        };
        Ok(Snapshot { awaiting, dispatch, ..Snapshot::default() })
    }

    fn due(&self, now: Timestamp, system_zone: &Zone) -> StoreResult<Vec<Due>> {
        self.due_where("trigger.held = 0", named_params! { ":now": now }, system_zone)
    }

    /// Returns the triggers of one job whose next fire has come, whether or not they are held.
    pub fn due_of_job(&self, job: JobId, now: Timestamp, system_zone: &Zone) -> StoreResult<Vec<Due>> {
        self.due_where("trigger.job_id = :job", named_params! { ":now": now, ":job": job }, system_zone)
    }

    fn due_where(
        &self,
        condition: &str,
        values: &[(&str, &dyn ToSql)],
        system_zone: &Zone,
    ) -> StoreResult<Vec<Due>> {
        let mut statement = self.transaction.prepare_cached(&format!(
            "SELECT trigger.id, trigger.kind, trigger.expr, trigger.zone, trigger.at, trigger.period_us,
                trigger.delay_us, NULL, trigger.next_at, job.id, job.overlap, job.missed,
                job.missed_within_us,
                job.grace_us, job.timeout_us, job.kill_after_us, job.times IS NOT NULL, job.start_at,
                job.until_at, job.start_by_us, job.nth, job.passed
             FROM trigger JOIN job ON job.id = trigger.job_id
             WHERE trigger.next_at <= :now AND {condition} AND trigger.next_at IS NOT NULL
             ORDER BY trigger.next_at",
        ))?;
        let mut rows = statement.query(values)?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()?.filter(|_| due.len() < DUE_MAX) {
            let job: JobId = row.get(9)?;
            let (spec, next_at) = (trigger_spec(row, 1)?, row.get(8)?);
            let trigger = TriggerId(row.get(0)?);
            due.push(Due {
                trigger,
                kind: spec.kind(),
                schedule: schedule_of(&spec, system_zone),
                next_at,
                taken: self.taken_after(job, trigger, next_at)?,
                window: Window { start: row.get(17)?, until: row.get(18)? },
                job,
                policy: Policy {
                    overlap: row.get(10)?,
                    missed: missed(row, 11)?,
                    timeout: row.get(14)?,
                    kill_after: row.get(15)?,
                    start_by: row.get(19)?,
                },
                nth: match row.get(20)? {
                    Some(nth) => Some(NthFacts { nth, passed: row.get(21)? }),
                    None => None,
                },
                times: if row.get(16)? { self.times_facts(job)? } else { None },
                unfinished: self.unfinished(job)?,
            });
        }
        Ok(due)
    }

    /// Returns the instants after `after` for which a trigger has runs, ascending.
    pub(super) fn taken_after(
        &self,
        job: JobId,
        trigger: TriggerId,
        after: Timestamp,
    ) -> StoreResult<Vec<Timestamp>> {
        self.all(
            "SELECT scheduled_at FROM run
             WHERE job_id = ?1 AND trigger_id = ?2 AND scheduled_at > ?3
                AND array_id IS NULL AND trigger IN ('at', 'cron', 'calendar', 'every')
             UNION SELECT scheduled_at FROM array
             WHERE job_id = ?1 AND trigger_id = ?2 AND scheduled_at > ?3
                AND trigger IN ('at', 'cron', 'calendar', 'every') ORDER BY scheduled_at",
            params![job, trigger.0, after],
            |row| row.get(0),
        )
    }

    /// Returns the triggers without instants whose window has ended: of events, and of `@reboot`. Those of a
    /// paused job end when it resumes.
    fn ended_triggers(&self, now: Timestamp) -> StoreResult<Vec<TriggerId>> {
        self.all(
            "SELECT trigger.id FROM trigger JOIN job ON job.id = trigger.job_id
             WHERE trigger.boot_id IS NOT NULL AND trigger.held = 0 AND job.until_at <= ?1
             UNION SELECT trigger.id FROM job CROSS JOIN trigger ON trigger.job_id = job.id
             WHERE job.until_at <= ?1 AND job.until_at IS NOT NULL AND job.done_at IS NULL
                AND trigger.listens IS NOT NULL AND trigger.listens = 1 AND trigger.held = 0",
            [now],
            |row| row.get(0).map(TriggerId),
        )
    }

    fn due_retries(&self, now: Timestamp) -> StoreResult<Vec<RunId>> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT job_id, number FROM run WHERE state = 'retrying' AND held = 0 AND not_before <= ?1
             ORDER BY not_before",
        )?;
        let due = statement.query_map([now], |row| Ok(RunId { job: row.get(0)?, number: row.get(1)? }))?;
        Ok(due.take(DUE_MAX).collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn unfinished(&self, job: JobId) -> StoreResult<Vec<Unfinished>> {
        let mut unfinished = self.all(
            "SELECT rest < total FROM array WHERE job_id = ?1 AND finished_at IS NULL ORDER BY id",
            [job],
            |row| {
                let (run, begun) = (RunId { job, number: 0 }, row.get(0)?);
                Ok(Unfinished { run, claimed: begun, begun, stopping: false })
            },
        )?;
        unfinished.extend(self.all(
            "SELECT number, keeper IS NOT NULL, stop_at IS NOT NULL, attempt FROM run
             WHERE job_id = ?1 AND state <> 'finished' AND array_id IS NULL AND callback IS NULL
             ORDER BY number",
            [job],
            |row| {
                let claimed = row.get(1)?;
                Ok(Unfinished {
                    run: RunId { job, number: row.get(0)? },
                    claimed,
                    begun: claimed || row.get::<_, u32>(3)? > 1,
                    stopping: row.get(2)?,
                })
            },
        )?);
        Ok(unfinished)
    }

    /// Returns the instant of the next fire, retry or missed start, or end of an `@reboot` trigger.
    pub fn next_deadline(&self) -> StoreResult<Option<Timestamp>> {
        let of = |sql: &str| self.one(sql, [], |row| row.get::<_, Option<Timestamp>>(0));
        let fire = of("SELECT min(next_at) FROM trigger WHERE next_at IS NOT NULL AND held = 0")?;
        let retry = of("SELECT min(not_before) FROM run WHERE state = 'retrying' AND held = 0")?;
        let end = of("SELECT min(job.until_at) FROM trigger JOIN job ON job.id = trigger.job_id
             WHERE trigger.boot_id IS NOT NULL AND trigger.held = 0")?;
        // By the jobs with an end: many triggers may listen.
        let deaf = of("SELECT (SELECT until_at FROM job
             WHERE until_at IS NOT NULL AND done_at IS NULL AND EXISTS (SELECT 1 FROM trigger
                WHERE job_id = job.id AND listens IS NOT NULL AND listens = 1 AND held = 0)
             ORDER BY until_at LIMIT 1)")?;
        Ok([fire, retry, end, deaf, self.next_missed_start()?, self.next_timeout()?]
            .into_iter()
            .flatten()
            .min())
    }

    /// Returns all runs that are claimed for a keeper and not finished.
    pub fn claimed_runs(&self) -> StoreResult<Vec<ClaimedRun>> {
        let mut claimed = self.claims()?;
        claimed.retain(|claimed| claimed.keeper != NO_KEEPER);
        Ok(claimed)
    }

    /// Returns all claimed runs, also those that are claimed for hosts.
    pub fn claims(&self) -> StoreResult<Vec<ClaimedRun>> {
        self.all(
            "SELECT job_id, number, attempt, keeper, stop_at IS NOT NULL, pid, started_at, share FROM run
             WHERE state <> 'finished' AND keeper IS NOT NULL ORDER BY id",
            [],
            |row| {
                let run = RunId { job: row.get(0)?, number: row.get(1)? };
                let (pid, started_at): (Option<u32>, Option<Timestamp>) = (row.get(5)?, row.get(6)?);
                Ok(ClaimedRun {
                    run,
                    attempt: row.get(2)?,
                    keeper: row.get(3)?,
                    stop_wanted: row.get(4)?,
                    share: share(row, 7)?,
                    started: pid.zip(started_at),
                })
            },
        )
    }

    /// Returns all runs that wait for the time of their next attempt.
    pub fn retrying_runs(&self) -> StoreResult<Vec<RetryingRun>> {
        self.all(
            "SELECT run.job_id, run.number, run.attempt, run.not_before,
                (SELECT finished_at FROM attempt WHERE run_id = run.id AND number = run.attempt - 1),
                job.retries, job.retry_delay_us, job.retry_delay_max_us, job.retry_on
             FROM run JOIN job ON job.id = run.job_id WHERE run.state = 'retrying'",
            [],
            |row| {
                let last = AttemptFacts {
                    run: RunId { job: row.get(0)?, number: row.get(1)? },
                    attempt: row.get::<_, u32>(2)? - 1,
                    finished_at: row.get(4)?,
                    stop_wanted: false,
                    retry: retry(row, 5)?,
                };
                Ok(RetryingRun { last, at: row.get(3)? })
            },
        )
    }

    /// Returns when the latest run was queued.
    pub fn latest_queued_at(&self) -> StoreResult<Option<Timestamp>> {
        self.first("SELECT queued_at FROM run ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
    }

    /// Returns a stored value.
    pub fn meta(&self, key: MetaKey) -> StoreResult<Option<String>> {
        self.first("SELECT value FROM meta WHERE key = ?1", [key.as_str()], |row| row.get(0))
    }

    /// Returns whether a queue exists.
    pub fn has_queue(&self, queue: &QueueName) -> StoreResult<bool> {
        self.has("SELECT 1 FROM queue WHERE name = ?1", [queue.as_str()])
    }
}

impl Writer<'_> {
    /// Makes every `@reboot` trigger due that has not fired in this boot, if `now` is in its window.
    pub fn fire_reboots(&self, boot_id: &str, now: Timestamp) -> StoreResult<()> {
        self.change(
            "UPDATE trigger SET boot_id = ?1, next_at = iif(EXISTS (SELECT 1 FROM job WHERE id = job_id
                AND ifnull(start_at <= ?2, 1) AND ifnull(until_at > ?2, 1)), ?2, next_at)
             WHERE boot_id IS NOT NULL AND boot_id <> ?1 AND event IS NULL",
            params![boot_id, now],
        )
    }

    /// Ends a trigger of events or of `@reboot`. A fire that is due stays due.
    pub(super) fn end_trigger(&self, trigger: TriggerId) -> StoreResult<()> {
        self.change("UPDATE trigger SET boot_id = NULL WHERE id = ?1", [trigger.0])?;
        self.end_listening(trigger)?;
        self.forget_gathered_in_vain(trigger)?;
        self.note_end(trigger)
    }

    /// Lets the `@reboot` triggers of a job that have ended fire again after the boot that follows `boot_id`.
    pub fn rearm_reboots(&self, job: JobId, boot_id: &str) -> StoreResult<()> {
        self.change(
            "UPDATE trigger SET boot_id = ?2
             WHERE job_id = ?1 AND kind = 'cron' AND expr = '@reboot' AND boot_id IS NULL",
            params![job, boot_id],
        )
    }

    /// A trigger has lost its coming fires, perhaps the last of its job.
    pub fn note_end(&self, trigger: TriggerId) -> StoreResult<()> {
        let job = self.one("SELECT job_id FROM trigger WHERE id = ?1", [trigger.0], |row| row.get(0))?;
        self.has_lost_fires(job);
        Ok(())
    }

    /// Takes a stored value away.
    pub fn take_meta(&self, key: MetaKey) -> StoreResult<Option<String>> {
        self.first("DELETE FROM meta WHERE key = ?1 RETURNING value", [key.as_str()], |row| row.get(0))
    }

    /// Stores a value, and returns the one before.
    pub fn exchange_meta(&self, key: MetaKey, value: &str) -> StoreResult<Option<String>> {
        let known = self.meta(key)?;
        let key = key.as_str();
        if known.as_deref() != Some(value) {
            self.change("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
        }
        Ok(known)
    }
}

impl Reader<'_> {
    /// Returns triggers without a fire that is due.
    pub fn planned(
        &self,
        which: PlannedAre,
        now: Timestamp,
        system_zone: &Zone,
    ) -> StoreResult<Vec<Planned>> {
        let condition = match which {
            PlannedAre::InSystemZone => {
                "next_at > ?1 AND kind IN ('cron', 'calendar') AND zone IS NULL".to_owned()
            }
            PlannedAre::Recurring => "next_at > ?1 AND kind <> 'at'".to_owned(),
            PlannedAre::OfJob(job) => {
                format!(
                    "ifnull(next_at > ?1, 1) AND ifnull(awaits_end, 0) = 0 AND event IS NULL
                        AND job_id = {job}"
                )
            }
        };
        let mut statement = self.transaction.prepare(&format!(
            "SELECT trigger.id, kind, expr, zone, at, period_us, delay_us,
                iif(kind = 'stream', opened_text('trigger.event', trigger.id, 0, event), event),
                next_at, job_id, job.start_at, job.until_at
             FROM trigger JOIN job ON job.id = trigger.job_id WHERE {condition}",
        ))?;
        let mut rows = statement.query([now])?;
        let mut planned = Vec::new();
        while let Some(row) = rows.next()? {
            let trigger = TriggerId(row.get(0)?);
            planned.push(Planned {
                trigger,
                schedule: schedule_of(&trigger_spec(row, 1)?, system_zone),
                next_at: row.get(8)?,
                window: Window { start: row.get(10)?, until: row.get(11)? },
                taken: self.taken_after(row.get(9)?, trigger, now)?,
            });
        }
        Ok(planned)
    }
}

/// A value that the store keeps for the next daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey {
    /// The boot in which a daemon last served the store.
    Boot,
    /// A text that changes with the system's zone.
    SystemZone,
    /// The end of the daemon's last pass over the history, in microseconds.
    Pruned,
    /// The boot, and which states of the machine held when they were last looked at: `BOOT online=1 ac=0`.
    MachineStates,
    /// By it, hosts of executors tell the runs of this store from those of others.
    Token,
    /// What is left to do after the store was sealed or unsealed.
    Sealing,
    /// The store is a copy that no daemon has served: when it was made, in microseconds.
    Copied,
}

impl MetaKey {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::SystemZone => "system_zone",
            Self::Pruned => "pruned",
            Self::MachineStates => "machine_states",
            Self::Token => "token",
            Self::Sealing => "sealing",
            Self::Copied => "copied",
        }
    }
}

/// Which triggers are planned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedAre {
    /// Cron and calendar expressions without a zone of their own, with a next fire.
    InSystemZone,
    /// All triggers but `--at`, with a next fire.
    Recurring,
    /// Those of this job, also without a next fire.
    OfJob(JobId),
}

/// Reads a trigger from seven columns that start at `first`: kind, expr, zone, at, period_us, delay_us,
/// event.
pub(super) fn trigger_spec(row: &Row<'_>, first: usize) -> rusqlite::Result<TriggerSpec> {
    let kind: TriggerKind = row.get(first)?;
    Ok(match kind {
        TriggerKind::Cron => TriggerSpec::Cron {
            expr: row.get(first + 1)?,
            zone: row.get(first + 2)?,
            delay: row.get(first + 5)?,
        },
        TriggerKind::Calendar => TriggerSpec::Calendar {
            expr: row.get(first + 1)?,
            zone: row.get(first + 2)?,
            delay: row.get(first + 5)?,
        },
        TriggerKind::Every => {
            let (anchor, period) = (row.get(first + 3)?, row.get(first + 4)?);
            match anchor {
                Some(anchor) => TriggerSpec::Every { period, anchor, delay: row.get(first + 5)? },
                None => TriggerSpec::AfterEnd { period, delay: row.get(first + 5)? },
            }
        }
        TriggerKind::Path
        | TriggerKind::Job
        | TriggerKind::Emit
        | TriggerKind::Stream
        | TriggerKind::State => TriggerSpec::Event(event_trigger(row, first + 6)?),
        TriggerKind::At | TriggerKind::Manual | TriggerKind::Retry | TriggerKind::Callback => {
            TriggerSpec::At { at: row.get(first + 3)?, delay: row.get(first + 5)? }
        }
    })
}

/// Compiles a stored trigger, and returns its zone too.
pub fn schedule_of(spec: &TriggerSpec, system_zone: &Zone) -> Compiled {
    let zone = match spec {
        TriggerSpec::Cron { zone: Some(name), .. } | TriggerSpec::Calendar { zone: Some(name), .. } => {
            Zone::read(name).map_err(|error| error.to_string())?
        }
        TriggerSpec::Cron { zone: None, .. }
        | TriggerSpec::Calendar { zone: None, .. }
        | TriggerSpec::At { .. }
        | TriggerSpec::Every { .. }
        | TriggerSpec::AfterEnd { .. }
        | TriggerSpec::Event(_) => system_zone.clone(),
    };
    let schedule = compile(spec).map_err(|error| error.to_string())?;
    Ok((schedule, zone))
}
